"""Held-out rows that have a twin among the training rows: figures on them flatter a model that remembers rows."""

from typing import Any

import numpy as np
from msgspec import Struct

from pushline.arrays import Floats

LOOKED_AT = 5_000  # held-out rows
COLUMNS = 4  # below which rows are nearly equal by chance
LABEL = 2**31  # a column's number that no column has


class Twins(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many of the held-out rows that were looked at have a twin in training."""

    rows: int
    same: int  # a training row with the same features
    other_label: int  # ... of which none has the same label
    near: int  # no such row, but one that differs in a single feature


def twins_of(train: Floats, train_labels: Floats, held: Floats, held_labels: Floats) -> Twins:
    """Twins of the first rows of `held` in `train`: encoded features [rows, columns] and class numbers."""
    held, held_labels = held[:LOOKED_AT], held_labels[:LOOKED_AT]
    columns = range(train.shape[1])
    known, asked = (sum(hashes(matrix, column) for column in columns) for matrix in (train, held))
    same = np.isin(asked, known)
    labelled = np.isin(asked + hashes(held_labels[:, None], LABEL), known + hashes(train_labels[:, None], LABEL))
    near = np.zeros(len(held), dtype=bool)
    for column in columns if len(columns) >= COLUMNS else ():
        near |= np.isin(asked - hashes(held, column), known - hashes(train, column))
    return Twins(rows=len(held), same=int(same.sum()), other_label=int((same & ~labelled).sum()), near=int((near & ~same).sum()))


def hashes(matrix: Floats, column: int) -> Any:
    """A number for each cell of a column, another one in another column; missing values are equal."""
    from pandas.util import hash_array

    salt = np.random.default_rng(column).integers(2**63, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    values = matrix[:, min(column, matrix.shape[1] - 1)].astype(np.float64)
    return hash_array(np.where(np.isnan(values), np.nan, values + 0.0)) * salt
