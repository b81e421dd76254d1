"""What a thin repository records: the engine it runs, and the answers it was made from."""

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from pushline.errors import SettingsError

PLACE = "template.json"
VENDOR = "vendor"


class Recorded(Struct, frozen=True, kw_only=True):
    """The engine that a repository is pinned to."""

    version: str
    sha256: str  # of its wheel
    source: Literal["vendor", "index"] = "vendor"  # the wheel lies in vendor/, or comes from a package index
    repository: str = ""  # owner/name on GitHub, whose releases hold newer engines


class File(Struct, frozen=True, kw_only=True):
    engine: Recorded


def load_recorded(root: Path) -> Recorded:
    """Raises SettingsError where the folder is no thin repository, or its record can't be read."""
    file = root / PLACE
    home = (root / "src" / "pushline").is_dir()
    if home or not file.is_file():
        raise SettingsError(
            f"{root} is no thin repository.",
            why="It holds the engine's own source." if home else f"{PLACE} is missing, which names its engine.",
            do="`pushline upgrade` works in a repository that `pushline new` or `pushline adopt` made.",
        )
    try:
        return msgspec.json.decode(file.read_bytes(), type=File).engine
    except msgspec.DecodeError as error:
        raise SettingsError(f"{PLACE} can't be read.", why=f"{error}.", do="Restore it from git. Nothing was changed.") from error
