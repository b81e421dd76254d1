"""docs/pictures shows the pages that a delivery of today leaves."""

import importlib.util
import json
from pathlib import Path

import pytest

from pushline.project import Project
from pushline.release import open_target
from pushline.settings import load_settings

pytestmark = pytest.mark.slow


def test_the_pictures_are_of_the_pages_of_today(repo: Path, delivered: Project) -> None:
    """Renew them with `make pictures` where this fails: a page gained, lost or renamed a section since."""
    spec = importlib.util.spec_from_file_location("pictures", repo / "scripts" / "pictures.py")
    assert spec
    assert spec.loader
    pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    live = open_target(delivered, load_settings(delivered.root, {})).status().live
    assert live
    shown = json.loads((repo / "docs" / "pictures" / "contents.json").read_text(encoding="utf-8"))
    assert pictures.contents(delivered.root / "build", live.url) == shown
