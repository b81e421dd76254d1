"""What is asked of the label beyond its values."""

import numpy as np
import pytest

from pushline.data.checks.label_checks import LEFT, share_findings, share_left
from pushline.data.contract import parse_contract
from pushline.data.profile import Profile

CONTRACT = parse_contract(
    {
        "name": "t",
        "positive": "yes",
        "columns": [{"name": "x", "type": "number"}, {"name": "y", "type": "string", "role": "label", "allowed": ["no", "yes"]}],
    }
)
THREE = parse_contract(
    {
        "name": "t",
        "columns": [{"name": "x", "type": "number"}, {"name": "y", "type": "string", "role": "label", "allowed": ["a", "b", "c"]}],
    }
)


def severity(now: tuple[int, ...], before: tuple[int, ...]) -> str:
    """How grave the checks find these class counts where the profile has others."""
    contract = CONTRACT if len(now) == 2 else THREE
    profile = Profile(data="t", data_version="", rows=sum(before), classes=contract.classes, class_counts=before, columns=())
    found = share_findings(contract, dict(zip(contract.classes, now, strict=True)), profile)
    return found[0].severity if found else ""


@pytest.mark.parametrize("share", [0.01, 0.11, 0.5, 0.7])
def test_honest_resamples_have_no_finding(share: float) -> None:
    random = np.random.default_rng(5)
    for rows in (60, 400, 5000, 40_000):
        for _ in range(200):
            before, now = random.binomial(10_000, share), random.binomial(rows, share)
            assert severity((rows - now, now), (10_000 - before, before)) == ""


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        ((110, 890), (890, 110), "critical"),  # flipped
        ((400, 600), (6000, 4000), "critical"),
        ((540, 460), (8870, 1130), "warning"),  # another season
        ((8550, 1450), (8870, 1130), "warning"),
        ((885, 115), (8870, 1130), ""),
        ((9990, 10), (5000, 5000), "critical"),  # a thousandth of what it was
        ((300, 500, 200), (500, 300, 200), "critical"),  # two of three swapped
        ((350, 350, 300), (500, 300, 200), "warning"),
    ],
)
def test_a_share_is_grave_when_far_or_swapped_and_a_warning_beyond_chance(
    now: tuple[int, ...], before: tuple[int, ...], expected: str
) -> None:
    assert severity(now, before) == expected


@pytest.mark.parametrize("share", [0.06, 0.3, 0.5])
def test_a_copy_and_a_separating_score_decide_the_label_and_a_strong_column_does_not(share: float) -> None:
    random = np.random.default_rng(6)
    for rows in (400, 3000):
        labels = (random.random(rows) < share).astype(np.int64)
        copy, separating = labels.astype(float), random.random(rows) + 2 * labels
        noisy = np.where(random.random(rows) < 0.0005, 1 - labels, labels) + 0.0
        for column in (copy, separating, -separating, noisy, np.where(labels == 1, separating, -np.inf)):
            left = share_left(column, labels)
            assert left is not None
            assert left <= LEFT
        strong = share_left(random.normal(size=rows) + 2.05 * labels, labels)  # ROC AUC about .93
        assert strong is not None
        assert strong > 4 * LEFT


def test_too_few_rows_tell_nothing() -> None:
    assert share_left(np.arange(20.0), np.arange(20) % 2) is None
    assert share_left(np.arange(50.0), np.zeros(50, dtype=np.int64)) is None
