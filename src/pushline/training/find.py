"""The automl step: from training rows to the best model that the budget gave."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from pushline.data.contract import Contract
from pushline.data.contract.encoding import Codes, Encoding, Targets, encode_frame, encoding_of, strata_of, targets_of
from pushline.errors import StepFailed
from pushline.progress import Progress
from pushline.training.automl.limits import SearchSettings
from pushline.training.automl.pool import cores, warm_up
from pushline.training.best_model import TIME_WAS_OVER, BestModel, SearchOutcome
from pushline.training.features import compute, features_of
from pushline.training.leakage import suspects_of

if TYPE_CHECKING:
    import pandas as pd

    from pushline.training.automl.trials import Folds


def find_model(
    frame: "pd.DataFrame",
    contract: Contract,
    settings: SearchSettings,
    *,
    use_known_after: bool,
    progress: Progress,
    stop: Callable[[], bool] = lambda: False,
    belongs: Codes | None = None,
) -> tuple[BestModel, bytes, Targets, Any, bytes]:
    """Search on `frame` (features and label, cleaned).

    Returns the record, the numeric graph, labels and probabilities out of fold (of a quantity its value and, with rows enough,
    two quantiles), and what explains the graph's answers where trees do.

    `belongs`: the number of each row's group or moment, where the contract names one. `stop`: asked now and then; once it
    says yes, the best so far is the result.
    """
    warm_up()  # the workers load their libraries while we encode
    from pushline.training.automl.search import Search
    from pushline.training.automl.trials import Folds, folds_of, same_rows
    from pushline.training.interval import with_quantiles

    encoding: Encoding = encoding_of(contract.features(use_known_after=use_known_after))
    labels = targets_of(contract, frame[contract.label.name])
    raw = encode_frame(encoding, frame)
    suspects = suspects_of(raw, labels, encoding, contract)
    folds = None if belongs is None else folds_for(belongs, labels, settings, contract)
    features = features_of(contract, encoding)
    matrix = compute(raw, features, encoding)
    matrix[:, : raw.shape[1]] = raw  # what the graph is given: it leaves the dates out itself
    kinds = (*("date" if column.is_date else column.kind for column in encoding.columns), *("number" for _ in features))
    found = Search(
        matrix,
        labels,
        kinds,
        len(contract.classes) or 1,
        settings,
        features=features,
        encoding=encoding,
        folds=folds,
        progress=progress,
        stop=stop,
    ).run()
    best = BestModel(
        **{name: getattr(found, name) for name in SearchOutcome.__struct_fields__},
        encoding=encoding,
        classes=contract.classes,
        metric=settings.metric,
        calibration=(found.calibration.slope, found.calibration.shift),
        derived=tuple(feature.name for feature in features),
        imbalance=settings.imbalance,
        suspects=suspects,
        rows=len(frame),
        learned_share=found.plan.share,
        folds=settings.folds,
        judged_folds=len(found.plan.folds),
        forward=folds is not None and folds.forward,
        seed=settings.seed,
        budget=settings.seconds if settings.max_trials is None or found.stopped.startswith(TIME_WAS_OVER) else None,
    )
    model, probabilities = found.model, found.probabilities
    if contract.is_regression:
        dealt = folds or Folds(of=folds_of(strata_of(labels), settings.folds, settings.seed, same_rows(matrix)))  # as the search deals them
        matrix[:, [column.is_date for column in encoding.columns] + [False] * len(features)] = 0  # as the graph has it
        made = with_quantiles(model, matrix, labels, dealt, found.rows, seed=settings.seed, threads=cores())
        model, probabilities = (made[0], np.column_stack([probabilities, made[1]])) if made else (model, probabilities)
    return best, model, labels[found.rows], probabilities, found.explanation


def folds_for(belongs: Codes, labels: Targets, settings: SearchSettings, contract: Contract) -> "Folds":
    """Folds that estimate what the hold-out does: for groups never seen, or for the time after. Raises StepFailed for too few."""
    from pushline.training.automl.trials import Folds, folds_in_time, folds_of

    split = contract.split
    forward = split is not None and split.time is not None
    folds = (
        folds_in_time(belongs, settings.folds) if forward else Folds(of=folds_of(strata_of(labels), settings.folds, settings.seed, belongs))
    )
    sizes = np.bincount(folds.of, minlength=2)
    if len(folds.judged) < 1 or not sizes.all() or len(np.unique(labels[np.isin(folds.of, folds.judged)])) < len(contract.classes):
        name = split and (split.group or split.time)
        raise StepFailed(
            f"The training rows can't be dealt to folds by {name}.",
            why=f"There are {len(np.unique(belongs))} values of it in {len(belongs):,} rows, and each class must be among the rows judged.",
            do="Bring more rows, or take `split` out of data_checks/contract.yml.",
        )
    return folds
