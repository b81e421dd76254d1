"""Releases of small real models, and targets to put them on."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from models_made import make_model, release_of
from pushline.progress import silent
from pushline.project import Project
from pushline.release.local import LocalTarget
from pushline.release.target import Endpoint, Target
from pushline.results import Release
from pushline.serving.model_folder import read_golden
from pushline.settings import load_settings

ReleaseOf = Callable[[int], Release]


@pytest.fixture(scope="session")
def release(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> ReleaseOf:
    """`release(2)`: model version 2 as a release. Each model is trained once a session."""
    place = tmp_path_factory.mktemp("models")

    def make(number: int) -> Release:
        folder = place / f"model-{number}"
        return release_of(folder if folder.exists() else make_model(Project(repo), folder, seed=number), number)

    return make


@pytest.fixture
def free_port() -> int:
    """A port nothing listens on."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@pytest.fixture
def local(project: Project, free_port: int) -> Iterator[LocalTarget]:
    """The local target of a fresh project; whatever still runs on it is stopped at the end."""
    target = LocalTarget(project, load_settings(project.root, {"PUSHLINE_SERVING__PORT": str(free_port)}))
    yield target
    target.stop(silent)


# Every target owes the same behaviour. A target is added here by the name of a fixture that gives it.
TARGETS = ["local"]


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> Target:
    made: Target = request.getfixturevalue(request.param)
    return made


def deliver(target: Target, release: Release) -> Endpoint:
    """Put a release on the live address."""
    return target.promote(target.deploy_candidate(release, silent), silent)


def body_of(release: Release) -> bytes:
    """A request that the release's model answers."""
    return msgspec.json.encode({"data": [read_golden(Path(release.model))[0].row]})


def processes_of(project: Project) -> list[psutil.Process]:
    """Supervisors and workers of a project."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(project.root) in " ".join(process.cmdline()) and process.pid != os.getpid():
                found.append(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found
