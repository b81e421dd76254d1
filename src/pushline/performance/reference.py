"""Rows that a model version never learned from, with their labels: where its promise was made."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pushline.data.contract import Contract
from pushline.data.contract.encoding import encode_frame
from pushline.data.contract.split import held_since
from pushline.delivery import Delivery, maybe
from pushline.files import scratch, whole_file
from pushline.performance.estimate import Rows
from pushline.registry.holdout import probabilities_of, read_holdout
from pushline.registry.register import HELD_FROM, HELD_OUT
from pushline.registry.store import ModelVersion
from pushline.results import TrainResult
from pushline.serving.model_folder import MATRIX, read_contract, read_scoring

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "performance"  # under .pushline/


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
