"""Make .venv from the lock, and say from the first moment on what is done and how far it is. Runs on a bare Python."""

import re
import subprocess
import sys
import time
import venv
from pathlib import Path

VENV = Path(".venv")
LOCKS = ("requirements/dev.txt", "requirements/uv.txt")
EVERY_S = 10.0


def pins() -> int:
    """How many packages the lock names, as far as their markers let one say."""
    return sum(len(re.findall(r"^[A-Za-z0-9]", Path(lock).read_text(encoding="utf-8"), re.MULTILINE)) for lock in LOCKS)


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


def main() -> None:
    python, uv = str(VENV / "bin" / "python"), str(VENV / "bin" / "uv")
    started, total = time.monotonic(), pins()
    steps = 3 if Path("src/pushline").is_dir() else 2  # elsewhere the engine is one of the packages
    print(f"setup: .venv with some {total} packages, exactly those of {LOCKS[0]}; minutes the first time, most of it downloads", flush=True)
    venv.create(VENV, with_pip=True, symlinks=True)  # as `python -m venv` makes it: a copy may miss its libraries
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", LOCKS[1]]
    run(f"1 of {steps}, the installer", *pip)
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    beside = ["--find-links", "vendor"] if Path("vendor").is_dir() else []
    beside += [] if steps == 3 else ["--reinstall-package", "pushline"]  # an editable one of the same version would pass for it
    sync = [uv, "pip", "sync", *quiet, "--compile-bytecode", "--python", python, *beside, "--require-hashes", *LOCKS]
    run(f"2 of {steps}, the packages", *sync, of=total)
    if steps == 3:
        editable = [uv, "pip", "install", "--quiet", "--python", python, "--no-deps", "--no-build-isolation", "--editable", "."]
        run("3 of 3, Pushline itself", *editable)
    print(f"setup: done in {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
