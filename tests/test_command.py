"""Commands that fork from a warm process are what a user's are."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from command import clean_environment, cold, commands, path_with_commands, run_cli
from pushline.project import Project


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [("status", "--json"), ("doctor",), ("check-data", "nowhere.csv"), ("promote",), ("no-such-command",)]
)
def test_it_answers_and_ends_as_one_from_the_start_of_an_interpreter(project: Project, arguments: tuple[str, ...]) -> None:
    env = {"PUSHLINE_DATA": "", "HTTPS_PROXY": "http://127.0.0.1:9", "PUSHLINE_LOAD__RATE": "33"}
    alone = cold(project, arguments, clean_environment(env), 100, None)
    assert run_cli(project, *arguments, env=env) == alone
    from_a_shell = subprocess.run(
        ["pushline", *arguments],
        cwd=project.root,
        env=clean_environment({**env, "PATH": path_with_commands()}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (from_a_shell.returncode, from_a_shell.stdout, from_a_shell.stderr) == (alone.code, alone.out, alone.err)


def test_it_has_the_variables_of_its_own_call_alone(project: Project) -> None:
    assert "'brown'" in run_cli(project, "status", env={"PUSHLINE_TARGET": "brown"}).err
    assert run_cli(project, "status").code == 0


def test_one_that_takes_too_long_is_killed_and_the_next_one_runs(project: Project) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_cli(project, "pipelines", "serve", "--port", "0", timeout=2)
    assert run_cli(project, "status").code == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_one_in_a_shell_hears_signals_and_ends_with_what_stands_for_it(project: Project, number: signal.Signals, code: int) -> None:
    with subprocess.Popen(
        ["pushline", "pipelines", "serve", "--port", "0"],
        cwd=project.root,
        env=clean_environment({"PATH": path_with_commands()}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        (served,) = [each for each in psutil.process_iter() if reads_into(each, process)]
        process.send_signal(number)
        assert process.wait(60) == code, said
        served.wait(60)


def reads_into(other: psutil.Process, process: "subprocess.Popen[str]") -> bool:
    """Whether another process writes where this one does: the command itself."""
    try:
        place = Path(f"/proc/{other.pid}/fd/1").readlink()
        return other.pid != process.pid and place == Path(f"/proc/{process.pid}/fd/1").readlink()
    except OSError:
        return False


def test_code_that_is_not_what_is_loaded_runs_from_the_start(tmp_path: Path) -> None:
    """A step finds the code that it is to run in its folder."""
    steps = tmp_path / "pushline" / "pipelines" / "steps"
    steps.mkdir(parents=True)
    for folder in (steps, steps.parent, steps.parent.parent):
        (folder / "__init__.py").touch()
    (steps / "other.py").write_text("import sys\nprint(sys.executable, sys.argv[1:])\n", encoding="utf-8")
    command = [str(commands() / "python"), "-m", "pushline.pipelines.steps.other", "one", "two words"]
    ran = subprocess.run(command, cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, check=True)
    assert ran.stdout == f"{sys.executable} ['one', 'two words']\n"
