"""The real command line, run as a user would."""

import os
import subprocess
import sys
from dataclasses import dataclass

from pushline.project import Project

# A free port, and a load that is over soon: what is tested is the way, not the endurance.
QUICK = {"PUSHLINE_SERVING__PORT": "0", "PUSHLINE_LOAD__SECONDS": "3", "PUSHLINE_LOAD__P95_MS": "2000", "PUSHLINE_LOAD__P99_MS": "4000"}


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


def clean_environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The process's environment without settings of Pushline, quiet and warm-path independent."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PUSHLINE_", "MLFLOW_", "AZURE_", "GITHUB_"))}
    return {**kept, "NO_COLOR": "1", "COLUMNS": "140", **(extra or {})}


def run_cli(
    project: Project, *arguments: str, env: dict[str, str] | None = None, timeout: float = 240, text_input: str | None = None
) -> Ran:
    """Run the real command line in a project, as a user would."""
    done = subprocess.run(
        [sys.executable, "-m", "pushline", *arguments],
        cwd=project.root,
        env=clean_environment(env),
        capture_output=True,
        text=True,
        timeout=timeout,
        input=text_input,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)
