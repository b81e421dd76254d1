"""Releases of small real models."""

from collections.abc import Callable
from pathlib import Path

import pytest

from models_made import make_model, release_of
from pushline.project import Project
from pushline.results import Release

ReleaseOf = Callable[[int], Release]


@pytest.fixture(scope="session")
def release(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> ReleaseOf:
    """`release(2)`: model version 2 as a release. Each model is trained once a session."""
    place = tmp_path_factory.mktemp("models")

    def make(number: int) -> Release:
        folder = place / f"model-{number}"
        return release_of(folder if folder.exists() else make_model(Project(repo), folder, seed=number), number)

    return make
