"""The histogram of one column, and its coarse bins: what drift counts in, and the bands of a quantity."""

import math
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

PARTS = 10  # bins a number is put into, about equally full
RARE = 0.01  # texts with a smaller share make one bin


class ColumnProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The histogram of one column; `counts` and `missing` are by class, in the profile's order of classes."""

    name: str
    kind: Literal["number", "category", "free"]  # free: identifiers and text without a list of values, of which nothing is kept
    decimals: int = 0
    values: tuple[str, ...] = ()  # of a category
    low: tuple[float, ...] = ()  # of a number: each cell holds the values from low to high
    high: tuple[float, ...] = ()
    counts: tuple[tuple[int, ...], ...] = ()
    missing: tuple[int, ...] = ()

    @property
    def cells(self) -> int:
        return len(self.values) if self.kind == "category" else len(self.low)


class DriftBin(Struct, frozen=True, kw_only=True):
    """A bin of the reference: its rows there, and the texts it holds or the number it begins at."""

    name: str
    rows: int
    values: tuple[str, ...] = ()
    begins: float = -math.inf


def numeric_bins(known: ColumnProfile, sizes: Sequence[int], total: int) -> list[DriftBin]:
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
        DriftBin(name=range_name(known.low[run[0]], known.high[run[-1]]), rows=sum(sizes[b] for b in run), begins=borders[run[0]])
        for run in runs
    ]


def range_name(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def edges_of(column: ColumnProfile) -> list[float]:
    """The borders between the cells of a number: half way from one cell to the next, so that rounding moves no value across."""
    # Between neighbours that no number lies between, half way may be the lower one.
    return [max((high + low) / 2, math.nextafter(high, math.inf)) for high, low in zip(column.high[:-1], column.low[1:], strict=True)]
