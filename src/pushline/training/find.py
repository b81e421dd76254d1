"""The automl step: from training rows to the best model that the budget gave."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pushline.data.contract import Contract
from pushline.data.encoding import Encoding, encode_frame, encoding_of
from pushline.data.labels import Codes, class_codes
from pushline.training.automl.limits import SearchSettings
from pushline.training.automl.pool import warm_up
from pushline.training.best_model import TIME_WAS_OVER, BestModel
from pushline.training.features import compute, features_of
from pushline.training.leakage import suspects_of

if TYPE_CHECKING:
    import pandas as pd

Tell = Callable[[str], None]


def find_model(
    frame: "pd.DataFrame",
    contract: Contract,
    settings: SearchSettings,
    *,
    use_known_after: bool,
    tell: Tell,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[BestModel, bytes, Codes, Any]:
    """Search on `frame` (features and label, cleaned). Returns the record, the numeric graph, and labels and probabilities out of fold.

    `stop`: asked now and then; once it says yes, the best so far is the result.
    """
    warm_up()  # the workers load their libraries while we encode
    from pushline.training.automl.search import search

    encoding: Encoding = encoding_of(contract.features(use_known_after=use_known_after))
    labels = class_codes(contract, frame[contract.label.name])
    raw = encode_frame(encoding, frame)
    suspects = suspects_of(raw, labels, encoding, contract)
    features = features_of(contract, encoding)
    matrix = compute(raw, features, encoding)
    kinds = (*(column.kind for column in encoding.columns), *("number" for _ in features))
    found = search(matrix, labels, kinds, len(contract.classes), settings, tell=tell, features=features, encoding=encoding, stop=stop)
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
        calibration=(found.calibration.slope, found.calibration.shift),
        derived=tuple(feature.name for feature in features),
        imbalance=settings.imbalance,
        treatments=found.treatments,
        suspects=suspects,
        rows=len(frame),
        learned_share=found.plan.share,
        folds=settings.folds,
        judged_folds=len(found.plan.folds),
        seed=settings.seed,
        budget=settings.seconds if settings.max_trials is None or found.stopped.startswith(TIME_WAS_OVER) else None,
    )
    return best, found.model, labels[found.rows], found.probabilities
