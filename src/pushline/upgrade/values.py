"""Contract, settings and .gitignore whose lines collide: merged by value, and read again before they are believed.

Locks are renewed, not merged: the new engine's, and behind it what the owner added to the old one.
"""

import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from pushline.adopt.contract_file import SUSPECT, edited
from pushline.adopt.merge import merged
from pushline.adopt.settings import current, with_setting
from pushline.data.contract.contract import parse_contract
from pushline.errors import PushlineError

SECTION = re.compile(r"^\[(?:tool\.pushline\.?(?P<group>[\w.-]*))?[^\]]*\]")
KEY = re.compile(r"^(?P<key>[\w-]+)\s*=")
WHEEL = re.compile(r"(?P<name>[A-Za-z0-9._]+)-\d[^/\s]*\.whl")
NAMED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)")


def contract(base: str, ours: str, new: str) -> str | None:
    """contract.yml: the owner's keys stay, the template's new ones come. None where that can't be told."""
    try:
        old, mine, drafted = (parse_contract(msgspec.yaml.decode(text)) for text in (base, ours, new))
        proposal, _ = merged(old, mine, drafted)
    except (msgspec.DecodeError, PushlineError):
        return None
    return edited(ours, mine, proposal, suspects_of(ours))


def ignored(base: str, ours: str, new: str) -> str | None:
    """.gitignore: the lines of both, the owner's last, as they decide. What adopt wrote of a table is among these."""
    return text_merge(new, base, ours, "--union")


def suspects_of(text: str) -> dict[str, tuple[str, ...]]:
    """What adopt wrote above a column that may give the label away."""
    found: dict[str, tuple[str, ...]] = {}
    waiting: tuple[str, ...] = ()
    for line in text.splitlines():
        if line.startswith(SUSPECT):
            waiting = (*waiting, line.removeprefix(SUSPECT))
        elif waiting and line.lstrip().startswith("- name:"):
            found[str(msgspec.yaml.decode(line.strip().removeprefix("- "))["name"])], waiting = waiting, ()
    return found


def settings(base: str, ours: str, new: str) -> str | None:
    """pyproject.toml: without the owner's settings the lines must merge; then their settings are set again, line by line."""
    try:
        before, mine, drafted = current(base), current(ours), current(new)
        changed = {path for path in {*before, *mine} if before.get(path) != mine.get(path)}
        text = text_merge(with_lines(ours, lines_of(base), changed), base, new)
        if text is None:
            return None
        text = with_lines(text, lines_of(ours), changed)
        for path in changed & mine.keys() - lines_of(text).keys():
            text = with_setting(text, path, mine[path], "")
        wanted = {path: value for path, value in {**drafted, **{path: mine.get(path) for path in changed}}.items() if value is not None}
        return text if current(text) == wanted else None
    except (ValueError, TypeError, PushlineError):
        return None


def lines_of(text: str) -> dict[str, tuple[int, str]]:
    """Where each setting stands that fits on a line, by its path, and that line."""
    found: dict[str, tuple[int, str]] = {}
    group: str | None = None
    for number, line in enumerate(text.split("\n")):
        if section := SECTION.match(line):
            group = section["group"]
        elif group is not None and (key := KEY.match(line)):
            found[f"{group}.{key['key']}".removeprefix(".")] = (number, line)
    return found


def with_lines(text: str, wanted: dict[str, tuple[int, str]], paths: set[str]) -> str:
    """The text with the lines of these settings as they are `wanted`; without those that have none there."""
    lines: list[str | None] = list(text.split("\n"))
    for path, (number, _) in lines_of(text).items():
        if path in paths:
            lines[number] = wanted[path][1] if path in wanted else None
    return "\n".join(line for line in lines if line is not None)


def text_merge(ours: str, base: str, new: str, *options: str) -> str | None:
    """git's three-way merge of a file; None where it needs a person."""
    with tempfile.TemporaryDirectory(prefix="pushline-merge-") as folder:
        files = [Path(folder, name) for name in ("ours", "base", "new")]
        for file, text in zip(files, (ours, base, new), strict=True):
            file.write_text(text, encoding="utf-8")
        ran = subprocess.run(["git", "merge-file", "--stdout", *options, *map(str, files)], capture_output=True, check=False)
        return ran.stdout.decode() if ran.returncode == 0 else None


BY_VALUE: dict[str, Callable[[str, str, str], str | None]] = {
    ".gitignore": ignored,
    "data_checks/contract.yml": contract,
    "pyproject.toml": settings,
}


def pins(lock: str) -> dict[str, str]:
    """The text of each pin with its hashes and the comments above it, by the package's name as indexes compare names."""
    found: dict[str, str] = {}
    waiting, name = "", ""
    for line in lock.splitlines(keepends=True):
        if line[:1].isspace() and name:
            found[name] += line
        elif not line.strip() or line.startswith("#"):
            waiting, name = waiting + line, ""
        else:
            named = WHEEL.search(line) or NAMED.match(line)
            name = re.sub(r"[-_.]+", "-", named["name"]).lower() if named else line.strip()
            found[name], waiting = waiting + line, ""
    return found


def renewed(base: str, ours: str, new: str) -> tuple[str, list[str]]:
    """The lock to have, and the names of the packages that the owner had added."""
    engine = pins(base).keys() | pins(new).keys()
    added = {name: text for name, text in pins(ours).items() if name not in engine}
    if not added:
        return new, []
    end = "" if new.endswith("\n") or not new else "\n"
    return new + end + "".join(text if text.endswith("\n") else f"{text}\n" for text in added.values()), list(added)
