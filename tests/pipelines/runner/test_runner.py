"""A pipeline file run on this machine: real subprocesses, real kills."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pushline.errors import Busy, SettingsError, StepFailed, TargetError
from pushline.pipelines.runner.runner import PipelineResult, alone_in, run_pipeline
from pushline.stopping import STOP_FILE


def run(file: Path, out: Path, told: list[str] | None = None, **inputs: str | int | Path) -> PipelineResult:
    return run_pipeline(file, inputs, out, progress=(told if told is not None else []).append)


def words_of(out: Path, job: str) -> list[str]:
    words: list[str] = json.loads((out / job / "told" / "said.json").read_text())
    return words


def test_jobs_run_in_the_order_of_their_bindings_with_values_bound(telling: Path, tmp_path: Path) -> None:
    ran = run(telling, tmp_path / "out")
    assert [step.name for step in ran.steps] == ["first", "second"]
    assert words_of(tmp_path / "out", "first") == [
        *("hello", "--share=0.5", "--count", "3", "--loud", "false", "--mode", "plain", "--before", str(telling.parent / "source")),
    ]
    assert ran.outputs == {"last": tmp_path / "out" / "second" / "told"}
    assert words_of(tmp_path / "out", "second")[-2:] == ["--before", str(tmp_path / "out" / "first" / "told")]


@pytest.mark.parametrize(
    "value", ["$(touch owned)", "`touch owned`", "a 'b' \"c\" \\d", "two\nlines", "; touch owned", "${{inputs.count}}", ""]
)
def test_a_value_is_one_argument_whatever_it_holds(value: str, telling: Path, tmp_path: Path) -> None:
    run(telling, tmp_path / "out", text=value)
    assert words_of(tmp_path / "out", "first")[0] == value
    assert not list(tmp_path.rglob("owned"))


def test_finished_steps_are_used_again_until_an_input_changes(telling: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert [step.reused for step in run(telling, out).steps] == [False, False]
    assert [step.reused for step in run(telling, out).steps] == [True, True]
    assert [step.reused for step in run(telling, out, count=4).steps] == [False, False]
    (telling.parent / "source" / "data.txt").write_text("other data")
    assert [step.reused for step in run(telling, out, count=4).steps] == [False, True]  # it told the same as before


def test_a_run_whose_search_was_ended_early_is_not_used_again(telling: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, file = tmp_path / "out", tmp_path / "stop"
    monkeypatch.setenv(STOP_FILE, str(file))
    file.touch()
    run(telling, out)
    file.unlink()
    assert [step.reused for step in run(telling, out).steps] == [False, False]
    assert [step.reused for step in run(telling, out).steps] == [True, True]


def test_a_change_of_the_code_runs_the_steps_again(telling: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(telling, out)
    code = telling.parent / "code" / "step.py"
    code.write_text(code.read_text() + "\n# changed\n")
    assert not any(step.reused for step in run(telling, out).steps)


def test_a_damaged_output_is_made_again(telling: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(telling, out)
    (out / "first" / "told" / "said.json").write_text("[]")
    assert [step.reused for step in run(telling, out).steps] == [False, True]
    assert words_of(out, "first")[0] == "hello"


def test_what_a_step_writes_beside_its_outputs_stays_out_of_the_code(telling: Path, tmp_path: Path) -> None:
    run(telling, tmp_path / "out")
    assert not list(telling.parent.rglob("litter.txt"))
    assert not list((tmp_path / "out").rglob("litter.txt"))


def test_a_failing_step_is_told_with_its_last_lines_and_leaves_nothing(telling: Path, tmp_path: Path) -> None:
    with pytest.raises(StepFailed) as failure:
        run(telling, tmp_path / "out", text="fail")
    assert "step first failed with exit code 1" in failure.value.what
    assert "it can't be done" in failure.value.why
    assert str(tmp_path / "out" / "first.log") in failure.value.do
    assert "it can't be done" in (tmp_path / "out" / "first.log").read_text()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".lock", "first.log"]


def test_a_failure_keeps_what_the_step_left_when_it_last_ended_well(telling: Path, tmp_path: Path) -> None:
    run(telling, tmp_path / "out")
    with pytest.raises(StepFailed):
        run(telling, tmp_path / "out", text="fail")
    assert all(step.reused for step in run(telling, tmp_path / "out").steps)


def test_a_step_that_leaves_no_output_has_failed(telling: Path, tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="left no told"):
        run(telling, tmp_path / "out", text="vanish")


def test_lines_of_standard_output_are_told_while_noise_stays_in_the_log(telling: Path, tmp_path: Path) -> None:
    told: list[str] = []
    run(telling, tmp_path / "out", told)
    assert "first: got 10 arguments" in told
    assert not any("noise" in line for line in told)
    assert "a line of noise" in (tmp_path / "out" / "first.log").read_text()


def test_two_runs_do_not_share_a_folder(telling: Path, tmp_path: Path) -> None:
    with alone_in(tmp_path / "out"), pytest.raises(Busy, match="is at work here"):
        run(telling, tmp_path / "out")


@pytest.mark.parametrize(
    ("inputs", "because"),
    [
        ({"weather": "fine"}, "no input 'weather'"),
        ({"count": "three"}, "it is no integer"),
        ({"count": 0}, "out of bounds"),
        ({"count": "3; ls"}, "it is no integer"),
        ({"text": "a\0b"}, "NUL"),
        ({"source": "/does/not/exist"}, "does not exist"),
    ],
)
def test_a_wrong_input_is_refused_before_anything_runs(
    inputs: dict[str, str | int | Path], because: str, telling: Path, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as refusal:
        run(telling, tmp_path / "out", **inputs)
    assert because in str(refusal.value)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_can_not_be_written_is_told(telling: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TargetError, match="can't be written"):
        run(telling, tmp_path / "file" / "out")


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def below(process: int) -> list[psutil.Process]:
    return psutil.Process(process).children(recursive=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_a_run_ends_it_leaves_no_process_and_no_half_output(
    number: signal.Signals, hanging_run: "Callable[[], tuple[subprocess.Popen[bytes], Path]]", telling: Path, tmp_path: Path
) -> None:
    runner, mark = hanging_run()
    wait_until(lambda: mark.exists() and mark.read_text() != "")
    wait_until(lambda: any(child.name() == "sleep" for child in below(runner.pid)))
    started = below(runner.pid)
    assert len(started) >= 3  # the guard, the step and its detached child
    runner.send_signal(number)
    assert runner.wait(60) != 0
    gone, alive = psutil.wait_procs(started, timeout=60)
    assert not alive
    assert len(gone) == len(started)
    out = tmp_path / "out"
    assert not (out / "first").exists()
    run(telling, out)  # the next run works and clears what the kill left
    assert not list(out.glob(".half-*"))
