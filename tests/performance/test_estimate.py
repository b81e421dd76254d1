"""Estimates against the truth of worlds that are known: they hold the realised figure where they may, and say where they may not."""

import numpy as np
import pandas as pd
import pytest

from pushline.arrays import Floats
from pushline.performance.estimate import Rows, calibrated, density_ratio, estimate
from pushline.registry.measures import figure


def world(rows: int, seed: int, *, shift: float = 0.0) -> Rows:
    """Two numbers of which the first, from another place under `shift`, decides how well the second tells the classes."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 2)) + np.array([shift, 0])
    truth = 1 / (1 + np.exp(-(x[:, 1] * np.where(x[:, 0] > 0, 0.3, 2.0) - 0.5)))
    said = 1 / (1 + np.exp(-(x[:, 1] * 1.1 - 0.5)))  # the same of all: over- and underconfident by x[:, 0]
    labels = (random.uniform(size=rows) < truth).astype(np.int64)
    return Rows(matrix=x.astype(np.float32), answers=np.stack([1 - said, said], axis=1), labels=labels)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["average_precision", "roc_auc", "log_loss", "accuracy"])
def test_under_covariate_shift_weighted_estimates_err_far_less_than_unweighted_ones(metric: str) -> None:
    reference = world(6000, 1)
    errors: dict[str, list[float]] = {"weighted": [], "unweighted": []}
    for seed in range(3):
        window = world(3000, 100 + seed, shift=1.2)
        density = density_ratio(reference.matrix, window.matrix)
        plain = type(density)(weights=np.ones(len(reference)), shifted=False)
        truth = figure(metric, window.labels, window.answers)
        assert density.shifted
        errors["weighted"].append(abs(estimate(metric, reference, window, density=density).interval.value - truth))
        errors["unweighted"].append(abs(estimate(metric, reference, window, density=plain).interval.value - truth))
    assert np.mean(errors["weighted"]) < 0.5 * np.mean(errors["unweighted"])


@pytest.mark.slow
def test_without_a_shift_nothing_is_weighted_and_the_interval_holds_what_comes() -> None:
    reference, held = world(6000, 1), 0
    for seed in range(12):
        window = world(1500, 200 + seed)
        seen = estimate("roc_auc", reference, window)
        held += seen.interval.low <= figure("roc_auc", window.labels, window.answers) <= seen.interval.high
        assert not seen.density.shifted
    assert held >= 10  # of 12 at 95 %: less has a chance of 1 in 50


def test_chances_follow_a_curve_that_no_line_in_the_logit_does() -> None:
    random = np.random.default_rng(5)
    said = random.uniform(0.01, 0.99, size=20_000)
    truth = np.interp(said, (0, 0.4, 0.6, 1), (0.3, 0.35, 0.65, 0.7))  # sure of itself at both ends, and too little in the middle
    labels = (random.uniform(size=len(said)) < truth).astype(np.int64)
    answers = np.stack([1 - said, said], axis=1)
    reference = Rows(matrix=np.zeros((len(said), 1)), answers=answers, labels=labels)
    assert np.abs(calibrated(reference, np.ones(len(said)), answers)[:, 1] - truth).mean() < 0.025  # of a line: 0.06


def quantities(rows: int, seed: int, *, shift: float = 0.0) -> Rows:
    """Errors grow with the first number."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 2)) + np.array([shift, 0])
    value: Floats = x[:, 1] * 3
    labels = value + random.normal(size=rows) * np.exp(x[:, 0] / 2)
    return Rows(matrix=x.astype(np.float32), answers=value.reshape(-1, 1), labels=labels)


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
def test_the_loss_of_a_quantity_is_known_from_its_rows(metric: str) -> None:
    reference, window = quantities(6000, 1), quantities(3000, 2, shift=0.8)
    seen, truth = estimate(metric, reference, window), figure(metric, window.labels, window.answers)
    before = figure(metric, reference.labels, reference.answers)
    assert abs(seen.interval.value - truth) < 0.35 * abs(before - truth)


@pytest.mark.slow
def test_three_classes_are_estimated_like_two() -> None:
    random = np.random.default_rng(0)

    def three(rows: int) -> Rows:
        x = random.normal(size=(rows, 3))
        chances = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        labels = np.array([random.choice(3, p=row) for row in chances])
        return Rows(matrix=x.astype(np.float32), answers=chances, labels=labels)

    reference, window = three(3000), three(2000)
    for metric in ("roc_auc", "log_loss", "accuracy"):
        seen = estimate(metric, reference, window)
        assert seen.interval.low <= figure(metric, window.labels, window.answers) <= seen.interval.high


def test_missing_numbers_and_empty_columns_are_no_obstacle() -> None:
    reference, window = world(1000, 1), world(1000, 2)
    for rows in (reference, window):
        rows.matrix[:, 0] = np.nan
    assert pd.notna(estimate("roc_auc", reference, window).interval.value)
