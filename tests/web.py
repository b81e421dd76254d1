"""Tools from npm that judge pages and API documents, and make clients of them: installed on first use where npm is there."""

import fcntl
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PLACE = Path(__file__).resolve().parent / "web"


def installed(name: str) -> Path:
    """A file below the tools' node_modules; a test that needs it skips where npm is not on this machine."""
    found = PLACE / "node_modules" / name
    if not (shutil.which("npm") and shutil.which("node")):
        pytest.skip("node or npm is not on this machine")
    with (PLACE / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two workers that install at once undo each other's work
        if not found.exists():
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
            subprocess.run(command, cwd=PLACE, check=True, timeout=280, capture_output=True)
    return found


def axe(page: Any, *more: str) -> list[str]:
    """What axe-core finds on an open page against WCAG 2.2 AA and `more` of its rules, each with the element it means."""
    page.evaluate(installed("axe-core/axe.min.js").read_text(encoding="utf-8"))
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", *more]
    result = page.evaluate("(values) => axe.run(document, {runOnly: {type: 'tag', values}})", tags)
    return [f"{found['id']}: {node['html'][:200]}" for found in result["violations"] for node in found["nodes"]]
