"""The engine's code as a folder: what steps, images, published pipelines and the nodes of a cluster are given.

In the engine's own repository that is `src/`. Elsewhere the engine is an installed wheel with packages of others beside it, so
`.engine/`, which git ignores, holds a copy.
"""

import shutil
from functools import cache
from pathlib import Path

import pushline
from pushline.files import content_hash, whole_folder

FOLDER = ".engine"
PACKAGE = Path(pushline.__file__).resolve().parent


def code_in(root: Path) -> Path:
    """Where a repository, or a published part of one, has the engine's code."""
    source = root / "src"
    return source if (source / "pushline").is_dir() else root / FOLDER


def code_of(root: Path) -> Path:
    """The same for the repository at work: a copy is that of the engine which runs now."""
    code = code_in(root)
    return code if code.name != FOLDER else copied(code)


@cache
def copied(folder: Path) -> Path:
    ours = (folder / PACKAGE.name).resolve()
    if ours != PACKAGE and not (ours.is_dir() and content_hash(ours) == content_hash(PACKAGE)):
        with whole_folder(folder) as half:
            shutil.copytree(PACKAGE, half / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder
