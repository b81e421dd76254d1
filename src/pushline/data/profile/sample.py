"""Rows drawn from the profile: golden rows, payloads, and the data of a run that can't have the real one."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pushline.arrays import Floats, Ints
from pushline.data.contract import Column, Contract
from pushline.data.contract.dates import DATE_EXAMPLES
from pushline.data.files.table import literal
from pushline.data.profile.bins import ColumnProfile
from pushline.data.profile.profile import Profile
from pushline.errors import SettingsError
from pushline.files import cannot_write
from pushline.results import Part

if TYPE_CHECKING:
    import pandas as pd

BLOCK = 250_000  # rows held at once when many are written
APART = 1_000_003  # between the seeds of two blocks


class SampleResult(Part, frozen=True, kw_only=True):
    """What `pushline sample` wrote."""

    file: str
    rows: int
    seed: int


def sample_rows(profile: Profile, contract: Contract, n: int, seed: int) -> "pd.DataFrame":
    """`n` generated rows with all columns of the contract in its order, the label's included.

    Given the class, columns that belong together are drawn together and all others independently. The classes have their
    shares of the profile. Integer columns are int64 (Int64 where a value may be missing), strings are str, missing ones
    None. The same seed gives the same rows. Raises SettingsError where the profile is of other columns.
    """
    import pandas as pd

    made = pd.DataFrame(sample_columns(profile, contract, n, seed))
    of_objects = made.select_dtypes(object).columns
    return made.astype({each.name: "Int64" for each in contract.columns if each.type == "integer" and each.name in of_objects})


def sample_columns(profile: Profile, contract: Contract, n: int, seed: int) -> dict[str, Any]:
    """The same as an array for each column, without pandas; whole numbers of which one is missing are objects."""
    compare(profile, contract)
    classes = labels(profile.class_counts, n, generator(seed, "label"))
    places = {column.name: column_places(column, classes, generator(seed, column.name)) for column in profile.columns}
    for group in profile.groups:
        cells = np.array(group.cells, dtype=np.int64)
        chosen = choose(group.counts, classes, generator(seed, "group", group.name))
        places |= {name: cells[chosen, position] for position, name in enumerate(group.columns)}
    made = {}
    for column in contract.columns:
        known = profile.column(column.name)
        if column.role == "label" and known is None:
            made[column.name] = label_values(column, profile.classes, classes)
        elif known is not None:
            made[column.name] = values(column, known, places[column.name], generator(seed, column.name, "within"))
    return made


def compare(profile: Profile, contract: Contract) -> None:
    """Raises SettingsError where the profile has other columns or classes than the contract."""
    counted = contract.columns if contract.is_regression else contract.inputs
    known, expected = {column.name for column in profile.columns}, {column.name for column in counted}
    odd = sorted(known ^ expected)
    if odd or (profile.classes != contract.classes and not contract.is_regression):
        raise SettingsError(
            "data_checks/profile.json is of another table than data_checks/contract.yml.",
            why=f"They differ in {', '.join(odd)}." if odd else f"They differ in the values of {contract.label.name}.",
            do="Run `pushline check-data` and `pushline profile`.",
        )


def generator(seed: int, *names: str) -> np.random.Generator:
    """A stream of its own for each purpose, so that a new column leaves the others' values as they are."""
    words = [seed % 2**32, *("/".join(names)).encode()]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


def labels(counts: tuple[int, ...], n: int, random: np.random.Generator) -> Ints:
    """The class of each row: the profile's shares as exactly as whole rows allow, in random order."""
    total = sum(counts)
    borders = np.array([round(n * sum(counts[: end + 1]) / total) for end in range(len(counts))])
    ordered = np.searchsorted(borders, np.arange(n), side="right")
    return ordered[np.argsort(random.random(n), kind="stable")].astype(np.int64)


def choose(counts: tuple[tuple[int, ...], ...], classes: Ints, random: np.random.Generator) -> Ints:
    """For each row a cell, drawn by the counts of the row's class."""
    drawn = random.random(len(classes))
    chosen = np.zeros(len(classes), dtype=np.int64)
    for number, own in enumerate(counts):
        rows = np.flatnonzero(classes == number)
        borders = np.cumsum(own)
        if len(borders) and borders[-1] > 0:
            chosen[rows] = np.searchsorted(borders, drawn[rows] * borders[-1], side="right")
    return chosen


def column_places(column: ColumnProfile, classes: Ints, random: np.random.Generator) -> Ints:
    """For each row the position of a cell of one column, -1 for a missing value."""
    own = column.counts or tuple(() for _ in column.missing)
    with_missing = tuple((*counts, missing) for counts, missing in zip(own, column.missing, strict=True))
    chosen = choose(with_missing, classes, random)
    return np.where(chosen == column.cells, -1, chosen) if column.kind != "free" else np.zeros(len(classes), dtype=np.int64)


def values(column: Column, known: ColumnProfile, places: Ints, random: np.random.Generator) -> Any:
    """The values of one column: those of a category, or a number from within the cell."""
    if known.kind == "free":
        numbers = np.arange(1, len(places) + 1)
        if column.is_date:
            return dates(column, random.integers(0, 365 * 96, len(places)))
        return numbers if not column.is_text else np.array([f"{column.name}-{number}" for number in numbers], dtype=object)
    missing = places < 0
    if known.kind == "category":
        listed = np.array([*known.values, None], dtype=object)
        if column.type == "boolean":
            listed = np.array([*(value == "true" for value in known.values), None], dtype=object)
            return listed[places] if missing.any() else listed[places].astype(bool)
        return listed[places]
    drawn = within(known, places, random.random(len(places)), whole=column.type == "integer")
    if column.type == "integer":
        integers = drawn.astype(np.int64)
        return np.where(missing, np.array(None, dtype=object), integers) if missing.any() else integers
    return np.where(missing, np.nan, drawn)


def dates(column: Column, quarters: Ints) -> Any:
    """Dates of the year before the column's example, of which the profile holds nothing."""
    last = np.datetime64(str(column.example or DATE_EXAMPLES[column.type])[:16].replace(" ", "T"), "m")
    made = last - (quarters * 15).astype("timedelta64[m]")
    return np.datetime_as_string(made, unit="D" if column.type == "date" else "m").astype(object)


def within(known: ColumnProfile, places: Ints, drawn: Floats, *, whole: bool) -> Floats:
    """Numbers spread evenly over their cells, with as many digits as the data has."""
    low, high = np.array(known.low or (0.0,))[places], np.array(known.high or (0.0,))[places]
    spread = np.floor(low + drawn * (high - low + 1)) if whole else np.round(low + drawn * (high - low), known.decimals)
    return np.asarray(np.clip(spread, low, high), dtype=np.float64)


def label_values(column: Column, names: tuple[str, ...], classes: Ints) -> Any:
    """The label in its column's type."""
    if column.type == "integer":
        return np.array([int(name) for name in names], dtype=np.int64)[classes]
    if column.type == "number":
        return np.array([float(name) for name in names])[classes]
    if column.type == "boolean":
        return np.array([name == "true" for name in names])[classes]
    return np.array(names, dtype=object)[classes]


def blocks_of(profile: Profile, contract: Contract, n: int, seed: int) -> "Iterator[pd.DataFrame]":
    """`n` generated rows, BLOCK at a time; the first ones are those of `sample_rows` with this seed."""
    for number, start in enumerate(range(0, n, BLOCK)):
        yield sample_rows(profile, contract, min(BLOCK, n - start), seed + number * APART)


def write_sample(rows: "pd.DataFrame | Iterable[pd.DataFrame]", file: Path, delimiter: str = ",") -> None:
    """Write rows, or blocks of them, as CSV, in one step: an interruption leaves nothing half written."""
    import duckdb
    import pandas as pd

    part, block = file.with_name(f".{file.name}.part"), file.with_name(f".{file.name}.block")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out, duckdb.connect() as connection:
            for number, made in enumerate([rows] if isinstance(rows, pd.DataFrame) else rows):
                connection.register("made", made)
                header = str(number == 0).lower()
                connection.execute(f"COPY made TO {literal(str(block))} (FORMAT csv, HEADER {header}, DELIMITER {literal(delimiter)})")
                with block.open("rb") as written:
                    shutil.copyfileobj(written, out, 1 << 20)
        part.replace(file)
    except (OSError, duckdb.IOException) as error:
        raise cannot_write(file, error if isinstance(error, OSError) else OSError(str(error))) from error
    finally:
        part.unlink(missing_ok=True)
        block.unlink(missing_ok=True)
