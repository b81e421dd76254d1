"""Ten releases of the real engine, repositories that adopted unlike tables with the first, and what their owners change there."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from adopt.tables import TABLES, Make, sixty_rows
from command import clean_environment
from upgrade.engines import Owned
from upgrade.releases import Edit, first, release
from working_copy import git

MAKERS: tuple[Make, ...] = (sixty_rows, *TABLES)
FILES = "template/files/"
OWN = "template/own/"


def before(line: str, more: str) -> Edit:
    return lambda text: text.replace(line, more + line, 1)


def instead(old: str, now: str) -> Edit:
    return lambda text: text.replace(old, now, 1)


def last(more: str) -> Edit:
    return lambda text: f"{text.rstrip()}\n{more}"


# What each release changes of the one before: template, locks, and the code that writes a contract.
DELIVER = f"{FILES}.github/workflows/deliver.yml"
CHANGES: tuple[Mapping[str, Edit], ...] = (
    {f"{FILES}Makefile": last("\nrelease-2:  ## 2\n\t@echo 2\n"), f"{OWN}README.md": instead("## Where", "## Found where")},
    {DELIVER: instead("timeout-minutes: 30", "timeout-minutes: 31")},
    {f"{FILES}pyproject.toml": instead("seconds = 10\n", "seconds = 10   # of the load\n"), f"{FILES}load/locustfile.py": last("# 4\n")},
    {"adopt/contract_file.py": instead('HEAD = """\\\n', 'HEAD = """\\\n# 5\n')},
    {f"{FILES}requirements/checks.txt": instead("--hash=sha256:", "--hash=sha256:0")},
    {DELIVER: instead("timeout-minutes: 90", "timeout-minutes: 95"), f"{FILES}.gitignore": last("/seventh/\n")},
    {f"{OWN}README.md": instead("# {title}\n", "# {title}\n\nOf the eighth release.\n"), f"{FILES}compose.yml": last("# 8\n")},
    {f"{FILES}pyproject.toml": instead("p95_ms = 100", "p95_ms = 100  # 9"), f"{FILES}pipelines/train.yml": last("# 9\n")},
    {
        f"{FILES}load/locustfile.py": instead("# 4\n", "# 10\n"),
        "adopt/contract_file.py": instead('GUESSES = """\\\n', 'GUESSES = """\\\n# 10\n'),
    },
    {f"{FILES}.github/workflows/watch.yml": instead("timeout-minutes: 30", "timeout-minutes: 35"), f"{OWN}README.md": last("\nEnd.\n")},
)


def releases(folder: Path, count: int) -> list[Path]:
    """The first release and `count` later ones."""
    folder.mkdir(parents=True, exist_ok=True)
    wheels = [folder / first().name]
    wheels[0].write_bytes(first().content)
    edits: dict[str, Edit] = {}
    sections = ""
    for number, changes in enumerate(CHANGES[:count], start=2):
        for path, edit in changes.items():
            edits[path] = chained(edits[path], edit) if path in edits else edit
        sections = f"## 9.{number}.0\n\n- What release {number} brings.\n\n{sections}"
        wheels.append(release(f"9.{number}.0", edits, folder, f"# Changelog\n\n{sections}"))
    return wheels


def chained(one: Edit, then: Edit) -> Edit:
    return lambda text: then(one(text))


@dataclass(frozen=True)
class Change:
    """What an owner changes, and how it is seen that it is still there."""

    path: str
    edit: Edit
    sign: str


def bounds(text: str) -> str:
    """Another maximum of the first column that has one."""
    return re.sub(r"^(    maximum:) .*$", r"\1 987654321", text, count=1, flags=re.MULTILINE)


RULE = 'RULES.append(Rule(name="mine", meaning="the first of mine", condition="1 = 1"))  # added by hand\n'
STEP = "      - name: tell the team\n        run: make tell\n"
EDITS: dict[str, Change] = {
    "contract bounds": Change("data_checks/contract.yml", bounds, "maximum: 987654321"),
    "a rule": Change("data_checks/rules.py", last(f"\n{RULE}"), "added by hand"),
    "a workflow step": Change(".github/workflows/deliver.yml", before("      - name: smoke\n", STEP), "make tell"),
    "the README": Change("README.md", before("## How a push travels\n", "## Whom to ask\n\nAnn.\n\n"), "## Whom to ask"),
    "a setting": Change("pyproject.toml", instead("rate = 50", "rate = 77"), "rate = 77"),
}


def adopted(wheel: Path, make: Make, folder: Path) -> Owned:
    """A repository that `pushline new` of this release makes for a table."""
    from pushline.project import Project

    (folder / "table").mkdir(parents=True)
    table = make(folder / "table")
    place = folder / "repository"
    command = [sys.executable, "-P", "-m", "pushline", "new", str(place), "--table", str(table.file), "--label", table.label]
    environment = clean_environment({"PYTHONPATH": str(wheel)})
    ran = subprocess.run([*command, *table.options], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return at(Owned(Project(place)))


def at(mine: Owned) -> Owned:
    """The same, known to git as somebody's."""
    for key, value in (("user.name", "Owner"), ("user.email", "owner@example.invalid"), ("gc.auto", "0")):
        git("config", key, value, cwd=mine.project.root)
    if mine.status():
        mine.commit()
    return mine


def copied(mine: Owned, to: Path) -> Owned:
    from pushline.project import Project

    shutil.copytree(mine.project.root, to, symlinks=True)
    return Owned(Project(to))


def changed(mine: Owned, change: Change) -> Owned:
    before = mine.read(change.path)
    text = change.edit(before)
    assert text != before, change.path
    mine.write(change.path, text)
    return mine


Upgrade = Callable[[Owned, Path], tuple[int, str]]


def cold_upgrade(mine: Owned, wheel: Path) -> tuple[int, str]:
    """The command as a person starts it: exit code, and what it said."""
    command = [sys.executable, "-m", "pushline", "upgrade", "--to", str(wheel)]
    ran = subprocess.run(command, cwd=mine.project.root, env=clean_environment(), capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout + ran.stderr


def walk(mine: Owned, change: Change, wheels: list[Path], upgrade: Upgrade = cold_upgrade) -> tuple[list[float], list[str]]:
    """Upgrade through every release, commit by commit: the seconds of each, and what was wrong with any."""
    seconds, wrong = [], []
    changed(mine, change)
    for wheel in wheels:
        started = time.monotonic()
        code, said = upgrade(mine, wheel)
        seconds.append(time.monotonic() - started)
        if code != 0:
            wrong.append(f"{wheel.name}: {said[-600:]}")
            git("checkout", "--force", "HEAD", "--", ".", cwd=mine.project.root)
            break
        if change.sign not in mine.read(change.path):
            wrong.append(f"{wheel.name}: the edit of {change.path} is lost")
        mine.commit()
    return seconds, wrong


def differing(one: Owned, other: Owned) -> list[str]:
    """The files in which two repositories differ."""
    ours, theirs = one.tree(), other.tree()
    return sorted(path for path in {*ours, *theirs} if ours.get(path) != theirs.get(path))
