"""From the given file to everything adopt proposes: contract, suspects, pinned table, profile, settings."""

import re
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from pushline.adopt.columns import ColumnDraft, draft
from pushline.adopt.facts import facts_of
from pushline.adopt.label import Label, label_of
from pushline.adopt.split import SplitProposal, holdout_of, propose, split_said
from pushline.adopt.text_table import TextTable, not_adopted
from pushline.data.checks.check_data import check_data
from pushline.data.checks.label_checks import deciding_of, matrix_of
from pushline.data.contract import Column, Contract, Split, parse_contract
from pushline.data.files.reading import read_cells, read_file
from pushline.data.files.table import database, literal, name_of
from pushline.data.files.version import table_of
from pushline.data.profile import Profile, profile_of
from pushline.data.sources.download import TRUSTED, permit, receive_all
from pushline.data.sources.lock import FileSource, PinnedFile
from pushline.errors import PushlineError, SettingsError
from pushline.files import sha256_of
from pushline.project import Project
from pushline.results import Finding

LEAST = 10  # rows of each class in the whole table


class Draft(Struct, frozen=True, kw_only=True):
    """What was made of the file; `table` is the file to pin, in the scratch folder or as it was given."""

    drafted: Contract  # from the table alone
    contract: Contract  # to propose
    deciding: dict[str, str]  # columns that give the label away and nobody decided about, with the evidence
    suspects: dict[str, tuple[str, ...]]  # by column
    label: Label
    table: Path
    pinned: PinnedFile
    profile: Profile
    holdout: float
    held_out: int  # rows
    why_held_out: str  # more than the usual share; empty where it is not
    repeated: float  # share of rows that repeat an earlier one
    split: str  # how the hold-out is chosen, and what else was tried, with figures; empty where nothing else came into question
    tried: tuple[Split | None, ...]  # the same without figures
    rewritten: tuple[str, ...]  # what differs between the given file and `table`
    told: tuple[str, ...]  # how cells were read that could be read otherwise
    findings: tuple[str, ...]  # of check-data, by the drafted contract


class AdoptRequest(Struct, frozen=True, kw_only=True):
    """What was asked for."""

    file: Path
    label: str
    positive: str | None = None
    task: str | None = None  # classification or regression
    name: str | None = None
    url: str = ""
    address: str = ""  # that `file` was downloaded from
    sheet: str | None = None  # of a workbook; by default the first
    decimal: str | None = None  # "," or ".": which sign parts decimals wherever both could be meant
    keep_suspect: tuple[str, ...] = ()  # columns that may decide the label
    known_after: tuple[str, ...] = ()  # columns that are known only once the outcome is
    sensitive: tuple[str, ...] = ()  # columns by whose groups figures are wanted
    objective: str | None = None  # of the threshold
    split: str | None = None  # see `split_said`; by default as figures say


T = TypeVar("T")
Merge = Callable[[Contract], Contract]


def begun(make: Callable[[], T]) -> "Future[T]":
    """What is made in a thread while the table is read."""
    aside = ThreadPoolExecutor(1)
    made = aside.submit(make)
    aside.shutdown(wait=False)
    return made


def draft_of(
    project: Project, request: AdoptRequest, source: TextTable, scratch: Path, base: Contract | None, merge: Merge | None
) -> Draft:
    """Draft everything from the file. `merge` brings in what people made of `base`, an earlier draft of this table.

    Raises DataError or SettingsError, saying why, for a table that can't be adopted.
    """
    facts = {seen.name: seen for seen in facts_of(source, scratch, request.decimal)}
    labelled = label_of(facts, request.label, request.positive, source, request.task)
    refuse_rare(labelled, source)
    columns = [labelled.drafted if seen.name == labelled.column.name else draft(seen, source) for seen in facts.values()]
    columns = decided(columns, request, base, source)
    refuse_nothing_to_learn(columns, source)
    table, rewritten = written(source, columns, scratch)
    version = begun(lambda: table_of(table, source.delimiter))
    repeated = repeated_of(source)
    drafted = contract_of(source, columns, labelled, request.name or slug(source.file.stem))
    drafted = with_proposal(drafted, base.split) if base else drafted
    contract = merge(drafted) if merge else drafted
    typed, findings = typed_of(project, contract, table, scratch) if merge else freshly_typed(contract, table, source, scratch)
    seen = version.result()
    if request.url:
        probe(request.url, seen.sha256, bool(rewritten), scratch)
    url = request.url or (request.address if not rewritten and is_pinnable(request.address) else "")
    proposal = SplitProposal(split=contract.split)
    if not merge:
        numbered = [each.column for each in columns if (each.column.role, each.column.type) == ("identifier", "integer")]
        groups = [each.column.name for each in columns if each.is_group]
        counts = [each.name for each in numbered if each.name not in groups and facts[each.name].filled == source.rows]
        proposal = propose(typed, contract, groups, counts)
        if request.split:
            proposal = msgspec.structs.replace(proposal, split=split_said(request.split, contract))
        drafted = contract = with_proposal(contract, proposal.split)
    held = holdout_of(typed, contract, labelled.counts, source.file.name, scratch)
    deciding, suspects = doubted(typed, scratch, contract)
    return Draft(
        drafted=drafted,
        contract=contract,
        deciding=deciding,
        suspects=suspects,
        label=labelled,
        table=table,
        pinned=PinnedFile(
            name=table.name,
            version=seen.version,
            rows=seen.rows,
            columns=seen.columns,
            sources=(FileSource(url=url, sha256=seen.sha256),),
        ),
        profile=profile_of(typed, contract, seen.version),
        holdout=held.share,
        held_out=held.rows,
        why_held_out=held.why,
        repeated=repeated,
        split=proposal.said(contract),
        tried=tuple(each.split for each in proposal.tried),
        rewritten=rewritten,
        told=tuple(each.told for each in columns if each.told),
        findings=findings,
    )


def with_proposal(contract: Contract, split: Split | None) -> Contract:
    """The contract with the split, whose columns need a value then; of its time no year is learned, for that never comes again."""

    def of(column: Column) -> Column:
        if split is None or column.name not in split.columns or column.role == "label":
            return column
        parts = column.parts and tuple(part for part in column.parts if part != "year" or column.name != split.time)
        return msgspec.structs.replace(column, parts=parts, missing_at_most=0.0)

    return msgspec.structs.replace(contract, split=split, columns=tuple(map(of, contract.columns)))


def decided(columns: list[ColumnDraft], request: AdoptRequest, base: Contract | None, source: TextTable) -> list[ColumnDraft]:
    """The columns with what a person said of those that decide the label, now or when the table was adopted before."""
    unknown = sorted({*request.keep_suspect, *request.known_after, *request.sensitive} - {each.column.name for each in columns})
    if unknown:
        raise SettingsError(
            f"{source.file.name} has no column {unknown[0]!r}.",
            why="--keep-suspect, --known-after and --sensitive name columns of the table.",
            do=f"It has {', '.join(each.column.name for each in columns[:20])}. Nothing was changed.",
        )
    before = base.by_name if base else {}

    def of(each: ColumnDraft) -> ColumnDraft:
        name, earlier = each.column.name, before.get(each.column.name)
        if each.column.role != "feature":
            return each
        after = name in request.known_after or (earlier is not None and earlier.known == "after" and name not in request.keep_suspect)
        kept = name in request.keep_suspect or (earlier is not None and earlier.decides_label and not after)
        fields: dict[str, Any] = {"known": "after", "reason": "It is known only once the outcome is"} if after else {"decides_label": kept}
        column = msgspec.structs.replace(each.column, sensitive=name in request.sensitive, **fields)
        return msgspec.structs.replace(each, column=column)

    return [of(each) for each in columns]


def freshly_typed(contract: Contract, table: Path, source: TextTable, scratch: Path) -> tuple[Path, tuple[str, ...]]:
    """The typed table by a contract that was drafted from its very rows, so that only reading it can find something.

    What was read already and not written anew is not read again.
    """
    typed = scratch / "typed.parquet"
    reading = read_cells(source.cells, contract, scratch, typed) if table == source.file else None
    if reading is None:
        reading = read_file(table, contract, scratch, typed)
    else:
        reading.findings += source.findings
    critical = [finding for finding in reading.findings if finding.severity == "critical"]
    if critical or reading.parts is None:
        raise not_adopted(table, critical[0].message if critical else "Its rows can't be read.")
    return reading.parts, tuple(said(finding) for finding in reading.findings)


def typed_of(project: Project, contract: Contract, table: Path, scratch: Path) -> tuple[Path, tuple[str, ...]]:
    """The typed table by a contract that people have a part in, and what check-data says of it."""
    checked = check_data(project.beside(scratch / "build"), contract, file=table, fetched=None, progress=lambda line: None)
    if not checked.table:
        raise not_adopted(table, checked.findings[0].message)
    return Path(checked.table), tuple(said(finding) for finding in checked.findings if finding.id != "decides-label")


def said(finding: Finding) -> str:
    return f"{finding.severity}: {finding.message}"


def probe(url: str, sha256: str, rewritten: bool, scratch: Path) -> None:
    """Raises SettingsError where the address does not give the bytes that are to be pinned."""
    try:
        permit(url, TRUSTED)
        receive_all(url, scratch / "probed", lambda line: None, TRUSTED)
        found = sha256_of(scratch / "probed")
    except PushlineError as error:
        why, do = f"{error.what} {error.why}", "Give an https address that anyone may read without signing in, or leave --url out."
    else:
        if found == sha256:
            return
        why = f"It gives other bytes: sha256 {found[:12]}..., where those to pin have {sha256[:12]}..."
        do = "Put this very file there, or leave --url out."
        if rewritten:
            do = "The file had to be written anew: adopt it without --url, upload the file that data.lock pins, and add its `url` there."
    raise SettingsError(f"{url} can't be the table's address.", why=why, do=f"{do} Nothing was changed.")


def is_pinnable(address: str) -> bool:
    """Whether an address may stand in git: what follows a question mark may be a key."""
    return address.startswith(("https://", "http://")) and "?" not in address


def slug(text: str) -> str:
    """A name for the data set and the model, from a file's name."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    parts = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    parts = parts if parts[:1].isalpha() else f"table-{parts}".rstrip("-")
    return parts[:40].rstrip("-") if len(parts) > 1 else "table"


def refuse_rare(label: Label, source: TextTable) -> None:
    rare = [f"{value!r} has {count}" for value, count in label.counts.items() if count < LEAST]
    if rare:
        raise SettingsError(
            f"{source.file.name} can't be adopted.",
            why=f"Each class needs {LEAST} rows at least, to learn from and to be judged by: {', '.join(rare[:5])}.",
            do="Nothing was changed. Bring more rows of it, or write it as one class with another.",
        )


def refuse_nothing_to_learn(columns: list[ColumnDraft], source: TextTable) -> None:
    if any(each.column.role == "feature" for each in columns):
        return
    reasons = "; ".join(f"{each.column.name}: {each.column.reason}" for each in columns if each.column.role != "label")
    raise not_adopted(source.file, f"No column is left to learn from. {reasons}.", "Nothing was changed. Add columns a model can use.")


def contract_of(source: TextTable, columns: list[ColumnDraft], label: Label, name: str) -> Contract:
    contract = Contract(
        name=name,
        title=name.replace("-", " ").capitalize(),
        description=f"Rows of {source.file.name}; the label is {label.column.name}.",
        positive=label.positive,
        delimiter=source.delimiter,
        rows_at_least=max(2 * LEAST, source.rows // 10),
        **({"task": label.task} if label.task == "regression" else {"rarest_class_at_least": round(label.rarest / 4, 4)}),
        columns=tuple(each.column for each in columns),
    )
    return parse_contract(msgspec.to_builtins(contract), "The drafted contract")


def written(source: TextTable, columns: list[ColumnDraft], scratch: Path) -> tuple[Path, tuple[str, ...]]:
    """The file to pin: the given one as it is, or one that says the same in the way the checks read it."""
    rewritten = (*source.changed, *(each.rewritten for each in columns if each.rewritten))
    if not rewritten:
        return source.file, ()
    table = scratch / f"{source.file.stem}.csv"
    cells = ", ".join(
        f"{(each.rewrite or '{cell}').replace('{cell}', f'c{n}')} AS {name_of(each.column.name)}" for n, each in enumerate(columns)
    )
    with database(scratch) as connection:
        connection.execute(
            f"COPY (SELECT {cells} FROM read_parquet({literal(str(source.cells))})) TO {literal(str(table))} "
            f"(FORMAT csv, HEADER true, DELIMITER {literal(source.delimiter)})"
        )
    return table, rewritten


def repeated_of(source: TextTable) -> float:
    """The share of rows that repeat an earlier one in every column."""
    cells = f"read_parquet({literal(str(source.cells))})"
    columns = ", ".join(f"c{number}" for number in range(len(source.names)))
    with database(source.cells.parent) as connection:
        ((different,),) = connection.execute(f"SELECT count(DISTINCT hash({columns})) FROM {cells}").fetchall()
    return float((source.rows - different) / source.rows)


def doubted(typed: Path, scratch: Path, contract: Contract) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Columns that give the label away, and those that may, each with the evidence."""
    from pushline.data.contract.encoding import encoding_of
    from pushline.training import leakage

    columns = contract.features(use_known_after=True)
    matrix, codes = matrix_of(typed, scratch, contract, columns)
    found: dict[str, list[str]] = {}
    for suspect in leakage.suspects_of(matrix, codes, encoding_of(columns), contract):
        found.setdefault(suspect.column, []).append(suspect.reason)
    return deciding_of(columns, matrix, codes, contract), {name: tuple(reasons) for name, reasons in found.items()}
