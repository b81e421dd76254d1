"""Fixtures that every room's tests share. What is expensive to make is made once per session."""

import fcntl
import os
import shutil
import signal
import sys
import urllib.request
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# Four tests share two cores: threads of a library that wait for each other by turning round and round took ten times what they
# compute. It is read when a library is loaded, here and in every command that a test runs.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from command import QUICK, Ran, run_cli
from pushline import guard
from pushline.data.sources.fetch import TABLES
from pushline.data.sources.lock import load_lock
from pushline.project import Project
from small_table import draw, pin
from working_copy import REPO, copy_project, find_real_data, pinned_name

# The same examples in every run, however busy the machine is: a test that failed fails again.
hypothesis.settings.register_profile("seeded", derandomize=True, deadline=None)
hypothesis.settings.load_profile("seeded")

# Where the tests run in the background, SIGINT is ignored, and every process they start would ignore it too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def repo() -> Path:
    """The checkout under test."""
    return REPO


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The file that data.lock pins; tests that need it skip where it isn't."""
    file = find_real_data()
    if file is None:
        pytest.skip(f"{pinned_name()} is not on this machine: set PUSHLINE_DATA to it")
    return file


@pytest.fixture
def project(repo: Path, tmp_path: Path) -> Project:
    """A fresh copy of the project, committed, without any state."""
    folder = tmp_path / "project"
    folder.mkdir()
    return copy_project(repo, folder)


@pytest.fixture(scope="session")
def run_pushline() -> Callable[..., Ran]:
    """Run the real command line: `run_pushline(project, "check-data", "f.csv")`."""
    return run_cli


@pytest.fixture(scope="session")
def table_csv(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real file, or where it isn't on this machine rows drawn from the profile: for tests that hold for both."""
    file = find_real_data()
    if file is not None:
        return file
    out = tmp_path_factory.mktemp("table") / "generated.csv"
    rows = load_lock(repo / "data.lock").rows
    ran = run_cli(Project(repo), "sample", "--rows", str(rows), "--seed", "7", "--out", str(out))
    assert ran.code == 0, ran.err
    return out


@pytest.fixture(scope="session")
def trained(repo: Path, table_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model/` (a real model folder) and `holdout.parquet`, made once."""
    from training.model_folders import make_model_folder

    out = shared_by_workers(tmp_path_factory) / "trained"
    with (out.parent / "trained.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whichever worker comes first makes it for all
        if not (out / "done").exists():
            out.mkdir(exist_ok=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what the libraries say of each other as they are imported is theirs to mend
                make_model_folder(table_csv, Project(repo), out)
            (out / "done").touch()
    return out


def shared_by_workers(factory: pytest.TempPathFactory) -> Path:
    """A folder of this run of the tests, the same for all of its workers."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def model_folder(trained: Path) -> Path:
    """A real model folder. Tests that change it copy it first."""
    return trained / "model"


@pytest.fixture(scope="session")
def delivered(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project of a small table after one whole `pushline run`, its release live on a free port. Tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("delivered") / "project"
    folder.mkdir()
    project = copy_project(repo, folder)
    (project.root / TABLES).mkdir(exist_ok=True)
    pin(project, draw(repo, project.root / TABLES / "calls.csv", seed=5))
    ran = run_cli(project, "run", "--budget", "1s", env=QUICK, timeout=280)
    assert ran.code == 0, ran.err
    yield project
    run_cli(project, "stop", env=QUICK)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for a file of tests that look at pages, which skip where there is none.

    Playwright keeps an event loop running in the thread that began it, which other files' tests must not meet.
    """
    found = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=quiet)
        yield opened
        opened.close()


@pytest.fixture(scope="session", autouse=True)
def nothing_left_running() -> Iterator[None]:
    """What this process started ends before it does."""
    yield
    for process in guard.STARTED:
        process.wait(60)
    guard.collect()


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests read the settings of the project under test, not those of whoever runs them, and are in no job but their own."""
    for name in list(os.environ):
        if name.startswith(("PUSHLINE_", "GITHUB_", "RUNNER_")) and name != "PUSHLINE_DATA":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What the process keeps of a test ends with it: MLflow's registry, and the proxy that urllib found when it first asked."""
    yield
    guard.collect()
    urllib.request.install_opener(None)  # type: ignore[arg-type]  # None is what it starts with
    if mlflow := sys.modules.get("mlflow"):
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)


# What takes minutes comes first, the longest before all, so that no worker is alone with it at the end.
LONGEST = (
    "azure/test_delivery_aci.py",
    "azure/test_training_azure.py",
    "workflows/test_small.py",
    "image/test_image.py",
    "azure/",
    "workflows/test_deliver.py",
    "workflows/",
    "data/checks/test_check_data.py",
    "docs/",
    "release/test_local.py",
    "release/test_stages.py",
    "crash/",
    "upgrade/",
    "pipelines/",
    "training/",
    "batch/",
    "release/",
    "adopt/",
    "registry/",
    "report/",
    "data/",
)
# A repository's own tests are what test_small.py runs in one; its delivery is here what `delivered` is.
collect_ignore = ["repository/test_delivery.py"]
# Files that stay on one worker: those that share a delivery, and two lots that share a loopback Azure, which runs a real MLflow server.
TOGETHER = (
    ("doctor/test_doctor.py", "docs/test_pictures.py", "test_observing.py"),
    (
        "azure/test_delivery_aci.py",
        "azure/test_batch_azure.py",
        "azure/test_killed_azure.py",
        "azure/test_preflight.py",
        "azure/test_target_aci.py",
        "azure/test_workflow_aci.py",
    ),
    (
        "azure/test_training_azure.py",
        "azure/test_delivery_containerapps.py",
        "azure/test_faults_azure.py",
        "azure/test_killed_containerapps.py",
        "azure/test_published_azure.py",
        "azure/test_target_containerapps.py",
    ),
)
LOTS = {file: lot[0] for lot in TOGETHER for file in lot}
# Files whose tests share nothing that is expensive to make: each test, or each parameter of a fixture, is a unit of its own.
SPLIT = ("adopt/test_delivery.py", "adopt/test_page.py", "crash/", "data/checks/test_validate.py", "upgrade/test_matrix.py")

WORKERS: dict[str, str] = {}  # by unit: the worker that runs it


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """A job says on its page how many tests were skipped, and why: green is not taken for more than was run."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", []))
    told = "; ".join(f"{count} × {reason}" for reason, count in reasons.most_common())
    if told:
        terminalreporter.write_line(f"::notice title=Skipped tests::{sum(reasons.values())} skipped: {told}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say in which order tests are given out."""
    names = [item.path.relative_to(REPO / "tests").as_posix() for item in items]
    places = {name: next((place for place, start in enumerate(LONGEST) if name.startswith(start)), len(LONGEST)) for name in names}
    items.sort(key=lambda item: places[item.path.relative_to(REPO / "tests").as_posix()])


def unit(test: str) -> str:
    """What stays on one worker: a file, in some a parameter of their fixtures or a single test."""
    path, _, name = test.partition("::")
    name, _, values = name.removesuffix("]").partition("[")
    file = path.removeprefix("tests/")
    return f"{file} {values or name}" if file.startswith(SPLIT) else LOTS.get(file, file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Scopes of our own: the groups that pytest-xdist offers do nothing under pytest 9.2, which has no node id to write to."""
    from xdist.scheduler import LoadScopeScheduling

    class Units(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit(nodeid)

    return Units(config, log)


def pytest_runtest_logreport(report: Any) -> None:
    """A unit that two workers ran made its fixtures twice: the run ends, for nothing else would show it but the clock."""
    if worker := getattr(report, "node", None):
        name = unit(report.nodeid)
        assert WORKERS.setdefault(name, worker.gateway.id) == worker.gateway.id, f"{name} ran on two workers"
