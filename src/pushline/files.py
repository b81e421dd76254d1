"""Writing files so that a reader sees the old one or the new one, never half of one."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from pushline.errors import TargetError

LEFT_OUT = frozenset({"__pycache__", ".DS_Store"})
CHUNK = 1 << 20


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Put `content` at `path` in one step; an interruption leaves what was there before."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise cannot_write(path, error) from error
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any, *, mode: int = 0o644) -> None:
    """Put `value` (a msgspec type) at `path` as indented JSON, in one step."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n", mode=mode)


def cannot_write(path: Path, error: OSError) -> TargetError:
    """The error for a full disk, a read-only folder or a missing right."""
    return TargetError(
        f"{path} can't be written.",
        why=f"The system says: {error.strerror or error}.",
        do="Free some space or make the folder writable, then run the same command again.",
    )


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
