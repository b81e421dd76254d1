"""Every figure on a real card, recomputed from the raw predictions: those out of fold and those on the hold-out."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from pushline.data.contract import Contract, load_contract
from pushline.data.contract.encoding import class_codes, encode_frame
from pushline.serving.model_folder import MATRIX
from pushline.training.best_model import BestModel, read_best_model
from pushline.training.export import predict
from training.test_card import rows_of, section

pytestmark = pytest.mark.example  # two classes, and columns that are marked sensitive
FIGURES = {
    "Average precision": lambda truth, chance, said: reference.average_precision_score(truth, chance),
    "ROC AUC": lambda truth, chance, said: reference.roc_auc_score(truth, chance),
    "Accuracy (most probable class)": lambda truth, chance, said: reference.accuracy_score(truth, chance > 0.5),
    "Log loss": lambda truth, chance, said: reference.log_loss(truth, chance.astype(float)),
    "Brier score": lambda truth, chance, said: reference.brier_score_loss(truth, chance),
    "Expected calibration error": lambda truth, chance, said: sum(
        abs(chance[inside].mean() - truth[inside].mean()) * inside.mean() for inside in bins_of(chance)
    ),
    "Precision": lambda truth, chance, said: reference.precision_score(truth, said),
    "Recall": lambda truth, chance, said: reference.recall_score(truth, said),
    "F1": lambda truth, chance, said: reference.f1_score(truth, said),
    "Accuracy at the threshold": lambda truth, chance, said: reference.accuracy_score(truth, said),
    "Balanced accuracy": lambda truth, chance, said: reference.balanced_accuracy_score(truth, said),
    "Share of rows selected": lambda truth, chance, said: said.mean(),
}


def bins_of(chance: np.ndarray) -> list[np.ndarray]:
    """Masks of the ten bins of equal width that hold a row."""
    masks = [(chance >= low / 10) & ((chance < (low + 1) / 10) | (low == 9)) for low in range(10)]
    return [mask for mask in masks if mask.any()]


@dataclass(frozen=True)
class Raw:
    """A card, and all that it was made from."""

    card: str
    contract: Contract
    best: BestModel
    model: bytes
    holdout: pd.DataFrame
    learned: np.ndarray  # labels of the rows predicted out of fold
    out_of_fold: np.ndarray  # their probability of the positive class

    @property
    def truth(self) -> np.ndarray:
        return class_codes(self.contract, self.holdout[self.contract.label.name])

    @property
    def matrix(self) -> np.ndarray:
        return encode_frame(self.best.encoding, self.holdout)

    @property
    def chance(self) -> np.ndarray:
        return predict(self.model, self.matrix)[:, 1]

    @property
    def threshold(self) -> np.float32:
        """Half way between the score with the largest F1 out of fold, found by looking at every one, and the next lower one."""
        scores = np.unique(self.out_of_fold)
        order = np.sort(self.out_of_fold)
        hits = np.cumsum(self.learned[np.argsort(-self.out_of_fold, kind="stable")])
        claimed = len(order) - np.searchsorted(order, scores)
        f1 = 2 * hits[claimed - 1] / (claimed + self.learned.sum())
        best = np.flatnonzero(f1 >= f1.max() - 1e-12)[-1]
        return np.float32((float(scores[best]) + float(scores[best - 1])) / 2)


@pytest.fixture(scope="module")
def raw(trained: Path, repo: Path) -> Raw:
    best, model, labels, probabilities = read_best_model(trained / "best_model")
    assert model == (trained / "model" / MATRIX).read_bytes()
    return Raw(
        card=(trained / "model" / "card.md").read_text(),
        contract=load_contract(repo / "data_checks" / "contract.yml"),
        best=best,
        model=model,
        holdout=pd.read_parquet(trained / "holdout.parquet"),
        learned=labels,
        out_of_fold=probabilities[:, 1],
    )


def test_the_figures(raw: Raw):
    truth, chance = raw.truth, raw.chance
    said = chance >= raw.threshold
    rows = rows_of(section(raw.card, "Figures"))
    assert [row[0] for row in rows] == list(FIGURES)
    for name, text, _ in rows:
        value, low, high = (float(number) for number in re.findall(r"\d+\.\d+", text))
        assert value == pytest.approx(FIGURES[name](truth, chance, said), abs=6e-5), name
        assert low < value < high, name


def test_the_threshold_and_what_it_gives(raw: Raw):
    text = section(raw.card, "Threshold")
    assert f"**{raw.threshold:.4f}**" in text
    for name, truth, chance in (("There it gives", raw.learned, raw.out_of_fold), ("on the hold-out", raw.truth, raw.chance)):
        said = chance >= raw.threshold
        precision, recall = reference.precision_score(truth, said), reference.recall_score(truth, said)
        assert f"{name} precision {precision:.3f} at recall {recall:.3f}" in text
    counts = [[int(cell.replace(",", "")) for cell in row[1:]] for row in rows_of(text)]
    assert np.array_equal(counts, reference.confusion_matrix(raw.truth, raw.chance >= raw.threshold))


def test_the_calibration(raw: Raw):
    truth, chance = raw.truth, raw.chance
    rows = [[float(cell.replace(",", "")) for cell in row] for row in rows_of(section(raw.card, "Calibration"))]
    expected = [(chance[inside].mean(), truth[inside].mean(), inside.sum()) for inside in bins_of(chance)]
    assert np.allclose(rows, expected, atol=6e-4)


def test_the_groups(raw: Raw):
    truth, chance = raw.truth, raw.chance
    rows = rows_of(section(raw.card, "Groups"))
    assert {row[0].strip("`") for row in rows} == {column.name for column in raw.contract.columns if column.sensitive}
    for column, value, size, positive, *cells in rows:
        inside = member_of(raw.holdout[column.strip("`")], value)
        assert (int(size.replace(",", "")), int(positive.replace(",", ""))) == (inside.sum(), truth[inside].sum())
        if cells[0] == "too few rows":
            assert inside.sum() < 30 or truth[inside].all() or not truth[inside].any()
            continue
        labels, scores = truth[inside], chance[inside]
        said = scores >= raw.threshold
        expected = (
            reference.average_precision_score(labels, scores),
            reference.roc_auc_score(labels, scores),
            reference.log_loss(labels, scores.astype(float)),
            said.mean(),
            reference.recall_score(labels, said),
            reference.precision_score(labels, said, zero_division=0),
        )
        assert [float(cell) for cell in cells] == pytest.approx(expected, abs=6e-4)


def member_of(values: pd.Series, value: str) -> np.ndarray:
    """The rows of a group as the card names it: a value, or a range."""
    ends = re.fullmatch(r"(\S+) to (under )?(\S+)", value)
    if ends is None:
        return (values.astype(str) == value).to_numpy(dtype=bool)
    low, under, high = float(ends[1]), ends[2], float(ends[3])
    return ((values >= low) & ((values < high) if under else (values <= high))).to_numpy(dtype=bool)


def test_what_the_model_uses(raw: Raw):
    truth, matrix = raw.truth, raw.matrix
    whole = reference.average_precision_score(truth, raw.chance)
    random = np.random.default_rng(123)
    rows = rows_of(section(raw.card, "What the model uses"))
    assert len(rows) == 10
    for column, fall, _ in rows:
        place = raw.best.encoding.names.index(column.strip("`"))
        falls = []
        for _ in range(8):
            shuffled = matrix.copy()
            shuffled[:, place] = random.permutation(shuffled[:, place])
            falls.append(whole - reference.average_precision_score(truth, predict(raw.model, shuffled)[:, 1]))
        assert float(fall) == pytest.approx(np.mean(falls), abs=4 * np.std(falls) + 1e-3), column


def test_the_leaderboard(raw: Raw):
    trial, *_ = rows_of(section(raw.card, "What it was compared with"))
    assert float(trial[2]) == pytest.approx(raw.best.score, abs=6e-5)
    # The trial was judged before its probabilities were calibrated, which keeps their order.
    assert raw.best.score == pytest.approx(reference.average_precision_score(raw.learned, raw.out_of_fold), abs=1e-5)
