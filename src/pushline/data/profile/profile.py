"""`data_checks/profile.json`: what the training data looks like, in aggregates alone.

Per column and class the histogram; columns that belong together keep their joint histogram. A quantity has bands in the
place of classes, ranges of the label with about equally many rows, and the label's own histogram among the columns.
Generated rows are drawn from it, and drift is measured against it. What a cell may hold so that it tells of no row is
decided in histogram.py.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from msgspec import Struct, field

from pushline.arrays import Floats, Ints
from pushline.data.contract import Column, Contract
from pushline.data.files.table import literal, name_of, open_table, unreadable
from pushline.data.files.version import table_of
from pushline.data.profile.bins import ColumnProfile, edges_of, numeric_bins
from pushline.data.profile.histogram import (
    FEW,
    SMALLEST,
    ByClass,
    HistogramCell,
    Values,
    coarsened,
    decimals_of,
    merged,
    on_grid,
    ranges_of,
    rounded,
    values_of,
)
from pushline.errors import DataError, GateClosed, SettingsError
from pushline.files import write_atomically
from pushline.project import Project
from pushline.results import CheckDataResult, Part, load

if TYPE_CHECKING:
    import duckdb

DISTINCT = 20_000  # more distinct numbers are first put into as many equal parts
CELLS_AT_ONCE = 2_000_000  # fetched with one query
MISSING = -1


class GroupProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The joint histogram of columns that belong together: each cell is a position in every column's own cells."""

    name: str
    columns: tuple[str, ...]
    cells: tuple[tuple[int, ...], ...]  # -1: missing
    counts: tuple[tuple[int, ...], ...]  # by class


class Profile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole table."""

    schema: Literal[1] = 1
    data: str
    data_version: str
    rows: int
    classes: tuple[str, ...]
    class_counts: tuple[int, ...]
    columns: tuple[ColumnProfile, ...]
    groups: tuple[GroupProfile, ...] = field(default_factory=tuple)

    def column(self, name: str) -> ColumnProfile | None:
        return next((column for column in self.columns if column.name == name), None)


def load_profile(file: Path) -> Profile:
    """The profile in `file`. Raises SettingsError."""
    again = "Make it with `pushline profile`, or restore it from git."
    try:
        return msgspec.json.decode(file.read_bytes(), type=Profile)
    except FileNotFoundError as error:
        raise SettingsError(
            f"{file} does not exist.", why="Generated rows are drawn from it, drift is measured by it.", do=again
        ) from error
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError(f"{file} is not a valid profile.", why=f"{error}.", do=again) from error


def write_profile(file: Path, profile: Profile) -> None:
    """Write it with one line a column, so that a difference reads well."""
    head = msgspec.to_builtins(profile)
    text = "{\n"
    for key, value in head.items():
        if key in ("columns", "groups"):
            lines = ",\n".join("    " + msgspec.json.encode(part).decode() for part in value)
            text += f'  "{key}": [\n{lines}\n  ]' if value else f'  "{key}": []'
        else:
            text += f'  "{key}": {msgspec.json.encode(value).decode()}'
        text += "\n" if key == "groups" else ",\n"
    write_atomically(file, (text + "}\n").encode())


def profile_of(file: Path, contract: Contract, data_version: str) -> Profile:
    """The profile of a table in `file` (Parquet, or CSV with the contract's columns); rows without a label are left out.

    Raises DataError where the file can't be read, or holds no row of some class.
    """
    import duckdb

    with open_table(file, contract) as connection:
        try:
            return ClassCounts(connection, contract).profile(data_version)
        except duckdb.Error as error:
            raise unreadable(file, error) from error


class ClassCounts:
    """Queries on the view `data`, counted by class."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection", contract: Contract) -> None:
        self.connection = connection
        self.contract = contract
        self.batch: dict[str, Floats] = {}
        self.classes = contract.classes
        listed = ", ".join(map(literal, contract.classes))
        self.number = f"list_position([{listed}], CAST({name_of(contract.label.name)} AS VARCHAR)) - 1"  # of the row's class
        if contract.is_regression:
            self.classes, self.number = ("all",), f"CASE WHEN {value_of(contract.label)} IS NOT NULL THEN 0 END"
            self.classes, self.number = self.bands()
            del self.labels

    def bands(self) -> tuple[tuple[str, ...], str]:
        """The names of a quantity's bands, and SQL for the number of the band that a row is in."""
        value, known = value_of(self.contract.label), self.column(self.contract.label)
        if not known.cells:
            return self.classes, self.number
        bins = numeric_bins(known, known.counts[0], sum(known.counts[0]))
        cases = "".join(f" WHEN {value} < {later.begins!r} THEN {at}" for at, later in enumerate(bins[1:]))
        return tuple(each.name for each in bins), f"CASE WHEN {value} IS NULL THEN NULL{cases} ELSE {len(bins) - 1} END"

    @property
    def per_class(self) -> str:
        return ", ".join(f"sum(CASE WHEN label = {n} THEN n ELSE 0 END)::BIGINT" for n in range(len(self.classes)))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()

    def profile(self, data_version: str) -> Profile:
        classes = self.classes
        counts = dict(self.query(f"SELECT {self.number} AS class, count(*) FROM data WHERE {self.number} IS NOT NULL GROUP BY 1"))
        class_counts = tuple(int(counts.get(number, 0)) for number in range(len(classes)))
        if not all(class_counts):
            empty = classes[class_counts.index(0)]
            raise DataError(
                f"No row has the label {empty!r}.", why="A profile needs rows of every class.", do="Profile the whole training data."
            )
        counted = (*self.contract.inputs, *([self.contract.label] if self.contract.is_regression else []))
        columns = {column.name: self.column(column) for column in counted}
        groups: dict[str, list[ColumnProfile]] = {}
        for column in self.contract.inputs:
            if column.belongs_with and columns[column.name].kind != "free":
                groups.setdefault(column.belongs_with, []).append(columns[column.name])
        joint = (self.group(name, members) for name, members in groups.items() if len(members) > 1)
        return Profile(
            data=self.contract.name,
            data_version=data_version,
            rows=sum(class_counts),
            classes=classes,
            class_counts=class_counts,
            columns=tuple(columns.values()),
            groups=tuple(group for group in joint if group.cells),
        )

    def column(self, column: Column) -> ColumnProfile:
        if column.role == "identifier" or (column.is_text and not column.allowed):
            counts = self.by_value(f"CASE WHEN {name_of(column.name)} IS NOT NULL THEN '' END")
            seen = counts.get(None, (0,) * len(self.classes))
            return ColumnProfile(name=column.name, kind="free", missing=told(seen))
        if column.type in ("string", "boolean"):
            counts = self.by_value(value_of(column))
            seen = counts.pop(None, (0,) * len(self.classes))
            kept = values_of({str(value): own for value, own in counts.items()}, column.allowed or ("false", "true"))
            per_class = with_few_missing(by_class(list(kept.values()), len(self.classes)), seen, told(seen))
            return ColumnProfile(name=column.name, kind="category", values=tuple(kept), counts=per_class, missing=told(seen))
        values, seen = self.numbers(column)
        cells, decimals = list[HistogramCell](), 0
        if values.counts.sum() >= SMALLEST:
            digits = decimals_of(np.concatenate([values.low, values.high]))
            cells, decimals = rounded(on_grid(coarsened(ranges_of(values)), values), digits)
        return ColumnProfile(
            name=column.name,
            kind="number",
            decimals=decimals,
            low=tuple(cell.low for cell in cells),
            high=tuple(cell.high for cell in cells),
            counts=with_few_missing(by_class([cell.counts for cell in cells], len(self.classes)), seen, told(seen)),
            missing=told(seen),
        )

    def by_value(self, value: str) -> dict[Any, ByClass]:
        """The rows of each class by value, None among them."""
        counted = f"SELECT {value} AS v, {self.number} AS label, count(*) AS n FROM data WHERE {self.number} IS NOT NULL GROUP BY 1, 2"
        return {row[0]: whole(row[1:]) for row in self.query(f"SELECT v, {self.per_class} FROM ({counted}) GROUP BY v")}

    def numbers(self, column: Column) -> tuple[Values, ByClass]:
        """The distinct values, very many of them put into DISTINCT parts of about equal size; and the rows without one, by class."""
        labels, values = self.labels, self.fetched(column)
        values, labels = values[labels >= 0], labels[labels >= 0]
        known = ~np.isnan(values)
        missing = np.bincount(labels[~known], minlength=len(self.classes))
        values, labels = values[known], labels[known]
        order = np.argsort(values)
        values, labels = values[order], labels[order]
        starts = np.flatnonzero(np.diff(values, prepend=np.nan) != 0)
        ends = np.append(starts, len(values))[1:]
        if len(starts) > DISTINCT:
            starts = starts[np.diff(ends * DISTINCT // len(values), prepend=-1) != 0]
            ends = np.append(starts, len(values))[1:]
        cells = np.repeat(np.arange(len(starts)), ends - starts) * len(self.classes) + labels
        counts = np.bincount(cells, minlength=len(starts) * len(self.classes)).reshape(len(starts), len(self.classes))
        return Values(values[starts], values[ends - 1], counts), whole(missing)

    @cached_property
    def labels(self) -> Ints:
        """The number of each row's class, -1 for none."""
        found = self.connection.execute(f"SELECT coalesce({self.number}, -1)::SMALLINT AS label FROM data").fetchnumpy()
        return np.asarray(found["label"])

    def fetched(self, column: Column) -> Floats:
        """The values of a column of numbers, NaN where it is missing; of a small table the next columns are fetched at once."""
        if column.name not in self.batch:
            numbers = [each for each in (*self.contract.inputs, self.contract.label) if each.type in ("integer", "number")]
            start = numbers.index(column)
            batch = numbers[start : start + max(1, CELLS_AT_ONCE // max(1, len(self.labels)))]
            values = ", ".join(f"CAST({value_of(each)} AS DOUBLE) AS v{number}" for number, each in enumerate(batch))
            found = self.connection.execute(f"SELECT {values} FROM data").fetchnumpy()
            self.batch = {each.name: np.ma.filled(np.ma.asarray(found[f"v{n}"]), np.nan) for n, each in enumerate(batch)}
        return self.batch[column.name]

    def group(self, name: str, members: list[ColumnProfile]) -> GroupProfile:
        values = ", ".join(f"{value_of(self.contract.by_name[member.name])} AS v{n}" for n, member in enumerate(members))
        source = f"(SELECT {values}, {self.number} AS label FROM data WHERE {self.number} IS NOT NULL)"
        joins, places = "", []
        for n, member in enumerate(members):
            joins += self.join_places(n, member)
            sizes = [sum(cell) for cell in zip(*member.counts, strict=True)]
            common = sizes.index(max(sizes)) if sizes else MISSING  # where the values too rare for a cell were counted
            places.append(f"CASE WHEN v{n} IS NULL THEN {MISSING} ELSE coalesce(place_{n}.place, {common}) END AS p{n}")
        placed = f"SELECT {', '.join(places)}, label, count(*) AS n FROM {source} {joins} GROUP BY ALL"
        keys = ", ".join(f"p{n}" for n in range(len(members)))
        found = self.query(f"SELECT {keys}, {self.per_class} FROM ({placed}) GROUP BY {keys} ORDER BY {keys}")
        cells = {whole(row[: len(members)]): whole(row[len(members) :]) for row in found}
        kept = merged(cells, [member.cells if member.kind == "number" else None for member in members])
        return GroupProfile(
            name=name,
            columns=tuple(member.name for member in members),
            cells=tuple(kept),
            counts=by_class(list(kept.values()), len(self.classes)),
        )

    def join_places(self, n: int, member: ColumnProfile) -> str:
        """Make a table of the member's cells, and return the join that finds the cell of its value."""
        if member.kind == "number":
            keys: list[float] | list[str] = [float("-inf"), *edges_of(member)]
            join = f"ASOF LEFT JOIN place_{n} ON v{n} >= place_{n}.key"
        else:
            keys, join = list(member.values), f"LEFT JOIN place_{n} ON v{n} = place_{n}.key"
        kind = "DOUBLE" if member.kind == "number" else "VARCHAR"
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE place_{n} (key {kind}, place BIGINT)")
        if keys:
            self.connection.executemany(f"INSERT INTO place_{n} VALUES (?, ?)", [(key, place) for place, key in enumerate(keys)])
        return f" {join}"


def value_of(column: Column) -> str:
    """The column's value in SQL, NULL where it is missing or no number."""
    name = name_of(column.name)
    if column.other:
        return f"CASE WHEN {name} IN ({', '.join(map(literal, column.allowed or ()))}) THEN {name} END"
    if column.type == "number":
        return f"CASE WHEN isfinite({name}) THEN CAST({name} AS DOUBLE) END"
    return f"CAST({name} AS VARCHAR)" if column.type in ("string", "boolean") else name


def whole(values: Iterable[Any]) -> ByClass:
    return tuple(int(value or 0) for value in values)


def told(missing: ByClass) -> ByClass:
    """The missing values of each class, as far as they are enough to tell of no row."""
    return tuple(count if count >= FEW and sum(missing) >= SMALLEST else 0 for count in missing)


def by_class(cells: Sequence[ByClass], classes: int) -> tuple[tuple[int, ...], ...]:
    """Counts by cell turned into counts by class."""
    return tuple(tuple(cell[number] for cell in cells) for number in range(classes))


def with_few_missing(counts: tuple[ByClass, ...], seen: ByClass, kept: ByClass) -> tuple[ByClass, ...]:
    """Counts by class with the missing values that are too few to be told, in the fullest cell of their class."""
    made = []
    for cells, all_of_them, told in zip(counts, seen, kept, strict=True):
        most = cells.index(max(cells)) if cells else -1
        made.append(tuple(count + (all_of_them - told if place == most and count else 0) for place, count in enumerate(cells)))
    return tuple(made)


class ProfileResult(Part, frozen=True, kw_only=True):
    """What `pushline profile` made."""

    file: str
    data_version: str
    rows: int
    columns: int
    groups: int
    class_counts: dict[str, int]
    size: int  # bytes


def renew_profile(project: Project, contract: Contract, file: Path | None) -> ProfileResult:
    """Make `data_checks/profile.json` from the checked table, or from `file`.

    Raises SettingsError where check-data has not run, or ran on generated rows: a profile of rows that were drawn from it
    would say nothing new. Raises GateClosed where the check found something critical.
    """
    version = ""
    if file is None:
        checked = load(project.build, CheckDataResult)
        if checked.generated_sample:
            raise SettingsError(
                "The checked table is a generated sample.",
                why="It was drawn from the profile that is there already.",
                do="Run `pushline fetch` and `pushline check-data` where the real data can be had, or name a FILE.",
            )
        if checked.critical:
            raise GateClosed(
                "The checked table has critical findings.", why="A profile is what good data looks like.", do="Correct the data first."
            )
        file, version = project.root / checked.table, checked.data_version
    elif file.is_file():
        version = table_of(file, contract.delimiter).version
    profile = profile_of(file, contract, version)
    write_profile(project.profile, profile)
    return ProfileResult(
        file=str(project.profile),
        data_version=profile.data_version,
        rows=profile.rows,
        columns=len(profile.columns),
        groups=len(profile.groups),
        class_counts=dict(zip(profile.classes, profile.class_counts, strict=True)),
        size=project.profile.stat().st_size,
    )
