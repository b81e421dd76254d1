"""A soft vote, and its probabilities brought to observed frequencies where they are not there yet.

The weights of the vote are chosen on predictions that no member made for rows it had seen. A calibration is fitted out of fold, and
taken only where it helps.

Boosted trees trained on log loss mostly need nothing. Weights and resampling distort probabilities, and this puts them back.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from pushline.arrays import Floats
from pushline.data.contract.encoding import Codes
from pushline.training.graph import SMALLEST, Calibration
from pushline.training.metrics import score

ERRORS = 2.0  # standard errors by which the loss must fall
PICKS = 20  # a weight is a multiple of 1/20


def calibrated(probabilities: Floats, calibration: Calibration) -> Floats:
    """What the graph makes of probabilities [rows, classes]."""
    if calibration.changes_nothing:
        return probabilities
    chances = np.clip(probabilities.astype(np.float64), SMALLEST, 1 - SMALLEST)
    if probabilities.shape[1] == 2:
        return pair(calibration.slope * odds_of(chances) + calibration.shift)
    scores = np.log(chances) * calibration.slope
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray((raised / raised.sum(axis=1, keepdims=True)).astype(np.float32))


def odds_of(chances: Floats) -> Floats:
    return np.asarray(np.log(chances[:, 1]) - np.log1p(-chances[:, 1]))


def pair(scores: Floats) -> Floats:
    positive = 1 / (1 + np.exp(-scores))
    return np.stack([1 - positive, positive], axis=1).astype(np.float32)


def best_calibration(labels: Codes, probabilities: Floats, folds: Codes) -> Calibration:
    """The calibration of predictions out of fold; none where it does not lower the log loss on folds it was not fitted on."""
    before, after = losses(labels, probabilities), np.empty(len(labels))
    for fold in np.unique(folds):
        held = folds == fold
        after[held] = losses(labels[held], calibrated(probabilities[held], fitted(labels[~held], probabilities[~held])))
    gain = before - after
    if gain.mean() <= ERRORS * gain.std() / np.sqrt(len(gain)):
        return Calibration()
    return fitted(labels, probabilities)


def losses(labels: Codes, probabilities: Floats) -> Floats:
    """The log loss of each row."""
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return np.asarray(-np.log(np.clip(chosen, SMALLEST, 1)))


def fitted(labels: Codes, probabilities: Floats) -> Calibration:
    chances = np.clip(probabilities.astype(np.float64), SMALLEST, 1 - SMALLEST)
    if probabilities.shape[1] == 2:
        slope, shift = platt(odds_of(chances), (labels == 1).astype(np.float64))
        return Calibration(slope=slope, shift=shift)
    return Calibration(slope=temperature(np.log(chances), labels))


def platt(scores: Floats, truth: Floats) -> tuple[float, float]:
    """Slope and shift of the logistic regression of the truth on the scores."""
    from scipy.optimize import minimize
    from scipy.special import expit

    design = np.stack([scores, np.ones_like(scores)], axis=1)

    def loss(weights: Floats) -> tuple[float, Floats]:
        raw = design @ weights
        return float(np.mean(np.logaddexp(0, raw) - truth * raw)), design.T @ (expit(raw) - truth) / len(truth)

    slope, shift = minimize(loss, (1.0, 0.0), jac=True, method="BFGS").x
    # A negative slope would turn the ranking round: the scores say nothing then, and shall go on saying it.
    return float(max(slope, 1e-3)), float(shift)


def temperature(logs: Floats, labels: Codes) -> float:
    """The factor on log-probabilities with the lowest log loss."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    def loss(power: float) -> float:
        return float(-np.mean(log_softmax(logs * np.exp(power), axis=1)[np.arange(len(labels)), labels]))

    return float(np.exp(minimize_scalar(loss, bounds=(-2.5, 2.5), method="bounded").x))


class Vote(Struct, frozen=True, kw_only=True):
    """Members by their place, and their weights, which sum to 1."""

    members: tuple[int, ...]
    weights: tuple[float, ...]
    score: float


def best_vote(metric: str, labels: Codes, probabilities: Sequence[Floats], *, at_most: int) -> Vote:
    """Pick members one after the other, with repetition, each time the one that helps most (Caruana et al., 2004).

    `probabilities`: out of fold [rows, classes] of each model. At most `at_most` different members.
    """
    total = np.zeros_like(probabilities[0], dtype=np.float64)
    picks: list[int] = []
    best: tuple[float, list[int]] = (-np.inf, [])
    for count in range(1, PICKS + 1):
        allowed = range(len(probabilities)) if len(set(picks)) < at_most else sorted(set(picks))
        scores = {place: score(metric, labels, (total + probabilities[place]) / count) for place in allowed}
        place = max(scores, key=lambda one: (scores[one], -one))
        picks.append(place)
        total += probabilities[place]
        if scores[place] > best[0]:
            best = (scores[place], list(picks))
    members = tuple(sorted(set(best[1])))
    return Vote(members=members, weights=tuple(best[1].count(member) / len(best[1]) for member in members), score=best[0])


def voted(probabilities: Sequence[Floats], vote: Vote) -> Floats:
    """The probabilities of a vote."""
    return np.asarray(sum(probabilities[member] * weight for member, weight in zip(vote.members, vote.weights, strict=True)))
