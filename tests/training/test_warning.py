"""What a person is told before believing a model's figures."""

import msgspec
import numpy as np
import pytest

from pushline.evaluation import Evaluation, Suspect
from pushline.results import Interval
from pushline.training.conclude import warnings_of
from pushline.training.prepare import Counts, Twins, twins_of

COUNTS = Counts(rows=10, train=5, holdout=5, rejected={}, train_classes={}, holdout_classes={})


THREE = Evaluation(
    classes=("bad", "fair", "good"),
    rows=90,
    metric="roc_auc",
    metrics={"roc_auc": Interval(value=0.8, low=0.7, high=0.9)},
    confusion=((9, 9, 9), (9, 9, 9), (9, 9, 9)),
)


def test_an_ordinary_model_has_no_warning() -> None:
    assert warnings_of(THREE, COUNTS) == ()


def test_one_column_that_decides_the_label_is_told_before_anything_else() -> None:
    copy = Suspect(column="later", reason="", evidence={"roc_auc_alone": 0.9999})
    strong = Suspect(column="size", reason="", evidence={"roc_auc_alone": 0.93})
    seen = msgspec.structs.replace(THREE, suspects=(copy, strong))
    (told,) = warnings_of(seen, COUNTS)
    assert "later alone decides the label" in told


def test_figures_that_are_too_good_are_told() -> None:
    auc = msgspec.structs.replace(THREE.metrics["roc_auc"], value=0.9995)
    seen = msgspec.structs.replace(THREE, metrics={**THREE.metrics, "roc_auc": auc})
    assert "too good for most tables" in warnings_of(seen, COUNTS)[0]


@pytest.mark.parametrize(
    ("column", "words"), [((0, 0, 0), "no row was said to be fair"), ((2, 0, 5), "7 rows were said to be fair, none rightly")]
)
def test_a_class_that_is_never_found_is_told(column: tuple[int, ...], words: str) -> None:
    confusion = np.full((3, 3), 9)
    confusion[:, 1] = column
    rows = tuple(tuple(int(count) for count in row) for row in confusion)
    (told,) = warnings_of(msgspec.structs.replace(THREE, confusion=rows), COUNTS)
    assert "recall 0 %" in told
    assert words in told


def test_held_out_rows_with_twins_in_training_are_counted() -> None:
    random = np.random.default_rng(1)
    train = random.normal(size=(300, 5)).astype(np.float32)
    train[7, 2] = np.nan
    held = np.concatenate([train[5:9], train[20:30], random.normal(size=(86, 5)).astype(np.float32)])
    held[4:14, 3] += 1
    labels = np.zeros(300, dtype=np.int64)
    asked = np.zeros(100, dtype=np.int64)
    asked[0] = 1
    assert twins_of(train, labels, held, asked) == Twins(rows=100, same=4, other_label=1, near=10)


def test_columns_that_hold_each_others_values_are_no_twins() -> None:
    train, none = np.array([[0, 1, 0, 1, 0]], dtype=np.float32), np.zeros(1, dtype=np.int64)
    assert twins_of(train, none, train[:, [1, 0, 2, 4, 3]], none).same == 0


def test_twins_are_told_with_their_number() -> None:
    seen = Twins(rows=100, same=4, other_label=1, near=60)
    same, near = warnings_of(THREE, msgspec.structs.replace(COUNTS, twins=seen))
    assert "4 of 100 held-out rows have the features of a training row, 1 of them only under another label" in same
    assert "60 of 100 held-out rows differ from a training row in a single feature" in near
