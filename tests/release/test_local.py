"""The local target with real supervisors: under load, killed, stale, twice at once, on a full disk."""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from pushline.errors import ModelUnreadable, PushlineError, TargetError
from pushline.progress import silent
from pushline.project import Project
from pushline.registry.replay import expected_of
from pushline.release.local import LocalTarget
from pushline.release.process import Process
from pushline.release.smoke import assertions_on, passed
from pushline.release.target import Endpoint
from pushline.results import Release
from pushline.serving.client import Client
from pushline.serving.model_folder import MATRIX, read_golden
from pushline.settings import load_settings
from signed import signed

from .conftest import ReleaseOf, body_of, deliver, processes_of
from .hammer import Hammer

pytestmark = pytest.mark.slow  # each starts several releases


def supervisor_of(target: LocalTarget) -> psutil.Process:
    state = target.record.read()
    assert state.live is not None
    assert state.live.process is not None
    return psutil.Process(state.live.process.pid)


def hammer_on(target: LocalTarget, live: Endpoint, **options: float) -> Hammer:
    return Hammer(live.url, body_of(live.release), target.keys().primary, **options)  # type: ignore[arg-type]


# Under load


def test_promotions_and_rollbacks_under_load_lose_no_request(local: LocalTarget, release: ReleaseOf) -> None:
    live = deliver(local, release(1))
    with hammer_on(local, live, kept=12, fresh=4, rate=2000) as hammer:
        deliver(local, release(2))
        hammer.wait_for(500)
        local.roll_back(silent)
        hammer.wait_for(500)
        deliver(local, release(3))
        hammer.wait_for(500)
    assert hammer.failures == []
    assert set(hammer.seen) == {"v1-test", "v2-test", "v3-test"}


def test_candidates_come_and_go_without_the_live_release_noticing(local: LocalTarget, release: ReleaseOf) -> None:
    live = deliver(local, release(1))
    with hammer_on(local, live) as hammer:
        for number in (2, 3):
            local.deploy_candidate(release(number), silent)
            local.discard(silent)
    assert hammer.failures == []
    assert set(hammer.seen) == {"v1-test"}


def test_keys_rotated_under_load_refuse_no_request(local: LocalTarget, release: ReleaseOf) -> None:
    live = deliver(local, release(1))
    with hammer_on(local, live, rate=200) as before:
        local.rotate_keys(silent)
        with hammer_on(local, live, rate=200) as after:  # with the fresh key, from the moment it exists
            before.wait_for(50)
            after.wait_for(50)
    assert before.failures == after.failures == []


def test_a_killed_worker_costs_no_more_than_what_it_was_answering(local: LocalTarget, release: ReleaseOf) -> None:
    live = deliver(local, release(1))
    with hammer_on(local, live, kept=6, fresh=2) as hammer:
        for worker in supervisor_of(local).children():
            worker.kill()
        hammer.wait_for(200)
    assert len(hammer.failures) <= 8  # one for each client that was waiting or had its connection there
    assert hammer.seen["v1-test"] >= 200


# Killed


def test_a_killed_supervisor_leaves_no_worker_and_status_tells(local: LocalTarget, release: ReleaseOf) -> None:
    deliver(local, release(1))
    supervisor = supervisor_of(local)
    workers = supervisor.children()
    supervisor.kill()
    assert psutil.wait_procs(workers, timeout=60)[1] == []
    found = local.status()
    assert found.live is None
    assert "v1-test was live" in found.notes[0]
    assert "has ended" in found.notes[0]


def test_the_next_promotion_takes_the_address_of_a_killed_supervisor(local: LocalTarget, release: ReleaseOf) -> None:
    first = deliver(local, release(1))
    supervisor_of(local).kill()
    second = deliver(local, release(2))
    assert second.url == first.url
    assert local.status().previous == first.release


def test_a_supervisor_that_hangs_is_told_and_ended_by_force(
    local: LocalTarget, release: ReleaseOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(local, release(1))
    supervisor = supervisor_of(local)
    monkeypatch.setattr("pushline.release.process.ANSWER_S", 0.3)
    monkeypatch.setattr("pushline.release.process.DRAIN_S", 0.3)
    monkeypatch.setattr("pushline.release.process.TERM_S", 0.3)
    supervisor.suspend()
    found = local.status()
    assert found.live is not None
    assert found.live.ready is False
    assert "does not answer" in found.notes[0]
    assert local.stop(silent) is True
    assert not supervisor.is_running() or supervisor.status() == psutil.STATUS_ZOMBIE


def test_a_candidate_that_a_killed_command_lost_is_swept(local: LocalTarget, release: ReleaseOf) -> None:
    local.deploy_candidate(release(1), silent)
    lost = local.record.read().candidate
    assert lost is not None
    assert lost.process is not None
    local.record.file.unlink()  # as if the command had been killed before it could write
    assert local.discard(silent) is True
    assert not Path(lost.process.control).exists()
    assert processes_of(local.supervisors.project) == []


def test_a_candidate_ends_with_the_run_it_is_tied_to(project: Project, local: LocalTarget, release: ReleaseOf) -> None:
    run = psutil.Popen(["sleep", "60"])
    tied = LocalTarget(project, load_settings(project.root, {}), tied_to=run.pid)
    tied.deploy_candidate(release(1), silent)
    candidates = processes_of(project)
    run.kill()
    run.wait()
    assert psutil.wait_procs(candidates, timeout=60)[1] == []
    assert local.status().candidate is None


def test_start_brings_the_stopped_release_back_where_it_was_and_leaves_one_that_answers_alone(
    local: LocalTarget, release: ReleaseOf
) -> None:
    with pytest.raises(TargetError, match="no release to start"):
        local.start(silent)
    deliver(local, release(1))
    live = deliver(local, release(2))
    local.stop(silent)
    again = local.start(silent)
    assert (again.url, again.release.id) == (live.url, "v2-test")
    assert Client(again.url).get("/readyz").status == 200
    supervisor = supervisor_of(local)
    assert local.start(silent).url == live.url
    assert supervisor_of(local) == supervisor
    previous = local.status().previous
    assert previous is not None
    assert previous.id == "v1-test"


def test_rows_of_recent_requests_are_asked_again_and_the_answers_of_another_model_fail(local: LocalTarget, release: ReleaseOf) -> None:
    live = deliver(local, release(1))
    rows = [dict(row.row) for row in read_golden(Path(live.release.model))]
    own = expected_of(Path(live.release.model), [*rows, {"a column of another contract": 1}])
    assert 0 < len(own) <= len(rows)
    assert passed(assertions_on(live.url, live.release, local.keys(), own))
    other = expected_of(Path(release(2).model), rows)
    [failed] = [seen for seen in assertions_on(live.url, live.release, local.keys(), other) if not seen.passed]
    assert failed.name == f"{len(other)} rows of recent requests score as the model does"


# Stale


def test_another_process_with_the_recorded_number_is_not_taken_for_the_release(local: LocalTarget, release: ReleaseOf) -> None:
    deliver(local, release(1))
    local.stop(silent)
    innocent = psutil.Popen(["sleep", "60"])
    try:
        state = local.record.read()
        assert state.live is not None
        process = Process(pid=innocent.pid, started="another-boot:1", control=str(local.supervisors.project.state / "run" / "gone.sock"))
        local.record.write(msgspec.structs.replace(state, live=msgspec.structs.replace(state.live, process=process)))
        assert local.status().live is None
        assert local.stop(silent) is False
        assert innocent.is_running()
        assert deliver(local, release(2)).release.id == "v2-test"
    finally:
        innocent.kill()
        innocent.wait()


def test_a_record_that_can_not_be_understood_stops_what_acts_and_costs_nothing(local: LocalTarget, release: ReleaseOf) -> None:
    deliver(local, release(1))
    live = deliver(local, release(2))
    candidate = local.deploy_candidate(release(3), silent)
    written = local.record.file.read_bytes()
    for damaged in (b'{"live": ', written.replace(b'"url"', b'"address"')):
        local.record.file.write_bytes(damaged)
        before = contents_of(local.record.file.parent)
        for act in (
            local.status,
            lambda: local.deploy_candidate(release(1), silent),
            lambda: local.promote(candidate, silent),
            lambda: local.roll_back(silent),
            lambda: local.withdraw(silent),
            lambda: local.discard(silent),
            lambda: local.stop(silent),
        ):
            with pytest.raises(TargetError, match="can't be understood, so nothing was changed"):
                act()
        assert contents_of(local.record.file.parent) == before
        assert Client(live.url).get("/readyz").status == Client(candidate.url).get("/readyz").status == 200
    local.record.file.write_bytes(written)
    assert local.status().live == live
    assert local.roll_back(silent).release.id == "v1-test"


def contents_of(state: Path) -> dict[str, bytes]:
    """Every file below a folder but locks, logs and sockets."""
    left_out = {"logs", "run"}
    return {
        str(file.relative_to(state)): file.read_bytes()
        for file in state.rglob("*")
        if file.is_file() and file.suffix != ".lock" and file.relative_to(state).parts[0] not in left_out
    }


def test_a_record_of_a_later_version_keeps_what_this_one_does_not_know(local: LocalTarget, release: ReleaseOf) -> None:
    deliver(local, release(1))
    live = deliver(local, release(2))
    document = msgspec.json.decode(local.record.file.read_bytes())
    document |= {"weights": {"v2-test": 0.9}}
    document["live"] |= {"since": "noon"}
    document["live"]["process"] |= {"workers": [1, 2]}
    document["live"]["release"] |= {"approved_by": "somebody"}
    document["history"][0] |= {"approved_by": "somebody else"}
    local.record.file.write_bytes(msgspec.json.encode(document))
    assert local.status().live == live
    local.deploy_candidate(release(3), silent)
    local.discard(silent)
    assert msgspec.json.decode(local.record.file.read_bytes()) == document
    assert Client(live.url).get("/readyz").status == 200
    deliver(local, release(3))
    after = msgspec.json.decode(local.record.file.read_bytes())
    assert after["weights"] == {"v2-test": 0.9}
    assert [each.get("approved_by") for each in after["history"]] == ["somebody else", "somebody"]
    assert not {"since", "approved_by"} & {*after["live"], *after["live"]["release"]}


def test_looking_ends_and_writes_nothing(local: LocalTarget, release: ReleaseOf) -> None:
    live = deliver(local, release(1))
    candidate = local.deploy_candidate(release(2), silent)
    local.record.write(msgspec.structs.replace(local.record.read(), candidate=None))  # as if the command had been killed before it could
    before = contents_of(local.record.file.parent)
    found = local.status()
    assert (found.live, found.candidate) == (live, None)
    assert "was cut off" in found.notes[0]
    assert contents_of(local.record.file.parent) == before
    assert Client(candidate.url).get("/readyz").status == 200
    assert local.discard(silent) is True
    assert Client(candidate.url).get("/readyz").status == 0
    assert local.status().notes == ()


def test_a_promotion_that_was_cut_off_before_its_record_is_undone_by_the_next_command_that_acts(
    local: LocalTarget, release: ReleaseOf
) -> None:
    live = deliver(local, release(1))
    candidate = local.deploy_candidate(release(2), silent)
    cut_off = local.record.read()
    assert cut_off.candidate is not None
    local.record.write(msgspec.structs.replace(cut_off, candidate=None, coming=cut_off.candidate.process))
    found = local.status()
    assert found.live == live
    assert "was cut off" in found.notes[0]
    assert local.discard(silent) is True
    assert Client(candidate.url).get("/readyz").status == 0
    assert local.status().live == live


def test_a_promotion_that_was_cut_off_behind_its_record_is_completed(
    local: LocalTarget, release: ReleaseOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = deliver(local, release(1))
    before = supervisor_of(local)
    with hammer_on(local, live) as hammer:
        with monkeypatch.context() as patched:
            patched.setattr("pushline.release.process.Process.retire", lambda process: None)  # as if killed before it could
            deliver(local, release(2))
        found = local.status()
        local.discard(silent)
        hammer.wait_for(100)
    assert found.live is not None
    assert found.live.release.id == "v2-test"
    assert "was cut off" in found.notes[0]
    assert psutil.wait_procs([before], timeout=60)[1] == []
    assert hammer.failures == []


def test_a_release_runs_with_the_settings_it_was_verified_with(local: LocalTarget, release: ReleaseOf) -> None:
    live = deliver(local, release(1))
    rows = [row.row for row in read_golden(Path(release(1).model))[:2]]
    assert Client(live.url).score(rows, local.keys().primary).status == 200
    environment = {"PUSHLINE_SERVING__PORT": str(local.settings.port), "PUSHLINE_SERVING__MAX_ROWS": "1"}
    os.environ.update(environment)
    try:
        again = LocalTarget(local.supervisors.project, load_settings(local.supervisors.project.root))
        live = deliver(again, release(2))
    finally:
        for name in environment:
            del os.environ[name]
    assert Client(live.url).score(rows, local.keys().primary).status == 413
    live = local.roll_back(silent)  # with the settings that release was verified with
    assert Client(live.url).score(rows, local.keys().primary).status == 200


def test_a_candidate_of_the_live_release_leaves_the_settings_that_one_comes_back_with(local: LocalTarget, release: ReleaseOf) -> None:
    deliver(local, release(1))
    rows = [row.row for row in read_golden(Path(release(1).model))[:2]]
    port = str(local.settings.port)
    narrow = LocalTarget(
        local.supervisors.project,
        load_settings(local.supervisors.project.root, {"PUSHLINE_SERVING__PORT": port, "PUSHLINE_SERVING__MAX_ROWS": "1"}),
    )
    candidate = narrow.deploy_candidate(release(1), silent)
    assert Client(candidate.url).score(rows, local.keys().primary).status == 413
    narrow.discard(silent)
    deliver(local, release(2))
    live = local.roll_back(silent)
    assert Client(live.url).score(rows, local.keys().primary).status == 200
    live = deliver(narrow, release(1))  # the same release, verified with other settings and promoted
    deliver(local, release(2))
    live = local.roll_back(silent)
    assert Client(live.url).score(rows, local.keys().primary).status == 413


# The port


def test_a_taken_port_is_told_and_the_next_free_one_serves(local: LocalTarget, release: ReleaseOf) -> None:
    said: list[str] = []
    with socket.socket() as foreign:
        foreign.bind(("127.0.0.1", local.settings.port))
        foreign.listen()
        live = local.promote(local.deploy_candidate(release(1), silent), said.append)
    assert live.url != f"http://127.0.0.1:{local.settings.port}"
    assert Client(live.url).get("/readyz").status == 200
    assert any(f"Port {local.settings.port} is taken" in line and live.url.rpartition(":")[2] in line for line in said)


# Two at once


def in_threads(*actions: Callable[[], object]) -> list[object]:
    """What each action gave or raised, all started at once."""
    outcomes: list[object] = [None] * len(actions)
    start = threading.Barrier(len(actions))

    def run(number: int) -> None:
        start.wait()
        try:
            outcomes[number] = actions[number]()
        except PushlineError as error:
            outcomes[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_of_two_promotions_at_once_one_promotes(project: Project, local: LocalTarget, release: ReleaseOf) -> None:
    other = LocalTarget(project, load_settings(project.root, {"PUSHLINE_SERVING__PORT": str(local.settings.port)}))
    candidate = local.deploy_candidate(release(1), silent)
    outcomes = in_threads(lambda: local.promote(candidate, silent), lambda: other.promote(candidate, silent))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Endpoint", "TargetError"]
    assert len([process for process in processes_of(project) if process.ppid() in (1, os.getpid())]) == 1


def test_of_two_deployments_at_once_one_candidate_remains(project: Project, local: LocalTarget, release: ReleaseOf) -> None:
    other = LocalTarget(project, load_settings(project.root, {}))
    one, two = release(1), release(2)
    in_threads(lambda: local.deploy_candidate(one, silent), lambda: other.deploy_candidate(two, silent))
    found = local.status().candidate
    assert found is not None
    assert Client(found.url).get("/readyz").status == 200
    assert len([process for process in processes_of(project) if process.ppid() in (1, os.getpid())]) == 1


def test_two_first_commands_agree_on_the_keys(project: Project, local: LocalTarget) -> None:
    other = LocalTarget(project, load_settings(project.root, {}))
    first, second = in_threads(local.keys, other.keys)
    assert first == second
    assert local.keys_file.stat().st_mode & 0o777 == 0o600


# Damage


def test_a_release_whose_kept_model_was_damaged_is_not_rolled_back_to(local: LocalTarget, release: ReleaseOf) -> None:
    first = deliver(local, release(1))
    live = deliver(local, release(2))
    kept = Path(first.release.model) / MATRIX
    kept.chmod(0o644)
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(ModelUnreadable, match="can't be used"):
        local.roll_back(silent)
    row = read_golden(Path(live.release.model))[0].row
    assert Client(live.url).score([row], local.keys().primary).headers["x-release"] == "v2-test"


def test_a_model_that_does_not_answer_its_golden_rows_never_becomes_ready(local: LocalTarget, release: ReleaseOf, tmp_path: Path) -> None:
    live = deliver(local, release(1))
    wrong = shutil.copytree(release(2).model, tmp_path / "wrong")
    golden = [msgspec.structs.replace(row, probabilities=row.probabilities[::-1]) for row in read_golden(wrong)]
    (wrong / "golden.json").write_bytes(msgspec.json.encode(golden))
    signed(wrong)
    with pytest.raises(ModelUnreadable) as told:
        local.deploy_candidate(msgspec.structs.replace(release(2), model=str(wrong)), silent)
    assert "golden row" in told.value.why
    assert processes_of(local.supervisors.project) == [supervisor_of(local), *supervisor_of(local).children()]
    assert Client(live.url).get("/readyz").status == 200


@pytest.fixture
def tiny_disk(project: Project) -> Iterator[Path]:
    """`.pushline/releases` on a file system of 24 KB."""
    place = project.state / "releases"
    place.mkdir(parents=True)
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(place)], check=False).returncode != 0:
        pytest.skip("a small file system can't be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_told_and_leaves_no_half_release(tiny_disk: Path, local: LocalTarget, release: ReleaseOf) -> None:
    with pytest.raises(TargetError) as told:
        local.deploy_candidate(release(1), silent)
    assert "can't be written" in told.value.what
    assert "No space left" in told.value.why
    assert list(tiny_disk.iterdir()) == []
    assert local.status().candidate is None


def test_an_interrupted_deployment_leaves_no_candidate(local: LocalTarget, release: ReleaseOf, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pushline.release.process.Supervisors.wait_ready", interrupt)
    with pytest.raises(KeyboardInterrupt):
        local.deploy_candidate(release(1), silent)
    monkeypatch.undo()
    assert local.status().candidate is None
    assert processes_of(local.supervisors.project) == []
    assert list(local.folders.root.iterdir()) == []


def test_only_releases_that_may_come_back_are_kept(local: LocalTarget, release: ReleaseOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushline.release.state.REMEMBERED", 1)
    model = release(1).model
    for number in range(3):
        deliver(local, Release(id=f"v{number}", model_name="model", model_version="1", git_revision="test", model=model))
    assert sorted(folder.name for folder in local.folders.root.iterdir()) == ["v1", "v2"]


def test_a_release_that_is_kept_cannot_be_written_by_accident(local: LocalTarget, release: ReleaseOf) -> None:
    candidate = local.deploy_candidate(release(1), silent)
    assert {file.stat().st_mode & 0o222 for file in Path(candidate.release.model).rglob("*") if file.is_file()} == {0}


def test_a_project_in_a_deep_folder_gets_its_control_socket(project: Project, release: ReleaseOf, free_port: int) -> None:
    deep = project.root.parent / ("deep" * 30)
    project.root.rename(deep)
    target = LocalTarget(Project(deep), load_settings(deep, {"PUSHLINE_SERVING__PORT": str(free_port)}))
    try:
        assert Client(deliver(target, release(1)).url).get("/readyz").status == 200
    finally:
        assert target.stop(silent) is True


def test_a_moved_project_rolls_back_to_its_own_copies(project: Project, local: LocalTarget, release: ReleaseOf) -> None:
    deliver(local, release(1))
    deliver(local, release(2))
    local.stop(silent)
    moved = project.root.rename(project.root.parent / "moved")
    target = LocalTarget(Project(moved), load_settings(moved, {"PUSHLINE_SERVING__PORT": str(local.settings.port)}))
    try:
        live = target.roll_back(silent)
        assert live.release.id == "v1-test"
        assert live.release.model.startswith(str(moved))
    finally:
        target.stop(silent)
        moved.rename(project.root)


def test_a_promoted_release_has_nothing_of_the_terminal(local: LocalTarget, release: ReleaseOf, tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)  # as a shell leaves it that holds a lock around the command
        deliver(local, release(1))
    supervisor = supervisor_of(local)
    kept = {str(place.readlink()) for place in Path(f"/proc/{supervisor.pid}/fd").iterdir()}
    assert str(tmp_path / "lock") not in kept
    assert os.getsid(supervisor.pid) == supervisor.pid
    places = {str(Path(f"/proc/{supervisor.pid}/fd/{number}").readlink()) for number in (0, 1, 2)}
    assert places == {"/dev/null", str(local.supervisors.files("live")[1])}
