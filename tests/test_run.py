"""`pushline run`: order, endings, and what it leaves behind. The stages here answer with made results; `delivered` runs the real ones."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from command import Ran, clean_environment, commands
from pushline import delivery as stages
from pushline.delivery import Delivery
from pushline.errors import NotAccepted, PushlineError, SloBreached, TargetError
from pushline.locks import locked
from pushline.project import Project
from pushline.results import KINDS, Breach, LoadTestResult, Result, failure_of, load, save
from pushline.run import outcome, run
from pushline.settings import load_settings
from report.delivery_made import leave_everything, results


class Recorder:
    """A display that remembers what it was told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, ...]] = []

    def begin(self, stage: str) -> None:
        self.seen.append(("begin", stage))

    def progress(self, line: str) -> None:
        self.seen.append(("tell", line))

    def end(self, stage: str, state: str, elapsed_s: float, figure: str) -> None:
        self.seen.append(("end", stage, state))

    def banner(self, text: str) -> None:
        self.seen.append(("banner", text))

    def ended(self) -> dict[str, str]:
        return {entry[1]: entry[2] for entry in self.seen if entry[0] == "end"}


class Slots:
    """A target of which only discarding is asked."""

    def __init__(self) -> None:
        self.discarded = 0

    def discard(self, progress: Callable[[str], None]) -> bool:
        self.discarded += 1
        return True


@pytest.fixture
def slots() -> Slots:
    return Slots()


@pytest.fixture
def delivery(project: Project, slots: Slots, monkeypatch: pytest.MonkeyPatch) -> Delivery:
    """A delivery whose stages answer at once."""
    made = Delivery(project, load_settings(project.root, {}), lambda line: None)
    monkeypatch.setattr(made, "target", lambda: slots)
    answers(monkeypatch, results(project.build))
    return made


def answers(monkeypatch: pytest.MonkeyPatch, made: list[Result]) -> None:
    for result in made:
        stage(monkeypatch, type(result).stage, lambda delivery, result=result, **options: result)


def stage(monkeypatch: pytest.MonkeyPatch, name: str, answer: Callable[..., Any]) -> None:
    monkeypatch.setitem(stages.STAGES, name, answer)


def raising(error: BaseException) -> Callable[..., Any]:
    def answer(delivery: Delivery, **options: Any) -> Any:
        raise error

    return answer


def test_all_stages_run_in_order_and_the_release_is_promoted(delivery: Delivery, slots: Slots) -> None:
    display = Recorder()
    run(delivery, display)
    assert [entry[1] for entry in display.seen if entry[0] == "begin"] == list(KINDS)
    assert set(display.ended().values()) == {"done"}
    ran = outcome(delivery)
    assert ran.promoted
    assert (ran.url, slots.discarded) == ("http://127.0.0.1:8123", 0)
    assert "Version 3 is live" in (delivery.build / "report.html").read_text()


@pytest.mark.parametrize("name", ["deploy", "smoke", "load-test", "promote"])
def test_a_failure_after_the_decision_discards_the_candidate(
    delivery: Delivery, slots: Slots, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    stage(monkeypatch, name, raising(TargetError("It fell over.")))
    with pytest.raises(TargetError, match="It fell over"):
        run(delivery, Recorder())
    assert slots.discarded == 1
    ran = outcome(delivery)
    assert not ran.promoted
    names = list(KINDS)
    assert [s.state for s in ran.stages] == [
        "done" if n < names.index(name) else "failed" if n == names.index(name) else "not run" for n in range(8)
    ]
    assert f"Failed at {name}" in (delivery.build / "report.html").read_text()


def test_an_interruption_discards_the_candidate_and_is_told(delivery: Delivery, slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    stage(monkeypatch, "smoke", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run(delivery, Recorder())
    assert slots.discarded == 1
    failure = failure_of(delivery.build, "smoke")
    assert failure is not None
    assert failure.interrupted
    assert "Interrupted at smoke" in (delivery.build / "report.html").read_text()


def test_a_failure_before_there_is_a_candidate_asks_no_target(delivery: Delivery, slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    stage(monkeypatch, "train", raising(TargetError("No memory.")))
    with pytest.raises(TargetError):
        run(delivery, Recorder())
    assert slots.discarded == 0


def test_a_candidate_that_can_not_be_discarded_does_not_hide_why_the_run_ended(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    display = Recorder()
    stage(monkeypatch, "smoke", raising(TargetError("It fell over.")))

    def refuse() -> Slots:
        raise PushlineError("The target is gone.")

    monkeypatch.setattr(delivery, "target", refuse)
    with pytest.raises(TargetError, match="It fell over"):
        run(delivery, display)
    assert any("could not be discarded" in entry[1] for entry in display.seen if entry[0] == "tell")


def test_a_version_that_is_not_better_is_not_deployed(delivery: Delivery, slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, results(delivery.build, accept=False)[:4])
    display = Recorder()
    with pytest.raises(NotAccepted, match="version 3 is not accepted"):
        run(delivery, display)
    assert display.ended()["register"] == "refused"
    assert "deploy" not in display.ended()
    assert slots.discarded == 0
    assert "Not released: version 3 is not accepted" in (delivery.build / "report.html").read_text()


def test_a_broken_slo_leaves_its_result_and_discards_the_candidate(
    delivery: Delivery, slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    tested = next(r for r in results(delivery.build) if isinstance(r, LoadTestResult))
    broken = (Breach(name="p99 in ms", setting="p99_ms", limit=250, seen=900),)
    answers(monkeypatch, [msgspec.structs.replace(tested, passed=False, breaches=broken)])
    with pytest.raises(SloBreached):
        run(delivery, Recorder())
    assert slots.discarded == 1
    states = {s.stage: s.state for s in outcome(delivery).stages}
    assert (states["load-test"], states["promote"]) == ("refused", "not run")


def test_results_of_an_earlier_run_are_gone_before_the_first_stage(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_everything(delivery.build)
    stage(monkeypatch, "fetch", raising(TargetError("No data.")))
    with pytest.raises(TargetError):
        run(delivery, Recorder())
    assert {s.state for s in outcome(delivery).stages[1:]} == {"not run"}


def test_from_a_stage_keeps_what_earlier_stages_left(delivery: Delivery) -> None:
    leave_everything(delivery.build)
    display = Recorder()
    run(delivery, display, first="deploy")
    assert list(display.ended()) == ["deploy", "smoke", "load-test", "promote"]
    assert outcome(delivery).promoted


def test_a_generated_sample_is_a_banner(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, results(delivery.build, generated=True))
    display = Recorder()
    run(delivery, display)
    assert any(entry[0] == "banner" for entry in display.seen)
    assert outcome(delivery).generated_sample


@pytest.mark.slow
def test_two_runs_in_one_folder_are_refused_by_the_real_command(project: Project, run_pushline: Callable[..., Ran]) -> None:
    project.state.mkdir()
    (project.build / "smoke").mkdir(parents=True)
    (project.build / "smoke" / "result.json").write_text("{}")
    with locked(project.state / "command.lock", "`pushline run`"):
        second = run_pushline(project, "run")
    assert second.code == 4
    assert f"`pushline run` (process {os.getpid()}, since" in second.err
    assert (project.build / "smoke" / "result.json").exists(), "the refused run touched nothing"


def test_a_stage_that_is_none_is_refused_before_anything_is_touched(project: Project, run_pushline: Callable[..., Ran]) -> None:
    leave_everything(project.build)
    ended = run_pushline(project, "run", "--from", "lunch")
    assert ended.code == 2
    assert "'lunch' is not a stage" in ended.err
    assert (project.build / "promote" / "result.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--budget", "banana"),
        ("run", "--from", "lunch"),
        ("retrain", "--budget", "banana"),
        ("train", "--budget", "banana"),
        ("train", "--attach"),
        ("deploy", "--version", "99"),
        ("promote",),
    ],
    ids=" ".join,
)
def test_a_refused_command_leaves_every_earlier_result(
    project: Project, run_pushline: Callable[..., Ran], arguments: tuple[str, ...]
) -> None:
    leave_everything(project.build)
    tested = load(project.build, LoadTestResult)
    save(project.build, msgspec.structs.replace(tested, passed=False))  # what promote refuses
    (project.build / "report.html").write_text("the report of the run before")
    before = {file: file.read_bytes() for file in project.build.rglob("*") if file.is_file()}
    refused = run_pushline(project, *arguments)
    assert refused.code != 0
    assert "Traceback" not in refused.err
    assert {file: file.read_bytes() for file in project.build.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("spoil", ["contract", "rules", "pipeline", "lock"])
def test_a_run_with_a_broken_file_of_the_repository_leaves_every_earlier_result(
    project: Project, run_pushline: Callable[..., Ran], spoil: str
) -> None:
    leave_everything(project.build)
    before = {file: file.read_bytes() for file in project.build.rglob("*") if file.is_file()}
    file = {"contract": project.contract, "rules": project.rules, "pipeline": project.pipelines / "train.yml", "lock": project.data_lock}[
        spoil
    ]
    file.write_text("x = [")
    refused = run_pushline(project, "run")
    assert refused.code == 2, refused.err
    assert "Traceback" not in refused.err
    assert {file: file.read_bytes() for file in project.build.rglob("*") if file.is_file()} == before


def test_a_second_command_is_refused_with_the_name_of_the_first(project: Project, run_pushline: Callable[..., Ran]) -> None:
    leave_everything(project.build)
    with locked(project.state / "command.lock", "`pushline train`"):
        for arguments in (
            ("run",),
            ("retrain",),
            ("check-data",),
            ("smoke",),
            ("promote",),
            ("profile",),
            ("data", "add", "rows.csv"),
            ("data", "refresh"),
            ("publish", "train"),
            ("registry", "pack"),
            ("registry", "restore"),
        ):
            second = run_pushline(project, *arguments)
            assert second.code == 4, arguments
            assert f"`pushline train` (process {os.getpid()}, since" in second.err
            assert "Traceback" not in second.err
        looked = run_pushline(project, "check-data", "nowhere.csv")
        assert looked.code == 3, "to look at another file is not to act"
    assert (project.build / "smoke" / "result.json").exists()


def test_a_run_without_a_result_of_the_stage_before_says_what_to_run(project: Project, run_pushline: Callable[..., Ran]) -> None:
    ended = run_pushline(project, "run", "--from", "smoke", "--json")
    assert ended.code == 2
    assert "pushline deploy" in ended.err
    assert ended.out == "", "no stage ran"


def test_a_build_folder_that_can_not_be_written_is_told_by_the_real_command(project: Project, run_pushline: Callable[..., Ran]) -> None:
    project.build.write_text("in the way")
    ended = run_pushline(project, "run")
    assert ended.code == 4
    assert "can't be written" in ended.err
    assert "Traceback" not in ended.err
    assert project.build.read_text() == "in the way"


@pytest.mark.slow
def test_a_run_that_is_told_to_end_in_the_middle_of_train_leaves_no_process_and_no_half_result(
    project: Project, table_csv: Path, run_pushline: Callable[..., Ran]
) -> None:
    environment = clean_environment({"PUSHLINE_DATA": str(table_csv)})
    command = [str(commands() / "pushline"), "run", "--sample-if-offline", "--budget", "60s"]
    with subprocess.Popen(command, cwd=project.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "prepare: done" in line:
                break
        running.send_signal(signal.SIGTERM)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "interrupted" in out
    failure = failure_of(project.build, "train")
    assert failure is not None
    assert failure.interrupted
    assert not (project.build / "train" / "result.json").exists()
    assert "Interrupted at train" in (project.build / "report.html").read_text()
    assert processes_of(project) == []
    again = run_pushline(project, "run", "--from", "register")
    assert again.code == 2, "the lock is free, and there is nothing to register"
    assert "no result of train yet" in again.err


def processes_of(project: Project) -> list[str]:
    """What still runs in the project's folder, or was started with its path."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "cwd"]):
        told = " ".join(process.info["cmdline"] or [])
        if process.pid != os.getpid() and (str(project.root) in told or str(project.root) in (process.info["cwd"] or "")):
            found.append(told)
    return found
