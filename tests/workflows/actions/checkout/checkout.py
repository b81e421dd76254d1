"""Clones $TEST_ORIGIN at the run's commit into the workspace, with a `.venv` that holds the locked packages and the clone's own code."""

import os
import subprocess
import sys
import venv
from pathlib import Path


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)


def main() -> int:
    if os.environ["PERSIST"] != "false":
        print("::error::persist-credentials must be false")
        return 1
    depth = ["--depth", os.environ["DEPTH"]] if os.environ["DEPTH"] != "0" else []
    git("init", "-q", "-b", "main", ".")
    git("remote", "add", "origin", f"file://{os.environ['TEST_ORIGIN']}")
    git("fetch", "-q", *depth, "origin", os.environ["REF"] or os.environ["TEST_SHA"])
    git("checkout", "-q", "--detach", "FETCH_HEAD")
    environment()
    return 0


def environment() -> None:
    """The set-up venv of the test session, seen from the clone: its packages, this code."""
    real = Path(sys.prefix)
    venv.EnvBuilder(symlinks=True).create(".venv")
    packages = next(Path(".venv/lib").glob("python*/site-packages"))
    installed = next(real.glob("lib/python*/site-packages"))
    (packages / "clone.pth").write_text(f"{Path('src').resolve()}\n{installed}\n", encoding="utf-8")
    places = Path(".venv/bin").resolve()
    for script in (real / "bin").iterdir():
        if not script.name.startswith(("python", "activate", "pushline")) and not (places / script.name).exists():
            (places / script.name).symlink_to(script)
    own = places / "pushline"
    own.write_text(f"#!{places / 'python'}\nfrom pushline.cli import main\nmain()\n", encoding="utf-8")
    own.chmod(0o755)
    Path(".venv/.done").touch()


if __name__ == "__main__":
    sys.exit(main())
