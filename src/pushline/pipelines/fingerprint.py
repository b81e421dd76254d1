"""When a finished step may be used again: hashes of what went in, of the code, and of what came out."""

import hashlib
import sys
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path

import msgspec

LEFT_OUT = frozenset({"__pycache__", ".DS_Store"})
CHUNK = 1 << 20


def content_hash(path: Path) -> str:
    """The sha256 of a file, or of a folder's files with their names. Raises OSError where it can't be read."""
    if path.is_file():
        return _file_hash(path)
    if not path.is_dir():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    total = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        relative = file.relative_to(path)
        if file.is_file() and not LEFT_OUT.intersection(relative.parts):
            total.update(f"{relative.as_posix()}\0{_file_hash(file)}\n".encode())
    return total.hexdigest()


def _file_hash(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def packages_hash() -> str:
    """Changes with the interpreter and with the version of anything installed."""
    installed = sorted({f"{found.name}=={found.version}" for found in distributions() if found.name})
    return hashlib.sha256("\n".join([sys.version, *installed]).encode()).hexdigest()


def fingerprint(parts: Mapping[str, object]) -> str:
    """One hash of everything that a step's outcome depends on."""
    return hashlib.sha256(msgspec.json.encode(dict(parts), order="deterministic")).hexdigest()
