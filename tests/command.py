"""The real command line, run as a user would."""

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

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
    """Run the real command line in a project, as a user would, in a process of its own that has its imports behind it (see warm.py)."""
    environment = clean_environment(env)
    if any(name.startswith("PYTHON") for name in env or {}):  # said to an interpreter that starts
        return cold(project, arguments, environment, timeout, text_input)
    return warm().run(project, arguments, environment, timeout, text_input)


def cold(project: Project, arguments: tuple[str, ...], environment: dict[str, str], timeout: float, text_input: str | None) -> Ran:
    """The same from the start of an interpreter on."""
    command = [sys.executable, "-m", "pushline", *arguments]
    done = subprocess.run(
        command, cwd=project.root, env=environment, capture_output=True, text=True, timeout=timeout, input=text_input, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@cache
def warm() -> "Warm":
    return Warm()


class Warm:
    """The process that forks for each command, one at a time."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("warm.py"))],
            env=clean_environment({"PYTHONPATH": os.pathsep.join(sys.path)}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.alone = threading.Lock()
        atexit.register(self.end)

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def run(self, project: Project, arguments: tuple[str, ...], environment: dict[str, str], timeout: float, text_input: str | None) -> Ran:
        with self.alone, tempfile.TemporaryDirectory(prefix="pushline-command-") as place:
            files = {name: Path(place, name) for name in ("in", "out", "err")}
            for file in files.values():
                file.write_text(text_input or "" if file.name == "in" else "", encoding="utf-8")
            paths = {name: str(file) for name, file in files.items()}
            self.write({"arguments": arguments, "cwd": str(project.root), "env": environment, **paths})
            child = self.read()
            expired = threading.Event()

            def expire() -> None:
                expired.set()
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)

            late = threading.Timer(timeout, expire)
            late.start()
            code = self.read()
            late.cancel()
            if expired.is_set():
                raise subprocess.TimeoutExpired(["pushline", *arguments], timeout)
            return Ran(code, *(files[name].read_text(encoding="utf-8", errors="replace") for name in ("out", "err")))

    def write(self, request: dict[str, object]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def read(self) -> int:
        """The next number it writes."""
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())
