"""`pushline watch` where nothing answers: on the machine that served, and in a job of GitHub's."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from command import Ran
from pushline.project import Project
from pushline.registry import open_store
from pushline.settings import load_settings
from release.registered import GOOD, register_versions

FAKE_GH = Path(__file__).resolve().parent / "github" / "fake_gh.py"
OPEN = {"number": 1, "state": "open", "title": "v1 does not answer as it must", "labels": ["pushline-watch"]}
HOSTED = {"GITHUB_ACTIONS": "true", "RUNNER_ENVIRONMENT": "github-hosted"}


class Watcher:
    """The command with a stand-in for GitHub that keeps issues."""

    def __init__(self, folder: Path, run: Callable[..., Ran], project: Project) -> None:
        self.run, self.project, self.file = run, project, folder / "gh.json"
        (folder / "bin").mkdir()
        script = folder / "bin" / "gh"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{FAKE_GH}" "$@"\n', encoding="utf-8")
        script.chmod(0o755)
        self.env = {"PATH": f"{script.parent}:/usr/bin:/bin", "FAKE_GH": str(self.file), "GITHUB_REPOSITORY": "example/bank"}

    def watch(self, issues: list[dict[str, Any]], **env: str) -> tuple[Ran, list[dict[str, Any]]]:
        """How it ended, and the issues after it."""
        self.file.write_text(json.dumps({"repository": "example/bank", "issues": issues, "calls": []}), encoding="utf-8")
        ran = self.run(self.project, "watch", "--issue", env={**self.env, **env})
        after: list[dict[str, Any]] = json.loads(self.file.read_text(encoding="utf-8"))["issues"]
        return ran, after


@pytest.fixture
def watcher(tmp_path: Path, run_pushline: Callable[..., Ran], project: Project) -> Watcher:
    return Watcher(tmp_path, run_pushline, project)


@pytest.mark.slow
def test_a_released_version_that_nothing_serves_is_red_and_opens_the_issue(watcher: Watcher, tmp_path: Path) -> None:
    register_versions(watcher.project, tmp_path / "models", [GOOD])
    open_store(watcher.project, load_settings(watcher.project.root, {})).set_champion_alias(GOOD)
    ran, issues = watcher.watch([])
    assert ran.code == 1, ran.err
    assert [issue["title"] for issue in issues] == ["A version was released, and nothing answers on local"]
    # The same on a machine of GitHub's says nothing of the service, which is elsewhere if anywhere.
    ran, issues = watcher.watch([OPEN], **HOSTED)
    assert ran.code == 0, ran.err
    assert issues[0]["state"] == "open"


def test_nothing_released_is_no_alarm_and_ends_none(watcher: Watcher) -> None:
    ran, issues = watcher.watch([OPEN])
    assert ran.code == 0, ran.err
    assert "Nothing was released yet" in ran.out
    assert issues == [OPEN]
