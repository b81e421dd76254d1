"""A repository on a stand-in for GitHub."""

import sys
from pathlib import Path

import pytest

from workflows.github import GitHub
from working_copy import copy_project


@pytest.fixture
def github(repo: Path, tmp_path: Path) -> GitHub:
    """The project as a repository on GitHub, with its tests."""
    if not (Path(sys.executable).parent / "act").exists():
        pytest.skip("act is not installed: it comes with requirements/dev.txt")
    origin = tmp_path / "origin"
    origin.mkdir()
    copy_project(repo, origin, with_tests=True)
    return GitHub(origin, tmp_path)
