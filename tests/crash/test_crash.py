"""A command is killed at a write, rename, unlink or fsync, or the disk is full there: the same command again ends as if nothing had been.

A few points of each command here; `make test-crash` walks all of them.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adopt.tables import orders
from command import QUICK, clean_environment, forked
from data.file_server import FileServer, file_server
from pushline.data.contract import load_contract
from pushline.data.files.version import table_of
from pushline.data.profile import load_profile
from pushline.data.profile.sample import sample_rows, write_sample
from pushline.data.sources.lock import DataLock, FileSource, PinnedFile, load_lock, lock_text
from pushline.progress import silent
from pushline.project import Project
from pushline.registry import open_store
from pushline.release.local import LocalTarget
from pushline.release.target import Endpoint
from pushline.report.states import states_of
from pushline.results import DeployResult, LoadTestResult, RegisterResult, SmokeResult, save
from pushline.serving.client import Client
from pushline.settings import load_settings
from release.conftest import deliver, free_port, local, processes_of, release  # noqa: F401  # fixtures
from release.registered import BETTER, GOOD, register_versions
from release.test_stages import LOAD
from report.delivery_made import results
from upgrade.engines import FILES, engine, owned
from working_copy import REPO, copy_project

pytestmark = pytest.mark.timeout(900)

POINTS = int(os.environ.get("CRASH_POINTS", "4"))  # of each command, spread over its way; 0: all of them
FAKE_GH = REPO / "tests" / "github" / "fake_gh.py"
VARYING = re.compile(rb'\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)|"(?:elapsed_s|seconds|rows_per_second)": *[\d.e-]+|"resumed": *(?:true|false)')
LEFT_ALONE = (".git/", ".pushline/logs/", ".pushline/run/", ".pushline/cache/refused/", ".pushline/took/")


@dataclass(frozen=True)
class Scenario:
    """A command, and a project on which it works."""

    project: Project
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    differs: tuple[str, ...] = ()  # what the same command again may leave otherwise
    codes: tuple[int, ...] = (0,)  # of the same command again: 1 where it is told that all is done already
    full: tuple[int, ...] = (4,)  # on a full disk

    @property
    def saved(self) -> Path:
        return self.project.root.parent / "saved"

    def restore(self) -> None:
        """The project as it was before the command; the files of `src/` are links, which no command writes into."""
        if not self.saved.exists():
            copy(self.project.root, self.saved)
        shutil.rmtree(self.project.root)
        copy(self.saved, self.project.root)

    def run(self, mode: str, number: int) -> tuple[int, str, list[str]]:
        """Exit code, standard error and the points of the command."""
        listed = self.project.root.parent / "points.txt"
        arguments = (str(listed), mode, str(number), str(self.project.root), *self.arguments)
        ran = forked(self.project, arguments, clean_environment(self.environment), 240, None, "crash.point")
        return ran.code, ran.err, listed.read_text(encoding="utf-8").splitlines() if mode == "count" else []


def copy(project: Path, to: Path) -> None:
    to.mkdir()
    source = project / "src"
    subprocess.run(["cp", "-a", *(each for each in project.iterdir() if each != source), to], check=True)
    if source.exists():
        subprocess.run(["cp", "-al", source, to], check=True)


@cache
def but_for_times(content: bytes) -> str:
    return hashlib.sha256(VARYING.sub(b"", content)).hexdigest()


def tree_of(root: Path) -> dict[str, str]:
    """What lies below a folder, but for times: names with hashes of contents, archives by what is in them."""
    found = {}
    for file in sorted(root.rglob("*")):
        name = file.relative_to(root).as_posix()
        if name.startswith(LEFT_ALONE) or file.suffix == ".lock" or file.is_dir() or "__pycache__" in name or file.name == ".lock":
            continue
        content = file.read_bytes()
        if name.endswith(".tar.gz"):
            with tarfile.open(file) as archive:
                files = [(entry.name, archive.extractfile(entry)) for entry in archive.getmembers() if entry.isfile()]
                content = repr(sorted((name, hashlib.sha256(stream.read()).hexdigest()) for name, stream in files if stream)).encode()
        if name.endswith("build/registry/registry.json"):
            content = re.sub(rb'"sha256": *"\w+"', b"", content)
        found[name] = but_for_times(content)
    return found


def some(count: int) -> list[int]:
    """Points to be killed at, the first and the last among them."""
    if POINTS == 0 or count <= POINTS:
        return list(range(1, count + 1))
    return sorted({1 + round(number * (count - 1) / max(POINTS - 1, 1)) for number in range(POINTS)})


def progress(line: str) -> None:
    """The figures, for whoever wants them."""
    if file := os.environ.get("CRASH_FIGURES"):
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(f"{line}\n")


# The scenarios


def publishing(project: Project) -> Scenario:
    return Scenario(project, ("publish", "train"))


def publishing_again(project: Project) -> Scenario:
    """A second version, after the first."""
    first = forked(project, ("publish", "train"), clean_environment(), 240, None)
    assert first.code == 0, first.err
    (project.root / "README.md").write_text("Another text.\n", encoding="utf-8")
    return Scenario(project, ("publish", "train"))


def with_registry(project: Project, versions: tuple[str, ...] = (GOOD,)) -> Project:
    register_versions(project, project.root.parent / "models", versions)
    (project.state / "local-target.json").write_text("{}", encoding="utf-8")
    return project


def packing(project: Project) -> Scenario:
    return Scenario(with_registry(project), ("registry", "pack"))


def packing_again(project: Project) -> Scenario:
    scenario = packing(project)
    assert forked(project, scenario.arguments, clean_environment(), 240, None).code == 0
    with_registry(project, (BETTER,))
    return scenario


def restoring(project: Project) -> Scenario:
    """The machine has a registry of two versions; the one of this delivery, with one version, takes its place."""
    packed = forked(with_registry(project), ("registry", "pack"), clean_environment({"GITHUB_RUN_ID": "59"}), 240, None)
    assert packed.code == 0, packed.err
    with_registry(project, (BETTER,))
    bin_folder = project.root.parent / "bin"
    bin_folder.mkdir()
    (bin_folder / "gh").write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{FAKE_GH}" "$@"\n', encoding="utf-8")
    (bin_folder / "gh").chmod(0o755)
    state = bin_folder / "gh.json"
    state.write_text(json.dumps({"repository": "example/bank", "private": False, "runs": {}, "calls": []}), encoding="utf-8")
    environment = {"PATH": f"{bin_folder}:{os.environ['PATH']}", "FAKE_GH": str(state), "FAKE_GH_STORE": str(bin_folder)}
    return Scenario(project, ("registry", "restore"), {**environment, "GITHUB_REPOSITORY": "example/bank", "GITHUB_RUN_ID": "59"})


def scoring(project: Project) -> Scenario:
    model = with_registry(project)
    store = open_store(model, load_settings(project.root, {}))
    store.set_champion_alias("1")
    contract = load_contract(project.contract)
    write_sample(sample_rows(load_profile(project.profile), contract, 3000, 5), project.root / "rows.csv", contract.delimiter)
    return Scenario(project, ("score-batch", "rows.csv", "--out", "scores.csv", "--workers", "1"))


def growing(project: Project) -> None:
    contract = load_contract(project.contract)
    rows = sample_rows(load_profile(project.profile), contract, 6000, 21)
    for name, part in (("first.csv", rows[:4000]), ("second.csv", rows[4000:])):
        write_sample(part, project.root.parent / name, contract.delimiter)
    seen = table_of(project.root.parent / "first.csv", contract.delimiter)
    pinned = PinnedFile(
        name="first.csv", version=seen.version, rows=seen.rows, columns=seen.columns, sources=(FileSource(sha256=seen.sha256),)
    )
    project.data_lock.write_text(lock_text(DataLock(files=(pinned,))))


def adding(project: Project) -> Scenario:
    growing(project)
    environment = {"PUSHLINE_DATA": str(project.root.parent)}
    return Scenario(project, ("data", "add", str(project.root.parent / "second.csv")), environment, codes=(0, 1))


def refreshing(project: Project, server: FileServer) -> Scenario:
    """The source of the pinned file holds another table now."""
    growing(project)
    (pinned,) = load_lock(project.data_lock).files
    server.files["first.csv"] = (project.root.parent / "second.csv").read_bytes()
    source = FileSource(url=server.url("first.csv"), sha256=pinned.sources[0].sha256)
    project.data_lock.write_text(lock_text(DataLock(files=(msgspec.structs.replace(pinned, sources=(source,)),))))
    # Once the lock has moved there is nothing to renew: the same command again says so in its result.
    return Scenario(project, ("data", "refresh"), differs=("build/data-refresh/",))


def upgrading(project: Project) -> Scenario:
    """A small engine's repository, whose owner has changed the same line as the next version, and others."""
    parent = project.root.parent
    shutil.rmtree(project.root)
    mine = owned(engine(parent / "engines", "0.1.0"), project.root)
    mine.replace("README.md", "a table", "parcels")
    mine.replace("Makefile", "pytest", "pytest -x")
    readme = FILES["README.md"].replace("a table", "any table")
    changes = {"README.md": readme, "Makefile": "all:\n" + FILES["Makefile"], "load/profile.py": None, "docs/new.md": "New.\n"}
    return Scenario(project, ("upgrade", "--to", str(engine(parent / "engines", "0.2.0", changes))), codes=(1,), full=(4, 1))


def adopting(project: Project) -> Scenario:
    table = orders(project.root.parent)
    return Scenario(project, ("adopt", str(table.file), "--label", table.label, "--apply"))


def adopting_undone(project: Project) -> Scenario:
    """Once all is taken back, the same command again finds nothing to take back."""
    apply = adopting(project)
    adopted = forked(project, apply.arguments, clean_environment(), 240, None)
    assert adopted.code == 0, adopted.err
    return Scenario(project, ("adopt", "--undo"), codes=(0, 2))


SCENARIOS: dict[str, Callable[..., Scenario]] = {
    "publish": publishing,
    "publish again": publishing_again,
    "registry pack": packing,
    "registry pack again": packing_again,
    "registry restore": restoring,
    "score-batch": scoring,
    "data add": adding,
    "data refresh": refreshing,
    "upgrade": upgrading,
    "adopt": adopting,
    "adopt undone": adopting_undone,
}
QUICK_ONES = {"upgrade"}


@dataclass(frozen=True)
class Undisturbed:
    """A scenario, and how its command ends where nothing happens to it."""

    scenario: Scenario
    points: list[str]
    tree: dict[str, str]


EACH = [pytest.param(name, marks=() if name in QUICK_ONES else pytest.mark.slow) for name in SCENARIOS]


@pytest.fixture(scope="module", params=EACH)
def undisturbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    """Each scenario, made once for the kills and for the full disk."""
    folder = tmp_path_factory.mktemp("crash")
    (folder / "project").mkdir()
    place, make = copy_project(REPO, folder / "project"), SCENARIOS[request.param]
    with file_server() as server:
        scenario = make(place, server) if make is refreshing else make(place)
        scenario.restore()
        code, err, points = scenario.run("count", 0)
        assert code in scenario.codes, err
        assert "Traceback" not in err
        assert len(points) > 20, err
        yield Undisturbed(scenario, points, tree_of(place.root))
    shutil.rmtree(folder)


def test_the_same_command_after_a_kill_ends_as_an_undisturbed_one(undisturbed: Undisturbed) -> None:
    scenario, points = undisturbed.scenario, undisturbed.points
    for number in some(len(points)):
        scenario.restore()
        assert scenario.run("kill", number)[0] == -signal.SIGKILL, points[number - 1]
        code, err, _ = scenario.run("count", 0)
        assert code in scenario.codes, (points[number - 1], err)
        assert "Traceback" not in err
        assert different(scenario, undisturbed.tree) == [], f"killed at {points[number - 1]}"
    progress(f"{' '.join(scenario.arguments[:2])}: {len(points)} points, killed at {len(some(len(points)))}")


@pytest.mark.slow
def test_a_full_disk_is_one_clear_error_and_loses_nothing(undisturbed: Undisturbed) -> None:
    scenario, points = undisturbed.scenario, undisturbed.points
    for number in some(len(points)):
        scenario.restore()
        code, err, _ = scenario.run("full", number)
        if code != 0:  # the last of what is written may be done without
            assert code in scenario.full, (points[number - 1], err)
            assert "Traceback" not in err, (points[number - 1], err)
            assert err.count("error: ") == 1, err
        code, err, _ = scenario.run("count", 0)
        assert code in scenario.codes, (points[number - 1], err)
        assert different(scenario, undisturbed.tree) == [], f"full at {points[number - 1]}"


def different(scenario: Scenario, expected: dict[str, str]) -> list[str]:
    seen = tree_of(scenario.project.root)
    names = (name for name in {*seen, *expected} if not (scenario.differs and name.startswith(scenario.differs)))
    return sorted(name for name in names if seen.get(name) != expected.get(name))


# With a live release


@pytest.fixture
def switching(local: LocalTarget, release: Callable[[int], Any]) -> LocalTarget:  # noqa: F811
    """Version 1 is live, the registry knows both."""
    project = local.supervisors.project
    register_versions(project, project.root.parent / "registered", (GOOD, BETTER))
    deliver(local, release(1))
    return local


def candidate_of(target: LocalTarget, made: Any) -> Endpoint:
    """A candidate with the evidence that promote wants."""
    build = target.supervisors.project.build
    endpoint = target.deploy_candidate(made, silent)
    save(build, DeployResult(target="local", url=endpoint.url, release=endpoint.release))
    save(build, SmokeResult(url=endpoint.url, release=endpoint.release.id, assertions=(), passed=True))
    save(build, LoadTestResult(**LOAD, url=endpoint.url, release=endpoint.release.id))
    return endpoint


def cut_off(scenario: Scenario, how: str, number: int, live: str) -> bool:
    """Kill the command at that point, or let the disk be full: one clear error, and what is live answers.

    Whether it has to be run again: the last of what is written may be done without.
    """
    code, err, _ = scenario.run(how, number)
    assert Client(live).get("/readyz").status == 200
    if how == "full" and code == 0:
        return False
    ended = (code, err.count("error: "), "Traceback" in err)
    assert ended == ((-signal.SIGKILL, 0, False) if how == "kill" else (4, 1, False)), err
    return True


HOW = pytest.mark.parametrize("how", ["kill", "full"])


@HOW
@pytest.mark.slow
def test_a_promotion_cut_off_anywhere_is_completed_by_the_same_command_and_the_live_address_answers(
    how: str,
    switching: LocalTarget,
    release: Callable[[int], Any],  # noqa: F811
) -> None:
    project = switching.supervisors.project
    environment = {"PUSHLINE_SERVING__PORT": str(switching.settings.port)}
    promote = Scenario(project, ("promote",), environment)
    back = Scenario(project, ("rollback",), environment)
    live = f"http://127.0.0.1:{switching.settings.port}"
    store = open_store(project, load_settings(project.root, {}))

    def walk(scenario: Scenario, number: int, ends_with: str) -> list[str]:
        points: list[str] = []
        if not number or cut_off(scenario, how, number, live):
            code, err, points = scenario.run("count", 0)
            assert code == 0, err
        assert Client(live).get("/readyz").headers["x-release"] == ends_with
        return points

    candidate_of(switching, release(2))
    ups, downs = walk(promote, 0, "v2-test"), walk(back, 0, "v1-test")
    for number in range(max(len(ups), len(downs))):
        if number + 1 not in {*some(len(ups)), *some(len(downs))}:
            continue
        candidate_of(switching, release(2))
        walk(promote, number + 1 if number < len(ups) else 0, "v2-test")
        champion = store.champion()
        assert champion is not None
        assert champion.version == "2"
        walk(back, number + 1 if number < len(downs) else 0, "v1-test")
        champion = store.champion()
        assert champion is not None
        assert champion.version == "1"
    switching.discard(silent)
    supervisors = [process for process in processes_of(project) if "--take-over" in process.cmdline() or "--port" in process.cmdline()]
    assert supervisors
    progress(f"promote: {len(ups)} points, {how} at {len(some(len(ups)))}; rollback: {len(downs)}, {how} at {len(some(len(downs)))}")


@HOW
@pytest.mark.slow
def test_a_run_cut_off_in_its_release_is_repeated_and_the_live_address_answers(
    how: str,
    switching: LocalTarget,
) -> None:
    project = switching.supervisors.project
    registered = next(made for made in results(project.build) if isinstance(made, RegisterResult))
    save(project.build, msgspec.structs.replace(registered, version="2"))
    environment = {**QUICK, "PUSHLINE_LOAD__SECONDS": "1", "PUSHLINE_SERVING__PORT": str(switching.settings.port)}
    run = Scenario(project, ("run", "--from", "deploy"), environment)
    live = f"http://127.0.0.1:{switching.settings.port}"
    code, err, points = run.run("count", 0)
    assert code == 0, err
    switching.roll_back(silent)
    for number in some(len(points)):
        if cut_off(run, how, number, live):
            code, err, _ = run.run("count", 0)
            assert code == 0, (points[number - 1], err)
        assert Client(live).get("/readyz").headers["x-release"].startswith("v2-")
        assert [state.state for state in states_of(project.build)[4:]] == ["done"] * 4
        if switching.status().previous is not None:
            switching.roll_back(silent)
    progress(f"run: {len(points)} points, {how} at {len(some(len(points)))}")
