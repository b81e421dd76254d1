"""A soft vote: the weighted mean of probabilities, weights chosen on predictions that no member made for rows it had seen."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from pushline.arrays import Floats
from pushline.data.contract.labels import Codes
from pushline.training.metrics import score

PICKS = 20  # a weight is a multiple of 1/20


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
