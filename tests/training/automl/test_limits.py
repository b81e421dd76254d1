import argparse

import pytest

from pushline.errors import SettingsError
from pushline.training.automl.algorithms import ALGORITHMS
from pushline.training.automl.limits import (
    AZURE_METRICS,
    PATIENT_SECONDS,
    SearchSettings,
    algorithms_of,
    azure_metric,
    primary_metric,
    settings_of,
)


def names(**said) -> list[str]:
    return [one.name for one in algorithms_of(SearchSettings(**said))]


def test_metrics_map_to_azures_primary_metrics_and_back():
    for ours, theirs in AZURE_METRICS.items():
        assert primary_metric(theirs) == ours
        assert azure_metric(ours) == theirs


def test_a_metric_that_azure_has_not_is_refused_there_with_the_list():
    assert primary_metric("log_loss") == "log_loss"
    with pytest.raises(SettingsError, match="can't optimise log_loss") as refused:
        azure_metric("log_loss")
    assert "average_precision, roc_auc, accuracy" in refused.value.why


def test_a_primary_metric_without_a_meaning_here_is_refused_with_the_list():
    with pytest.raises(SettingsError, match="norm_macro_recall") as refused:
        primary_metric("norm_macro_recall")
    assert "AUC_weighted (roc_auc)" in refused.value.why


def test_algorithms_are_allowed_and_blocked_in_azures_spellings():
    assert names(allowed=("light_gbm", "XGBoostClassifier")) == ["LightGBM", "XGBoostClassifier"]
    assert "LightGBM" not in names(blocked=("LightGBM",))
    assert names(allowed=("decision_tree",)) == ["DecisionTree"]


def test_an_algorithm_that_only_azure_has_can_be_blocked_and_not_allowed():
    assert names(blocked=("KNN",)) == names()
    with pytest.raises(SettingsError, match="'KNN' is not an algorithm") as refused:
        names(allowed=("KNN",))
    assert "LightGBM" in refused.value.why


def test_a_selection_that_leaves_nothing_is_refused():
    with pytest.raises(SettingsError, match="No algorithm is left"):
        names(allowed=("LightGBM",), blocked=("lightgbm",))


def test_slow_algorithms_wait_for_a_large_budget():
    assert "RandomForest" not in names(seconds=60)
    assert set(names(seconds=PATIENT_SECONDS)) == set(ALGORITHMS)


def said(**other) -> argparse.Namespace:
    fields = {
        "metric": "roc_auc",
        "budget": "90s",
        "timeout_minutes": None,
        "trial_timeout_minutes": 2.0,
        "max_trials": 5,
        "max_concurrent_trials": 3,
        "n_cross_validations": 4,
        "enable_early_termination": False,
        "exit_score": 0.9,
        "allowed_training_algorithms": "LightGBM, XGBoostClassifier",
        "blocked_training_algorithms": "",
        "enable_vote_ensemble": False,
        "imbalance": "none",
        "seed": 3,
    }
    return argparse.Namespace(**fields | other)


def test_the_nodes_fields_become_limits_of_the_search():
    assert settings_of(said()) == SearchSettings(
        metric="roc_auc",
        seconds=90,
        trial_seconds=120,
        max_trials=5,
        concurrent=3,
        folds=4,
        early_stop=False,
        exit_score=0.9,
        allowed=("LightGBM", "XGBoostClassifier"),
        vote=False,
        seed=3,
    )


def test_the_nodes_timeout_cuts_the_budget():
    assert settings_of(said(max_trials=None, timeout_minutes=1)).seconds == 60
    assert settings_of(said(max_trials=None, timeout_minutes=60)).seconds == 90


def test_a_count_of_trials_takes_the_place_of_the_budget_and_not_of_the_timeout():
    assert settings_of(said(max_trials=5, timeout_minutes=60)).seconds == 3600
    assert "RandomForest" not in names(max_trials=5, seconds=3600)
