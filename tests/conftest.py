"""Fixtures that every room's tests share. What is expensive to make is made once per session."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from command import Ran, run_cli
from pushline.project import Project
from working_copy import copy_project

REPO = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repo() -> Path:
    """The checkout under test."""
    return REPO


def find_real_data() -> Path | None:
    """The real file, where PUSHLINE_DATA or ../shared/data holds it."""
    said = os.environ.get("PUSHLINE_DATA")
    for place in (Path(said).resolve() if said else None, REPO.parent / "shared" / "data"):
        if place is not None and place.is_file():
            return place
        if place is not None and (place / "bankmarketing_train.csv").is_file():
            return place / "bankmarketing_train.csv"
    return None


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real Bank Marketing file; tests that need it skip where it isn't."""
    file = find_real_data()
    if file is None:
        pytest.skip("the Bank Marketing file is not on this machine: set PUSHLINE_DATA to it")
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


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests read the settings of the project under test, not those of whoever runs them."""
    for name in list(os.environ):
        if name.startswith("PUSHLINE_") and name != "PUSHLINE_DATA":
            monkeypatch.delenv(name)
