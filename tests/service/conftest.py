"""One small real model, and a service that runs it, for all tests that don't hurt it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models_made import make_model
from pushline.project import Project
from pushline.serving.model_folder import GoldenRow, read_golden
from service_made import Service, service_of


@pytest.fixture(scope="session")
def model(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder as training leaves it."""
    return make_model(Project(repo), tmp_path_factory.mktemp("model") / "model", seed=1)


@pytest.fixture(scope="session")
def golden(model: Path) -> tuple[GoldenRow, ...]:
    return read_golden(model)


@pytest.fixture(scope="session")
def row(golden: tuple[GoldenRow, ...]) -> dict[str, Any]:
    """A row that scores."""
    return dict(golden[0].row)


@pytest.fixture(scope="session")
def shared_service(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_of(model, tmp_path_factory.mktemp("service"), "--release", "r1", "--model-version", "7") as service:
        yield service


@pytest.fixture
def service(shared_service: Service, golden: tuple[GoldenRow, ...]) -> Iterator[Service]:
    """The shared service; after each test it still scores right and has had no fault of its own."""
    yield shared_service
    answer = shared_service.score([golden[0].row])
    assert answer.status == 200
    seen = answer.json["probability"][0]  # of the positive class, or of every class where there are more than two
    assert abs((seen[-1] if isinstance(seen, list) else seen) - golden[0].probabilities[-1]) < 1e-4
    assert not shared_service.faults()


@pytest.fixture(scope="session")
def two_customers(repo: Path) -> bytes:
    content = (repo / "examples" / "two-rows.json").read_bytes()
    assert len(json.loads(content)["data"]) == 2
    return content


@pytest.fixture(scope="session")
def bare_python(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds requirements/serve.txt and nothing else: what the image installs."""
    place = tmp_path_factory.mktemp("bare") / "venv"
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(place)], check=True)
    python = place / "bin" / "python"
    locked = ["--require-hashes", "-r", str(repo / "requirements" / "serve.txt")]
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *locked], check=True, timeout=280)
    return python
