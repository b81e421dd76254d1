"""What is asked of the label beyond its values: that its classes keep their shares, and that no column gives it away.

The shares are held against the profile: a class is as frequent as it was, up to chance (G-test of two counts, Sokal and
Rohlf 1981, chapter 17). A column gives the label away where its value alone, learned on one half of the rows, names the
label of the other half with hardly an error. Both see one column at a time: two that decide the label only together pass.
"""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from pushline.arrays import Floats, Ints
from pushline.data.checks.findings import share
from pushline.data.contract import Column, Contract
from pushline.data.contract.dates import hours_sql
from pushline.data.contract.encoding import Targets
from pushline.data.files.reading import one
from pushline.data.files.table import database, literal, name_of
from pushline.data.profile import Profile, load_profile, value_of
from pushline.errors import SettingsError
from pushline.results import Finding, Severity

CHANCE = 24.0  # of the G statistic: once in a million tables of the same kind
TIMES = 10.0  # the odds of a class, from which it is another table rather than another season
FLIPPED = 2.0  # the odds, from which two classes that changed places are no accident
ROWS = 20_000  # looked at, evenly over the table
FEWEST = 30
CELL = 10  # rows of one range of a number with many values
LEFT_OF_RANKS = 0.002  # of a quantity: honest columns explain a lot of some, such as the distance of a fare, and not all of it
LEFT = 0.05  # of the errors of always naming the commonest class: 1 column in 20 times nothing is left to learn


def label_findings(table: Path, scratch: Path, contract: Contract, counts: dict[str, int], profile: Path) -> list[Finding]:
    """The findings about the label of a typed table whose classes have these counts; none where the table has no label.

    A quantity has no classes: whether its values have moved is for drift to say.
    """
    if contract.is_regression:
        return deciding_findings(table, scratch, contract)
    if not sum(counts.values()):
        return []
    return [*share_findings(contract, counts, known_profile(profile, contract)), *deciding_findings(table, scratch, contract)]


def known_profile(file: Path, contract: Contract) -> Profile | None:
    """The profile, where there is one of the contract's classes."""
    try:
        profile = load_profile(file)
    except SettingsError:
        return None
    return profile if profile.classes == contract.classes else None


def share_findings(contract: Contract, counts: dict[str, int], profile: Profile | None) -> list[Finding]:
    """Classes that are more or less frequent than in the profile: one finding, about the one that moved most.

    Where a class is absent, class-balance says so.
    """
    if profile is None or profile.classes != contract.classes or not all(counts.values()):
        return []
    before = dict(zip(profile.classes, profile.class_counts, strict=True))
    rows, were = sum(counts.values()), sum(before.values())
    moved = {name: g_statistic(counts[name], rows, before[name], were) for name in contract.classes}
    name = max(moved, key=lambda each: moved[each])
    if moved[name] < CHANCE:
        return []
    ratio = odds_ratio(counts[name], rows, before[name], were)
    flipped = ratio >= FLIPPED and changed_places(counts, before)
    far = ratio >= TIMES or flipped
    how = "the labels look swapped: " if flipped else ""
    message = (
        f"The label {name!r} has another share than in the profile: {how}{share(counts[name], rows)} of the rows, "
        f"{share(before[name], were)} before; chance alone does that less than once in a million tables. "
        "If this is right, `pushline profile FILE` makes it what later tables are held against."
    )
    seen, expected = f"{share(counts[name], rows)} of {rows:,} rows", f"about {share(before[name], were)}, as in data_checks/profile.json"
    severity: Severity = "critical" if far else "warning"
    return [Finding("label-share", message, seen, expected, severity, contract.label.name, counts[name])]


def g_statistic(hits: int, rows: int, before: int, were: int) -> float:
    """Twice the log-likelihood ratio of two shares against one: chi-squared with one degree of freedom under chance."""
    table = ((hits, rows), (rows - hits, rows), (before, were), (were - before, were))
    together = (hits + before) / (rows + were)
    expected = (rows * together, rows * (1 - together), were * together, were * (1 - together))
    return 2 * sum(seen * math.log(seen / expect) for (seen, _), expect in zip(table, expected, strict=True) if seen)


def odds_ratio(hits: int, rows: int, before: int, were: int) -> float:
    """How many times the odds of a class have risen or fallen, drawn a little to 1 where the counts are small."""
    ratio = ((hits + 0.5) / (rows - hits + 0.5)) / ((before + 0.5) / (were - before + 0.5))
    return max(ratio, 1 / ratio)


def changed_places(counts: dict[str, int], before: dict[str, int]) -> bool:
    """Whether two classes now have about each other's share: nearer to it than to their own."""
    rows, were = sum(counts.values()), sum(before.values())
    now, old = ({name: n / of for name, n in each.items()} for each, of in ((counts, rows), (before, were)))

    def swapped(one: str, other: str) -> bool:
        return abs(now[one] - old[other]) < abs(now[one] - old[one])

    return any(swapped(one, other) and swapped(other, one) for one in counts for other in counts if one < other)


def deciding_findings(table: Path, scratch: Path, contract: Contract) -> list[Finding]:
    """A finding for each feature that gives the label away and was not accepted as one that does."""
    do = (
        "If it is known only once the outcome is, write `known: after`; if it is truly known before, "
        "write `decides_label: true`; both in data_checks/contract.yml."
    )
    seen, expected = "the label follows from it", "a feature that is known before the outcome"
    found = deciding(table, scratch, contract)
    return [Finding("decides-label", f"{said} {do}", seen, expected, column=name) for name, said in found.items()]


def deciding(table: Path, scratch: Path, contract: Contract) -> dict[str, str]:
    """The features that copy or decide the label, each with the evidence in a sentence."""
    columns = contract.features()
    return deciding_of(columns, *matrix_of(table, scratch, contract, columns), contract)


def deciding_of(columns: Sequence[Column], matrix: Floats, codes: Targets, contract: Contract) -> dict[str, str]:
    """The same of columns that were read already; those that nobody asks about are passed by."""
    found = {}
    for column, values in zip(columns, np.where(np.isnan(matrix), -np.inf, matrix).T, strict=True):
        if column.known == "after" or column.decides_label or (column.type == "string" and not column.allowed):
            continue
        if contract.is_regression:
            left = ranks_left(values, codes)
            if left is not None and left <= LEFT_OF_RANKS + 2 * (CELL / len(codes)) ** 2:  # a cell of a small table is wide
                found[column.name] = (
                    f"{column.name} alone says where {contract.label.name} ranks ({1 - left:.1%}): it copies or decides the label."
                )
            continue
        left = share_left(values, codes)
        if left is not None and left <= LEFT:
            most = np.bincount(codes).max() / len(codes)
            found[column.name] = (
                f"{column.name} alone names the label of {1 - left * (1 - most):.1%} of the rows ({most:.1%} would be right without it): "
                "it copies or decides the label."
            )
    return found


def matrix_of(table: Path, scratch: Path, contract: Contract, columns: Sequence[Column]) -> tuple[Floats, Targets]:
    """The columns as encoded numbers and the class (or quantity) of each row, of up to ROWS rows evenly over the table, in its order.

    A column that the table lacks is missing in every row.
    """
    label = f"list_position([{', '.join(map(literal, contract.classes))}], CAST({name_of(contract.label.name)} AS VARCHAR))"
    label = value_of(contract.label) if contract.is_regression else label
    with database(scratch) as connection:
        relation = f"read_parquet({literal(str(table))}, file_row_number=true)"
        present = {str(name) for name, *_ in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}
        label = label if contract.label.name in present else "NULL"
        rows = int(one(connection.execute(f"SELECT count(*) FROM {relation}"))[0])
        values = [f"{encoded(column) if column.name in present else 'NULL'} AS v{place}" for place, column in enumerate(columns)]
        found = connection.execute(
            f"SELECT {', '.join([f'{label} AS label', *values])} FROM {relation} "
            f"WHERE {label} IS NOT NULL AND file_row_number % {1 + rows // ROWS} = 0 ORDER BY file_row_number"
        ).fetchnumpy()
    made = [np.ma.filled(np.ma.asarray(found[f"v{place}"], dtype=np.float64), np.nan) for place in range(len(columns))]
    codes = np.asarray(found["label"], dtype=np.float64) if contract.is_regression else np.asarray(found["label"], dtype=np.int64) - 1
    return np.stack(made, axis=1) if made else np.empty((len(codes), 0)), codes


def encoded(column: Column) -> str:
    """A column's value in SQL as data/encoding.py has it: the position of a text, 0 and 1 of a boolean, -1 for none of them."""
    if column.is_date:
        return hours_sql(name_of(column.name))
    if column.is_text:
        return f"coalesce(list_position([{', '.join(map(literal, column.allowed or ()))}]::VARCHAR[], {name_of(column.name)}), 0) - 1"
    return f"coalesce(CAST({name_of(column.name)} AS INTEGER), -1)" if column.type == "boolean" else f"CAST({value_of(column)} AS DOUBLE)"


def share_left(values: Floats, labels: Ints) -> float | None:
    """The errors of naming the label by this column alone, as a share of those without it; None where too few rows can tell."""
    rows, classes = len(labels), np.bincount(labels) if len(labels) else np.zeros(1)
    without = rows - int(classes.max())
    if rows < FEWEST or without < CELL:
        return None
    cells, known = cells_of(values)
    half, errors, size = halves(rows), 0, (len(known) + 1, len(classes))
    for side in (0, 1):
        learn, judge = half != side, half == side
        counts = np.bincount(cells[learn] * len(classes) + labels[learn], minlength=size[0] * size[1]).reshape(size)
        seen = counts + classes / rows / 2  # the commonest class where a cell has no row to learn from
        errors += int((seen.argmax(axis=1)[cells[judge]] != labels[judge]).sum())
    return float(min([errors, *(errors_of_threshold(values, labels) if len(classes) == 2 else ())]) / without)


@cache
def halves(rows: int) -> Ints:
    """The half that each of so many rows is in."""
    return np.asarray(np.random.default_rng(0).permutation(rows) % 2)


def cells_of(values: Floats) -> tuple[Ints, Floats]:
    """The cell of each row, and the values at which cells begin."""
    rows = len(values)
    known = np.unique(values)
    if len(known) > rows // CELL:
        known = np.unique(np.quantile(values, np.arange(1, rows // CELL) / (rows // CELL), method="lower"))
    return np.searchsorted(known, values, side="right"), known


def ranks_left(values: Floats, labels: Floats) -> float | None:
    """The squared error of naming a quantity's rank by this column alone, as a share; None where too few rows can tell."""
    rows = len(labels)
    if rows < 2 * FEWEST or not labels.std():
        return None
    _, ranks, counts = np.unique(labels, return_inverse=True, return_counts=True)
    labels = (np.cumsum(counts) - counts / 2)[ranks]
    cells, known = cells_of(values)
    half = halves(rows)
    error = 0.0
    for side in (0, 1):
        learn, judge = half != side, half == side
        sums = np.bincount(cells[learn], weights=labels[learn], minlength=len(known) + 1)
        counts = np.bincount(cells[learn], minlength=len(known) + 1)
        named = np.where(counts > 0, sums / np.maximum(counts, 1), labels[learn].mean())
        error += float(np.sum((labels[judge] - named[cells[judge]]) ** 2))
    return error / float(np.sum((labels - labels.mean()) ** 2))


def errors_of_threshold(values: Floats, labels: Ints) -> tuple[int, int]:
    """Of two classes, the errors of the best threshold, for either class above it: finer than cells where a class is rare."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)  # of the rows with equal values
    ones = np.concatenate(([0], np.cumsum(labels[order])[ends]))
    zeros = np.concatenate(([0], ends + 1 - ones[1:]))
    above = ones + (zeros[-1] - zeros)  # errors where class 1 lies above
    return int(above.min()), int((len(labels) - above).min())
