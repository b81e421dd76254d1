"""One loopback Azure for all tests of a session, and projects that deliver to it."""

import gc
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake import schemas, storage
from fake.loopback import RELEASE, TRAINING, Empty, Loopback
from watching import Shown, Watch

from command import Ran, clean_environment, cold, run_cli
from models_made import make_model
from pushline.cli import main
from pushline.data.contract import load_contract
from pushline.project import Project
from pushline.registry import open_store
from pushline.settings import load_settings
from small_table import draw, pin
from working_copy import REPO, copy_project

ROWS = 2500
# What makes a delivery affordable here; each is a setting that a user may set too.
QUICK = {
    "PUSHLINE_AZURE__ENGINE": "pushline",
    "PUSHLINE_AZURE__BUDGET": "1s",
    "PUSHLINE_AZURE__TLS": "internal",
    "PUSHLINE_AZURE__START_WITHIN": "60s",
    "PUSHLINE_AZURE__IMAGE_BUILDER": "acr",
    "PUSHLINE_LOAD__RATE": "20",
    "PUSHLINE_LOAD__SECONDS": "3",
    "PUSHLINE_LOAD__P95_MS": "1000",
    "PUSHLINE_LOAD__P99_MS": "2000",
    "PUSHLINE_PROMOTION__SKILL": "0.01",
    "PUSHLINE_PROMOTION__ROUNDS": "100",
    "PUSHLINE_PROMOTION__MINIMUM_GAIN": "-0.5",
}
WATCHED = ("train", "deploy", "promote")  # what is given secrets
Pushline = Callable[..., Ran]


def beyond_the_stand_in() -> str:
    """Why the stand-in for Azure's AutoML can't learn the repository's table; empty where it can."""
    contract = load_contract(REPO / "data_checks" / "contract.yml")
    if len(contract.classes) > 2 or any(column.optional for column in contract.features()):
        return "the stand-in for Azure's AutoML knows tables of two classes without empty cells alone"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    why = beyond_the_stand_in()
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.azure)
            if {"azure", "account"} & set(getattr(item, "fixturenames", ())):
                item.add_marker(pytest.mark.slow)  # the loopback alone takes ten seconds to come up
            if why:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    """The loopback Azure. It needs node and npm for its blob storage."""
    if storage.azurite() is None:
        pytest.skip("the loopback Azure keeps blobs in azurite, and node or npm is not on this machine")
    with Loopback(tmp_path_factory.mktemp("azure")) as up:
        yield up
        assert not up.world.broken, "the loopback Azure itself failed"


@pytest.fixture(autouse=True)
def as_it_was(request: pytest.FixtureRequest) -> Iterator[None]:
    """Faults that a test puts in end with it."""
    yield
    if "azure" in request.fixturenames:
        request.getfixturevalue("azure").world.restore()


@pytest.fixture(scope="session")
def official() -> None:
    """Tests that hold bodies to Microsoft's schemas skip where those are not."""
    if schemas.archive() is None:
        pytest.skip("the official ARM schemas are not on this machine: set PUSHLINE_ARM_SCHEMAS to the zip")


@pytest.fixture(scope="session")
def pinned(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data file for projects that pin it as their real data."""
    return draw(repo, tmp_path_factory.mktemp("data") / "calls.csv", seed=11, rows=ROWS)


def project_with(repo: Path, folder: Path, data: Path) -> Project:
    """A copy of the project whose data.lock pins `data`."""
    folder.mkdir()
    made = copy_project(repo, folder)
    pin(made, data)
    return made


@pytest.fixture
def aci(azure: Loopback, repo: Path, tmp_path: Path, pinned: Path) -> Project:
    """A fresh project that delivers to the loopback Azure."""
    return project_with(repo, tmp_path / "project", pinned)


@pytest.fixture(scope="session")
def pushline(azure: Loopback, pinned: Path) -> Pushline:
    """The real command line as a job in GitHub Actions runs it; `env` adds to its variables, `watched`: its process is looked at."""

    def run(project: Project, *arguments: str, env: dict[str, str] | None = None, timeout: float = 240, watched: bool = False) -> Ran:
        variables = {**azure.as_job(), **QUICK, "PUSHLINE_DATA": str(pinned), **(env or {})}
        if watched:
            azure.world.cold = True
            try:
                return cold(project, arguments, clean_environment(variables), timeout, None)
            finally:
                azure.world.cold = False
        return run_cli(project, *arguments, env=variables, timeout=timeout)

    return run


@dataclass
class Delivery:
    """A project that was delivered to the loopback Azure, and how each command ended."""

    project: Project
    ran: dict[str, Ran]
    seconds: float
    calls: int  # how many requests had been answered before
    until: int = 0  # and at its end
    shown: set[Shown] = field(default_factory=set)  # what its processes showed of themselves


@pytest.fixture(scope="session")
def first(azure: Loopback, repo: Path, tmp_path_factory: pytest.TempPathFactory, pinned: Path, pushline: Pushline) -> Delivery:
    """The first delivery, stage by stage as the workflow does it: one identity trains, the other releases.

    Every token lives for 3 seconds and every assertion too, far less than the stages take.
    """
    project = project_with(repo, tmp_path_factory.mktemp("first") / "project", pinned)
    made = Delivery(project, {}, 0.0, len(azure.world.calls))
    started = time.monotonic()
    azure.world.directory.lifetime = azure.world.directory.assertion_lifetime = 3.0
    with Watch((azure.proxy.address, str(azure.world.folder))) as watch:
        for stages, client in (
            (("fetch", "check-data", "train", "register"), TRAINING),
            (("deploy", "smoke", "load-test", "promote"), RELEASE),
        ):
            for stage in stages:
                made.ran[stage] = pushline(project, stage, env=azure.as_job(client), watched=stage in WATCHED)
                assert made.ran[stage].code == 0, f"{stage}: {made.ran[stage].err}"
    made.seconds, made.until, made.shown = time.monotonic() - started, len(azure.world.calls), watch.seen
    azure.world.restore()
    return made


@pytest.fixture(scope="session")
def second(azure: Loopback, first: Delivery, pushline: Pushline) -> Delivery:
    """A second delivery in one command, from a laptop with a client secret: another seed, so another model version."""
    made = Delivery(first.project, {}, 0.0, len(azure.world.calls))
    laptop = {"ACTIONS_ID_TOKEN_REQUEST_URL": "", **azure.as_laptop(), "PUSHLINE_TRAINING__SEED": "8"}
    with Watch((azure.proxy.address, str(azure.world.folder))) as watch:
        made.ran["run"] = pushline(first.project, "run", "--from", "train", env=laptop, watched=True)
    made.until, made.shown = len(azure.world.calls), watch.seen
    assert made.ran["run"].code == 0, made.ran["run"].err
    return made


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


Command = Callable[..., Ended]


def look_through_what_is_new() -> None:
    """Connections that the SDKs have left open are closed now; what stays is not looked through again after each command."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def inside(azure: Loopback, pinned: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The real command line in a project, run inside this process: that saves the seconds of importing Azure's packages each time."""

    def run(project: Project, *arguments: str, client: str = RELEASE, **variables: str) -> Ended:
        said = {**azure.as_job(client), **QUICK, "PUSHLINE_DATA": str(pinned), "PUSHLINE_AZURE__START_WITHIN": "20s", **variables}
        for name, value in said.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        code = 0
        with warnings.catch_warnings(action="ignore"):  # the SDKs' own, also those of connections that they leave open
            try:
                main(["--project", str(project.root), *arguments])
            except SystemExit as ended:
                code = int(ended.code or 0)
            look_through_what_is_new()
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return run


@pytest.fixture
def command(aci: Project, inside: Command) -> Command:
    """The real command line in a fresh project, inside this process."""
    return partial(inside, aci)


@pytest.fixture(scope="session")
def model(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real model folder."""
    return make_model(Project(repo), tmp_path_factory.mktemp("model") / "model", seed=3)


@pytest.fixture
def rows(pinned: Path, tmp_path: Path) -> Path:
    """A file of rows to score, two of which break the contract."""
    lines = pinned.read_text().splitlines()[:1001]
    lines[7] = "-5" + lines[7][lines[7].index(",") :]
    lines[-1] += ",more"
    file = tmp_path / "rows.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def registered(azure: Loopback, project: Project, model: Path, name: str, *, versions: int = 1) -> str:
    """The first of so many versions of the model in the workspace's registry, all accepted and it the champion; made once."""
    with pytest.MonkeyPatch.context() as training:
        for variable, value in {**azure.as_job(TRAINING), "PUSHLINE_MODEL_NAME": name}.items():
            training.setenv(variable, value)
        store = open_store(project, load_settings(project.root))
        known = store.versions()
        if known:
            return known[0].version
        dataset = {"name": "t", "version": "0", "digest": "0", "source": "t"}
        made = []
        for _ in range(versions):
            run = store.log_training(parameters={}, metrics={}, tags={}, dataset=dataset, model=model, artifacts={})
            made.append(store.register(run, {"accepted": "true"}).version)
        store.set_champion_alias(made[0])
        return made[0]


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Empty]:
    """A subscription with nothing in it, for this test alone."""
    with Empty(tmp_path / "azure") as up:
        yield up
        assert not up.world.broken, up.world.broken
        assert not up.world.unknown, up.world.unknown
        assert not up.world.invalid, "a body breaks Microsoft's own schema"


@pytest.fixture
def in_account(account: Empty, project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The real command line inside this process, as the person who owns that subscription unless variables say otherwise."""
    monkeypatch.setattr("pushline.azure.bootstrap.BETWEEN_S", 0.05)
    monkeypatch.setattr("pushline.azure.arm.LOOK_S", 0.05)

    def run(*arguments: str, **variables: str) -> Ended:
        account.world.calls.clear()
        capsys.readouterr()
        with monkeypatch.context() as patch:
            for name, value in {**account.as_laptop(), **variables}.items():
                patch.setenv(name, value)
            patch.setattr("urllib.request._opener", None)  # it keeps the proxy of whoever asked first in this process
            with warnings.catch_warnings(action="ignore"):  # the SDKs' own, also those of connections that they leave open
                with pytest.raises(SystemExit) as ended:
                    main(["--project", str(project.root), *arguments])
                look_through_what_is_new()
        out, err = capsys.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    return run
