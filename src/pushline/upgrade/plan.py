"""The three-way merge: what the old template made of the answers, what its owner made of that, what the new template makes."""

import re
import tempfile
from pathlib import Path

from msgspec import Struct

from pushline.errors import SettingsError
from pushline.project import Project
from pushline.template.answers import PLACE
from pushline.template.answers import Engine as Pin
from pushline.upgrade import values
from pushline.upgrade.engine import VENDOR, Engine, Notes, notes_between, number
from pushline.upgrade.trees import Merge, Scratch, Tree, git, workspace
from pushline.upgrade.values import renewed

LOCKS, PYPROJECT = "requirements/", "pyproject.toml"
ENGINE = re.compile(r"(?<![\w-])(pushline(?:\[[^\]]*\])?==)[\w.+]+")


class File(Struct, frozen=True, kw_only=True):
    """One file that changes: its content now and then; None for no file."""

    path: str
    before: bytes | None
    after: bytes | None
    mode: int = 0o644
    stages: dict[int, tuple[str, bytes]] = {}  # of a conflict, as git's index keeps them


class Plan(Struct, frozen=True, kw_only=True):
    """An upgrade."""

    before: str  # version
    after: str
    files: tuple[File, ...]
    stay_deleted: tuple[str, ...]  # the new template has them, the owner has removed them
    packages: dict[str, list[str]]  # by lock, what the owner has added to it
    notes: tuple[Notes, ...]

    @property
    def conflicts(self) -> list[str]:
        return [file.path for file in self.files if file.stages]


def plan_upgrade(project: Project, pin: Pin, old: Engine, new: Engine) -> Plan:
    """What an upgrade would change. Writes nothing in the repository. Raises TargetError where a template can't be rendered."""
    answers = (project.root / PLACE).read_bytes()
    with workspace() as folder:
        scratch = Scratch(folder, project.root)
        base, theirs = (rendered(scratch, folder, engine, answers) for engine in (old, new))
        ours = dict(scratch.committed)
        gone = deleted(scratch, base, ours, theirs)
        packages = renew(scratch, base, ours, theirs)
        settle_engine(scratch, base, ours, theirs, pin, new)
        merge = by_value(scratch, scratch.merge(base, ours, theirs, f"pushline-{new.version}"))
        files = tuple(changed(scratch, project, scratch.committed, merge))
    forward = number(new.version) > number(old.version)
    notes = tuple(notes_between(new, old.version) if forward else ())
    return Plan(before=old.version, after=new.version, files=files, stay_deleted=gone, packages=packages, notes=notes)


def rendered(scratch: Scratch, folder: Path, engine: Engine, answers: bytes) -> Tree:
    to = Path(tempfile.mkdtemp(prefix="rendered-", dir=folder))
    engine.render(answers, to)
    return scratch.added(to)


def deleted(scratch: Scratch, base: Tree, ours: Tree, theirs: Tree) -> tuple[str, ...]:
    """Take what the owner has deleted out of both templates, under its new name too; which of it the new one has."""
    moved = scratch.renames(base, ours)
    missing = [path for path in base if path not in ours and path not in moved and not path.startswith(f"{VENDOR}/")]
    names = scratch.renames(base, theirs) if missing else {}
    found = []
    for path in missing:
        del base[path]
        found += [name for name in (path, names.get(path)) if name and theirs.pop(name, None)]
    return tuple(found)


def renew(scratch: Scratch, base: Tree, ours: Tree, theirs: Tree) -> dict[str, list[str]]:
    """Locks are the new ones with the owner's additions, on all three sides: nothing is left to merge."""
    packages = {}
    for path in [path for path in theirs if path.startswith(LOCKS) and path.endswith(".txt") and path in ours]:
        if ours[path] == base.get(path):
            continue
        texts = [scratch.content(tree, path).decode() if path in tree else "" for tree in (base, ours, theirs)]
        text, added = renewed(*texts)
        for tree in (base, ours, theirs):
            tree[path] = ("100644", scratch.blob(text.encode()))
        if added:
            packages[path] = added
    return packages


def settle_engine(scratch: Scratch, base: Tree, ours: Tree, theirs: Tree, pin: Pin, new: Engine) -> None:
    """The new wheel takes the place of the old one, and the record of it that of the old record, on all three sides."""
    for tree in (base, ours, theirs):
        for path in [path for path in tree if path.startswith(f"{VENDOR}/pushline-")]:
            del tree[path]
        if pin.source == "vendor":
            tree[f"{VENDOR}/{new.wheel.name}"] = ("100644", scratch.blob(new.wheel.read_bytes()))
        tree[PLACE] = theirs[PLACE]
        if PYPROJECT in tree:  # who adds a package beside the engine's pin is no conflict
            text = ENGINE.sub(rf"\g<1>{new.version}", scratch.content(tree, PYPROJECT).decode())
            tree[PYPROJECT] = (tree[PYPROJECT][0], scratch.blob(text.encode()))


def by_value(scratch: Scratch, merge: Merge) -> Merge:
    """Contract and settings whose lines collide are merged key by key, where that leaves no doubt."""
    tree, conflicts = dict(merge.tree), dict(merge.conflicts)
    for path, how in values.BY_VALUE.items():
        stages = conflicts.get(path, {})
        if set(stages) == {1, 2, 3}:
            said = how(*(scratch.git("cat-file", "blob", stages[stage][1]).decode() for stage in (1, 2, 3)))
            if said is not None:
                tree[path] = (stages[2][0], scratch.blob(said.encode()))
                del conflicts[path]
    return Merge(tree, conflicts)


def changed(scratch: Scratch, project: Project, before: Tree, merge: Merge) -> list[File]:
    """The files that differ from the last commit. Raises SettingsError where one would replace a file that git does not hold."""
    files = []
    for path in sorted({*before, *merge.tree, *merge.conflicts}):
        if before.get(path) == merge.tree.get(path) and path not in merge.conflicts:
            continue
        was, becomes = (scratch.content(tree, path) if path in tree else None for tree in (before, merge.tree))
        mode = int(merge.tree[path][0], 8) & 0o777 if path in merge.tree else 0o644
        stages = {stage: (mode, scratch.git("cat-file", "blob", blob)) for stage, (mode, blob) in merge.conflicts.get(path, {}).items()}
        files.append(File(path=path, before=was, after=becomes, mode=mode, stages=stages))
    taken = [file.path for file in files if file.before is None and (project.root / file.path).exists()]
    if taken:
        raise SettingsError(
            f"The new version brings {', '.join(taken[:6])}, and files of that name are here that git ignores.",
            why="They would be replaced, and git could not bring them back.",
            do="Move them away, then run the same command again. Nothing was changed.",
        )
    return files


def refuse_dirty(project: Project) -> None:
    """Raises SettingsError where something is not committed: the upgrade could not be told from it, nor taken back."""
    said = git(project.root, "status", "--porcelain", "-z", "--", ".").decode("utf-8", "replace").split("\0")
    changed = [entry[3:] for entry in said if entry]
    if changed:
        raise SettingsError(
            f"upgrade stopped at what no commit holds: {', '.join(changed[:6])}{' and others' * (len(changed) > 6)}.",
            why="An upgrade merges into the last commit, and `git diff` is to show what it changed.",
            do="Commit or stash it, then run the same command again. Nothing was changed.",
        )


def refuse_downgrade(old: Engine, new: Engine, *, allowed: bool) -> None:
    if number(new.version) < number(old.version) and not allowed:
        raise SettingsError(
            f"{new.version} is older than {old.version}, which this repository runs.",
            why="An older engine may not read what a newer one has written.",
            do="--allow-downgrade goes back all the same. Nothing was changed.",
        )
