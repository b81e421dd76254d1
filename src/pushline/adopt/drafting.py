"""From the given file to everything adopt proposes: contract, suspects, pinned table, profile, settings."""

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pushline.adopt.draft import Drafted, draft
from pushline.adopt.facts import facts_of
from pushline.adopt.given import Given, not_adopted
from pushline.adopt.label import Label, label_of
from pushline.data.check import check_data
from pushline.data.contract import Contract, parse_contract
from pushline.data.lock import PinnedFile, Source
from pushline.data.profile import Profile, profile_of
from pushline.data.reading import database
from pushline.data.split import holdout_sql
from pushline.data.table import literal, name_of
from pushline.data.version import table_of
from pushline.errors import SettingsError
from pushline.project import Project

SHARES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
HELD_OUT = 10  # rows of each class in the hold-out, where the table has enough
LEAST = 10  # rows of each class in the whole table
ROWS_LOOKED_AT = 100_000


class Draft(Struct, frozen=True, kw_only=True):
    """What was made of the file; `table` is the file to pin, in the scratch folder or as it was given."""

    drafted: Contract  # from the table alone
    contract: Contract  # to propose
    suspects: dict[str, tuple[str, ...]]  # by column
    label: Label
    table: Path
    pinned: PinnedFile
    profile: Profile
    holdout: float
    held_out: int  # rows
    rewritten: tuple[str, ...]  # what differs between the given file and `table`
    findings: tuple[str, ...]  # of check-data, by the drafted contract

    @property
    def why_held_out(self) -> str:
        """Why more than the usual share is held out; empty where it is not."""
        if self.holdout <= SHARES[0]:
            return ""
        return f"{self.holdout:.0%} instead of {SHARES[0]:.0%}, so that {HELD_OUT} rows of the rarest class are among them"


class Apart(Project):
    """The project with a build folder of its own, and without its rules where they speak of another table."""

    def __init__(self, project: Project, folder: Path, *, with_rules: bool) -> None:
        super().__init__(project.root)
        self._folder = folder
        self._rules = project.rules if with_rules else folder / "no-rules.py"

    @property
    def build(self) -> Path:
        return self._folder / "build"

    @property
    def rules(self) -> Path:
        return self._rules


class Wish(Struct, frozen=True, kw_only=True):
    """What was asked for."""

    file: Path
    label: str
    positive: str | None = None
    name: str | None = None
    url: str = ""


def draft_of(project: Project, wish: Wish, given: Given, scratch: Path, merge: Callable[[Contract], Contract] | None) -> Draft:
    """Draft everything from the file. `merge` brings in what people made of an earlier draft of this table.

    Raises DataError or SettingsError, saying why, for a table that can't be adopted.
    """
    file, label, positive, name, url = wish.file, wish.label, wish.positive, wish.name, wish.url
    facts = {seen.name: seen for seen in facts_of(given, scratch)}
    labelled = label_of(facts, label, positive, given)
    refuse_rare(labelled, given)
    commas = any(seen.not_thousands for seen in facts.values())
    columns = [
        labelled.drafted if seen.name == labelled.column.name else draft(seen, given, decimal_commas=commas) for seen in facts.values()
    ]
    refuse_nothing_to_learn(columns, given)
    called = name or slug(file.stem)
    table, rewritten = written(given, columns, scratch)
    drafted = contract_of(given, columns, labelled, called)
    contract = merge(drafted) if merge else drafted
    apart = Apart(project, scratch, with_rules=merge is not None)
    checked = check_data(apart, contract, file=table, fetched=None, tell=lambda line: None)
    if checked.critical and (merge is None or not checked.table):
        worst = next(finding for finding in checked.findings if finding.severity == "critical")
        raise not_adopted(file, worst.message)
    typed = Path(checked.table)
    seen = table_of(table, contract.delimiter)
    share, held_out = holdout_of(typed, contract, given, scratch)
    return Draft(
        drafted=drafted,
        contract=contract,
        suspects=suspects_of(typed, contract),
        label=labelled,
        table=table,
        pinned=PinnedFile(
            name=table.name, version=seen.version, rows=seen.rows, columns=seen.columns, sources=(Source(url=url, sha256=seen.sha256),)
        ),
        profile=profile_of(typed, contract, seen.version),
        holdout=share,
        held_out=held_out,
        rewritten=rewritten,
        findings=tuple(f"{finding.severity}: {finding.message}" for finding in checked.findings),
    )


def slug(text: str) -> str:
    """A name for the data set and the model, from a file's name."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    parts = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    parts = parts if parts[:1].isalpha() else f"table-{parts}".rstrip("-")
    return parts[:40].rstrip("-") if len(parts) > 1 else "table"


def refuse_rare(label: Label, given: Given) -> None:
    rare = [f"{value!r} has {count}" for value, count in label.counts.items() if count < LEAST]
    if rare:
        raise SettingsError(
            f"{given.file.name} can't be adopted.",
            why=f"Each class needs {LEAST} rows at least, to learn from and to be judged by: {', '.join(rare[:5])}.",
            do="Nothing was changed. Bring more rows of it, or write it as one class with another.",
        )


def refuse_nothing_to_learn(columns: list[Drafted], given: Given) -> None:
    if any(each.column.role == "feature" for each in columns):
        return
    reasons = "; ".join(f"{each.column.name}: {each.column.reason}" for each in columns if each.column.role != "label")
    raise not_adopted(given.file, f"No column is left to learn from. {reasons}.", "Nothing was changed. Add columns a model can use.")


def contract_of(given: Given, columns: list[Drafted], label: Label, name: str) -> Contract:
    contract = Contract(
        name=name,
        title=name.replace("-", " ").capitalize(),
        description=f"Rows of {given.file.name}; the label is {label.column.name}.",
        positive=label.positive,
        delimiter=given.delimiter,
        rows_at_least=max(2 * LEAST, given.rows // 10),
        rarest_class_at_least=round(label.rarest / 4, 4),
        columns=tuple(each.column for each in columns),
    )
    return parse_contract(msgspec.to_builtins(contract), "The drafted contract")


def written(given: Given, columns: list[Drafted], scratch: Path) -> tuple[Path, tuple[str, ...]]:
    """The file to pin: the given one as it is, or one that says the same in the way the checks read it."""
    rewritten = (*given.changed, *(each.rewritten for each in columns if each.rewritten))
    if not rewritten:
        return given.file, ()
    table = scratch / f"{given.file.stem}.csv"
    cells = ", ".join(
        f"{(each.rewrite or '{cell}').replace('{cell}', f'c{n}')} AS {name_of(each.column.name)}" for n, each in enumerate(columns)
    )
    with database(scratch) as connection:
        connection.execute(
            f"COPY (SELECT {cells} FROM read_parquet({literal(str(given.cells))})) TO {literal(str(table))} "
            f"(FORMAT csv, HEADER true, DELIMITER {literal(given.delimiter)})"
        )
    return table, rewritten


def of(typed: Path) -> str:
    return f"read_parquet({literal(str(typed))})"


def query(connection: Any, sql: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
    return found


def holdout_of(typed: Path, contract: Contract, given: Given, scratch: Path) -> tuple[float, int]:
    """The smallest share that holds out enough rows of each class, and how many rows that are. Raises SettingsError."""
    best: tuple[int, float, int] = (0, 0.0, 0)
    name = name_of(contract.label.name)
    with database(scratch) as connection:
        for share in SHARES:
            held = f"count(*) FILTER ({holdout_sql(contract, share)})"
            labelled = f"{of(typed)} WHERE {name} IS NOT NULL"
            counts = [
                (int(out), int(rows) - int(out))
                for out, rows in query(connection, f"SELECT {held}, count(*) FROM {labelled} GROUP BY {name}")
            ]
            fewest = min(min(out, HELD_OUT) if left >= 5 else 0 for out, left in counts)
            if fewest > best[0]:
                best = (fewest, share, sum(out for out, _ in counts))
            if fewest >= HELD_OUT:
                break
    if best[0] < 2:
        raise SettingsError(
            f"{given.file.name} can't be adopted.",
            why="Whichever share of its rows is held out, the hold-out or the training rows lack a class.",
            do="Nothing was changed. Bring more rows of the rarest class.",
        )
    return best[1], best[2]


def suspects_of(typed: Path, contract: Contract) -> dict[str, tuple[str, ...]]:
    """Columns that may give the label away, each with the evidence."""
    import pandas as pd

    from pushline.data.encoding import encode_frame, encoding_of
    from pushline.data.labels import NO_CLASS, class_codes
    from pushline.training import leakage

    frame = pd.read_parquet(typed).head(ROWS_LOOKED_AT)
    codes = class_codes(contract, frame[contract.label.name])
    frame, codes = frame[codes != NO_CLASS], codes[codes != NO_CLASS]
    encoding = encoding_of(contract.features(use_known_after=True))
    found: dict[str, list[str]] = {}
    for suspect in leakage.suspects_of(encode_frame(encoding, frame), codes, encoding, contract):
        found.setdefault(suspect.column, []).append(suspect.reason)
    return {name: tuple(reasons) for name, reasons in found.items()}
