"""Files and folders that are whole or not there: a reader sees the old one or the new one, never half of one.

Everything that others read is made under a hidden name beside its place and renamed when it is whole and on the disk:
`write_atomically` and `write_json` for content at hand, `whole_file` and `whole_folder` for what others write by name. A folder
can't be replaced in one step: the one before waits under another hidden name, and `tidy` puts it back where a command was killed
between the two renames. `locks.py` is for those who must not do so at the same time.
"""

import glob
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pushline.errors import TargetError

T = TypeVar("T")
LEFT_OUT = frozenset({"__pycache__", ".DS_Store"})
HALF, BEFORE = ".half-", ".before-"  # in front of a name: what is being made, and the folder that it replaces


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Put `content` at `path` in one step; an interruption leaves what was there before."""
    with whole_file(path, mode=mode) as half:
        half.write_bytes(content)


def write_json(path: Path, value: Any, *, mode: int = 0o644) -> None:
    """Put `value` (a msgspec type) at `path` as indented JSON, in one step."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n", mode=mode)


def read_json(path: Path, kind: type[T]) -> T | None:
    """What `write_json` left at `path`; None where there is nothing, or nothing that can be read as that type."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def with_unknown(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """What another version wrote beside what this one knows stays in a file that is written again."""
    return {**{name: value for name, value in old.items() if name not in new}, **new}


def copy_atomically(source: Path, to: Path) -> None:
    """Put a copy of a file or a folder at `to`; an interruption leaves what was there before."""
    if source.is_dir():
        with whole_folder(to) as half:
            shutil.copytree(source, half, dirs_exist_ok=True)
    else:
        with whole_file(to) as half:
            shutil.copyfile(source, half)


@contextmanager
def whole_file(path: Path, *, mode: int = 0o644) -> Iterator[Path]:
    """An empty file beside `path` to write to; it takes that name when the block ends well. Raises TargetError where it can't."""
    half: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        settle(path)
        handle, name = tempfile.mkstemp(prefix=half_of(path), dir=path.parent)
        os.close(handle)
        half = Path(name)
        yield half
        half.chmod(mode)
        move(half, path)
    except OSError as error:
        raise cannot_write(path, reason_of(error)) from error
    finally:
        if half is not None:
            half.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path` to fill; it takes that name when the block ends well. Raises TargetError where it can't."""
    half: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        settle(path)
        half = Path(tempfile.mkdtemp(prefix=half_of(path), dir=path.parent))
        yield half
        move(half, path)
    except OSError as error:
        raise cannot_write(path, reason_of(error)) from error
    finally:
        if half is not None:
            shutil.rmtree(half, ignore_errors=True)


@contextmanager
def scratch(place: Path) -> Iterator[Path]:
    """A hidden folder beside `place` for what is not kept; what killed commands left of it goes first."""
    made: Path | None = None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        settle(place)
        made = Path(tempfile.mkdtemp(prefix=half_of(place), dir=place.parent))
    except OSError as error:
        raise cannot_write(place.parent, error) from error
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def move(made: Path, path: Path) -> None:
    """Give a finished file or folder its name for good: what it holds is on the disk before the name is, and the name then.

    Where the name was a folder's, that one is kept until the new one has the name.
    """
    sync(made)
    before = path.with_name(f"{BEFORE}{path.name}")
    replaced = path.is_dir() and not path.is_symlink()
    if replaced:
        shutil.rmtree(before, ignore_errors=True)
        path.rename(before)
    try:
        made.replace(path)
    except OSError:
        if replaced:
            before.rename(path)
        raise
    sync_names(path.parent)
    if replaced:
        shutil.rmtree(before, ignore_errors=True)


def remove(path: Path) -> None:
    """Remove a file, or a folder: its name goes first, so that nobody finds a part of it."""
    if path.is_dir() and not path.is_symlink():
        gone = path.with_name(f"{half_of(path)}removed")
        shutil.rmtree(gone, ignore_errors=True)
        path.rename(gone)
        sync_names(path.parent)
        shutil.rmtree(gone, ignore_errors=True)
    elif path.is_symlink() or path.exists():
        path.unlink()
        sync_names(path.parent)


def half_of(path: Path) -> str:
    """How the hidden name begins under which this process makes `path`."""
    return f"{HALF}{path.name}-{os.getpid()}-"


def settle(path: Path) -> None:
    """Put back what a killed command had not yet replaced at `path`, and clear what it left half made."""
    before = path.with_name(f"{BEFORE}{path.name}")
    if before.is_dir() and not path.exists():
        before.rename(path)
    shutil.rmtree(before, ignore_errors=True)
    for half in path.parent.glob(f"{HALF}{glob.escape(path.name)}-*-*"):
        owner = half.name.rsplit("-", 2)[1]
        if owner.isdecimal() and has_ended(int(owner)):
            remove_now(half)


def has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False


def tidy(folder: Path) -> None:
    """Do so for everything in `folder`. Whoever calls holds the lock of those who make something there."""
    for left in [*folder.glob(f"{BEFORE}*"), *folder.glob(f"{HALF}*")]:
        name = left.name.removeprefix(BEFORE)
        settle(folder / (name.removeprefix(HALF).rsplit("-", 2)[0] if name.startswith(HALF) else name))


def remove_now(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Let a file, or all of a folder, reach the disk."""
    for place, _, names in os.walk(path) if path.is_dir() else ():
        for name in names:
            sync_one(Path(place) / name)
        sync_names(Path(place))
    if path.is_file():
        sync_one(path)


def sync_one(file: Path) -> None:
    if file.is_symlink() or not file.is_file():
        return
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_names(folder: Path) -> None:
    """Let the names in a folder reach the disk; some network file systems have no such thing."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def cannot_write(path: Path, error: OSError) -> TargetError:
    """The error for a full disk, a read-only folder or a missing right."""
    return TargetError(
        f"{path} can't be written.",
        why=f"The system says: {error.strerror or error}.",
        do="Free some space or make the folder writable, then run the same command again.",
    )


def reason_of(error: OSError) -> OSError:
    """The first reason inside the list that copytree raises."""
    if isinstance(error, shutil.Error) and error.args and error.args[0]:
        return OSError(str(error.args[0][0][2]))
    return error


def sha256_of(file: Path) -> str:
    """The sha256 of a file's bytes, read in pieces."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def content_hash(path: Path) -> str:
    """The sha256 of a file, or of a folder's files with their names. Raises OSError where it can't be read."""
    if path.is_file():
        return sha256_of(path)
    if not path.is_dir():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    total = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        relative = file.relative_to(path)
        if file.is_file() and not LEFT_OUT.intersection(relative.parts):
            total.update(f"{relative.as_posix()}\0{sha256_of(file)}\n".encode())
    return total.hexdigest()
