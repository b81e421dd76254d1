"""The files an adoption writes and removes, each with what was there before: planned in memory, shown, then made so."""

import difflib
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from shlex import quote

import msgspec
from msgspec import Struct

from pushline.adopt.contract_file import edited
from pushline.adopt.draft import AdoptRequest, Draft, Merge, begun, draft_of
from pushline.adopt.example import example_rows, example_text
from pushline.adopt.git import committed, is_kept_out, unsaved
from pushline.adopt.journal import Change, apply, bytes_of, load_journal, sha256
from pushline.adopt.merge import merged, merged_settings
from pushline.adopt.settings import comments_of as setting_comments
from pushline.adopt.settings import current, settings_of, with_label, with_settings
from pushline.adopt.text_table import TextTable, read_text_table
from pushline.data.contract import Contract, load_contract
from pushline.data.profile import write_profile
from pushline.data.profile.sample import sample_columns
from pushline.data.sources.add import at_hand
from pushline.data.sources.fetch import TABLES, place_of
from pushline.data.sources.lock import DataLock, load_lock, lock_text
from pushline.errors import ContractError, GateClosed, PushlineError, SettingsError
from pushline.files import copy_atomically, sha256_of
from pushline.project import Project
from pushline.template.answers import PLACE, Answers, Engine, EngineSource, Record, RecordedDraft, load_record, record_bytes
from pushline.template.manifest import ENGINE, TABLE
from pushline.template.render import render
from pushline.template.wheel import Wheel, own_wheel

IN_GIT = 10_000_000  # bytes of a table that is put into the repository
EXAMPLE = "examples/two-rows.json"
IGNORED = ".gitignore"
OLDER = "data_checks/adopted.json"  # the record of adoptions that left the engine in src/
SHORT = (".yml", ".toml", ".md", "rules.py", ".lock", EXAMPLE)  # shown line by line
ALIKE = 0.5  # share of the columns by which a file is a later state of the table that was adopted
LONGER_BY_COLUMN = 1 / 60  # times as long as reading takes what follows, beyond twice
LINES = 400  # of one file's difference that are shown
Expect = Callable[[float], None]


class Plan(Struct, frozen=True, kw_only=True):
    """All of it."""

    draft: Draft
    again: bool  # the same table was adopted before
    changes: tuple[Change, ...]
    record: RecordedDraft
    in_git: bool  # the table is put into the repository
    kept: tuple[str, ...]  # what people changed and this leaves alone


def plan_adoption(
    project: Project, request: AdoptRequest, *, in_git: bool, engine: EngineSource = "vendor", scratch: Path, expect: Expect | None = None
) -> Plan:
    """What `pushline adopt` would do; writes only into `scratch`. Once the table is read, `expect` hears how many seconds are left.

    Raises SettingsError or DataError where the table can't be adopted.
    """
    record = load_record(project.root)
    refuse_older(project, record)
    wheel = begun(own_wheel) if record is None else None
    before = record.answers.draft if record else None
    ours = contract_or_none(project)
    if request.address:
        request = msgspec.structs.replace(request, file=at_hand(request.address, scratch))
    began = time.monotonic()
    source = read_text_table(request.file, scratch, request.sheet)
    if expect:
        expect((time.monotonic() - began) * (2 + len(source.names) * LONGER_BY_COLUMN))
    again = before is not None and ours is not None and is_same_table(before, request, source)
    kept: list[str] = []
    if again and ours is not None:
        request = msgspec.structs.replace(request, name=request.name or ours.name, positive=request.positive or ours.positive)
    base, merge = (before.contract, merge_of(before.contract, ours, kept)) if again and before and ours else (None, None)
    draft = draft_of(project, request, source, scratch, base, merge)
    refuse_large(draft, in_git)
    example = example_text(example_rows(sample_columns(draft.profile, draft.contract, 2, 7), draft.contract.inputs)).encode()
    write_profile(scratch / "profile.json", draft.profile)
    made = adopted_of(draft, request, example)
    answers = Answers(table="repository" if in_git else "address" if draft.pinned.sources[0].url else "machine", draft=made)
    if wheel is not None:
        files = small_repository(project, answers, engine, wheel.result())
    elif again and record:
        files = drafted_again(project, draft, made, record, answers, kept)
    elif record:
        files = another_table(project, record, answers)
    files = {"data_checks/profile.json": (scratch / "profile.json").read_bytes(), EXAMPLE: example, **files}
    if in_git:
        files[f"{TABLES}/{draft.pinned.name}"] = draft.table.read_bytes()
    if not again:
        files |= {path: None for path in tables_in_git(project) if path not in files}
    text = files.get(IGNORED) or bytes_of(project.root / IGNORED) or b""
    files[IGNORED] = ignored(project, text, request.file, f"{TABLES}/{draft.pinned.name}" if in_git else "")
    return Plan(draft=draft, again=again, changes=changes_of(project, files), record=made, in_git=in_git, kept=tuple(kept))


def changes_of(project: Project, files: dict[str, bytes | None]) -> tuple[Change, ...]:
    there = ((path, bytes_of(project.root / path), content) for path, content in sorted(files.items()))
    return tuple(Change(path=path, before=before, after=after) for path, before, after in there if before != after)


def refuse_large(draft: Draft, in_git: bool) -> None:
    if in_git and draft.table.stat().st_size > IN_GIT:
        raise SettingsError(
            f"{draft.pinned.name} has {draft.table.stat().st_size / 1e6:.0f} MB, too many for git.",
            why=f"--in-git takes tables of up to {IN_GIT / 1e6:.0f} MB.",
            do="Leave --in-git out: then the table is kept outside the repository. Nothing was changed.",
        )


def refuse_older(project: Project, record: Record | None) -> None:
    """Raises SettingsError for a repository that adopted a table when the engine still was a part of it."""
    if record is None and (project.root / OLDER).is_file():
        raise SettingsError(
            "This repository has its engine in src/.",
            why="It adopted its table before the engine was a package.",
            do="`pushline adopt --thin` brings it to the small form and keeps what you wrote; then run the same command again.",
        )


def adopted_of(draft: Draft, request: AdoptRequest, example: bytes) -> RecordedDraft:
    """What is recorded of the draft."""
    settings = settings_of(draft, model_name(draft.contract.name), request.objective)
    return RecordedDraft(
        file=request.file.name,
        contract=draft.drafted,
        settings=settings,
        comments=setting_comments(draft, settings),
        suspects=draft.suspects,
        pinned=draft.pinned,
        files={EXAMPLE: sha256(example)},
    )


def refuse_deciding(plan: Plan) -> None:
    """Raises GateClosed where a column gives the label away and nobody said whether that is right."""
    for name, said in plan.draft.deciding.items():
        raise GateClosed(
            f"adopt stopped at the column {name}.",
            why=f"{said} A model that learns from it looks perfect here, and knows nothing where the outcome is still to come.",
            do=f"If it is known only once the outcome is: --known-after {quote(name)}, and the model leaves it out. "
            f"If it is truly known before: --keep-suspect {quote(name)}. Nothing was changed.",
        )


def contract_or_none(project: Project) -> Contract | None:
    try:
        return load_contract(project.contract)
    except ContractError:
        return None


def is_same_table(record: RecordedDraft, request: AdoptRequest, source: TextTable) -> bool:
    """Whether this is a later state of the table that was adopted: the same label, most of its columns, no other name asked for."""
    known = set(record.contract.by_name)
    shared = len(known & set(source.names)) / len(known | set(source.names))
    return record.contract.label.name == request.label and shared >= ALIKE and request.name in (None, record.contract.name)


def merge_of(base: Contract, ours: Contract, kept: list[str]) -> Merge:
    def merge(drafted: Contract) -> Contract:
        proposal, said = merged(base, ours, drafted)
        kept.extend(said)
        return proposal

    return merge


def model_name(name: str) -> str:
    """The registry's name has 2 letters at least and 41 at most."""
    return name[:41].rstrip("-") if len(name) > 1 else f"{name}-model"


def small_repository(project: Project, answers: Answers, engine: EngineSource, wheel: Wheel) -> dict[str, bytes | None]:
    """A clone of the engine's repository as somebody's own: nothing of the engine is left but its wheel."""
    made = render(Record(engine=Engine(version="", sha256="", source=engine), answers=answers), wheel)
    gone = [path for path in committed(project.root) if path.startswith((*ENGINE, "examples/")) and path != EXAMPLE]
    return {**dict.fromkeys(gone), **made}


def another_table(project: Project, record: Record, answers: Answers) -> dict[str, bytes | None]:
    """A small repository turned to another table. What people changed of its texts stays, but for settings and labels."""
    draft = answers.draft
    assert draft is not None
    before, files = render(record), dict[str, bytes | None]()
    for path, content in render(msgspec.structs.replace(record, answers=answers)).items():
        now = bytes_of(project.root / path)
        if path in (*TABLE, PLACE) or now == before.get(path):
            files[path] = content
        elif now and path == "pyproject.toml":
            files[path] = with_settings(now.decode(), draft.settings, draft.comments).encode()
        elif now and path.startswith("pipelines/") and path.count("/") == 1:
            files[path] = with_label(now.decode(), draft.contract, draft.settings).encode()
    return files


def drafted_again(
    project: Project, draft: Draft, made: RecordedDraft, record: Record, answers: Answers, kept: list[str]
) -> dict[str, bytes | None]:
    """The table that was adopted, in a later state: contract, lock, settings and pipelines, each merged with what people made of it."""
    before = record.answers.draft
    assert before is not None
    toml = (project.root / "pyproject.toml").read_text(encoding="utf-8")
    wanted = merged_settings(before.settings, current(toml), made.settings)
    kept += [f"{path} in pyproject.toml stays {current(toml).get(path)}" for path in made.settings if path not in wanted]
    effective = {**made.settings, **{path: value for path, value in current(toml).items() if path in made.settings and path not in wanted}}
    files: dict[str, bytes | None] = {
        "data_checks/contract.yml": contract_file(project, draft),
        "data.lock": lock_text(DataLock(files=(draft.pinned,))).encode(),
        "pyproject.toml": with_settings(toml, wanted, made.comments).encode(),
        PLACE: record_bytes(msgspec.structs.replace(record, answers=answers)),
    }
    for file in sorted(project.pipelines.glob("*.yml")):
        files[f"pipelines/{file.name}"] = with_label(file.read_text(encoding="utf-8"), draft.contract, effective).encode()
    example = bytes_of(project.root / EXAMPLE)
    if example is not None and sha256(example) != before.files.get(EXAMPLE):
        kept.append(f"{EXAMPLE} was edited by hand")
        files[EXAMPLE] = example
    return files


def tables_in_git(project: Project) -> list[str]:
    """The pinned tables that are committed: what else lies in `data/` is somebody's own."""
    try:
        pinned = {f"{TABLES}/{file.name}" for file in load_lock(project.data_lock).files}
    except PushlineError:
        return []
    return sorted(pinned & set(committed(project.root)))


def ignored(project: Project, text: bytes, file: Path, table: str) -> bytes:
    """.gitignore so that `git add -A` takes no row along: neither of the given file nor of `data/`, but for `table` where asked."""
    lines = text.decode("utf-8", errors="surrogateescape").splitlines()
    wanted = [f"/{TABLES}/*"]
    place = file.resolve()
    if place.is_relative_to(project.root):
        path = place.relative_to(project.root).as_posix()
        known = path == table or path in committed(project.root) or is_kept_out(project.root, path)
        wanted += [] if known else [pattern_of(path)]
    wanted += [f"!{pattern_of(table)}"] if table else []
    more = [line for line in wanted if line not in lines]
    return ("\n".join([*lines, *more]) + "\n").encode("utf-8", errors="surrogateescape") if more else text


def pattern_of(path: str) -> str:
    """A line of .gitignore that means this very file."""
    return "/" + re.sub(r"([\\*?\[\]]|[ ]$)", r"\\\1", path)


def contract_file(project: Project, draft: Draft) -> bytes:
    """The contract's file: the one that is there where it says the same, else with those lines changed that the draft changes."""
    now = project.contract.read_text(encoding="utf-8")
    ours = load_contract(project.contract)
    return (now if ours == draft.contract else edited(now, ours, draft.contract, draft.suspects)).encode()


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


def refuse_unsaved(project: Project, changes: Iterable[Change]) -> None:
    """Raises SettingsError where a file that would be replaced or removed is one that git can't bring back.

    So nothing that people wrote, and no table they kept, is lost. What the last adoption left there is its own.
    """
    journal = load_journal(project)
    own = journal.written if journal else {}
    ours = [change.path for change in changes if change.before is not None and own.get(change.path) != sha256(change.before)]
    lost = unsaved(project.root, ours)
    if lost:
        raise SettingsError(
            f"adopt stopped at files that no commit holds as they are: {', '.join(lost[:6])}{' and others' * (len(lost) > 6)}.",
            why="They would be replaced, and git could not bring them back.",
            do="Commit them, move them away, or restore them with `git checkout`, then run the same command again. Nothing was changed.",
        )


def refuse_other_table(project: Project, plan: Plan) -> None:
    """Raises SettingsError where `data/` holds another table under the name of this one: fetch would take that."""
    pinned = plan.draft.pinned
    there = project.root / TABLES / pinned.name
    if not plan.in_git and there.is_file() and sha256_of(there) != pinned.sources[0].sha256:
        raise SettingsError(
            f"{TABLES}/{pinned.name} is another table of the same name.",
            why="What stands there is taken before any other copy, so this table would never be read.",
            do=f"Move it away, or rename {plan.record.file}. Nothing was changed.",
        )


def carry_out(project: Project, plan: Plan) -> None:
    """Keep the table where fetch finds it, then write and remove the files."""
    copy_atomically(plan.draft.table, place_of(project.state / "cache", plan.draft.pinned.name, plan.draft.pinned.sources[0].sha256))
    apply(project, plan.changes)
