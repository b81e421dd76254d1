import msgspec
import numpy as np
import pytest
from sklearn import metrics as reference

from pushline.evaluation import Evaluation
from pushline.training.evaluate import SMALLEST_GROUP, groups_of, members_of, worthless
from training.judged import Judged, judged


@pytest.fixture(scope="module")
def binary() -> Judged:
    return judged()


@pytest.fixture(scope="module")
def triple() -> Judged:
    return judged(classes=3)


def test_every_figure_is_recomputed_from_raw_predictions(binary: Judged):
    labels, positive = binary.labels, binary.probabilities[:, 1]
    said = positive >= binary.evaluation.threshold
    expected = {
        "average_precision": reference.average_precision_score(labels, positive),
        "roc_auc": reference.roc_auc_score(labels, positive),
        "accuracy": reference.accuracy_score(labels, positive > 0.5),
        "log_loss": reference.log_loss(labels, positive.astype(float)),
        "brier": reference.brier_score_loss(labels, positive),
        "precision": reference.precision_score(labels, said),
        "recall": reference.recall_score(labels, said),
        "f1": reference.f1_score(labels, said),
        "accuracy_at_threshold": reference.accuracy_score(labels, said),
        "balanced_accuracy": reference.balanced_accuracy_score(labels, said),
        "share_predicted": said.mean(),
    }
    seen = binary.evaluation.metrics
    assert set(seen) == {*expected, "ece"}
    for name, value in expected.items():
        assert seen[name].value == pytest.approx(value, abs=1e-6), name
        assert seen[name].low <= seen[name].value <= seen[name].high
    assert np.array_equal(binary.evaluation.confusion, reference.confusion_matrix(labels, said))


def test_the_curves_are_scikit_learns(binary: Judged):
    labels, positive = binary.labels, binary.probabilities[:, 1]
    (curves,) = binary.evaluation.curves
    assert (curves.name, curves.rows) == ("good", labels.sum())
    precision, recall, _ = reference.precision_recall_curve(labels, positive)
    on_curve = {(round(float(x), 5), round(float(y), 5)) for x, y in zip(recall, precision, strict=True)}
    assert set(curves.precision_recall) <= on_curve
    wrong, right, _ = reference.roc_curve(labels, positive, drop_intermediate=False)
    assert set(curves.roc) <= {(round(float(x), 5), round(float(y), 5)) for x, y in zip(wrong, right, strict=True)}
    assert (curves.roc[0], curves.roc[-1]) == ((0.0, 0.0), (1.0, 1.0))


def test_the_gain_is_what_the_best_rows_hold(binary: Judged):
    labels, positive = binary.labels, binary.probabilities[:, 1]
    (curves,) = binary.evaluation.curves
    ordered = labels[np.argsort(-positive, kind="stable")]
    for taken, found in curves.gain[1:]:
        count = round(taken * len(labels))
        assert found == pytest.approx(ordered[:count].sum() / labels.sum(), abs=1e-4)


def test_the_calibration_bins_hold_all_rows(binary: Judged):
    labels, positive = binary.labels, binary.probabilities[:, 1]
    (curves,) = binary.evaluation.curves
    assert sum(one.rows for one in curves.calibration) == len(labels)
    for one in curves.calibration:
        inside = np.minimum((positive * 10).astype(int), 9) == int(one.predicted * 10)
        assert one.rows == inside.sum()
        assert one.observed == pytest.approx(labels[inside].mean())
        assert one.predicted == pytest.approx(positive[inside].mean())
    error = sum(abs(one.predicted - one.observed) * one.rows for one in curves.calibration) / len(labels)
    assert binary.evaluation.metrics["ece"].value == pytest.approx(error, abs=1e-6)


def test_groups_of_sensitive_columns_have_their_sizes_and_figures(binary: Judged):
    groups = [group for group in binary.evaluation.groups if group.column == "label"]
    assert {group.value for group in groups} == {"blue", "green", "red", "unknown", "missing"}
    assert sum(group.rows for group in groups) == len(binary.holdout)
    red = next(group for group in groups if group.value == "red")
    member = (binary.holdout["label"] == "red").to_numpy()
    labels, positive = binary.labels[member], binary.probabilities[member, 1]
    assert (red.rows, red.positives) == (member.sum(), labels.sum())
    assert red.metrics["average_precision"] == pytest.approx(reference.average_precision_score(labels, positive))
    assert red.metrics["recall"] == pytest.approx(reference.recall_score(labels, positive >= binary.evaluation.threshold))


def test_a_sensitive_number_is_reported_in_ranges_that_hold_every_row(binary: Judged):
    groups = [group for group in binary.evaluation.groups if group.column == "count"]
    assert 2 <= len(groups) <= 5
    assert sum(group.rows for group in groups) == len(binary.holdout)
    masks = [mask for _, mask in members_of(binary.holdout["count"], number=True)]
    assert (np.sum(masks, axis=0) == 1).all()


def test_a_small_group_has_its_size_and_no_figures(binary: Judged):
    few = slice(0, 80)
    groups = groups_of(binary.holdout[few], binary.contract, binary.labels[few], binary.probabilities[few], 0.5)
    small = [group for group in groups if group.rows < SMALLEST_GROUP]
    assert small
    assert all(group.rows and value is None for group in small for value in group.metrics.values())


def test_importance_ranks_a_column_that_says_much_above_one_that_says_nothing(binary: Judged):
    order = [one.column for one in binary.evaluation.importance]
    assert set(order) == set(binary.encoding.names)
    assert order.index("matrix") < order.index("seen")
    assert binary.evaluation.importance[0].fall > 0.02


def test_three_classes_have_a_confusion_matrix_and_curves_of_each(triple: Judged):
    labels, probabilities = triple.labels, triple.probabilities
    assert np.array_equal(triple.evaluation.confusion, reference.confusion_matrix(labels, probabilities.argmax(axis=1)))
    assert [curves.name for curves in triple.evaluation.curves] == ["bad", "fair", "good"]
    assert triple.evaluation.threshold is None
    assert {group.positives for group in triple.evaluation.groups} == {None}
    assert triple.evaluation.metrics["log_loss"].value == pytest.approx(reference.log_loss(labels, probabilities.astype(float)), abs=1e-6)


def test_the_baseline_is_a_score_that_knows_the_shares_alone(binary: Judged):
    share = binary.labels.mean()
    assert binary.evaluation.baseline["average_precision"] == pytest.approx(share)
    assert binary.evaluation.baseline["roc_auc"] == 0.5
    assert binary.evaluation.baseline["brier"] == pytest.approx(share * (1 - share))


def test_a_model_of_shuffled_labels_is_worthless_and_a_real_one_is_not(binary: Judged):
    assert worthless(judged(shuffled=True).evaluation)
    assert worthless(judged(shuffled=True, metric="log_loss").evaluation)
    assert not worthless(binary.evaluation)


def test_no_row_of_the_hold_out_is_in_the_evaluation(binary: Judged):
    text = msgspec.json.encode(binary.evaluation).decode()
    exact = [repr(value) for value in binary.holdout["matrix"].dropna()]
    assert not any(value in text for value in exact)
    assert msgspec.json.decode(text, type=Evaluation) == binary.evaluation
