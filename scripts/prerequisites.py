"""Names what this machine lacks before anything is installed, with the line that installs it."""

import ctypes.util
import importlib.util
import shutil
import sys


def missing() -> list[str]:
    """The Debian packages that are not there."""
    packages = []
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        packages.append("python3-venv")
    if shutil.which("git") is None:
        packages.append("git")
    if ctypes.util.find_library("gomp") is None:
        packages.append("libgomp1")
    return packages


def main() -> int:
    if sys.version_info < (3, 11):
        found = ".".join(map(str, sys.version_info[:2]))
        print(f"error: Python {found} is too old.\nPushline needs 3.11 or newer.\nRun `make setup PYTHON=python3.12` with a newer one.")
        return 2
    if not sys.platform.startswith("linux"):
        print(
            "error: Pushline runs on Linux.\nIt watches the processes it starts by what only Linux tells of them (/proc, pidfd).\n"
            "On macOS and Windows open the repository in its dev container (.devcontainer/) or in a Codespace: both come set up."
        )
        return 2
    if packages := missing():
        print(f"error: this machine lacks {', '.join(packages)}.\nRun: sudo apt-get install -y {' '.join(packages)}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
