"""Histograms that tell of no row: a cell holds SMALLEST rows at least, and of each class none or FEW.

A number stands in a histogram as it is where SMALLEST rows share it; all other borders are rounded, the outermost ones after
the SMALLEST - 1 rows beyond them were counted to their neighbours (top-coding).
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct

from pushline.arrays import Floats, Ints

SMALLEST = 10  # rows a cell holds at least
FEW = 5  # rows of one class in a cell, where it holds any
STEPS = 4  # of its grid, that a range is wide at least
CELLS = 512  # a column with more distinct values is put into about as many ranges as CELLS / 4
FREQUENT = 20  # times the rows of its neighbour
DECIMALS = 12

ByClass = tuple[int, ...]  # by class, in the contract's order of classes


class HistogramCell(Struct, frozen=True):
    """Values from `low` to `high`, both included, and the rows of each class that hold one."""

    low: float
    high: float
    counts: ByClass

    @property
    def rows(self) -> int:
        return sum(self.counts)


class Values(Struct, frozen=True):
    """The distinct values of a column in ascending order, or short ranges of them, and the rows of each class that hold one."""

    low: Floats
    high: Floats
    counts: Ints  # a row of it for each value, a column for each class

    @property
    def rows(self) -> Ints:
        return np.asarray(self.counts.sum(axis=1))


class ValueRun(NamedTuple):
    """Neighbouring values from the one at `first` on."""

    first: int
    low: float
    high: float
    rows: int


def added(one: ByClass, other: ByClass) -> ByClass:
    return tuple(a + b for a, b in zip(one, other, strict=True))


def borders(one: HistogramCell | ValueRun, other: HistogramCell | ValueRun) -> tuple[float, float]:
    """Of both together. A few rows beside a frequent value don't stretch its cell: 999 for "never" stays 999."""
    ones, others = one.rows, other.rows
    if ones >= FREQUENT * others:
        return one.low, one.high
    if others >= FREQUENT * ones:
        return other.low, other.high
    return min(one.low, other.low), max(one.high, other.high)


def joined(one: HistogramCell, other: HistogramCell) -> HistogramCell:
    return HistogramCell(*borders(one, other), added(one.counts, other.counts))


def ranges_of(values: Values) -> list[HistogramCell]:
    """Cells of at least SMALLEST rows from the distinct values.

    Few distinct values keep a cell each; many share cells of about equal size, finer towards both ends, so that a long
    tail keeps its shape. A value that is frequent by itself always keeps its own cell.
    """
    rows = values.rows
    seen, targets = np.cumsum(rows), np.full(len(rows), SMALLEST)
    if len(rows) > CELLS:
        near = np.minimum(seen, seen[-1] - seen) // 8
        targets = np.maximum(SMALLEST, np.minimum(seen[-1] * 4 // CELLS, near))
    runs: list[ValueRun] = []
    first, low, high, held = 0, 0.0, 0.0, 0  # of the run that has begun, where it holds rows
    each = zip(values.low.tolist(), values.high.tolist(), rows.tolist(), targets.tolist(), strict=True)
    for at, (begins, ends, own, target) in enumerate(each):
        if held and own >= target:
            begun = ValueRun(first, low, high, held)
            if held >= SMALLEST:
                runs.append(begun)
                held = 0
            elif runs and low - runs[-1].high <= begins - high:
                runs[-1] = together(runs[-1], begun)
                held = 0
        if not held:
            first, low, high = at, begins, ends
        elif held < FREQUENT * own:  # see `borders`
            low, high = (begins if own >= FREQUENT * held else low), ends
        held += own
        if held >= target:
            runs.append(ValueRun(first, low, high, held))
            held = 0
    if held:
        begun = ValueRun(first, low, high, held)
        runs.append(together(runs.pop(), begun) if runs and held < SMALLEST else begun)
    counts = np.add.reduceat(values.counts, [run.first for run in runs]).tolist()
    return [HistogramCell(run.low, run.high, tuple(own)) for run, own in zip(runs, counts, strict=True)]


def together(one: ValueRun, other: ValueRun) -> ValueRun:
    return ValueRun(one.first, *borders(one, other), one.rows + other.rows)


def coarsened(cells: Sequence[HistogramCell]) -> list[HistogramCell]:
    """The same cells, of which none holds a few rows of a class: ranges are joined, from single values the rows go to a neighbour."""
    wide: list[HistogramCell] = []
    for cell in cells:
        before = wide[-1] if wide else None
        if before is not None and before.low < before.high and cell.low < cell.high and has_few(before.counts):
            wide[-1] = joined(before, cell)
        else:
            wide.append(cell)
    if len(wide) > 1 and has_few(wide[-1].counts) and all(cell.low < cell.high for cell in wide[-2:]):
        wide[-2:] = [joined(*wide[-2:])]
    counts = without_few([cell.counts for cell in wide])
    made: list[HistogramCell] = []
    for cell, own in zip(wide, counts, strict=True):
        moved = HistogramCell(cell.low, cell.high, own)
        if made and (made[-1].rows < SMALLEST or moved.rows < SMALLEST):
            made[-1] = joined(made[-1], moved)
        else:
            made.append(moved)
    return made


def has_few(counts: ByClass) -> bool:
    return any(0 < count < FEW for count in counts)


def without_few(cells: Sequence[ByClass]) -> list[ByClass]:
    """Counts by class of neighbouring cells in which fewer than FEW of a class are counted to the next; a class of fewer is left out."""

    def carried(counts: Iterable[int]) -> list[int]:
        made, carry = [], 0
        for count in counts:
            carry += count
            made.append(carry if carry >= FEW else 0)
            carry = 0 if carry >= FEW else carry
        if carry and any(made):
            made[max(place for place, count in enumerate(made) if count)] += carry
        return made

    return list(zip(*(carried(counts) for counts in zip(*cells, strict=True)), strict=True))


def on_grid(cells: Sequence[HistogramCell], values: Values) -> list[HistogramCell]:
    """The cells with every border rounded inwards but those that SMALLEST rows share, from the SMALLEST-th row to the SMALLEST-th last."""
    rows = values.rows
    frequent = set(values.low[(values.low == values.high) & (rows >= SMALLEST)].tolist())
    first, last = outermost(values.high, rows), outermost(values.low[::-1], rows[::-1])

    def inwards(cell: HistogramCell) -> HistogramCell | None:
        """The cell within the outermost rows, its borders rounded; None where a single value of a few rows is left."""
        low, high = min(max(cell.low, first), last), max(min(cell.high, last), first)
        if low == high:
            return HistogramCell(low, high, cell.counts) if low in frequent else None
        grid = grid_of(high - low)
        low = low if low in frequent else round(math.ceil(round(low / grid, 6)) * grid, DECIMALS)
        return HistogramCell(low, high if high in frequent else round(math.floor(round(high / grid, 6)) * grid, DECIMALS), cell.counts)

    whole = list(cells)
    while len(whole) > 1 and inwards(whole[-1]) is None:
        whole[-2:] = [joined(*whole[-2:])]
    while len(whole) > 1 and inwards(whole[0]) is None:
        whole[:2] = [joined(*whole[:2])]
    return [inwards(cell) or cell for cell in whole]


def outermost(ordered: Floats, rows: Ints) -> float:
    """The value that SMALLEST rows are not beyond."""
    return float(ordered[min(int(np.searchsorted(np.cumsum(rows), SMALLEST)), len(rows) - 1)])


def grid_of(width: float) -> float:
    """1, 2 or 5 times a power of ten, at most a STEPS-th of the width; 0 for none."""
    if width <= 0:
        return 0.0
    unit = 10.0 ** math.floor(math.log10(width / STEPS))
    return max((step * unit for step in (1, 2, 5) if step * unit <= width / STEPS), default=unit)


def values_of(counts: dict[str, ByClass], order: Sequence[str]) -> dict[str, ByClass]:
    """Counts by text value: in the order given, then by name; values of under SMALLEST rows are added to the most common one.

    Fewer than FEW rows of a class are counted to its most common value.
    """
    common = max(sorted(counts), key=lambda value: sum(counts[value]), default=None)
    if common is None:
        return {}
    kept = {value: counts[value] for value in counts if sum(counts[value]) >= SMALLEST or value == common}
    rest = [counts[value] for value in counts if value not in kept]
    kept[common] = tuple(map(sum, zip(kept[common], *rest, strict=True)))
    made = {value: list(each) for value, each in kept.items()}
    for number in range(len(kept[common])):
        most = max(made, key=lambda value: (made[value][number], value == common))
        few = [value for value in made if 0 < made[value][number] < FEW and value != most]
        made[most][number] += sum(made[value][number] for value in few)
        for value in few:
            made[value][number] = 0
        made[most][number] = made[most][number] if made[most][number] >= FEW else 0
    for value in [value for value, each in made.items() if value != common and sum(each) < SMALLEST]:
        made[common] = [a + b for a, b in zip(made[common], made.pop(value), strict=True)]
    return {value: tuple(made[value]) for value in (*(v for v in order if v in made), *sorted(set(made) - set(order)))}


def merged(cells: dict[tuple[int, ...], ByClass], scales: Sequence[int | None]) -> dict[tuple[int, ...], ByClass]:
    """Joint cells of at least SMALLEST rows: the rows of a smaller cell are counted to the nearest large one.

    No new combination arises, so what holds between the columns of the data holds in the cells. `scales` has for each
    column the number of its ranges, or None for values without an order. Empty where every cell is small. Fewer than FEW
    rows of a class go to the nearest cell that holds more of it.
    """
    large = into_nearest(cells, scales)
    if not large:
        return {}
    for number in range(len(next(iter(large.values())))):
        held = [at for at, counts in large.items() if counts[number] >= FEW] or [max(large, key=lambda at: large[at][number])]
        places, sizes = np.array(held, dtype=np.int64), np.array([large[at][number] for at in held])
        for at, counts in list(large.items()):
            if 0 < counts[number] < FEW and at not in held:
                near = held[int(np.lexsort((-sizes, distances(places, at, scales)))[0])]
                large[near] = changed(large[near], number, large[near][number] + counts[number])
                large[at] = changed(counts, number, 0)
        large[held[0]] = changed(large[held[0]], number, large[held[0]][number] if large[held[0]][number] >= FEW else 0)
    return dict(sorted(into_nearest(large, scales).items()))


def changed(counts: ByClass, number: int, to: int) -> ByClass:
    return (*counts[:number], to, *counts[number + 1 :])


def into_nearest(cells: dict[tuple[int, ...], ByClass], scales: Sequence[int | None]) -> dict[tuple[int, ...], ByClass]:
    """The cells of SMALLEST rows, those of the others counted to the nearest of them."""
    large = {at: counts for at, counts in cells.items() if sum(counts) >= SMALLEST}
    if not large:
        return {}
    places = np.array(list(large), dtype=np.int64)
    sizes = np.array([sum(counts) for counts in large.values()])
    for at, counts in cells.items():
        if sum(counts) >= SMALLEST:
            continue
        nearest = tuple(int(p) for p in places[np.lexsort((-sizes, distances(places, at, scales)))[0]])
        large[nearest] = added(large[nearest], counts)
    return large


def distances(places: np.ndarray[Any, Any], at: tuple[int, ...], scales: Sequence[int | None]) -> np.ndarray[Any, Any]:
    """How far each row of `places` is from `at`: 1 for another value, a part of 1 for another range."""
    total = np.zeros(len(places))
    for position, scale in enumerate(scales):
        apart = np.abs(places[:, position] - at[position])
        either_missing = (places[:, position] < 0) | (at[position] < 0)
        total += np.where(either_missing | (scale is None), apart > 0, apart / max(scale or 1, 1))
    return total


def decimals_of(values: Sequence[float] | Floats) -> int:
    """The digits behind the point that tell all values apart from noise: 92.89299999999999 has three."""
    numbers = np.asarray(values, dtype=np.float64)
    noise = 1e-9 * np.abs(numbers).max(initial=0)
    for decimals in range(DECIMALS):
        if np.all(np.abs(numbers - np.round(numbers, decimals)) <= noise):
            return decimals
    return DECIMALS


def rounded(cells: Sequence[HistogramCell], decimals: int) -> tuple[list[HistogramCell], int]:
    """The cells with their borders rounded, and the digits that took: more where neighbours would run into each other."""
    for digits in range(decimals, DECIMALS + 1):
        made = [HistogramCell(round(cell.low, digits), round(cell.high, digits), cell.counts) for cell in cells]
        if all(one.high < other.low for one, other in pairwise(made)):
            return made, digits
    return list(cells), DECIMALS
