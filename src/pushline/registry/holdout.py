"""Two models on the same rows: what each says of a hold-out that neither was trained on.

Rows that the champion's data had already are told apart, so that old and new ones are looked at by themselves.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from pushline.arrays import Floats, Mask
from pushline.data.contract import Contract
from pushline.data.contract.encoding import encode_frame, is_usable, targets_of
from pushline.data.files.table import literal, name_of
from pushline.errors import DataError
from pushline.results import DataFile
from pushline.serving.model_folder import MATRIX, MATRIX_INPUT, read_scoring

if TYPE_CHECKING:
    import pandas as pd

ROWS_AT_A_TIME = 100_000
FILES = "data_files"  # tag of a version: the data versions of the files it learned from


class CannotCompare(Exception):
    """A model can't say anything about these rows; the text is the reason as a clause."""


def read_holdout(file: Path, contract: Contract) -> tuple["pd.DataFrame", Floats]:
    """The rows of a hold-out and their class numbers in the contract's order, or their quantities.

    Raises DataError where it can't be read, is empty, or holds a label that is no class.
    """
    import pandas as pd

    try:
        frame = pd.read_parquet(file)
        labels = targets_of(contract, frame[contract.label.name])
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"The hold-out {file} can't be read.", why=f"{type(error).__name__}: {error}.", do="Run `pushline train` again."
        ) from error
    usable = is_usable(labels)
    if len(frame) == 0 or not usable.all():
        raise DataError(
            f"The hold-out {file} can't decide anything.",
            why="It is empty." if len(frame) == 0 else f"The label of {int((~usable).sum()):,} rows is none of the contract.",
            do="Run `pushline check-data` and `pushline train` again.",
        )
    return frame, labels


def probabilities_of(folder: Path, frame: "pd.DataFrame", classes: tuple[str, ...]) -> Floats:
    """As `answers_of`, of a quantity its value alone: [rows, 1]."""
    return answers_of(folder, frame, classes)[:, : len(classes) or 1]


def answers_of(folder: Path, frame: "pd.DataFrame", classes: tuple[str, ...]) -> Floats:
    """What the model in `folder` says of the rows: float64 [rows, classes], in the order of `classes`; of a quantity value, low and high.

    Raises CannotCompare where it wants a column that the rows lack or knows other classes, and ModelUnreadable where its
    files are damaged.
    """
    from pushline.serving.scorer import session_of

    scoring = read_scoring(folder)
    if not (scoring.classes and classes) and scoring.classes != classes:
        raise CannotCompare("it tells classes apart" if scoring.classes else "it predicts a quantity")
    if set(scoring.classes) != set(classes):
        raise CannotCompare(f"it knows the classes {', '.join(scoring.classes)}, the rows have {', '.join(classes)}")
    lacking = [name for name in scoring.encoding.names if name not in frame.columns]
    if lacking:
        raise CannotCompare(f"it wants the column{'s' * (len(lacking) > 1)} {', '.join(lacking)}, which the rows lack")
    session = session_of(folder, scoring.sha256.get(MATRIX, ""))
    seen = []
    for start in range(0, len(frame), ROWS_AT_A_TIME):
        try:
            matrix = encode_frame(scoring.encoding, frame.iloc[start : start + ROWS_AT_A_TIME])
        except (TypeError, ValueError) as error:
            raise CannotCompare(f"a column is of another type than it was trained on ({error})") from error
        seen.append(session.run(None, {MATRIX_INPUT: matrix})[0])
    answers = np.concatenate(seen).astype(np.float64)
    return answers[:, [scoring.classes.index(name) for name in classes]] if classes else answers


class DataParts(Struct, frozen=True, kw_only=True):
    """The files that a run's data came from, and the typed table of all of them in this order."""

    files: tuple[DataFile, ...]
    table: Callable[[], Path]  # made where it is not on this machine

    @property
    def tag(self) -> str:
        return ",".join(file.version[:16] for file in self.files)

    def grown_since(self, tag: str) -> bool:
        """Whether this data is what `tag` names with more files behind or between."""
        known = set(tag.split(",")) if tag else set()
        return bool(known) and known < {file.version[:16] for file in self.files}

    def old_rows(self, frame: "pd.DataFrame", tag: str) -> Mask | None:
        """The rows of `frame` that a file named in `tag` holds; None where rows and files can't be told apart.

        `frame` has columns of the table and any order of rows. Its columns stand under numbers here, so that none can be
        called like ours.
        """
        import duckdb

        known = set(tag.split(","))
        table, spans, start = self.table(), [], 0
        for file in self.files:
            if file.version[:16] in known:
                spans.append(f"(file_row_number >= {start} AND file_row_number < {start + file.rows})")
            start += file.rows
        numbered = [f"c{number}" for number in range(len(frame.columns))]
        columns = ", ".join(f"{name_of(name)} AS {number}" for name, number in zip(frame.columns, numbered, strict=True))
        same = " AND ".join(f"rows.{number} IS NOT DISTINCT FROM old.{number}" for number in numbered)
        source = f"read_parquet({literal(str(table))}, file_row_number = true)"
        with duckdb.connect(config={"threads": 2}) as connection:
            counted = connection.execute(f"SELECT count(*) FROM {source}").fetchall()  # noqa: S608 - the path is quoted
            if counted != [(start,)]:
                return None
            connection.register("held", frame.set_axis(numbered, axis="columns").assign(place=np.arange(len(frame))))
            found = connection.execute(
                f"WITH old AS (SELECT DISTINCT {columns} FROM {source} WHERE {' OR '.join(spans)}) "  # noqa: S608 - quoted
                f"SELECT place FROM held AS rows SEMI JOIN old ON {same}"
            ).fetchnumpy()["place"]
        mask = np.zeros(len(frame), dtype=bool)
        mask[np.asarray(found, dtype=np.int64)] = True
        return mask
