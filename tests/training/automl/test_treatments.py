import numpy as np
import pytest
from sklearn import metrics as reference

from pushline.training.automl.treatments import figures_of


@pytest.mark.slow
def test_the_figures_of_a_treatment_are_those_of_scikit_learn():
    random = np.random.default_rng(1)
    labels = (random.random(700) < 0.2).astype(np.int64)
    positive = np.clip(0.15 + 0.2 * labels + 0.15 * random.normal(size=700), 0.01, 0.99).astype(np.float32)
    seen = figures_of(labels, np.stack([1 - positive, positive], axis=1))
    inside = [(positive >= low / 10) & (positive < (low + 1) / 10) for low in range(10)]
    expected = {
        "average_precision": reference.average_precision_score(labels, positive),
        "roc_auc": reference.roc_auc_score(labels, positive),
        "log_loss": reference.log_loss(labels, positive.astype(float)),
        "ece": sum(abs(np.sum(positive[mask] - labels[mask])) for mask in inside) / 700,
        "f1 at 0.5": reference.f1_score(labels, positive >= 0.5),
        "f1 at its threshold": max(reference.f1_score(labels, positive >= level) for level in np.unique(positive)),
    }
    assert seen == {name: pytest.approx(value, abs=1e-5) for name, value in expected.items()}
