from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pushline.data.profile.histogram import (
    CELLS,
    FEW,
    SMALLEST,
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

VALUES = st.dictionaries(st.integers(-1000, 1000), st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=200)


def ordered(values: dict[int, tuple[int, ...]]) -> Values:
    numbers = np.array(sorted(values), dtype=np.float64)
    return Values(numbers, numbers, np.array([values[value] for value in sorted(values)]))


@given(VALUES)
@settings(deadline=None)
def test_ranges_hold_every_row_once_and_never_a_handful(values: dict[int, tuple[int, ...]]) -> None:
    cells = ranges_of(ordered(values))
    total = tuple(map(sum, zip(*values.values(), strict=True)))
    assert tuple(map(sum, zip(*(cell.counts for cell in cells), strict=True))) == total
    assert all(one.high < other.low for one, other in pairwise(cells))
    assert len(cells) == 1 or min(cell.rows for cell in cells) >= SMALLEST


def test_a_frequent_value_keeps_a_cell_of_its_own() -> None:
    values = ordered({3: (19,), 4: (18,), 27: (2,), 999: (5000,)})
    assert [(cell.low, cell.high, cell.rows) for cell in ranges_of(values)] == [(3, 3, 19), (4, 27, 20), (999, 999, 5000)]


def test_a_few_rows_beside_a_frequent_value_do_not_stretch_its_cell() -> None:
    cells = ranges_of(ordered({0: (5000,), 7: (2,)}))
    assert [(cell.low, cell.high, cell.rows) for cell in cells] == [(0, 0, 5002)]


def test_very_many_values_share_cells_that_are_finer_at_the_tail() -> None:
    cells = ranges_of(ordered(dict.fromkeys(range(20_000), (1,))))
    assert CELLS / 8 < len(cells) < CELLS
    assert cells[-1].rows < 25 < cells[len(cells) // 2].rows


def test_rare_texts_are_counted_to_the_most_common_one() -> None:
    assert values_of({"b": (50, 5), "a": (16, 0), "c": (1, 1)}, ["a", "b", "c"]) == {"a": (16, 0), "b": (51, 6)}
    assert values_of({}, ["a"]) == {}


def test_a_handful_of_a_class_is_counted_to_its_most_common_value() -> None:
    assert values_of({"a": (50, 9), "b": (30, 2)}, ["a", "b"]) == {"a": (50, 11), "b": (30, 0)}
    assert values_of({"a": (50, 2), "b": (30, 1)}, ["a", "b"]) == {"a": (50, 0), "b": (30, 0)}


def test_small_joint_cells_go_to_the_nearest_combination_that_there_is() -> None:
    cells = {(0, 0): (90, 9), (0, 9): (40, 0), (1, 8): (2, 1), (2, 0): (1, 0)}
    assert merged(cells, [None, 10]) == {(0, 0): (91, 10), (0, 9): (42, 0)}
    assert merged({(0, 0): (1, 1)}, [None, 10]) == {}


@given(st.dictionaries(st.tuples(st.integers(-1, 5), st.integers(-1, 5)), st.tuples(st.integers(0, 9), st.integers(1, 9)), max_size=30))
@settings(deadline=None)
def test_merging_loses_no_row_and_makes_no_new_combination(cells: dict[tuple[int, ...], tuple[int, ...]]) -> None:
    kept = merged(cells, [None, 6])
    assert set(kept) <= {at for at, counts in cells.items() if sum(counts) >= SMALLEST}
    if kept:
        before, after = (np.sum(list(each.values()), axis=0) for each in (cells, kept))
        assert all(after[number] == before[number] or (after[number] == 0 and before[number] < FEW) for number in range(len(before)))
        assert min(sum(counts) for counts in kept.values()) >= SMALLEST
        assert not any(0 < count < FEW for counts in kept.values() for count in counts)


@given(VALUES)
@settings(deadline=None)
def test_coarse_cells_hold_every_row_and_none_a_handful_of_a_class(values: dict[int, tuple[int, ...]]) -> None:
    seen = ordered(values)
    cells = on_grid(coarsened(ranges_of(seen)), seen)
    before, after = (np.sum(each, axis=0) for each in (seen.counts, [cell.counts for cell in cells]))
    assert all(after[number] == before[number] or (after[number] == 0 and before[number] < FEW) for number in range(len(before)))
    assert all(one.high < other.low for one, other in pairwise(cells))
    assert len(cells) == 1 or min(cell.rows for cell in cells) >= SMALLEST
    assert not any(0 < count < FEW for cell in cells for count in cell.counts)


def test_the_outermost_rows_do_not_show() -> None:
    values = ordered({**dict.fromkeys(range(50), (20,)), 61: (9,), 98: (1,), 4321: (1,)})
    cells = on_grid(coarsened(ranges_of(values)), values)
    assert (cells[0].low, cells[-1].low, cells[-1].high, cells[-1].rows) == (0, 49, 60, 31)


def test_digits_are_those_of_the_numbers_not_of_their_noise() -> None:
    assert decimals_of([92.89299999999999, 1.2990000000000002, -46.2]) == 3
    assert decimals_of([1.0, 25.0]) == 0
    assert decimals_of([0.1 + 0.2, 1e-12]) == 1
    assert decimals_of([3e-7, 1e-7]) == 7


def test_rounding_never_makes_two_cells_one() -> None:
    cells = [HistogramCell(0.0, 0.0, (9,)), HistogramCell(1e-4, 1e-4, (9,)), HistogramCell(1e9, 1e9, (9,))]
    assert rounded(cells, 0) == (cells, 4)
    tiny = [HistogramCell(0.0, 0.0, (9,)), HistogramCell(5e-324, 5e-324, (9,))]
    assert rounded(tiny, 0)[0] == tiny
