"""The rows that a model version answered, window by window, with the outcomes that are known by now.

And rows that it never learned from, with their labels: where its promise was made.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from pushline.arrays import Floats, Mask
from pushline.data.contract import Contract
from pushline.data.contract.encoding import encode_frame
from pushline.data.contract.split import held_since
from pushline.data.files.table import database, literal
from pushline.delivery import Delivery, maybe
from pushline.errors import SettingsError
from pushline.files import scratch, whole_file
from pushline.outcomes.file import key_of
from pushline.outcomes.store import logged_rows, newest_outcomes
from pushline.performance.estimate import Rows
from pushline.project import Project
from pushline.registry.holdout import probabilities_of, read_holdout
from pushline.registry.register import HELD_FROM, HELD_OUT
from pushline.registry.store import ModelVersion
from pushline.results import TrainResult
from pushline.serving.model_folder import MATRIX, Scoring, read_contract, read_scoring
from pushline.settings import Performance, long_seconds

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

MOST_WINDOWS = 60  # the newest
FOLDER = "performance"  # under .pushline/


class Window(Struct, frozen=True, kw_only=True):
    """Rows that were scored one after the other."""

    start: datetime
    end: datetime
    rows: int
    known: int  # with an outcome
    delay_days: float | None  # from the answer to the outcome, the median
    frame: "pd.DataFrame"  # of the rows that are looked at
    sample: Rows  # the same rows
    drawn: Mask  # those that stand for all; the others were chosen because their outcome is known


def windows_of(
    project: Project, contract: Contract, scoring: Scoring, version: str, settings: Performance, since: datetime
) -> Iterator[Window]:
    """The windows of `version`, the oldest first; one that is not over yet is the last. Raises DataUnavailable where nothing was logged."""
    log = logged_rows(project, contract)
    with database() as connection:
        mine = f"SELECT *, hash({key_of(settings.keys, 'row.')}) AS key FROM {log} WHERE model_version = {literal(version)}"
        mine += f" AND \"at\" >= TIMESTAMP '{since:%Y-%m-%d %H:%M:%S}'"
        connection.execute(f"CREATE VIEW mine AS SELECT *, {number_of(connection, mine, settings.window)} AS number FROM ({mine})")
        connection.execute(f"CREATE VIEW known AS SELECT hash(key) AS key, outcome, known_at FROM ({newest_outcomes(project)})")
        sizes = sizes_of(connection)
        lot = "key % 1000000 * 1e-6"
        connection.execute(
            f"CREATE TEMP TABLE chosen AS SELECT number, row, probability, result, outcome, {lot} * rows <= {settings.rows} AS drawn "
            f"FROM mine JOIN sizes USING (number) LEFT JOIN known USING (key) "
            f"WHERE drawn OR (outcome IS NOT NULL AND {lot} * known <= {settings.rows})"
        )
        for number, rows, first, last, known, delay in sizes:
            mine = f"FROM chosen WHERE number = {number} ORDER BY rowid"
            frame = connection.execute(f"SELECT unnest(row) {mine}").df()
            said = connection.execute(f"SELECT probability, result, outcome, drawn {mine}").fetchall()
            yield Window(
                start=first,
                end=last,
                rows=rows,
                known=known,
                delay_days=delay,
                frame=frame,
                sample=Rows(
                    matrix=encode_frame(scoring.encoding, frame), answers=answers_of(said, scoring), labels=labels_of(said, scoring)
                ),
                drawn=np.asarray([drawn for *_, drawn in said], dtype=bool),
            )


def sizes_of(connection: "duckdb.DuckDBPyConnection") -> list[tuple[Any, ...]]:
    """Make the table `sizes` of the newest windows and return it: number, rows, first and last moment, known outcomes and their delay."""
    counts = 'SELECT number, count(*) AS rows, min("at") AS first, max("at") AS last FROM mine GROUP BY number'
    delay = "median(date_diff('second', \"at\", known_at)) / 86400.0"
    known = f"SELECT number, count(*) AS known, {delay} AS delay FROM mine JOIN known USING (key) GROUP BY number"
    columns = "number, rows, first, last, coalesce(known, 0) AS known, delay"
    listed = f"SELECT {columns} FROM ({counts}) LEFT JOIN ({known}) USING (number) ORDER BY number DESC LIMIT {MOST_WINDOWS}"
    connection.execute(f"CREATE TEMP TABLE sizes AS {listed}")
    return connection.execute("SELECT * FROM sizes ORDER BY number").fetchall()


def number_of(connection: "duckdb.DuckDBPyConnection", mine: str, window: str) -> str:
    """SQL for the number of a row's window: so many rows each, or so long, counted from midnight before the first row."""
    if window.isdigit() and int(window) > 0:
        return f'(row_number() OVER (ORDER BY "at") - 1) // {int(window)}'
    length = long_seconds(window)
    if length < timedelta(hours=1).total_seconds():
        raise SettingsError(
            f"{window!r} is no window.", why="A window is a count of rows, or 1h and more.", do="Write for example 5000, 12h or 7d."
        )
    first = connection.execute(f"SELECT date_trunc('day', min(\"at\")) FROM ({mine})").fetchone()
    start = first[0] if first and first[0] else datetime(1970, 1, 1)  # noqa: DTZ001 - times of the log are UTC without a zone
    return f"CAST(floor((epoch(\"at\") - epoch(TIMESTAMP '{start}')) / {length}) AS BIGINT)"


def answers_of(said: list[tuple[Any, ...]], scoring: Scoring) -> Floats:
    """As the service answered: the probability of each class, or a quantity's value."""
    if not scoring.classes:
        return np.asarray([[float(result)] for _, result, *_ in said]).reshape(-1, 1)
    listed = np.asarray([probability for probability, *_ in said], dtype=np.float64).reshape(len(said), -1)
    return np.concatenate([1 - listed, listed], axis=1) if listed.shape[1] == 1 else listed


def labels_of(said: list[tuple[Any, ...]], scoring: Scoring) -> Floats:
    if not scoring.classes:
        return np.asarray([np.nan if outcome is None else float(outcome) for _, _, outcome, _ in said])
    place = {name: number for number, name in enumerate(scoring.classes)}
    return np.asarray([place.get(outcome or "", -1) for _, _, outcome, _ in said], dtype=np.int64)


def reference_of(delivery: Delivery, version: ModelVersion, folder: Path) -> tuple["pd.DataFrame", Rows]:
    """The hold-out of `version`, whose model is in `folder`: as it was left here, or made again from the pinned data.

    Raises DataError where the pinned data can't be had.
    """
    contract, scoring = read_contract(folder), read_scoring(folder)
    matrix = scoring.sha256.get(MATRIX, "")
    trained = maybe(delivery.build, TrainResult)
    file = delivery.project.state / FOLDER / f"reference-{matrix[:16]}.parquet"
    if trained and Path(trained.holdout).is_file() and read_scoring(Path(trained.model)).sha256.get(MATRIX) == matrix:
        file = Path(trained.holdout)
    elif not file.is_file():
        make_again(delivery, version, contract, file)
    frame, labels = read_holdout(file, contract)
    classes = scoring.classes
    if classes:  # in the order of the service's probabilities
        labels = np.asarray([classes.index(name) for name in contract.classes])[labels]
    answers = probabilities_of(folder, frame, classes)
    return frame, Rows(matrix=encode_frame(scoring.encoding, frame), answers=answers, labels=labels)


def make_again(delivery: Delivery, version: ModelVersion, contract: Contract, file: Path) -> None:
    """Which rows are held out follows from their content, so those of today's data that the version would have held out are unseen too."""
    from pushline.data.checks.check_data import read_again
    from pushline.training.prepare import prepare

    delivery.progress(f"Making the hold-out of version {version.version} again from the pinned data.")
    files = [Path(each.path) for each in delivery.fetch().files]
    with scratch(delivery.project.state / FOLDER) as folder:
        table = read_again(delivery.project.beside(folder), contract, files, progress=delivery.progress)
        settings = delivery.settings.training
        share = float(version.tags.get(HELD_OUT) or settings.holdout)
        rows = prepare(table, contract, holdout=share, use_known_after=settings.use_known_after).holdout
    since = version.tags.get(HELD_FROM, "")
    if contract.split is not None and contract.split.time is not None and since:
        rows = rows[held_since(rows, contract.split, since)]
    with whole_file(file, mode=0o600) as half:
        rows.to_parquet(half, index=False)
