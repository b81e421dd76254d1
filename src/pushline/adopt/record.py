"""`data_checks/adopted.json`: what adopt drafted, so that a later run can tell its own draft from what people made of it."""

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from pushline.data.contract import Contract
from pushline.errors import SettingsError
from pushline.results import Scalar

PLACE = "data_checks/adopted.json"


class Adopted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last adoption."""

    schema: Literal[1] = 1
    file: str  # the name of the file it was made from
    contract: Contract  # as drafted
    settings: dict[str, Scalar]  # as drafted
    files: dict[str, str] = {}  # sha256 of the other files it wrote, by path


def load_record(root: Path) -> Adopted | None:
    """The record of the repository; None where nothing was adopted yet. Raises SettingsError for one that can't be read."""
    file = root / PLACE
    if not file.is_file():
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=Adopted)
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError(f"{PLACE} can't be read.", why=f"{error}.", do="Restore it from git.") from error


def record_bytes(record: Adopted) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"
