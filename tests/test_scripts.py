"""The scripts that GitHub Actions runs before anything is installed."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from pushline.settings import load_settings


def script(repo: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, repo / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("changed", "code", "data"),
    [
        (["README.md", "docs/a.md"], False, False),
        (["src/pushline/cli/__init__.py"], True, False),
        (["data.lock"], True, True),
        (["data_checks/contract.yml", "README.md"], True, True),
        (["Dockerfile"], True, False),
        (None, True, True),
    ],
)
def test_the_plan_follows_the_changed_files(repo: Path, changed: list[str] | None, code: bool, data: bool) -> None:
    assert script(repo, "plan").plan(changed) == {"code": code, "data": data}


def test_an_unknown_base_runs_everything(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo)
    assert script(repo, "plan").changed_files("0" * 40) is None
    assert script(repo, "plan").changed_files("") is None


PLAN = {"result": "success", "outputs": {"code": "true", "data": "false"}}


def test_all_jobs_that_succeeded_pass(repo: Path) -> None:
    assert script(repo, "verdict").faults({"plan": PLAN, "lint": {"result": "success"}, "data": {"result": "skipped"}}) == []


@pytest.mark.parametrize(
    "needs",
    [
        {},
        {"plan": {"result": "failure", "outputs": {}}, "test": {"result": "skipped"}},
        {"plan": PLAN, "test": {"result": "skipped"}},
        {"plan": PLAN, "lint": {"result": "skipped"}},
        {"plan": PLAN, "lint": {"result": "cancelled"}},
        {"plan": PLAN, "data": {"result": "failure"}},
    ],
)
def test_anything_else_keeps_the_pull_request_from_merging(repo: Path, needs: dict[str, object]) -> None:
    assert script(repo, "verdict").faults(needs)


def test_prerequisites_are_named_with_the_line_that_installs_them(repo: Path) -> None:
    code = (
        "import ctypes.util, shutil, runpy, sys;"
        "ctypes.util.find_library = lambda name: None; shutil.which = lambda name: None;"
        "runpy.run_path(sys.argv[1], run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(repo / "scripts/prerequisites.py")], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "sudo apt-get install -y git libgomp1" in done.stdout


def test_a_machine_without_linux_is_told_where_pushline_runs(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert script(repo, "prerequisites").main() == 2
    said = capsys.readouterr().out
    assert "dev container" in said
    assert "apt-get" not in said


def test_setup_says_what_it_does_before_it_does_it_and_how_far_it_is(
    repo: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = script(repo, "setup")
    monkeypatch.setattr(setup, "EVERY_S", 0.0)
    program = "import sys, time; print('the step itself', flush=True); time.sleep(1.5); sys.exit(int(sys.argv[1]))"
    setup.run("2 of 3, the packages", sys.executable, "-c", program, "0", of=300)
    said = capfd.readouterr().out.splitlines()
    assert said[:2] == ["setup: 2 of 3, the packages", "the step itself"]
    assert re.fullmatch(r"setup: 1 s, \d+ of about 300 packages are in .venv", said[2])
    with pytest.raises(SystemExit) as ended:
        setup.run("3 of 3, Pushline itself", sys.executable, "-c", program, "7")
    assert ended.value.code == 7
    assert "error: `make setup` stopped: 3 of 3, Pushline itself failed." in capfd.readouterr().out


def test_setup_leaves_what_is_as_the_lock_of_the_role_says_and_names_a_role_that_is_none(
    repo: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = script(repo, "setup")
    made: list[str] = []
    monkeypatch.setattr(setup, "install", made.append)
    monkeypatch.chdir(tmp_path)
    for name in ("requirements", ".venv"):
        (tmp_path / name).mkdir()
    for name in ("release", "dev", "uv"):
        (tmp_path / "requirements" / f"{name}.txt").write_text(f"{name}==1\n")

    def ask(role: str) -> str:
        monkeypatch.setattr("sys.argv", ["setup.py", role])
        setup.main()
        return (tmp_path / ".venv" / ".done").read_text()

    assert [ask("release"), ask("release"), ask("dev")] == ["release", "release", "dev"]
    assert made == ["release", "dev"]
    (tmp_path / "requirements" / "dev.txt").write_text("dev==2\n")
    ask("dev")
    assert made == ["release", "dev", "dev"]
    with pytest.raises(SystemExit):
        ask("production")
    assert "error: there is no role 'production'." in capfd.readouterr().out


def test_the_code_of_the_repository_and_its_command_are_in_an_environment_of_any_role(repo: Path, tmp_path: Path) -> None:
    place = tmp_path / "a user's folder"
    place.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", ".venv"], cwd=place, check=True)
    (place / "src" / "pushline").mkdir(parents=True)
    (place / "src" / "pushline" / "__main__.py").write_text("import sys\nprint(sys.prefix, sys.argv[1:])\n")
    (place / "src" / "pushline" / "__init__.py").touch()
    code = "import runpy, sys; runpy.run_path(sys.argv[1])['put_here']()"
    subprocess.run([sys.executable, "-c", code, repo / "scripts" / "setup.py"], cwd=place, check=True)
    done = subprocess.run([place / ".venv" / "bin" / "pushline", "a b"], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == f"{place / '.venv'} ['a b']\n"


def test_locks_name_no_index(repo: Path) -> None:
    locks = sorted((repo / "requirements").glob("*.txt"))
    assert len(locks) >= 4
    for lock in locks:
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text
        assert "--hash=sha256:" in text


def test_a_version_is_the_same_in_every_lock(repo: Path) -> None:
    def pins(name: str) -> set[str]:
        lines = (repo / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        return {line.split(" ")[0] for line in lines if line and not line.startswith(" ")}

    everything = pins("dev")
    for name in ("serve", "steps", "release", "train", "checks"):
        assert pins(name) <= everything


def test_a_lock_holds_one_version_of_a_package_for_every_python(repo: Path) -> None:
    for lock in sorted((repo / "requirements").glob("*.txt")):
        lines = [line for line in lock.read_text(encoding="utf-8").splitlines() if "==" in line]
        names = [line.split("==")[0] for line in lines]
        assert names, lock
        assert len(names) == len(set(names)), lock


def test_a_codespace_has_the_python_of_the_workflows_and_shows_the_port_of_the_live_release(repo: Path) -> None:
    made = json.loads((repo / ".devcontainer" / "devcontainer.json").read_text())
    setup = yaml.safe_load((repo / ".github" / "actions" / "setup" / "action.yml").read_text())
    assert f":{setup['inputs']['python-version']['default']}-" in made["image"]
    assert made["forwardPorts"] == [load_settings(repo, {}).serving.port]
    assert f"\n{made['postCreateCommand'].removeprefix('make ')}:" in (repo / "Makefile").read_text()
