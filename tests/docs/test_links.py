"""Links lead somewhere: inside the repository to a file and a heading; outside ones are well-formed, the network being closed."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from docs.pages import pages, prose

LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)(?:\s+\"[^\"]*\")?\)|(?:src|href|poster)=\"(?P<attribute>[^\"]+)\"")


def targets(page: Path) -> list[str]:
    text = re.sub(r"`[^`\n]*`", "", prose(page))
    return [found["target"] or found["attribute"] for found in LINK.finditer(text)]


def anchors(page: Path) -> set[str]:
    """The headings as the site and GitHub name them."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower())
        found.add(re.sub(r"\s+", "-", plain.strip()))
    return found


def test_every_link_inside_leads_to_a_file_and_a_heading(repo: Path) -> None:
    checked = 0
    for page in pages(repo):
        for target in targets(page):
            if "://" in target:
                continue
            checked += 1
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            assert there.exists(), f"{page.relative_to(repo)} links {target}"
            if anchor and there.suffix == ".md":
                assert anchor in anchors(there), f"{page.relative_to(repo)} links {target}"
    assert checked > 60


def test_every_link_outside_is_https_and_well_formed(repo: Path) -> None:
    for page in pages(repo):
        for target in targets(page):
            if "://" in target:
                parts = urlsplit(target)
                assert parts.scheme == "https", f"{page.name}: {target}"
                assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc), f"{page.name}: {target}"


def test_every_page_can_be_reached_from_the_sites_navigation(repo: Path) -> None:
    listed = (repo / "zensical.toml").read_text(encoding="utf-8")
    index = (repo / "docs" / "decisions" / "index.md").read_text(encoding="utf-8")
    for page in sorted((repo / "docs").rglob("*.md")):
        name = page.relative_to(repo / "docs").as_posix()
        assert f'"{name}"' in listed or (name.startswith("decisions/") and f"({page.name})" in index), name
