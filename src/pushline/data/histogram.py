"""Histograms whose cells hold at least a handful of rows each: what may be known of the data without knowing any row."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from msgspec import Struct

SMALLEST = 5  # rows a cell holds at least
CELLS = 512  # a column with more distinct values is put into about as many ranges as CELLS / 4
FREQUENT = 20  # times the rows of its neighbour
DECIMALS = 12

Counts = tuple[int, ...]  # by class, in the contract's order of classes


class Range(Struct, frozen=True):
    """Values from `low` to `high`, both included, and the rows of each class that hold one."""

    low: float
    high: float
    counts: Counts

    @property
    def rows(self) -> int:
        return sum(self.counts)


def added(one: Counts, other: Counts) -> Counts:
    return tuple(a + b for a, b in zip(one, other, strict=True))


def joined(one: Range, other: Range) -> Range:
    """Both as one cell. A few rows beside a frequent value don't stretch its cell: 999 for "never" stays 999."""
    small, large = sorted((one, other), key=lambda cell: cell.rows)
    if large.rows >= FREQUENT * small.rows:
        return Range(large.low, large.high, added(one.counts, other.counts))
    return Range(min(one.low, other.low), max(one.high, other.high), added(one.counts, other.counts))


def ranges_of(values: Sequence[Range]) -> list[Range]:
    """Cells of at least SMALLEST rows from the distinct values in ascending order.

    Few distinct values keep a cell each; many share cells of about equal size, finer towards both ends, so that a long
    tail keeps its shape. A value that is frequent by itself always keeps its own cell.
    """
    total = sum(value.rows for value in values)
    many = len(values) > CELLS
    cells: list[Range] = []
    begun: Range | None = None
    seen = 0
    for value in values:
        seen += value.rows
        near = min(seen, total - seen) // 8
        target = max(SMALLEST, min(total * 4 // CELLS, near)) if many else SMALLEST
        if begun is not None and value.rows >= target:
            if begun.rows >= SMALLEST:
                cells.append(begun)
                begun = None
            elif cells and begun.low - cells[-1].high <= value.low - begun.high:
                cells[-1] = joined(cells[-1], begun)
                begun = None
        begun = value if begun is None else joined(begun, value)
        if begun.rows >= target:
            cells.append(begun)
            begun = None
    if begun is not None:
        if cells and begun.rows < SMALLEST:
            begun = joined(cells.pop(), begun)
        cells.append(begun)
    return cells


def values_of(counts: dict[str, Counts], order: Sequence[str]) -> dict[str, Counts]:
    """Counts by text value: in the order given, then by name; values of under SMALLEST rows are added to the most common one."""
    common = max(sorted(counts), key=lambda value: sum(counts[value]), default=None)
    kept: dict[str, Counts] = {}
    for value in (*(v for v in order if v in counts), *sorted(set(counts) - set(order))):
        if sum(counts[value]) >= SMALLEST or value == common:
            kept[value] = counts[value]
    for value in counts:
        if value not in kept and common is not None:
            kept[common] = added(kept[common], counts[value])
    return kept


def merged(cells: dict[tuple[int, ...], Counts], scales: Sequence[int | None]) -> dict[tuple[int, ...], Counts]:
    """Joint cells of at least SMALLEST rows: the rows of a smaller cell are counted to the nearest large one.

    No new combination arises, so what holds between the columns of the data holds in the cells. `scales` has for each
    column the number of its ranges, or None for values without an order. Empty where every cell is small.
    """
    large = {at: counts for at, counts in cells.items() if sum(counts) >= SMALLEST}
    if not large:
        return {}
    places = np.array(list(large), dtype=np.int64)
    sizes = np.array([sum(counts) for counts in large.values()])
    for at, counts in cells.items():
        if at in large and sum(counts) >= SMALLEST:
            continue
        nearest = tuple(int(p) for p in places[np.lexsort((-sizes, distances(places, at, scales)))[0]])
        large[nearest] = added(large[nearest], counts)
    return dict(sorted(large.items()))


def distances(places: np.ndarray[Any, Any], at: tuple[int, ...], scales: Sequence[int | None]) -> np.ndarray[Any, Any]:
    """How far each row of `places` is from `at`: 1 for another value, a part of 1 for another range."""
    total = np.zeros(len(places))
    for position, scale in enumerate(scales):
        apart = np.abs(places[:, position] - at[position])
        either_missing = (places[:, position] < 0) | (at[position] < 0)
        total += np.where(either_missing | (scale is None), apart > 0, apart / max(scale or 1, 1))
    return total


def decimals_of(values: Sequence[float]) -> int:
    """The digits behind the point that tell all values apart from noise: 92.89299999999999 has three."""
    numbers = np.asarray(values, dtype=np.float64)
    noise = 1e-9 * np.abs(numbers).max(initial=0)
    for decimals in range(DECIMALS):
        if np.all(np.abs(numbers - np.round(numbers, decimals)) <= noise):
            return decimals
    return DECIMALS


def rounded(cells: Sequence[Range], decimals: int) -> tuple[list[Range], int]:
    """The cells with their borders rounded, and the digits that took: more where neighbours would run into each other."""
    for digits in range(decimals, DECIMALS + 1):
        made = [Range(round(cell.low, digits), round(cell.high, digits), cell.counts) for cell in cells]
        if all(one.high < other.low for one, other in pairwise(made)):
            return made, digits
    return list(cells), DECIMALS
