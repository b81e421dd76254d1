"""A finished training on an odd table, without the search: for tests of what is said about a model."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import cross_val_predict

from pushline.data.contract import Contract
from pushline.data.contract.encoding import Encoding, class_codes, encode_frame, encoding_of
from pushline.evaluation import Evaluation
from pushline.results import Trial
from pushline.training.automl.algorithms import ALGORITHMS, Candidate
from pushline.training.automl.libraries import build
from pushline.training.automl.worker import part_of
from pushline.training.best_model import BestModel
from pushline.training.card import card_of
from pushline.training.evaluate import evaluate
from pushline.training.export import Origin, predict
from pushline.training.graph import Calibration, matrix_graph
from pushline.training.threshold import Chosen, choose_threshold, parse_objective
from training.tables import odd_contract, odd_table

ORIGIN = Origin(data_version="0123456789abcdef", git_revision="abc123def456")


@dataclass(frozen=True)
class Judged:
    """A model and all that is said about it."""

    contract: Contract
    encoding: Encoding
    model: bytes
    holdout: pd.DataFrame
    evaluation: Evaluation
    best: BestModel
    chosen: Chosen | None
    card: str

    @property
    def labels(self) -> np.ndarray:
        return class_codes(self.contract, self.holdout[self.contract.label.name])

    @property
    def probabilities(self) -> np.ndarray:
        return predict(self.model, encode_frame(self.encoding, self.holdout))


def judged(
    *, classes: int = 2, shuffled: bool = False, use_known_after: bool = False, origin: Origin = ORIGIN, metric: str = "average_precision"
) -> Judged:
    """Train on 800 rows, judge on 600; `shuffled`: the training labels say nothing."""
    contract = odd_contract(classes=classes)
    encoding = encoding_of(contract.features(use_known_after=use_known_after))
    kinds = tuple(column.kind for column in encoding.columns)
    learn, holdout = odd_table(800, 1, classes=classes), odd_table(600, 2, classes=classes)
    if shuffled:
        learn["outcome"] = learn["outcome"].sample(frac=1, random_state=3).to_numpy()
    labels, matrix = class_codes(contract, learn["outcome"]), encode_frame(encoding, learn)
    parameters = {"max_iter": 30, "max_leaf_nodes": 7, "learning_rate": 0.1}
    candidate = Candidate(
        name="GradientBoosting 1", algorithm="GradientBoosting", builder=ALGORITHMS["GradientBoosting"].builder, parameters=parameters
    )
    estimator = build(candidate, seed=1, threads=1, kinds=kinds)
    out_of_fold = cross_val_predict(estimator, matrix, labels, cv=3, method="predict_proba")
    part = part_of(estimator.fit(matrix, labels), classes)
    model = matrix_graph([part], [1.0], Calibration(), columns=matrix.shape[1], classes=classes).SerializeToString()
    chosen = choose_threshold(labels, out_of_fold[:, 1], parse_objective("f1")) if classes == 2 else None
    threshold = chosen.threshold if chosen else None
    evaluation = evaluate(model, holdout, contract, encoding, threshold=threshold, metric=metric, rounds=200)
    best = BestModel(
        encoding=encoding,
        classes=contract.classes,
        metric=metric,
        algorithm="GradientBoosting",
        members=(("GradientBoosting 1", "GradientBoosting", 1.0),),
        score=0.5,
        leaderboard=(
            Trial(name="GradientBoosting 1", algorithm="GradientBoosting", score=0.5, seconds=1.0),
            Trial(name="LightGBM 1", algorithm="LightGBM", score=None, seconds=2.0, state="timeout", detail="stopped after 2.0 s"),
        ),
        curve=((1.0, 0.5),),
        seconds=3.0,
        stopped="2 trials were made",
        rows=len(learn),
        folds=3,
        judged_folds=3,
        seed=1,
    )
    card = card_of(evaluation, best, contract, origin, objective="f1", chosen=chosen, use_known_after=use_known_after)
    return Judged(contract, encoding, model, holdout, evaluation, best, chosen, card)


def write_table(frame: pd.DataFrame, file: Path) -> Path:
    frame.to_parquet(file, index=False)
    return file
