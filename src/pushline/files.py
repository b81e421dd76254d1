"""Writing files so that a reader sees the old one or the new one, never half of one."""

import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from pushline.errors import TargetError


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
