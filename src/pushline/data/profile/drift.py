"""Whether rows look like the data the profile was made of: per column a statistic, its threshold and a verdict.

The statistic is the population stability index over coarse bins of the profile: sum of (new - old) * ln(new / old). Two
samples of the same data differ by chance; chi-squared / (1/n + 1/m) is how much. A column has drifted where its index is
above both what chance explains and what matters in practice. docs/decisions/0008-drift-rule.md has the evidence.
The rows are those of a file that a person points at, or the inputs that the service recorded.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from pushline.data.contract import Column, Contract
from pushline.data.files.reading import read_file
from pushline.data.files.table import database, literal
from pushline.data.profile.bins import RARE, ColumnProfile, DriftBin, numeric_bins
from pushline.data.profile.histogram import SMALLEST
from pushline.data.profile.profile import Profile, load_profile, value_of
from pushline.data.profile.recorded import LIVE, write_recorded
from pushline.errors import DataCorrupt, DriftFound
from pushline.files import scratch
from pushline.project import Project
from pushline.results import Part

if TYPE_CHECKING:
    import duckdb

ENOUGH = 1000  # rows below which no verdict is given
FLOOR = 0.02  # an index below this matters to nobody: 64 of 100 rows with a value becoming 60 is .007
STRONG = 0.1
CHANCE = 1e-6  # of a false alarm in any column of one table

Verdict = Literal["stable", "drift", "time", "absent", "too few rows"]
MISSING, UNSEEN, OTHER, FREE = "missing", "values not seen before", "rare values", "any text"


class ColumnDrift(Part, frozen=True, kw_only=True):
    """One column: `statistic` is the population stability index, an alarm where it is above `threshold`."""

    column: str
    verdict: Verdict
    statistic: float | None = None
    threshold: float | None = None
    level: Literal["", "moderate", "strong"] = ""
    moved: str = ""  # the bin whose share changed most, with both shares
    label: bool = False


class Drift(Part, frozen=True, kw_only=True):
    """All columns against the profile, the ones that drifted most first."""

    source: str
    data_version: str  # of the profile
    reference_rows: int
    rows: int
    verdict: Literal["stable", "drift", "too few rows"]
    columns: tuple[ColumnDrift, ...]

    @property
    def drifted(self) -> tuple[str, ...]:
        return tuple(column.column for column in self.columns if column.verdict == "drift")


class Reference(Struct, frozen=True, kw_only=True):
    """A column's bins; `missing` is None where missing values don't count, `within` holds a number's seen range."""

    bins: tuple[DriftBin, ...]
    missing: int | None
    within: tuple[float, float] | None = None

    @property
    def counts(self) -> dict[str, int]:
        return {each.name: each.rows for each in self.bins} | {MISSING: self.missing or 0}

    def name_at(self, place: int) -> str:
        return MISSING if place == -1 else UNSEEN if place == -2 else self.bins[place].name

    def place(self, value: str) -> str:
        """SQL for the position of the bin that `value` is in; -1: missing, -2: in none."""
        if self.within is not None and self.bins:
            cases = f"WHEN {value} < {self.within[0]!r} OR {value} > {self.within[1]!r} THEN -2"
            cases += "".join(f" WHEN {value} < {later.begins!r} THEN {at}" for at, later in enumerate(self.bins[1:]))
            otherwise = len(self.bins) - 1
        else:
            listed = [(at, each.values) for at, each in enumerate(self.bins) if each.values]
            cases = "".join(f" WHEN {value} IN ({', '.join(map(literal, values))}) THEN {at}" for at, values in listed)
            otherwise = -2 if listed or not self.bins else 0
        return f"CASE WHEN {value} IS NULL THEN -1 {cases} ELSE {otherwise} END"


class Judge(Struct, frozen=True, kw_only=True):
    """What a column is held against: the reference's rows, and the chance of a false alarm that is left to one column."""

    reference: int
    chance: float

    def of(self, column: Column, reference: Reference, new: dict[str, int]) -> ColumnDrift:
        """The verdict on the counts by bin of one column."""
        from scipy.stats import chi2

        if reference.missing is None:
            new = {name: n for name, n in new.items() if name != MISSING}
        old = reference.counts
        names = [name for name in (*old, *(set(new) - set(old))) if old.get(name) or new.get(name)]
        label = column.role == "label"
        rows, total = sum(new.values()), sum(old.values())
        few = rows < ENOUGH
        if rows == 0 or len(names) < 2:
            return ColumnDrift(column=column.name, verdict="too few rows" if few else "stable", label=label)
        before = {name: max(old.get(name, 0), SMALLEST) / total for name in names}
        after = {name: (new.get(name, 0) + 0.5) / (rows + 0.5 * len(names)) for name in names}
        index = sum((after[name] - before[name]) * math.log(after[name] / before[name]) for name in names)
        threshold = max(FLOOR, float(chi2.isf(self.chance, len(names) - 1)) * (1 / rows + 1 / self.reference))
        verdict: Verdict = "time" if column.encodes_time else "too few rows" if few else "drift" if index > threshold else "stable"
        most = max(names, key=lambda name: abs(after[name] - before[name]))
        return ColumnDrift(
            column=column.name,
            verdict=verdict,
            statistic=round(index, 5),
            threshold=round(threshold, 5),
            level=("strong" if index >= STRONG else "moderate") if verdict == "drift" else "",
            moved=f"{most}: {old.get(most, 0) / total:.1%} to {new.get(most, 0) / rows:.1%}",
            label=label,
        )


def drift_of(file: Path, contract: Contract, profile: Profile, source: str = "") -> Drift:
    """The drift of a typed table in `file` (Parquet); columns it does not hold are said to be absent."""
    with database() as connection:
        connection.execute(f"CREATE VIEW data AS FROM read_parquet({literal(str(file))})")
        return drift_of_view(connection, contract, profile, source or file.name)


def drift_of_view(connection: "duckdb.DuckDBPyConnection", contract: Contract, profile: Profile, source: str) -> Drift:
    """The drift of the rows in the view `data`, whose columns have the contract's types."""
    rows = int((connection.execute("SELECT count(*) FROM data").fetchone() or (0,))[0])
    present = {str(row[0]) for row in connection.execute("DESCRIBE data").fetchall()}
    known = {column.name: column for column in profile.columns}
    watched = [column for column in (*contract.inputs, contract.label) if column is contract.label or column.name in known]
    watched = [column for column in watched if column.role in ("feature", "label")]
    references = {c.name: reference_of(known[c.name], profile.rows) if c.name in known else label_reference(profile) for c in watched}
    counted = counts_of(connection, [(column, references[column.name]) for column in watched if column.name in present])
    judge = Judge(reference=profile.rows, chance=CHANCE / len(watched))
    columns = [
        judge.of(column, references[column.name], counted[column.name])
        if column.name in present
        else ColumnDrift(column=column.name, verdict="absent")
        for column in watched
        if column.name in present or column is not contract.label
    ]
    return Drift(
        source=source,
        data_version=profile.data_version,
        reference_rows=profile.rows,
        rows=rows,
        verdict=verdict_of(columns, rows),
        columns=tuple(sorted(columns, key=lambda c: (c.verdict != "drift", c.verdict == "time", -(c.statistic or 0)))),
    )


def verdict_of(columns: Sequence[ColumnDrift], rows: int) -> Literal["stable", "drift", "too few rows"]:
    if rows < ENOUGH:
        return "too few rows"
    return "drift" if any(column.verdict == "drift" for column in columns) else "stable"


def counts_of(connection: "duckdb.DuckDBPyConnection", wanted: Sequence[tuple[Column, Reference]]) -> dict[str, dict[str, int]]:
    """The rows in each bin of each column, in one pass over the view."""
    if not wanted:
        return {}
    values = ", ".join(f"{value_of(column)} AS v{n}" for n, (column, _) in enumerate(wanted))
    places = ", ".join(f"{reference.place(f'v{n}')} AS p{n}" for n, (_, reference) in enumerate(wanted))
    names = [f"p{n}" for n in range(len(wanted))]
    sets = ", ".join(f"({name})" for name in names)
    counted: dict[str, dict[str, int]] = {column.name: {} for column, _ in wanted}
    for *found, rows in connection.execute(
        f"SELECT {', '.join(names)}, count(*) FROM (SELECT {places} FROM (SELECT {values} FROM data)) GROUP BY GROUPING SETS ({sets})"
    ).fetchall():
        for (column, reference), at in zip(wanted, found, strict=True):
            if at is not None:  # of the set that this row counts
                counted[column.name][reference.name_at(int(at))] = int(rows)
    return counted


def reference_of(known: ColumnProfile, total: int) -> Reference:
    """The coarse bins of a column of `total` rows."""
    sizes = [sum(cell) for cell in zip(*known.counts, strict=True)]
    missing = sum(known.missing)
    if known.kind == "free":
        return Reference(bins=(DriftBin(name=FREE, rows=total - missing),), missing=missing)
    if known.kind == "number":
        half = 0.5 * 10.0**-known.decimals  # of the last digit: what rounding may have moved
        within = (known.low[0] - half, known.high[-1] + half) if sizes else None
        return Reference(bins=tuple(numeric_bins(known, sizes, total)), missing=missing, within=within)
    return Reference(bins=tuple(textual_bins(dict(zip(known.values, sizes, strict=True)), total)), missing=missing)


def label_reference(profile: Profile) -> Reference:
    """The classes, each a bin; rows without a label don't count."""
    bins = (DriftBin(name=name, rows=n, values=(name,)) for name, n in zip(profile.classes, profile.class_counts, strict=True))
    return Reference(bins=tuple(bins), missing=None)


def textual_bins(sizes: dict[str, int], total: int) -> list[DriftBin]:
    """A bin for every value that is not rare, and one for the rare ones together."""
    rare = [value for value, n in sizes.items() if n < RARE * total]
    alone = list(sizes) if len(rare) < 2 else [value for value in sizes if value not in rare]
    bins = [DriftBin(name=value, rows=sizes[value], values=(value,)) for value in alone]
    if len(alone) < len(sizes):
        bins.append(DriftBin(name=OTHER, rows=sum(sizes[value] for value in rare), values=tuple(rare)))
    return bins


def drift_of_file(project: Project, contract: Contract, file: Path) -> Drift:
    """The drift of a CSV or Parquet file, with or without the label and the columns known only after the event.

    Raises DataUnavailable where there is no such file, DataCorrupt where it can't be read as the contract's table or lacks
    a column that the model needs.
    """
    profile = load_profile(project.profile)
    with scratch(project.state / "drift") as folder:
        reading = read_file(file, contract, folder, folder / "table.parquet")
        lacking = [column.name for column in contract.features() if column.name not in reading.columns.values()]
        if reading.parts is None or lacking:
            first = next((finding.message for finding in reading.findings if finding.severity == "critical"), "")
            raise DataCorrupt(
                f"{file.name} can't be held against the profile.",
                why=first or f"It lacks {', '.join(lacking)}.",
                do=f"`pushline check-data {file}` says more.",
            )
        return drift_of(reading.parts, contract, profile, file.name)


def drift_of_recorded(
    project: Project, contract: Contract, *, folder: Path | None = None, days: float | None = None, version: str | None = None
) -> Drift:
    """The drift of the inputs that the service kept, by default the live release's. Raises DataUnavailable where there are none."""
    profile = load_profile(project.profile)
    with scratch(project.state / "drift") as place:
        table = place / "table.parquet"
        write_recorded(folder or project.state / LIVE, contract, table, days=days, version=version)
        return drift_of(table, contract, profile, "recorded inputs")


def refuse(drift: Drift) -> None:
    """Raises DriftFound where the verdict is drift."""
    if drift.verdict != "drift":
        return
    first = drift.columns[0]
    raise DriftFound(
        f"{drift.source} has drifted in {len(drift.drifted)} of {len(drift.columns)} columns: {', '.join(drift.drifted[:5])}.",
        why=f"{first.column}: {first.moved}; index {first.statistic:g}, threshold {first.threshold:g}.",
        do="Measure the model on new labelled rows with `pushline evaluate`, or add them with `pushline data add` and retrain.",
    )
