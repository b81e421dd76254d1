"""Whether rows look like the data the profile was made of: per column a statistic, its threshold and a verdict.

The statistic is the population stability index over coarse bins of the profile: sum of (new - old) * ln(new / old). Two
samples of the same data differ by chance; chi-squared / (1/n + 1/m) is how much. A column has drifted where its index is
above both what chance explains and what matters in practice. docs/decisions/ has the evidence.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from pushline.data.contract import Column, Contract
from pushline.data.histogram import SMALLEST
from pushline.data.profile import ColumnProfile, Profile, edges_of, value_of
from pushline.data.table import literal, name_of
from pushline.results import Part

if TYPE_CHECKING:
    import duckdb

ENOUGH = 1000  # rows below which no verdict is given
FLOOR = 0.02  # an index below this matters to nobody: 2 of 3 callers by one channel becoming 6 of 10 is .005
STRONG = 0.1
CHANCE = 1e-6  # of a false alarm in any column of one table
PARTS = 10  # bins a number is put into, about equally full
RARE = 0.01  # texts with a smaller share make one bin

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


class Bin(Struct, frozen=True, kw_only=True):
    """A bin of the reference: its rows there, and the texts it holds or the number it begins at."""

    name: str
    rows: int
    values: tuple[str, ...] = ()
    begins: float = -math.inf


class Judge(Struct, frozen=True, kw_only=True):
    """What a column is held against: the reference's rows, and the chance of a false alarm that is left to one column."""

    reference: int
    chance: float

    def of(self, column: str, old: dict[str, int], new: dict[str, int], *, time: bool = False, label: bool = False) -> ColumnDrift:
        """The verdict on counts by bin: `old` of the reference, `new` of the rows in question."""
        from scipy.stats import chi2

        names = [name for name in (*old, *(set(new) - set(old))) if old.get(name) or new.get(name)]
        rows, total = sum(new.values()), sum(old.values())
        if rows == 0 or len(names) < 2:
            return ColumnDrift(column=column, verdict="too few rows" if rows < ENOUGH else "stable", label=label)
        before = {name: max(old.get(name, 0), SMALLEST) / total for name in names}
        after = {name: (new.get(name, 0) + 0.5) / (rows + 0.5 * len(names)) for name in names}
        index = sum((after[name] - before[name]) * math.log(after[name] / before[name]) for name in names)
        threshold = max(FLOOR, float(chi2.isf(self.chance, len(names) - 1)) * (1 / rows + 1 / self.reference))
        verdict: Verdict = "time" if time else "too few rows" if rows < ENOUGH else "drift" if index > threshold else "stable"
        most = max(names, key=lambda name: abs(after[name] - before[name]))
        return ColumnDrift(
            column=column,
            verdict=verdict,
            statistic=round(index, 5),
            threshold=round(threshold, 5),
            level=("strong" if index >= STRONG else "moderate") if verdict == "drift" else "",
            moved=f"{most}: {old.get(most, 0) / total:.1%} to {new.get(most, 0) / rows:.1%}",
            label=label,
        )


def drift_of(file: Path, contract: Contract, profile: Profile, source: str = "") -> Drift:
    """The drift of a typed table in `file` (Parquet); columns it does not hold are said to be absent."""
    import duckdb

    with duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}) as connection:
        connection.execute(f"CREATE VIEW data AS FROM read_parquet({literal(str(file))})")
        return drift_of_view(connection, contract, profile, source or file.name)


def drift_of_view(connection: "duckdb.DuckDBPyConnection", contract: Contract, profile: Profile, source: str) -> Drift:
    """The drift of the rows in the view `data`, whose columns have the contract's types."""
    rows = int((connection.execute("SELECT count(*) FROM data").fetchone() or (0,))[0])
    present = {str(row[0]) for row in connection.execute("DESCRIBE data").fetchall()}
    watched = [column for column in contract.inputs if column.role == "feature" and profile.column(column.name)]
    judge = Judge(reference=profile.rows, chance=CHANCE / (len(watched) + 1))
    columns = [
        column_drift(connection, column, profile, judge) if column.name in present else ColumnDrift(column=column.name, verdict="absent")
        for column in watched
    ]
    if contract.label.name in present:
        columns.append(label_drift(connection, contract, profile, judge))
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


def column_drift(connection: "duckdb.DuckDBPyConnection", column: Column, profile: Profile, judge: Judge) -> ColumnDrift:
    """One column of the view against its histogram."""
    known = profile.column(column.name)
    if known is None:
        return ColumnDrift(column=column.name, verdict="absent")
    bins = bins_of(known, profile.rows)
    value = value_of(column)
    if known.kind == "number" and bins:
        half = 0.5 * 10.0**-known.decimals  # of the last digit: what rounding may have moved
        beyond = f"WHEN v < {known.low[0] - half!r} OR v > {known.high[-1] + half!r} THEN {literal(UNSEEN)}"
        cases = " ".join(f"WHEN v < {later.begins!r} THEN {literal(bin_.name)}" for bin_, later in pairwise(bins))
        place = f"CASE WHEN v IS NULL THEN {literal(MISSING)} {beyond} {cases} ELSE {literal(bins[-1].name)} END"
        found = connection.execute(f"SELECT {place}, count(*) FROM (SELECT {value} AS v FROM data) GROUP BY 1").fetchall()
        new = {str(name): int(n) for name, n in found}
    else:
        shown = value if known.kind == "category" else f"CASE WHEN ({value}) IS NOT NULL THEN {literal(FREE if bins else UNSEEN)} END"
        home = {text: bin_.name for bin_ in bins for text in bin_.values}
        new = {}
        for text, n in connection.execute(f"SELECT {shown}, count(*) FROM data GROUP BY 1").fetchall():
            name = MISSING if text is None else home.get(str(text), UNSEEN)
            new[name] = new.get(name, 0) + int(n)
    old = {bin_.name: bin_.rows for bin_ in bins} | {MISSING: sum(known.missing)}
    return judge.of(column.name, old, new, time=column.encodes_time)


def label_drift(connection: "duckdb.DuckDBPyConnection", contract: Contract, profile: Profile, judge: Judge) -> ColumnDrift:
    """The shares of the classes among the rows that have a label."""
    label = f"CAST({name_of(contract.label.name)} AS VARCHAR)"
    found = connection.execute(f"SELECT {label} AS v, count(*) FROM data WHERE v IS NOT NULL GROUP BY 1").fetchall()
    old = dict(zip(profile.classes, profile.class_counts, strict=True))
    new: dict[str, int] = {}
    for value, n in found:
        name = str(value) if value in old else UNSEEN
        new[name] = new.get(name, 0) + int(n)
    return judge.of(contract.label.name, old, new, label=True)


def bins_of(known: ColumnProfile, total: int) -> list[Bin]:
    """The coarse bins of a column of `total` rows, without the missing values."""
    sizes = [sum(cell) for cell in zip(*known.counts, strict=True)]
    if known.kind == "free":
        return [Bin(name=FREE, rows=total - sum(known.missing), values=(FREE,))]
    if known.kind == "number":
        return numeric_bins(known, sizes, total)
    often = [Bin(name=value, rows=n, values=(value,)) for value, n in zip(known.values, sizes, strict=True) if n >= RARE * total]
    rare = [(value, n) for value, n in zip(known.values, sizes, strict=True) if n < RARE * total]
    if len(rare) < 2:
        return often + [Bin(name=value, rows=n, values=(value,)) for value, n in rare]
    return [*often, Bin(name=OTHER, rows=sum(n for _, n in rare), values=tuple(value for value, _ in rare))]


def numeric_bins(known: ColumnProfile, sizes: Sequence[int], total: int) -> list[Bin]:
    """Neighbouring cells together until they hold a tenth of the rows; a value that does so alone has its own bin."""
    runs: list[list[int]] = []
    begun: list[int] = []
    for at, size in enumerate(sizes):
        if begun and size >= total / PARTS and sum(sizes[b] for b in begun) >= RARE * total:
            runs.append(begun)
            begun = []
        begun.append(at)
        if sum(sizes[b] for b in begun) >= total / PARTS:
            runs.append(begun)
            begun = []
    if begun and runs and sum(sizes[b] for b in begun) < RARE * total:
        runs[-1] += begun
    elif begun:
        runs.append(begun)
    borders = [-math.inf, *edges_of(known)]
    return [
        Bin(name=range_name(known.low[run[0]], known.high[run[-1]]), rows=sum(sizes[b] for b in run), begins=borders[run[0]])
        for run in runs
    ]


def range_name(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
