"""`data.lock`: which data the model is trained on. Moving it in a pull request is the decision to retrain."""

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from pushline.data.files.version import version_of_many
from pushline.errors import SettingsError
from pushline.files import write_atomically

HEADER = """\
# The data this repository trains on, file by file. `pushline data add FILE` appends to it, `pushline data list` shows it.
# A source is an https address; its sha256 is of its own bytes. `version` is a hash of the table, the same for copies with
# other line ends. All files are read one after the other, in this order.
schema = 1
"""

CODE = re.compile(r"""(?:[^"'#]|"(?:[^"\\]|\\.)*"|'[^']*')*""")  # of a line, up to its comment

Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class FileSource(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place that holds the file, byte for byte."""

    sha256: Sha256
    url: str = ""  # empty: a file that was added from this machine and is looked for in PUSHLINE_DATA


class PinnedFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of the data."""

    name: Annotated[str, Meta(pattern=r"^[^/\\\x00]+$")]
    version: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$")]
    rows: Annotated[int, Meta(ge=0)]
    columns: tuple[str, ...]
    sources: Annotated[tuple[FileSource, ...], Meta(min_length=1)]

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


def lock_text(lock: DataLock) -> str:
    """The whole lock, with its header."""
    return HEADER + "".join(block_of(pinned) for pinned in lock.files)


def append_to_lock(file: Path, pinned: PinnedFile) -> None:
    """Add one file behind the others; what people wrote into the lock stays."""
    text = file.read_text(encoding="utf-8")
    lock = parse_lock(text, file.name)
    write_text(file, text.rstrip("\n") + "\n" + block_of(pinned), msgspec.structs.replace(lock, files=(*lock.files, pinned)))


def renew_lock(file: Path, renewed: Sequence[PinnedFile]) -> None:
    """Move files of the lock, told by their names, to other versions; what people wrote beside them stays."""
    text = file.read_text(encoding="utf-8")
    lock = parse_lock(text, file.name)
    head, *blocks = re.split(r"(?m)^(?=[ \t]*\[\[files\]\])", text)
    moved = {pinned.name: pinned for pinned in renewed}
    files = tuple(moved.get(pinned.name, pinned) for pinned in lock.files)
    for number, (before, after) in enumerate(zip(lock.files, files, strict=True)):
        if before is not after and len(blocks) == len(files):
            blocks[number] = renewed_block(blocks[number], after)
    write_text(file, head + "".join(blocks), msgspec.structs.replace(lock, files=files))


def renewed_block(block: str, pinned: PinnedFile) -> str:
    """A file's new lines, each with the comments of the old line for the same thing; those of lines that are gone come last."""
    said: dict[tuple[int, str], list[str]] = {}
    behind: dict[tuple[int, str], str] = {}
    above: list[str] = []
    for key, code, comment in keyed(block):
        if not code.strip():
            above.append(code + comment)
            continue
        said[key], behind[key], above = above, comment, []
    lines: list[str] = []
    for key, code, _ in keyed(block_of(pinned).lstrip("\n")):
        comment = behind.pop(key, "")
        lines += [*said.pop(key, ()), f"{code.rstrip()}  {comment}" if comment else code]
    left = [*(line for lines_above in said.values() for line in lines_above), *behind.values()]
    return "\n".join([*lines, *filter(str.strip, left), *above]) + "\n"


def keyed(block: str) -> Iterator[tuple[tuple[int, str], str, str]]:
    """For each line what it is about (and in which source), what it says, and the comment on it."""
    source = 0
    for line in block.splitlines():
        code = (CODE.match(line) or [""])[0]
        source += "[[files.sources]]" in code
        yield (source, code.split("=")[0].strip(" \t,")), code, line[len(code) :]


def write_text(file: Path, text: str, lock: DataLock) -> None:
    """Put a lock's text in its place. Raises SettingsError where it would be read as another lock, or as none."""
    if parse_lock(text, file.name) != lock:
        raise SettingsError(
            f"{file.name} is written in a way that can't be edited here.",
            why="What people wrote into it would be lost.",
            do="Write its files as `pushline data add` does, one value a line, and run this again.",
        )
    write_atomically(file, text.encode())


def block_of(pinned: PinnedFile) -> str:
    """One file as TOML."""
    lines = ["", "[[files]]", f"name = {string(pinned.name)}", f"version = {string(pinned.version)}", f"rows = {pinned.rows}"]
    lines += ["columns = [", *(f"  {string(column)}," for column in pinned.columns), "]"]
    for source in pinned.sources:
        url = [f"url = {string(source.url)}"] if source.url else []
        lines += ["[[files.sources]]", *url, f"sha256 = {string(source.sha256)}"]
    return "\n".join(lines) + "\n"


def string(text: str) -> str:
    """A text in TOML: as in JSON, with every character that is not a control one as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
