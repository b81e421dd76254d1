"""`data.lock`: which data the model is trained on. Moving it in a pull request is the decision to retrain."""

import json
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from pushline.data.version import version_of_many
from pushline.errors import SettingsError
from pushline.files import write_atomically

HEADER = """\
# The data this repository trains on, file by file. `pushline data add FILE` appends to it, `pushline data list` shows it.
# A source is an https address; its sha256 is of its own bytes. `version` is a hash of the table, the same for copies with
# other line ends. All files are read one after the other, in this order.
schema = 1
"""

Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class Source(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place that holds the file, byte for byte."""

    sha256: Sha256
    url: str = ""  # empty: a file that was added from this machine and is looked for in PUSHLINE_DATA


class PinnedFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of the data."""

    name: Annotated[str, Meta(pattern=r"^[^/\\\x00]+$")]
    version: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$")]
    rows: Annotated[int, Meta(ge=0)]
    columns: tuple[str, ...]
    sources: Annotated[tuple[Source, ...], Meta(min_length=1)]

    @property
    def hashes(self) -> tuple[str, ...]:
        """The sha256 of every copy that is this file."""
        return tuple(dict.fromkeys(source.sha256 for source in self.sources))


class DataLock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All files, in the order they are read."""

    schema: Literal[1] = 1
    files: Annotated[tuple[PinnedFile, ...], Meta(min_length=1)]

    @property
    def version(self) -> str:
        """The data version of all files together."""
        return version_of_many([file.version for file in self.files])

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)


def load_lock(file: Path) -> DataLock:
    """The lock in `file`.

    Raises SettingsError where there is none or it contradicts itself.
    """
    try:
        return parse_lock(file.read_text(encoding="utf-8"), file.name)
    except FileNotFoundError as error:
        raise SettingsError(
            f"{file} does not exist.", why="It says which data to train on.", do="Restore it from git, or run `pushline data add FILE`."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} can't be read.", why=f"{error}.", do="Restore it from git.") from error


def parse_lock(text: str, name: str = "data.lock") -> DataLock:
    """The lock in a TOML text. Raises SettingsError."""
    try:
        lock = msgspec.convert(tomllib.loads(text), DataLock)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{name} is not a valid lock.", why=f"{error}.", do="Correct it, or restore it from git.") from error
    names = [file.name for file in lock.files]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError(f"{name} lists {twice[0]} twice.", why="Files are told apart by name.", do="Rename or remove one of them.")
    if len({tuple(sorted(file.columns)) for file in lock.files}) > 1:
        raise SettingsError(f"{name} lists files with different columns.", why="All files make one table.", do="Remove the odd one out.")
    return lock


def write_lock(file: Path, lock: DataLock) -> None:
    """Write the whole lock, with its header."""
    write_atomically(file, (HEADER + "".join(block_of(pinned) for pinned in lock.files)).encode())


def append_to_lock(file: Path, pinned: PinnedFile) -> None:
    """Add one file behind the others; what people wrote into the lock stays."""
    text = file.read_text(encoding="utf-8").rstrip("\n") + "\n" + block_of(pinned)
    parse_lock(text, file.name)
    write_atomically(file, text.encode())


def block_of(pinned: PinnedFile) -> str:
    """One file as TOML. A JSON string of printable characters is a TOML string too."""
    lines = ["", "[[files]]", f"name = {json.dumps(pinned.name)}", f"version = {json.dumps(pinned.version)}", f"rows = {pinned.rows}"]
    lines += ["columns = [", *(f"  {json.dumps(column)}," for column in pinned.columns), "]"]
    for source in pinned.sources:
        lines += ["[[files.sources]]"]
        lines += [f"url = {json.dumps(source.url)}"] if source.url else []
        lines += [f"sha256 = {json.dumps(source.sha256)}"]
    return "\n".join(lines) + "\n"
