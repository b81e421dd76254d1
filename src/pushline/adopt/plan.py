"""The files an adoption writes and removes, each with what was there before: planned in memory, shown, then made so."""

import difflib
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from pushline.adopt.drafting import Draft, Wish, draft_of
from pushline.adopt.example import without_example
from pushline.adopt.given import Given, look_at
from pushline.adopt.merge import merged, merged_settings
from pushline.adopt.record import PLACE, Adopted, load_record, record_bytes
from pushline.adopt.settings import comments_of as setting_comments
from pushline.adopt.settings import current, settings_of, with_label, with_settings
from pushline.adopt.written import RULES, comments_of, contract_text, example_rows, example_text
from pushline.data.contract import Contract, load_contract
from pushline.data.fetch import TABLES, place_of
from pushline.data.lock import DataLock, write_lock
from pushline.data.profile import write_profile
from pushline.data.sample import sample_rows
from pushline.errors import ContractError, SettingsError
from pushline.files import cannot_write, write_atomically
from pushline.project import Project

IN_GIT = 10_000_000  # bytes of a table that is put into the repository
EXAMPLE = "examples/two-rows.json"
SHORT = (".yml", ".toml", ".md", "rules.py", ".lock", EXAMPLE)  # shown line by line
ALIKE = 0.5  # share of the columns by which a file is a later state of the table that was adopted
LINES = 400  # of one file's difference that are shown


class Change(Struct, frozen=True, kw_only=True):
    """One file: what stands there and what is to stand there; None for no file."""

    path: str
    before: bytes | None
    after: bytes | None


class Plan(Struct, frozen=True, kw_only=True):
    """All of it."""

    draft: Draft
    again: bool  # the same table was adopted before
    changes: tuple[Change, ...]
    record: Adopted
    in_git: bool  # the table is put into the repository
    kept: tuple[str, ...]  # what people changed and this leaves alone


def plan_adoption(project: Project, wish: Wish, *, keep_out: bool, scratch: Path) -> Plan:
    """What `pushline adopt` would do. Raises SettingsError or DataError where the table can't be adopted; writes only into `scratch`."""
    record = load_record(project.root)
    ours = contract_or_none(project)
    given = look_at(wish.file, scratch)
    again = record is not None and ours is not None and is_same_table(record, wish, given)
    kept: list[str] = []
    if again and record is not None and ours is not None:
        wish = msgspec.structs.replace(wish, name=wish.name or ours.name, positive=wish.positive or ours.positive)
    draft = draft_of(project, wish, given, scratch, merge_of(record, ours, kept) if again else None)
    in_git = not keep_out and not wish.url and draft.table.stat().st_size <= IN_GIT
    files = texts(project, draft, record if again else None, kept, scratch)
    if in_git:
        files[f"{TABLES}/{draft.pinned.name}"] = draft.table.read_bytes()
    if not again:
        files = {**{path: text.encode() if text is not None else None for path, text in without_example(project.root).items()}, **files}
    settings = settings_of(draft, model_name(draft.contract.name))
    hashes = {path: sha256(content) for path, content in files.items() if content is not None and path in (EXAMPLE,)}
    made = Adopted(file=wish.file.name, contract=draft.drafted, settings=settings, files=hashes)
    files[PLACE] = record_bytes(made)
    changes = tuple(
        Change(path=path, before=bytes_of(project.root / path), after=content)
        for path, content in sorted(files.items())
        if bytes_of(project.root / path) != content
    )
    return Plan(draft=draft, again=again, changes=changes, record=made, in_git=in_git, kept=tuple(kept))


def contract_or_none(project: Project) -> Contract | None:
    try:
        return load_contract(project.contract)
    except ContractError:
        return None


def is_same_table(record: Adopted, wish: Wish, given: Given) -> bool:
    """Whether this is a later state of the table that was adopted: the same label, most of its columns, no other name asked for."""
    known = set(record.contract.by_name)
    shared = len(known & set(given.names)) / len(known | set(given.names))
    return record.contract.label.name == wish.label and shared >= ALIKE and wish.name in (None, record.contract.name)


def merge_of(record: Adopted | None, ours: Contract | None, kept: list[str]) -> Callable[[Contract], Contract]:
    def merge(drafted: Contract) -> Contract:
        if record is None or ours is None:
            return drafted
        proposal, said = merged(record.contract, ours, drafted)
        kept.extend(said)
        return proposal

    return merge


def model_name(name: str) -> str:
    """The registry's name has 2 letters at least and 41 at most."""
    return name[:41].rstrip("-") if len(name) > 1 else f"{name}-model"


def texts(project: Project, draft: Draft, record: Adopted | None, kept: list[str], scratch: Path) -> dict[str, bytes | None]:
    """The files of data_checks/, the pipelines, the settings and the example, by path."""
    settings = settings_of(draft, model_name(draft.contract.name))
    toml = (project.root / "pyproject.toml").read_text(encoding="utf-8")
    wanted = merged_settings(record.settings, current(toml), settings) if record else settings
    kept += [f"{path} in pyproject.toml stays {current(toml).get(path)}" for path in settings if path not in wanted]
    effective = {**settings, **{path: value for path, value in current(toml).items() if path in settings and path not in wanted}}
    write_profile(scratch / "profile.json", draft.profile)
    write_lock(scratch / "data.lock", DataLock(files=(draft.pinned,)))
    files: dict[str, bytes | None] = {
        "data_checks/contract.yml": contract_file(project, draft, again=record is not None),
        "data_checks/profile.json": (scratch / "profile.json").read_bytes(),
        "data.lock": (scratch / "data.lock").read_bytes(),
        "pyproject.toml": with_settings(toml, wanted, setting_comments(draft, settings)).encode(),
    }
    for file in sorted(project.pipelines.glob("*.yml")):
        files[f"pipelines/{file.name}"] = with_label(file.read_text(encoding="utf-8"), draft, effective).encode()
    if record is None:
        files["data_checks/rules.py"] = RULES.encode()
        files |= {str(file.relative_to(project.root)): None for file in sorted((project.root / "examples").glob("*.json"))}
        files |= {str(file.relative_to(project.root)): None for file in tables_in_git(project) if file.name != draft.pinned.name}
    example = project.root / EXAMPLE
    if record and example.is_file() and sha256(example.read_bytes()) != record.files.get(EXAMPLE):
        kept.append(f"{EXAMPLE} was edited by hand")
    else:
        rows = sample_rows(draft.profile, draft.contract, 2, 7)
        files[EXAMPLE] = example_text(example_rows(rows, draft.contract.inputs)).encode()
    return files


def tables_in_git(project: Project) -> list[Path]:
    return [file for file in sorted((project.root / TABLES).glob("*")) if file.suffix in (".csv", ".parquet", ".tsv", ".txt")]


def contract_file(project: Project, draft: Draft, *, again: bool) -> bytes:
    """The contract's file: the one that is there where it says the same, else written anew with people's comments in it."""
    if not again:
        return contract_text(draft.contract, draft.suspects).encode()
    now = project.contract.read_text(encoding="utf-8")
    if load_contract(project.contract) == draft.contract:
        return now.encode()
    return contract_text(draft.contract, draft.suspects, comments_of(now)).encode()


def bytes_of(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def difference(change: Change, *, again: bool) -> list[str]:
    """The change of one file as a person reads it: line by line for what people edit, a line for anything else.

    What speaks of the table is shown beside its earlier state only where that was the same table (`again`).
    """
    if change.after is None:
        return [f"removed   {change.path}"]
    word = "new      " if change.before is None else "changed  "
    head = f"{word} {change.path} ({len(change.after):,} bytes)"
    if not change.path.endswith(SHORT) or change.path.startswith(("tests/", "docs/")):
        return [head]
    before = b"" if change.path.startswith(("data", "examples")) and not again else change.before or b""
    old = before.decode("utf-8", errors="replace").splitlines()
    after = change.after.decode("utf-8", errors="replace").splitlines()
    lines = list(difflib.unified_diff(old, after, "", "", lineterm="", n=2))[2:]
    if len(lines) > LINES:
        lines = [*lines[:LINES], f"... {len(lines) - LINES} more lines"]
    return [head, *(f"    {line}" for line in lines)]


def refuse_unsaved(project: Project, plan: Plan) -> None:
    """Raises SettingsError where a file that would be replaced or removed holds changes that no commit has.

    What is in git can be brought back, so nothing people wrote is lost.
    """
    unsaved = unsaved_files(project)
    own = last_written(project)
    lost = [
        change.path
        for change in plan.changes
        if change.path in unsaved and change.before is not None and own.get(change.path) != sha256(change.before)
    ]
    if lost:
        raise SettingsError(
            f"adopt stopped at changes that no commit has: {', '.join(lost[:6])}{' and others' * (len(lost) > 6)}.",
            why="They would be overwritten, and could not be brought back.",
            do="Commit them (or discard them with `git checkout`), then run the same command again. Nothing was changed.",
        )


def unsaved_files(project: Project) -> set[str]:
    """Files that differ from the last commit, or are not in git at all. Raises SettingsError outside of git."""
    asked = subprocess.run(
        ["git", "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames", "."],
        cwd=project.root,
        capture_output=True,
        check=False,
    )
    if asked.returncode:
        raise SettingsError(
            "adopt works inside a git repository only.",
            why="It replaces files, and git is how they can be brought back.",
            do="Run `git init`, `git add -A` and `git commit`, then the same command again.",
        )
    prefix = subprocess.run(
        ["git", "rev-parse", "--show-prefix"], cwd=project.root, capture_output=True, text=True, check=True
    ).stdout.strip()
    return {entry[3:].removeprefix(prefix) for entry in asked.stdout.decode("utf-8", errors="surrogateescape").split("\0") if entry}


def written_file(project: Project) -> Path:
    return project.state / "adopted-files.json"


def last_written(project: Project) -> dict[str, str]:
    """What the last adoption on this machine wrote, by path: those files are its own, not people's."""
    file = written_file(project)
    return msgspec.json.decode(file.read_bytes(), type=dict[str, str]) if file.is_file() else {}


def carry_out(project: Project, plan: Plan, tell: Callable[[str], None]) -> None:
    """Write and remove the files, keep the table where fetch finds it, and make the generated parts of the pages anew."""
    cached = place_of(project.state / "cache", plan.draft.pinned.name, plan.draft.pinned.sources[0].sha256)
    write_atomically(cached, plan.draft.table.read_bytes())
    for change in plan.changes:
        place = project.root / change.path
        try:
            if change.after is None:
                place.unlink(missing_ok=True)
                remove_if_empty(place.parent)
            else:
                write_atomically(place, change.after)
        except OSError as error:
            raise cannot_write(place, error) from error
    made = {change.path: sha256(change.after) for change in plan.changes if change.after is not None}
    write_atomically(written_file(project), msgspec.json.encode({**last_written(project), **made}))
    renew_pages(project, tell)


def remove_if_empty(folder: Path) -> None:
    left = [entry for entry in folder.iterdir() if entry.name not in ("__init__.py", "__pycache__")]
    if not left and folder.name != "tests":
        for entry in folder.glob("__init__.py"):
            entry.unlink()


def renew_pages(project: Project, tell: Callable[[str], None]) -> None:
    """What README and docs/ take from the contract and the settings."""
    script = project.root / "scripts" / "generate_docs.py"
    if not script.is_file():
        return
    ran = subprocess.run([sys.executable, str(script)], cwd=project.root, capture_output=True, text=True, check=False)
    for line in (ran.stdout if ran.returncode == 0 else f"{script.name} failed: {ran.stderr.strip().splitlines()[-1:]}").splitlines():
        tell(line)


def scratch_of(project: Project) -> "tempfile.TemporaryDirectory[str]":
    try:
        project.state.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix="adopt-", dir=project.state)
    except OSError as error:
        raise cannot_write(project.state, error) from error
