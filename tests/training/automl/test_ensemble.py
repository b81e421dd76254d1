import numpy as np
import pytest

from pushline.training.automl.calibrate import best_vote, voted
from pushline.training.metrics import score


def models(count: int, seed: int = 1) -> tuple[np.ndarray, list[np.ndarray]]:
    """Labels, and models that err independently."""
    random = np.random.default_rng(seed)
    labels = (random.random(1500) < 0.3).astype(np.int64)
    positive = [1 / (1 + np.exp(-(labels - 0.5 + random.normal(size=1500)))) for _ in range(count)]
    return labels, [np.stack([1 - one, one], axis=1).astype(np.float32) for one in positive]


@pytest.mark.parametrize("metric", ["average_precision", "roc_auc", "log_loss"])
def test_independent_models_together_beat_the_best_of_them(metric):
    labels, chances = models(4)
    vote = best_vote(metric, labels, chances, at_most=4)
    assert len(vote.members) > 1
    assert sum(vote.weights) == pytest.approx(1)
    assert vote.score > max(score(metric, labels, one) for one in chances)
    assert score(metric, labels, voted(chances, vote)) == pytest.approx(vote.score, abs=1e-6)


def test_a_vote_has_no_more_members_than_allowed():
    labels, chances = models(6)
    assert len(best_vote("average_precision", labels, chances, at_most=2).members) <= 2


def test_a_model_that_knows_nothing_gets_no_weight():
    labels, chances = models(1)
    assert best_vote("average_precision", labels, [*chances, np.full_like(chances[0], 0.5)], at_most=2).members == (0,)
