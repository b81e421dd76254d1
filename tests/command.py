"""The real command line, run as a user would."""

import fcntl
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ask_warm import send
from pushline.project import Project

# A free port, and a load that is over soon: what is tested is the way, not the endurance.
QUICK = {"PUSHLINE_SERVING__PORT": "0", "PUSHLINE_LOAD__SECONDS": "1", "PUSHLINE_LOAD__P95_MS": "2000", "PUSHLINE_LOAD__P99_MS": "4000"}


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
    return forked(project, arguments, environment, timeout, text_input)


def cold(project: Project, arguments: tuple[str, ...], environment: dict[str, str], timeout: float, text_input: str | None) -> Ran:
    """The same from the start of an interpreter on."""
    command = [sys.executable, "-m", "pushline", *arguments]
    done = subprocess.run(
        command, cwd=project.root, env=environment, capture_output=True, text=True, timeout=timeout, input=text_input, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def forked(
    project: Project,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    timeout: float,
    text_input: str | None,
    module: str = "pushline",
) -> Ran:
    """The same as a fork of the warm process."""
    request: dict[str, object] = {
        "cwd": str(project.root),
        "env": environment,
        "python": str(commands() / "python"),
        "otherwise": sys.executable,
        "code": "",
        "module": module,
        "arguments": arguments,
    }
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, ask() as connection:
        given.write((text_input or "").encode())
        given.seek(0)
        send(connection, request, [given.fileno(), out.fileno(), err.fileno()])
        connection.settimeout(timeout)
        try:
            code = int(connection.recv(100))
        except TimeoutError:  # the command ends with the connection
            raise subprocess.TimeoutExpired(["pushline", *arguments], timeout) from None
        out.seek(0)
        err.seek(0)
        return Ran(code, *(stream.read().decode(errors="replace") for stream in (out, err)))


@cache
def commands() -> Path:
    """A folder with `pushline`, for a shell's or a workflow's PATH, and `python`, which run here what a user's would.

    What they are asked for is forked from the warm process: every command of `pushline`, and of `python` the steps of a pipeline.
    """
    place = warm()
    real, client = sys.executable, Path(__file__).with_name("ask_warm.py")
    asks = f'exec "{real}" -I -S "{client}" "{place / "socket"}" "{place / "python"}" "{real}"'
    scripts = {
        "pushline": f'#!/bin/sh\n{asks} "" pushline "$@"\n',
        "python": f"""#!/bin/sh
case "$1 $2" in
"-m pushline.pipelines.steps."*) shift; {asks} "$PWD/pushline" "$@" ;;
esac
exec "{real}" "$@"
""",
    }
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name, text in scripts.items():
            if not (place / name).exists():
                (place / name).write_text(text, encoding="utf-8")
                (place / name).chmod(0o755)
    return place


def path_with_commands() -> str:
    """PATH for a shell that a test runs: the warm commands, then those of this venv."""
    return os.pathsep.join([str(commands()), str(Path(sys.executable).parent), os.environ["PATH"]])


def put_venv(root: Path) -> None:
    """A `.venv` for `make` in a project: what this one holds, and of `pushline` the warm one."""
    real, place = Path(sys.prefix), root / ".venv"
    (place / "bin").mkdir(parents=True)
    for entry in [*real.iterdir(), *(real / "bin").iterdir()]:
        if entry.name not in ("bin", "pushline", ".done"):
            (place / entry.relative_to(real)).symlink_to(entry)
    (place / "bin" / "pushline").symlink_to(commands() / "pushline")
    (place / ".done").touch()


@cache
def warm() -> Path:
    """The folder of the warm process, which is started by the first who needs it and ends with the last: one for all workers of a run."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    place = Path(tempfile.gettempdir(), f"pushline-warm-{run}")
    place.mkdir(mode=0o700, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        place.mkdir(mode=0o700, exist_ok=True)  # the last who knew it may have ended meanwhile
        try:
            HELD.append(connect(place))
        except OSError:
            HELD.append(start(place))
    return place


# A connection keeps the warm process alive; it closes as this process ends.
HELD: list[socket.socket] = []


def ask() -> socket.socket:
    return connect(warm())


def connect(place: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(place / "socket"))
    except OSError:
        connection.close()
        raise
    return connection


def start(place: Path) -> socket.socket:
    """Start it; returns a connection to it as soon as it has its imports behind it."""
    (place / "socket").unlink(missing_ok=True)
    # Its streams are pipes, as those of most commands are: what a stream can do is found out once, by the one who forks.
    log, server = place / "log", [sys.executable, str(Path(__file__).with_name("warm.py")), str(place / "socket")]
    process = subprocess.Popen(
        ["sh", "-c", f'"$@" 2>&1 | cat > "{log}"', "sh", *server],
        env=clean_environment({"PYTHONPATH": os.pathsep.join(sys.path)}),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            connection = connect(place)
        except OSError:
            assert process.poll() is None, log.read_text(encoding="utf-8")
            time.sleep(0.05)
        else:
            process.returncode = 0  # it outlives this process where others know it too
            return connection
    raise TimeoutError(f"the warm process did not come up: {log.read_text(encoding='utf-8')}")
