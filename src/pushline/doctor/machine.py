"""This machine: Python and what is installed, the system's libraries, the port, the disk."""

import ctypes.util
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from pushline.doctor import Here, Line, missing, note, works

OLDEST = (3, 11)
DISK_GB, TIGHT_GB = 1.0, 5.0


def python(here: Here) -> Iterator[Line]:
    said = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST:
        yield missing("Python", f"{said} is too old", "Run `make setup PYTHON=python3.12` with 3.11 or newer.")
        return
    where = Path(sys.prefix).resolve()
    own = where == (here.project.root / ".venv").resolve()
    if own or where != Path(sys.base_prefix).resolve():
        yield works("Python", f"{said} in {'.venv' if own else where}")
    else:
        yield note("Python", f"{said} of the system, in no environment of its own", "Run `make setup`; it makes .venv from the lock.")


def packages(here: Here) -> Iterator[Line]:
    """What the target needs must be installed, in the versions of the lock."""
    lock = here.project.root / "requirements" / ("train.txt" if here.on_azure else "steps.txt")
    said = lock.relative_to(here.project.root)
    if not lock.is_file():
        yield missing("packages", f"{said} is not there", "Restore it from git, or run `make lock`.")
        return
    pins = pinned(lock.read_text(encoding="utf-8"))
    absent, other = compared(pins)
    if absent or other:
        wrong = [f"{name} is not installed" for name in absent] + [f"{name} is {found}, not {pins[name]}" for name, found in other.items()]
        shown = "; ".join(wrong[:3]) + (f"; {len(wrong) - 3} more" if len(wrong) > 3 else "")
        yield missing("packages", f"not as {said}: {shown}", "Run `make setup`.")
    else:
        yield works("packages", f"{len(pins)} as pinned in {said}")


def pinned(lock: str) -> dict[str, str]:
    """Version by name of a lock's lines; those for another system or Python are left out."""
    from packaging.requirements import Requirement

    found = [Requirement(line.rstrip("\\ ")) for line in re.findall(r"^[a-z0-9][^\n]*", lock, re.MULTILINE | re.IGNORECASE)]
    return {each.name: str(each.specifier).removeprefix("==") for each in found if each.marker is None or each.marker.evaluate()}


def compared(pins: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Names that are not installed, and versions that are other ones."""
    absent, other = [], {}
    for name, version in pins.items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            absent.append(name)
            continue
        if found != version:
            other[name] = found
    return absent, other


def system(here: Here) -> Iterator[Line]:
    for name, there, package in (
        ("libgomp", ctypes.util.find_library("gomp"), "libgomp1"),
        ("git", shutil.which("git"), "git"),
    ):
        if there:
            yield works(name, str(there))
        else:
            yield missing(name, "is not installed", f"Run: sudo apt-get install -y {package}")


def port(here: Here) -> Iterator[Line]:
    """The live release's own port on the local target; 0 takes any free one."""
    if here.on_azure:
        return
    serving = here.settings.serving
    if serving.port == 0 or free(serving.host, serving.port):
        yield works("port", f"{serving.port or 'any free one'} is free for the live release")
        return
    from pushline.release import open_target

    live = open_target(here.project, here.settings).status().live
    if live is not None:
        own = live.url.endswith(f":{serving.port}")
        by = "our own live release" if own else f"another program; our live release answers at {live.url}"
        yield works("port", f"{serving.port} is taken by {by}")
    else:
        yield missing(
            "port", f"{serving.port} is taken by another program", "End that one, or set port in [tool.pushline.serving] to another."
        )


def free(host: str, number: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError:
            return False
        return True


def disk(here: Here) -> Iterator[Line]:
    gigabytes = shutil.disk_usage(here.project.root).free / 1e9
    says = f"{gigabytes:,.1f} GB free"
    if gigabytes < DISK_GB:
        yield missing("disk", says, "Free some space: a training with its registry and releases needs about 1 GB.")
    elif gigabytes < TIGHT_GB:
        yield note("disk", says, "Enough for a few runs; `build/` and `.pushline/releases/` are what grows.")
    else:
        yield works("disk", says)


CHECKS = (python, packages, system, port, disk)
