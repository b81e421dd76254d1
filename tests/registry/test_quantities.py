"""The promotion of models of a quantity: the same gate, with figures in the label's unit."""

import numpy as np
import pytest

from pushline.registry.decision import against_champion, against_floor
from pushline.registry.measures import QUANTITY_MEASURES, figure, random_figure
from pushline.settings import Promotion

RULES = Promotion(rounds=200)
METRICS = sorted(QUANTITY_MEASURES)


def made(rows: int, seed: int, *, noise: tuple[float, ...], unit: float = 1.0) -> tuple[np.ndarray, ...]:
    """Labels above 0, and a model for each noise."""
    random = np.random.default_rng(seed)
    labels = unit * (10 + random.gamma(2, 3, rows))
    return labels, *((labels + unit * sigma * random.normal(size=rows))[:, None] for sigma in noise)


def test_the_figures_are_those_of_scikit_learn() -> None:
    from sklearn import metrics

    labels, predictions = made(300, 1, noise=(1.5,))
    expected = {
        "rmse": metrics.root_mean_squared_error,
        "mae": metrics.mean_absolute_error,
        "r2": metrics.r2_score,
        "mape": metrics.mean_absolute_percentage_error,
    }
    for metric in METRICS:
        assert figure(metric, labels, predictions) == pytest.approx(expected[metric](labels, predictions[:, 0]), rel=1e-9)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e6])
def test_a_better_model_is_accepted_and_a_worse_one_refused_whatever_the_unit(metric: str, unit: float) -> None:
    labels, good, bad = made(800, 2, noise=(1.0, 2.0), unit=unit)
    assert against_champion(metric, labels, good, bad, RULES, version="1").accept
    assert not against_champion(metric, labels, bad, good, RULES, version="1").accept
    assert against_champion(metric, labels, good, good.copy(), RULES, version="1").accept


@pytest.mark.parametrize("metric", METRICS)
def test_a_first_model_must_know_more_than_the_mean_and_the_median(metric: str) -> None:
    labels, good = made(800, 3, noise=(1.0,))
    nothing = np.full_like(good, np.median(labels) if metric in ("mae", "mape") else labels.mean())
    assert figure(metric, labels, nothing) == pytest.approx(random_figure(metric, labels, 1))
    assert against_floor(metric, labels, good, RULES, because="there is no champion yet").accept
    assert not against_floor(metric, labels, nothing, RULES, because="there is no champion yet").accept


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_answer_that_is_no_number_is_never_accepted(metric: str, value: float) -> None:
    labels, good, champion = made(100, 4, noise=(1.0, 5.0))
    good[7] = value
    assert not against_champion(metric, labels, good, champion, RULES, version="1").accept
    assert not against_champion(metric, labels, champion, good, RULES, version="1").accept
    assert not against_floor(metric, labels, good, RULES, because="there is no champion yet").accept


def test_no_row_decides_nothing() -> None:
    labels, good = made(0, 5, noise=(1.0,))
    assert not against_floor("rmse", labels, good, RULES, because="there is no champion yet").accept
