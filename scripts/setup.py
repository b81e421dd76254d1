"""Make .venv from the lock of a role, and say from the first moment on what is done and how far it is. Runs on a bare Python.

    setup.py [ROLE]

ROLE is dev, or what a job needs and no more: train or release. `requirements/ROLE.txt` is the lock.
"""

import hashlib
import re
import subprocess
import sys
import time
import venv
from pathlib import Path

VENV = Path(".venv")
INSTALLER = Path("requirements/uv.txt")
DONE, MADE_OF = VENV / ".done", VENV / ".made-of"  # the role, for make; and what is installed
EVERY_S = 10.0


def lock_of(role: str) -> Path:
    lock = Path("requirements", f"{role}.txt")
    if not lock.is_file():
        print(f"error: there is no role {role!r}.\nNo {lock} is here.\nRun `make setup`, or with ROLE=train or ROLE=release.")
        sys.exit(2)
    return lock


def made_of(role: str) -> str:
    """Changes with whatever .venv depends on: a job finds it in a cache, with the times of another day."""
    parts = [sys.version, sys.prefix, str(VENV.absolute()), *(file.read_text(encoding="utf-8") for file in (lock_of(role), INSTALLER))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def pins(*locks: Path) -> int:
    """How many packages the locks name, as far as their markers let one say."""
    return sum(len(re.findall(r"^[A-Za-z0-9]", lock.read_text(encoding="utf-8"), re.MULTILINE)) for lock in locks)


def installed() -> int:
    return len(list(VENV.glob("lib/python*/site-packages/*.dist-info")))


def run(words: str, *command: str, of: int = 0) -> None:
    """One step; in a log a line every ten seconds says how far it is, on a terminal the program shows it itself."""
    print(f"setup: {words}", flush=True)
    started = said = time.monotonic()
    process = subprocess.Popen(command)
    while True:
        try:
            code = process.wait(timeout=1)
            break
        except subprocess.TimeoutExpired:
            now = time.monotonic()
            if of and now - said >= EVERY_S and not sys.stderr.isatty():
                said = now
                print(f"setup: {now - started:.0f} s, {installed()} of about {of} packages are in .venv", flush=True)
    if code:
        print(f"error: `make setup` stopped: {words} failed.\nThe lines above say why.\nRun it again then; what was downloaded is kept.")
        sys.exit(code)


def install(role: str) -> None:
    python, uv = str(VENV / "bin" / "python"), str(VENV / "bin" / "uv")
    lock, steps = lock_of(role), 3 if Path("src/pushline").is_dir() else 2  # elsewhere the engine is one of the packages
    total = pins(lock, INSTALLER)
    print(f"setup: .venv with some {total} packages, exactly those of {lock}; minutes the first time, most of it downloads", flush=True)
    if not (Path(python).exists() and Path(uv).exists() and (VENV / "lib" / "python{}.{}".format(*sys.version_info)).is_dir()):
        venv.create(VENV, with_pip=True, symlinks=True)  # as `python -m venv` makes it: a copy may miss its libraries
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(INSTALLER)]
        run(f"1 of {steps}, the installer", *pip)
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    beside = ["--find-links", "vendor"] if Path("vendor").is_dir() else []
    beside += [] if steps == 3 else ["--reinstall-package", "pushline"]  # an editable one of the same version would pass for it
    sync = [uv, "pip", "sync", *quiet, "--python", python, *beside, "--require-hashes", str(lock), str(INSTALLER)]
    run(f"2 of {steps}, the packages", *sync, of=total)
    if steps == 3:
        print("setup: 3 of 3, Pushline itself", flush=True)
        put_here()


def put_here() -> None:
    """The code of this repository as it stands, and its command: nothing has to be built, so no role needs what builds."""
    packages = next(VENV.glob("lib/python*/site-packages"))
    (packages / "pushline.pth").write_text(f"{Path('src').absolute()}\n", encoding="utf-8")
    command = VENV / "bin" / "pushline"
    command.write_text('#!/bin/sh\nexec "$(dirname -- "$0")/python" -m pushline "$@"\n', encoding="utf-8")
    command.chmod(0o755)


def main() -> None:
    role, started = (sys.argv[1:] or ["dev"])[0], time.monotonic()
    wanted = made_of(role)
    if not (MADE_OF.is_file() and MADE_OF.read_text(encoding="utf-8") == wanted):
        for mark in (DONE, MADE_OF):
            mark.unlink(missing_ok=True)
        install(role)
        MADE_OF.write_text(wanted, encoding="utf-8")
    DONE.write_text(role, encoding="utf-8")
    print(f"setup: .venv is as {lock_of(role)} says, in {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
