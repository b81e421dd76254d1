"""From the checked table to the rows a model may learn from and those it never sees.

Every row of the table ends up in exactly one place: training rows, the hold-out, or the rejects with the reason.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct

from pushline.arrays import Floats
from pushline.data.contract import Column, Contract
from pushline.data.contract.encoding import class_codes, encode_frame, encoding_of, is_usable, targets_of
from pushline.data.contract.split import arrivals, gaps_of, split_of
from pushline.errors import DataError
from pushline.files import cannot_write, write_atomically, write_json
from pushline.results import TrainResult
from pushline.settings import Training

if TYPE_CHECKING:
    import pandas as pd

TRAIN = "train.parquet"
HELD_BACK = "held_back.parquet"
HOLDOUT = "holdout.parquet"
REJECTS = "rejects.parquet"
COUNTS = "counts.json"
MLTABLE = "MLTable"
TABLE = "table.parquet"
BELONGS = "belongs.npy"
NO_LABEL = "no label"
LOOKED_AT = 5_000  # held-out rows
COLUMNS = 4  # below which rows are nearly equal by chance
LABEL = 2**31  # a column's number that no column has


class Twins(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many of the held-out rows that were looked at have a twin in training."""

    rows: int
    same: int  # a training row with the same features
    other_label: int  # ... of which none has the same label
    near: int  # no such row, but one that differs in a single feature


class Counts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the rows of the table went: `rows` is the sum of `train`, `held_back`, `holdout` and all of `rejected`."""

    rows: int
    train: int
    holdout: int
    rejected: dict[str, int]  # by reason
    train_classes: dict[str, int]
    holdout_classes: dict[str, int]
    held_back: int = 0  # training rows that the search does not see, for the threshold
    share: float | None = None  # of the rows that was to be held out
    held_from: str = ""  # where the newest rows are held out: the moment of the oldest of them
    twins: Twins | None = None  # of held-out rows among the training rows


class Prepared(Struct, frozen=True, kw_only=True):
    """The frames of the split: `train` and `held_back` hold the model's columns and the label, the others all columns."""

    train: "pd.DataFrame"
    held_back: "pd.DataFrame"
    holdout: "pd.DataFrame"
    belongs: Any  # where the contract names a group or a time: its number for each row of `train`, rising with time
    rejects: "pd.DataFrame"  # `row` (from 1, in the table) and `reason`, and nothing of the table: its columns may be called so
    counts: Counts


def table_file(data: Path) -> Path:
    """The Parquet file of a checked table: `data` itself, or `table.parquet` in it."""
    file = data / TABLE if data.is_dir() else data
    if not file.is_file():
        raise DataError(
            f"{file} does not exist.", why="It is the typed table that check-data writes.", do="Run `pushline check-data` first."
        )
    return file


def prepare(table: Path, contract: Contract, *, holdout: float = 0.1, held_back: float = 0.0, use_known_after: bool = False) -> Prepared:
    """Clean and split the typed table in `table` (Parquet, or the folder of check-data).

    `holdout` is the share of rows that no training ever sees, chosen by content; `held_back` the share of the others that a
    search does not learn from, for one that gives no predictions out of fold. Raises DataError where one side would lack a class.
    """
    import pandas as pd

    frame = pd.read_parquet(table_file(table), columns=[column.name for column in contract.columns])
    reasons = reasons_of(frame, contract)
    usable = frame[reasons == ""]
    aside, wider = (split_of(usable, contract, share) for share in (holdout, holdout + (1 - holdout) * held_back))
    for gap, reason in gaps_of(usable, contract.split, wider | aside):
        reasons[usable.index[gap]] = reason
    left = (reasons[usable.index] == "").to_numpy()
    kept, aside, back = usable[left], aside[left], (wider & ~aside)[left]
    features = [column.name for column in contract.features(use_known_after=use_known_after)]
    learned = kept[[*features, contract.label.name]]
    train = learned[~aside & ~back].reset_index(drop=True)
    unseen = kept[aside].reset_index(drop=True)
    belongs = belonging(kept[~aside & ~back], contract)
    rejected = reasons[reasons != ""]
    rejects = pd.DataFrame({"row": rejected.index + 1, "reason": rejected.to_numpy()})
    counts = Counts(
        rows=len(frame),
        train=len(train),
        holdout=len(unseen),
        rejected={str(reason): int(count) for reason, count in rejects["reason"].value_counts().items()},
        train_classes=class_counts(train, contract),
        holdout_classes=class_counts(unseen, contract),
        held_back=int(back.sum()),
        share=holdout,
        held_from=str(unseen[contract.split.time].min()) if contract.split and contract.split.time and len(unseen) else "",
        twins=twins_between(train, unseen, contract, use_known_after=use_known_after),
    )
    refuse_missing_class(counts)
    return Prepared(
        train=train, held_back=learned[back].reset_index(drop=True), holdout=unseen, belongs=belongs, rejects=rejects, counts=counts
    )


def reasons_of(frame: "pd.DataFrame", contract: Contract) -> "pd.Series[Any]":
    """Why each row can't be used, the first reason; empty for a row that can. A repeated row can: how often it comes is data."""
    import pandas as pd

    reasons = pd.Series("", index=frame.index, dtype=object)

    def reject(bad: Any, reason: str) -> None:
        reasons[bad & (reasons == "")] = reason

    labels = frame[contract.label.name]
    reject(labels.isna(), f"{contract.label.name}: {NO_LABEL}")
    what = "no number" if contract.is_regression else "no class of the contract"
    reject(~is_usable(targets_of(contract, labels)), f"{contract.label.name}: {what}")
    if contract.is_regression:
        for bad, reason in faults_of(labels, contract.label):
            reject(bad, f"{contract.label.name}: {reason}")
    by = contract.split.columns if contract.split else ()
    for column in dict.fromkeys((*contract.features(use_known_after=True), *(contract.by_name[name] for name in by))):
        for bad, reason in faults_of(frame[column.name], column):
            reject(bad, f"{column.name}: {reason}")
    return reasons


def belonging(frame: "pd.DataFrame", contract: Contract) -> Any:
    """The number of each row's group or moment, for the folds; None where the contract names neither."""
    if contract.split is None:
        return None
    if contract.split.time is not None:
        return np.unique(arrivals(frame, contract.split), return_inverse=True)[1]
    return np.unique(frame[contract.split.group].astype(str).to_numpy(dtype=object), return_inverse=True)[1]


def twins_between(train: "pd.DataFrame", unseen: "pd.DataFrame", contract: Contract, *, use_known_after: bool) -> Twins:
    """How many of the held-out rows training knows, or knows almost."""
    encoding = encoding_of(contract.features(use_known_after=use_known_after))
    known, held = ((encode_frame(encoding, frame), targets_of(contract, frame[contract.label.name])) for frame in (train, unseen))
    return twins_of(*known, *held)


def faults_of(values: "pd.Series[Any]", column: Column) -> list[tuple[Any, str]]:
    """Masks of impossible values of one column, each with its reason."""
    faults = []
    empty = values.isna()
    if not column.optional:
        faults.append((empty, "empty, and a value is required"))
    if column.is_text and column.allowed is not None and column.closed:
        faults.append((~empty & ~values.isin(column.allowed), "not an allowed value"))
    if column.minimum is not None:
        faults.append((~empty & (values < column.minimum), f"below {column.minimum:g}"))
    if column.maximum is not None:
        faults.append((~empty & (values > column.maximum), f"above {column.maximum:g}"))
    return faults


def read_counts(folder: Path) -> Counts:
    """The counts that `write_prepared` left in the folder."""
    return msgspec.json.decode((folder / COUNTS).read_bytes(), type=Counts)


def class_counts(frame: "pd.DataFrame", contract: Contract) -> dict[str, int]:
    if contract.is_regression:
        return {}
    codes = class_codes(contract, frame[contract.label.name])
    return {name: int((codes == number).sum()) for number, name in enumerate(contract.classes)}


def refuse_missing_class(counts: Counts) -> None:
    """Raises DataError where a side has no row of a class, or of a quantity no row at all."""
    sides = (("training rows hold", counts.train_classes, counts.train), ("hold-out holds", counts.holdout_classes, counts.holdout))
    for side, classes, of in sides:
        for name, rows in (classes or {"": of}).items():
            if rows == 0:
                raise DataError(
                    f"The {side} no row{f' of the class {name!r}' if name else ''}.",
                    why=f"The table has {counts.rows} rows, of which {counts.train} are for training and {counts.holdout} are held out.",
                    do="Bring more rows, raise `holdout` in [tool.pushline.training], or take something out of the contract's `split`.",
                )


def write_prepared(prepared: Prepared, out: Path) -> None:
    """Leave the frames and counts in the folder `out`, with the MLTable file by which Azure ML finds the training rows."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        prepared.train.to_parquet(out / TRAIN, index=False)
        if prepared.counts.held_back:
            prepared.held_back.to_parquet(out / HELD_BACK, index=False)
        prepared.holdout.to_parquet(out / HOLDOUT, index=False)
        prepared.rejects.to_parquet(out / REJECTS, index=False)
        if prepared.belongs is not None:
            np.save(out / BELONGS, prepared.belongs)
    except OSError as error:
        raise cannot_write(out, error) from error
    write_json(out / COUNTS, prepared.counts)
    text = f"type: mltable\npaths:\n  - file: ./{TRAIN}\ntransformations:\n  - read_parquet\n"
    write_atomically(out / MLTABLE, text.encode())


def twins_of(train: Floats, train_labels: Floats, held: Floats, held_labels: Floats) -> Twins:
    """Twins of the first rows of `held` in `train`: encoded features [rows, columns] and class numbers.

    Figures on them flatter a model that remembers rows.
    """
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


def hold_out_again(trained: TrainResult, table: Path, contract: Contract, settings: Training) -> None:
    """Put the hold-out of `trained` where its result names it, from the typed table of the same data: on a machine that did not train.

    Which rows are held out follows from their content, so they are the same rows. Raises DataError where their number says
    that they are not.
    """
    rows = prepare(table, contract, holdout=settings.holdout, use_known_after=settings.use_known_after).holdout
    if len(rows) != trained.holdout_rows:
        raise DataError(
            "The hold-out of the training run can't be made again.",
            why=f"It had {trained.holdout_rows:,} rows, the data of this machine gives {len(rows):,}.",
            do="Fetch the data that the run used (its data.lock), or run `pushline train` again.",
        )
    file = Path(trained.holdout)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(file, index=False)
    except OSError as error:
        raise cannot_write(file, error) from error
