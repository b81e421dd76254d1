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

STEPS = 50
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
    """Slope and shift of the logistic regression of the truth on the scores, by Newton's method with halved steps."""
    design = np.stack([scores, np.ones_like(scores)], axis=1)

    def loss(weights: Floats) -> float:
        raw = design @ weights
        return float(np.mean(np.logaddexp(0, raw) - truth * raw))

    weights = np.array([1.0, 0.0])
    now = loss(weights)
    for _ in range(STEPS):
        chances = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (chances - truth) / len(truth)
        curve = (design * (chances * (1 - chances))[:, None]).T @ design / len(truth) + 1e-9 * np.eye(2)
        step = np.linalg.solve(curve, slope)
        while loss(weights - step) > now and np.abs(step).max() > 1e-12:
            step /= 2
        before, now = now, loss(weights - step)
        weights = weights - step
        if before - now < 1e-12:
            break
    # A negative slope would turn the ranking round: the scores say nothing then, and shall go on saying it.
    return float(max(weights[0], 1e-3)), float(weights[1])


def temperature(logs: Floats, labels: Codes) -> float:
    """The factor on log-probabilities with the lowest log loss, by golden section on its logarithm."""

    def loss(factor: float) -> float:
        scores = logs * factor
        top = scores.max(axis=1)
        whole = top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
        return float(np.mean(whole - scores[np.arange(len(labels)), labels]))

    low, high = -2.5, 2.5
    ratio = (np.sqrt(5) - 1) / 2
    for _ in range(40):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(float(np.exp(left))) < loss(float(np.exp(right))):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


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
