"""Where the files of the manifest are read: in a wheel beside this module, in the engine's repository at its root."""

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from pushline.errors import SettingsError

ENGINE_ONLY = re.compile(r"^[ \t]*# engine only\b.*?^[ \t]*# end\n", re.MULTILINE | re.DOTALL)
HERE = "pushline.template"


def checkout() -> Path | None:
    """The engine's repository this code runs in; None for an installed wheel or one that is only on the path."""
    root = Path(__file__).parents[3]
    return root if (root / "src" / "pushline" / "template").is_dir() and (root / "pyproject.toml").is_file() else None


def source() -> Traversable:
    """The folder that holds the files of the manifest. Raises SettingsError where the engine was packed without them."""
    packed = files(HERE) / "files"
    if packed.is_dir():
        return packed
    if root := checkout():
        return root
    raise SettingsError(
        "This Pushline holds no template.",
        why="It was installed in a way that left the template's files out.",
        do="Install its wheel: `make wheel` in the engine's repository builds it.",
    )


def shared(path: str) -> bytes:
    """A file of the engine's repository, without what is for the engine only."""
    content = source().joinpath(*path.split("/")).read_bytes()
    return ENGINE_ONLY.sub("", content.decode()).encode() if b"# engine only" in content else content


def pages() -> dict[str, str]:
    """The pages of the documentation, by name."""
    found = sorted(source().joinpath("docs").iterdir(), key=lambda page: page.name)
    return {page.name.removesuffix(".md"): page.read_text(encoding="utf-8") for page in found if page.name.endswith(".md")}


def own(name: str) -> str:
    """A text that only repositories made from the template have."""
    return (files(HERE) / "own" / name).read_text(encoding="utf-8")
