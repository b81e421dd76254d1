"""The pages of the documentation, and what stands in them."""

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(?P<language>[\w-]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block of a page, and the paragraph behind it."""

    page: str
    language: str
    text: str
    after: str


def pages(repo: Path) -> list[Path]:
    return [repo / "README.md", repo / "CONTRIBUTING.md", *sorted((repo / "docs").rglob("*.md"))]


def blocks(repo: Path, page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(repo).as_posix()
    return [Block(name, found["language"], found["text"], text[found.end() :].strip().split("\n\n")[0]) for found in FENCE.finditer(text)]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))
