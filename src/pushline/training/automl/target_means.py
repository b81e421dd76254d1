"""Columns of many values as numbers: what the label was, on average, where the value stood (Micci-Barreca, 2001).

For rows that are learned from, each mean is of other rows alone (cross-fitted), or a model would trust it too much. For rows that are
predicted it is of all rows learned from; a value that none of them had, or a missing one, has the mean of all.
"""

import numpy as np

from pushline.arrays import Floats
from pushline.data.contract.encoding import Targets, is_quantity
from pushline.training.graph import TargetMeans

MANY = 12  # values from which a column has its means: fewer are told apart by a few splits
MOST_CLASSES = 10  # a column of means for each: more would be a table of their own
WEIGHT = 10.0  # rows that the mean of all counts as much as
PARTS = 5  # that the means of learning rows are fitted across


def with_means(
    known: Floats, labels: Targets, rows: Floats, columns: tuple[int, ...], classes: int, seed: int
) -> tuple[Floats, Floats, TargetMeans]:
    """The means behind the columns of the rows that are learned from, and of those that are predicted; and the means themselves."""
    means = fitted(known, labels, columns, classes)
    learned = applied(known, means)
    part = np.random.default_rng(seed).integers(PARTS, size=len(known))
    for number in range(PARTS):
        held = part == number
        if held.all() or not held.any():
            continue
        learned[held] = applied(known[held], fitted(known[~held], labels[~held], columns, classes))
    return learned, applied(rows, means), means


def columns_of(matrix: Floats, kinds: tuple[str, ...], classes: int) -> tuple[int, ...]:
    """The columns that have means."""
    if classes > MOST_CLASSES:
        return ()
    return tuple(place for place, kind in enumerate(kinds) if kind == "category" and matrix[:, place].max() >= MANY - 1)


def fitted(matrix: Floats, labels: Targets, columns: tuple[int, ...], classes: int) -> TargetMeans:
    targets = labels[:, None] if is_quantity(labels) else np.eye(classes)[labels][:, 1:] if classes == 2 else np.eye(classes)[labels]
    overall = targets.mean(axis=0)
    tables, tops = [], []
    for place in columns:
        codes = matrix[:, place].astype(np.int64) + 1  # a missing value has the code -1
        counts = np.bincount(codes)
        sums = np.stack([np.bincount(codes, weights=target) for target in targets.T], axis=1)
        table = (sums + WEIGHT * overall) / (counts + WEIGHT)[:, None]
        tops.append(len(table))
        tables.append(np.vstack([table, overall]))  # the last is for codes that were not there
    return TargetMeans(columns=columns, tops=tuple(tops), table=np.concatenate(tables).astype(np.float32))


def applied(matrix: Floats, means: TargetMeans) -> Floats:
    """The matrix with the means behind its columns, as the graph computes them."""
    codes = np.minimum(matrix[:, means.columns].astype(np.int64) + 1, means.tops) + means.offsets
    return np.concatenate([matrix, means.table[codes].reshape(len(matrix), -1)], axis=1, dtype=np.float32)
