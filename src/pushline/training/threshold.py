"""The threshold on the positive class's probability, chosen out of fold for a stated objective and never on the hold-out."""

import numpy as np
from msgspec import Struct

from pushline.arrays import Floats
from pushline.data.contract.encoding import Codes
from pushline.errors import SettingsError
from pushline.training.metrics import ranked

LARGEST = {"f1": "largest F-score", "fbeta": "largest F-score", "precision": "largest recall", "recall": "largest precision"}
LARGEST_BETA = 100.0  # beyond it the F-score is recall, to the digit


class Objective(Struct, frozen=True, kw_only=True):
    """What the threshold serves.

    `f1`, `fbeta:2`: the largest F-score. `precision:0.6`: the largest recall with at least this precision. `recall:0.8`:
    the largest precision with at least this recall. `cost:5`: the smallest cost where a missed positive costs as much as
    five false alarms.
    """

    kind: str
    value: float


class Chosen(Struct, frozen=True, kw_only=True):
    """A threshold and what it gives out of fold."""

    threshold: float  # exactly a float32, so that every form of the model compares alike
    precision: float
    recall: float
    reached: bool  # whether the stated minimum is reached at any threshold
    note: str


def parse_objective(text: str) -> Objective:
    """The objective in a setting. Raises SettingsError with the accepted forms."""
    kind, _, value = text.strip().partition(":")
    try:
        number = float(value) if value else 1.0
    except ValueError:
        number = -1.0
    fits = (kind == "f1" and not value) or (kind == "fbeta" and value and 0 < number <= LARGEST_BETA)
    fits = fits or (kind == "cost" and bool(value) and 0 < number < np.inf)
    fits = fits or (kind in ("precision", "recall") and bool(value) and 0 < number <= 1)
    if not fits:
        raise SettingsError(
            f"{text!r} is not an objective for the threshold.",
            why="The objectives are f1, fbeta:B (B above 0, at most 100), precision:P and recall:R (between 0 and 1), cost:C (above 0).",
            do="Correct `objective` in [tool.pushline.training], for example to f1, fbeta:2, precision:0.6, recall:0.8 or cost:5.",
        )
    return Objective(kind=kind, value=number)


def choose_threshold(labels: Codes, probabilities: Floats, objective: Objective) -> Chosen:
    """The threshold that serves the objective best on predictions out of fold: `probabilities` [rows] of the positive class."""
    truth = labels == 1
    scores = np.asarray(probabilities, dtype=np.float32)
    hits, misses = ranked(truth, scores)
    levels = np.unique(scores)[::-1]
    precision, recall = hits / (hits + misses), hits / max(1.0, float(hits[-1]))
    if objective.kind == "cost":
        worth, reached = -(objective.value * (hits[-1] - hits) + misses), True
    else:
        worth, reached = worth_of(precision, recall, objective)
    place = int(np.argmax(worth))
    lower = levels[place + 1] if place + 1 < len(levels) else np.float32(0)
    # Half way to the next lower score: what a row of exactly this score becomes does not hang on the last bit.
    threshold = float(np.float32((float(levels[place]) + float(lower)) / 2))
    note = LARGEST.get(objective.kind, f"smallest cost where a miss costs {objective.value:g} times a false alarm")
    if objective.kind in ("precision", "recall"):
        note += f" with {objective.kind} of at least {objective.value:g}"
    if not reached:
        note = f"no threshold reaches a {objective.kind} of {objective.value:g}; this one comes nearest"
    return Chosen(threshold=threshold, precision=float(precision[place]), recall=float(recall[place]), reached=reached, note=note)


def worth_of(precision: Floats, recall: Floats, objective: Objective) -> tuple[Floats, bool]:
    """What to maximise over the levels, and whether the stated minimum can be reached."""
    if objective.kind in ("f1", "fbeta"):
        square = objective.value**2
        return (1 + square) * precision * recall / np.maximum(square * precision + recall, 1e-12), True
    wanted, other = (precision, recall) if objective.kind == "precision" else (recall, precision)
    enough = wanted >= objective.value
    if not enough.any():
        return wanted, False
    return np.where(enough, other, -1.0), True
