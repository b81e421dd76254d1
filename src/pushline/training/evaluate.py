"""What a model does on a labelled table that it never saw: aggregates alone, no row of the table."""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pushline.arrays import Floats
from pushline.data.contract import Contract
from pushline.data.contract.encoding import Codes, Encoding, Targets, encode_frame, targets_of
from pushline.evaluation import Bin, ClassCurves, Evaluation, Group, Importance, Points
from pushline.registry.measures import BINS, HIGHER_IS_BETTER
from pushline.training import quantity
from pushline.training.metrics import at_threshold, figures, ranked, score, with_intervals

if TYPE_CHECKING:
    import pandas as pd

POINTS = 200  # of a curve
SMALLEST_GROUP = 30  # rows below which a group's figures say nothing
RANGES = 5  # of a sensitive number
SHUFFLES = 3
CLASS_FIGURES = ("average_precision", "roc_auc", "log_loss", "selected", "recall", "precision")  # of a group
IMPORTANCE_ROWS = 5_000  # as many as AutoGluon shuffles by default


def evaluate(
    model: bytes,
    frame: "pd.DataFrame",
    contract: Contract,
    encoding: Encoding,
    *,
    threshold: float | None,
    level: float | None = None,
    metric: str,
    rounds: int = 1000,
    seed: int = 7,
    importance: bool = True,
) -> Evaluation:
    """Measure the numeric graph `model` on `frame` (raw columns and the label); `level` is that of a quantity's intervals."""
    from pushline.training.automl.pool import cores
    from pushline.training.export import predictor

    labels = targets_of(contract, frame[contract.label.name])
    matrix = encode_frame(encoding, frame)
    answer = predictor(model, threads=cores())
    answers = answer(matrix)
    if level is None:
        parts = class_parts(labels, answers, contract, threshold, rounds=rounds, seed=seed)
    else:
        parts = quantity.parts_of(labels, answers, level, rounds=rounds, seed=seed)

    return Evaluation(
        classes=contract.classes,
        rows=len(frame),
        metric=metric,
        positive=contract.positive,
        threshold=threshold,
        groups=groups_of(frame, contract, labels, answers, threshold),
        importance=importance_of(answer, matrix, labels, encoding, metric, seed) if importance else (),
        **parts,
    )


def class_parts(
    labels: Codes, probabilities: Floats, contract: Contract, threshold: float | None, *, rounds: int, seed: int
) -> dict[str, Any]:
    """The parts of an evaluation that classes have."""
    return {
        "metrics": with_intervals(labels, probabilities, threshold=threshold, rounds=rounds, seed=seed),
        "baseline": baseline_of(labels, len(contract.classes)),
        "at_threshold": {} if threshold is None else at_threshold(labels, probabilities[:, 1], threshold),
        "confusion": confusion_of(labels, probabilities, threshold),
        "curves": curves_of(labels, probabilities, contract.classes),
    }


def baseline_of(labels: Codes, classes: int) -> dict[str, float]:
    """The same figures of a score that knows nothing but the classes' shares."""
    shares = np.bincount(labels, minlength=classes) / len(labels)
    return figures(labels, np.tile(shares, (len(labels), 1)))


def confusion_of(labels: Codes, probabilities: Floats, threshold: float | None) -> tuple[tuple[int, ...], ...]:
    """Rows by true class (outer) and predicted class (inner)."""
    said = probabilities.argmax(axis=1) if threshold is None else (probabilities[:, 1] >= threshold).astype(np.int64)
    classes = probabilities.shape[1]
    counts = np.bincount(labels * classes + said, minlength=classes * classes).reshape(classes, classes)
    return tuple(tuple(int(count) for count in row) for row in counts)


def curves_of(labels: Codes, probabilities: Floats, classes: Sequence[str]) -> tuple[ClassCurves, ...]:
    """One set of curves for the positive class, or one for each of more than two classes."""
    wanted = [1] if len(classes) == 2 else list(range(len(classes)))
    return tuple(class_curves(classes[name], labels == name, probabilities[:, name]) for name in wanted if np.any(labels == name))


def class_curves(name: str, truth: Floats, scores: Floats) -> ClassCurves:
    hits, misses = ranked(truth, scores)
    recall = hits / hits[-1]
    taken = (hits + misses) / len(truth)
    return ClassCurves(
        name=name,
        rows=int(truth.sum()),
        precision_recall=thinned(recall, hits / (hits + misses)),
        roc=thinned(np.append(0, misses / max(1.0, misses[-1])), np.append(0, recall)),
        calibration=calibration_of(truth, scores),
        gain=thinned(np.append(0, taken), np.append(0, recall)),
        thresholds=thresholds_of(scores, recall, misses / max(1.0, misses[-1]), taken),
    )


def thresholds_of(scores: Floats, recall: Floats, alarms: Floats, taken: Floats) -> tuple[tuple[float, float, float], ...]:
    """What thresholds give, one for each hundredth of the rows that it takes."""
    places = np.unique(np.searchsorted(taken, np.arange(1, 100) / 100))
    levels = np.unique(scores)[::-1]
    return tuple((round(float(levels[place]), 4), round(float(recall[place]), 4), round(float(alarms[place]), 4)) for place in places)


def thinned(x: Floats, y: Floats) -> Points:
    """A curve of at most POINTS points, the ends among them."""
    places = np.unique(np.linspace(0, len(x) - 1, POINTS).round().astype(int))
    return tuple((round(float(x[place]), 5), round(float(y[place]), 5)) for place in places)


def calibration_of(truth: Floats, scores: Floats) -> tuple[Bin, ...]:
    """Ten bins of equal width; empty ones are left out."""
    bins = np.minimum((scores * BINS).astype(int), BINS - 1)
    return tuple(
        Bin(predicted=float(scores[bins == place].mean()), observed=float(truth[bins == place].mean()), rows=int((bins == place).sum()))
        for place in range(BINS)
        if np.any(bins == place)
    )


def groups_of(frame: "pd.DataFrame", contract: Contract, labels: Targets, answers: Floats, threshold: float | None) -> tuple[Group, ...]:
    """Figures for each value, or range, of the columns the contract marks sensitive."""
    found = []
    for column in contract.columns:
        if not column.sensitive or column.name not in frame:
            continue
        for value, member in members_of(frame[column.name], number=column.type in ("integer", "number")):
            rows = int(member.sum())
            positives = int((labels[member] == 1).sum()) if len(contract.classes) == 2 else None
            metrics: dict[str, float | None] = dict.fromkeys(quantity.GROUP_FIGURES if contract.is_regression else CLASS_FIGURES)
            if rows >= SMALLEST_GROUP and len(np.unique(labels[member])) > 1:
                figures_of = quantity.of_group if contract.is_regression else partial(class_figures, threshold=threshold)
                metrics = dict(figures_of(labels[member], answers[member]))
            found.append(Group(column=column.name, value=value, rows=rows, positives=positives, metrics=metrics))
    return tuple(found)


def class_figures(labels: Codes, probabilities: Floats, threshold: float | None) -> dict[str, float]:
    known = figures(labels, probabilities)
    chosen = {name: known[name] for name in ("average_precision", "roc_auc", "log_loss")}
    if threshold is not None:
        answers = at_threshold(labels, probabilities[:, 1], threshold)
        chosen |= {"selected": answers["share_predicted"], "recall": answers["recall"], "precision": answers["precision"]}
    return chosen


def members_of(values: "pd.Series[Any]", *, number: bool) -> list[tuple[str, Floats]]:
    """The groups of a column as masks: its values, or five ranges of about equal size for a number."""
    empty = values.isna().to_numpy()
    groups: list[tuple[str, Floats]] = []
    if number and values.nunique() > RANGES:
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        edges = np.unique(np.nanquantile(numbers, np.linspace(0, 1, RANGES + 1)))
        for low, high in itertools.pairwise(edges):
            last = high == edges[-1]
            groups.append(
                (
                    f"{low:g} to {high:g}" if last else f"{low:g} to under {high:g}",
                    (numbers >= low) & ((numbers <= high) if last else (numbers < high)),
                )
            )
    else:
        groups = [(str(value), (values == value).to_numpy(dtype=bool)) for value in sorted(values.dropna().unique())]
    if empty.any():
        groups.append(("missing", empty))
    return groups


def importance_of(
    answer: Callable[[Floats], Floats], matrix: Floats, labels: Targets, encoding: Encoding, metric: str, seed: int
) -> tuple[Importance, ...]:
    """How much the metric falls when a column's values are shuffled among the rows, the most important column first."""
    random = np.random.default_rng(seed)
    if len(labels) > IMPORTANCE_ROWS:
        rows = random.choice(len(labels), IMPORTANCE_ROWS, replace=False)
        matrix, labels = matrix[rows], labels[rows]
    whole = score(metric, labels, answer(matrix))
    found = []
    for place, name in enumerate(encoding.names):
        shuffled = matrix.copy()
        falls = []
        for _ in range(SHUFFLES):
            shuffled[:, place] = random.permutation(matrix[:, place])
            falls.append(whole - score(metric, labels, answer(shuffled)))
        found.append(Importance(column=name, fall=float(np.mean(falls)), spread=float(np.std(falls))))
    return tuple(sorted(found, key=lambda one: -one.fall))


def worthless(evaluation: Evaluation) -> bool:
    """Whether the model can't be told from a score that knows nothing: the interval of its metric holds the baseline."""
    seen, nothing = evaluation.metrics[evaluation.metric], evaluation.baseline[evaluation.metric]
    return seen.low <= nothing if HIGHER_IS_BETTER[evaluation.metric] else seen.high >= nothing
