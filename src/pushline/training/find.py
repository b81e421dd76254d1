"""The automl step: from training rows to the best model that the budget gave."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pushline.data.contract import Contract
from pushline.data.encoding import Encoding, encode_frame, encoding_of
from pushline.data.labels import Codes, class_codes
from pushline.training.automl.limits import SearchSettings
from pushline.training.automl.pool import warm_up
from pushline.training.best_model import BestModel

if TYPE_CHECKING:
    import pandas as pd

Tell = Callable[[str], None]


def find_model(
    frame: "pd.DataFrame", contract: Contract, settings: SearchSettings, *, use_known_after: bool, tell: Tell
) -> tuple[BestModel, bytes, Codes, Any]:
    """Search on `frame` (features and label, cleaned). Returns the record, the numeric graph, and labels and probabilities out of fold."""
    from pushline.training.automl.search import search

    warm_up()
    encoding: Encoding = encoding_of(contract.features(use_known_after=use_known_after))
    labels = class_codes(contract, frame[contract.label.name])
    matrix = encode_frame(encoding, frame)
    kinds = tuple(column.kind for column in encoding.columns)
    found = search(matrix, labels, kinds, len(contract.classes), settings, tell=tell)
    best = BestModel(
        encoding=encoding,
        classes=contract.classes,
        metric=settings.metric,
        algorithm=found.algorithm,
        members=found.members,
        score=found.score,
        leaderboard=found.leaderboard,
        curve=found.curve,
        seconds=found.seconds,
        stopped=found.stopped,
        imbalance=settings.imbalance,
        rows=len(frame),
        folds=settings.folds,
        seed=settings.seed,
    )
    return best, found.model, labels, found.probabilities
