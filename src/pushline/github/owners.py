"""CODEOWNERS: who must look at what the data must be, and at what training does."""

import re
from collections.abc import Sequence
from pathlib import Path

from pushline.files import write_atomically

PLACEHOLDER = re.compile(r"@your-org/[\w-]+")
FILE = Path(".github", "CODEOWNERS")


def name_owners(root: Path, reviewers: Sequence[str], *, write: bool) -> str:
    """Put the reviewers where the template names nobody; returns what was or would be done, empty where somebody is named."""
    file = root / FILE
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    if not PLACEHOLDER.search(text):
        return ""
    names = " ".join(f"@{name}" for name in reviewers)
    if not write:
        return f"{FILE} names nobody yet: --apply puts {names} there"
    write_atomically(file, PLACEHOLDER.sub(names, text).encode())
    return f"{FILE} names {names} now: commit it"
