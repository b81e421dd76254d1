"""`template.json` at the root of a repository: which engine made it, and from which answers."""

import json
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from pushline.data.contract.contract import Contract
from pushline.data.sources.lock import PinnedFile
from pushline.errors import SettingsError
from pushline.results import Scalar

PLACE = "template.json"
EngineSource = Literal["vendor", "index"]


class RecordedDraft(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `pushline adopt` made of a table, so that it can be written again without the table."""

    file: str  # the name of the file it was made from
    contract: Contract
    settings: dict[str, Scalar]  # by path below [tool.pushline]
    comments: dict[str, str] = {}  # what stands behind them
    suspects: dict[str, tuple[str, ...]] = {}  # evidence by column
    pinned: PinnedFile
    files: dict[str, str] = {}  # sha256 of made files that people may edit, by path


class Engine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The engine that a repository is pinned to."""

    version: str
    sha256: str  # of its wheel
    source: EngineSource = "vendor"  # the wheel lies in vendor/, or comes from a package index
    repository: str = ""  # owner/name on GitHub, whose releases hold newer engines


class Answers(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was answered when the repository was made. Without a draft it is the example's."""

    table: Literal["address", "repository", "machine"] = "address"  # where the table is kept
    draft: RecordedDraft | None = None


class Record(Struct, frozen=True, kw_only=True):
    """The file. Keys that are not known come from a newer engine and are passed over."""

    schema: Literal[1] = 1
    engine: Engine
    answers: Answers = Answers()


def load_record(root: Path) -> Record | None:
    """The record of a repository; None where it has none. Raises SettingsError for one that can't be read."""
    file = root / PLACE
    return read_record(file) if file.is_file() else None


def read_record(file: Path) -> Record:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError(f"{file} can't be read.", why=f"{error}.", do="Restore it from git.") from error


def record_bytes(record: Record) -> bytes:
    """The file's text: a line for each column, so that it is short and its differences can be read."""
    return (lines(msgspec.to_builtins(record), 0) + "\n").encode()


def lines(value: Any, depth: int) -> str:
    if isinstance(value, dict) and value and depth < 5:
        inner = ",\n".join(f"{' ' * (depth + 1)}{text(key)}: {lines(each, depth + 1)}" for key, each in value.items())
        return f"{{\n{inner}\n{' ' * depth}}}"
    if isinstance(value, list | tuple) and any(isinstance(each, dict) for each in value):
        return "[\n" + ",\n".join(f"{' ' * (depth + 1)}{text(each)}" for each in value) + f"\n{' ' * depth}]"
    return text(value)


def text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
