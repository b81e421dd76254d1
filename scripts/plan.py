"""Decides from the changed files what a pull request has to run, and tells GitHub Actions.

`code` is everything but prose; `data` is what says what the data is or must be. Where the base is not known, all of it runs.
"""

import os
import subprocess
import sys
from pathlib import Path

PROSE = (".md", ".svg", ".png")
DATA = ("data.lock", "data_checks/")


def changed_files(base: str) -> list[str] | None:
    """Files that differ between `base` and the checkout; None where git can't say."""
    if not base:
        return None
    asked = subprocess.run(["git", "diff", "--name-only", "-z", f"{base}...HEAD"], capture_output=True, text=True, check=False)
    return [name for name in asked.stdout.split("\0") if name] if asked.returncode == 0 else None


def plan(changed: list[str] | None) -> dict[str, bool]:
    """What has to run for these files."""
    if changed is None:
        return {"code": True, "data": True}
    return {
        "code": any(not name.endswith(PROSE) for name in changed),
        "data": any(name.startswith(DATA) for name in changed),
    }


def main() -> int:
    decided = plan(changed_files(os.environ.get("BASE", "")))
    lines = [f"{name}={str(value).lower()}" for name, value in decided.items()]
    print("\n".join(lines))
    if output := os.environ.get("GITHUB_OUTPUT"):
        with Path(output).open("a", encoding="utf-8") as stream:
            stream.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
