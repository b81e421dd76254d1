"""What explains a model is exact: as the library that fitted it says, or as the definition of Shapley values does."""

import io
import itertools
import json
import math

import msgspec
import numpy as np
import pytest
from lightgbm import LGBMClassifier

from pushline.data.contract.encoding import class_codes, encode_frame, encoding_of
from pushline.serving.explanation import About, Trees
from pushline.training import explanation
from pushline.training.automl.algorithms import ALGORITHMS, Candidate
from pushline.training.automl.libraries import build
from pushline.training.automl.target_means import applied, with_means
from pushline.training.automl.worker import part_of
from pushline.training.explanation import leaves_of, of_trees
from pushline.training.export import predict
from pushline.training.features import compute, features_of
from pushline.training.graph import Calibration, matrix_graph
from pushline.training.trees import TreeModel, trees_of
from training.tables import odd_contract, odd_table

ENCODING = encoding_of(odd_contract(classes=2).features())


def fitted(name: str, classes: int, rows: int = 900):
    """A model of an algorithm, its part of a graph, and rows with missing values that it did not learn from."""
    contract, algorithm = odd_contract(classes=classes), ALGORITHMS[name]
    learn, judge = odd_table(rows, 1, classes=classes), encode_frame(ENCODING, odd_table(200, 2, classes=classes, missing=0.4))
    candidate = Candidate(name=name, algorithm=name, builder=algorithm.builder, parameters=algorithm.portfolio[0])
    model = build(candidate, seed=3, threads=1, kinds=tuple(column.kind for column in ENCODING.columns))
    model.fit(encode_frame(ENCODING, learn), class_codes(contract, learn["outcome"]))
    return model, part_of(model, classes), judge


def explained(content: bytes, matrix, output):
    """Base and contributions of each row's answered class, of two classes the second."""
    arrays = dict(np.load(io.BytesIO(content)))
    chosen = np.ones(len(output), dtype=np.int64) if output.shape[1] == 2 else output.argmax(axis=1)
    base, added, _ = Trees(msgspec.json.decode(arrays["about"].tobytes(), type=About), arrays).contributions(matrix, output, chosen)
    return base, added, chosen


def told_by(name: str, model, matrix, chosen):
    """What the library says: contributions, and the base behind them."""
    if name == "LightGBM":
        told = model.booster_.predict(matrix, pred_contrib=True)
        told = told.reshape(len(matrix), -1, matrix.shape[1] + 1)
    elif name == "XGBoostClassifier":
        import xgboost

        told = model.get_booster().predict(xgboost.DMatrix(matrix), pred_contribs=True)
        told = told.reshape(len(matrix), -1, matrix.shape[1] + 1)
    else:
        import catboost

        told = model.get_feature_importance(catboost.Pool(matrix), type="ShapValues", shap_calc_type="Regular")
        told = told.reshape(len(matrix), -1, matrix.shape[1] + 1)
    return told[np.arange(len(matrix)), chosen if told.shape[1] > 1 else 0]


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", ["LightGBM", "XGBoostClassifier", "CatBoost"])
def test_contributions_are_those_of_the_library(name, classes):
    model, part, rows = fitted(name, classes)
    output = predict(matrix_graph([part], [1.0], Calibration(), columns=rows.shape[1], classes=classes).SerializeToString(), rows)
    base, added, chosen = explained(of_trees([part], [1.0], Calibration(), ENCODING), rows, output)
    told = told_by(name, model, rows, chosen)
    assert np.abs(added - told[:, :-1]).max() < 1e-5
    assert np.abs(base - told[:, -1]).max() < 1e-5


def of_definition(part: TreeModel, output: int, row):
    """Shapley values by their definition: where a feature is not known the row goes down both sides, as the training rows did."""
    columns = range(len(row))

    def worth(known: set[int]) -> float:
        total = part.base[output]
        for tree in part.trees:
            for path, value in leaves_of(tree, len(part.base)):
                share = 1.0
                for column, (low, high, missing, rows) in path.items():
                    inside = missing if np.isnan(row[column]) else low < row[column] <= high
                    share *= float(inside) if column in known else rows
                total += share * value[output]
        return total

    found = np.zeros(len(row))
    for size in columns:
        weight = math.factorial(size) * math.factorial(len(row) - size - 1) / math.factorial(len(row))
        for column in columns:
            for others in itertools.combinations([one for one in columns if one != column], size):
                found[column] += weight * (worth({*others, column}) - worth(set(others)))
    return worth(set()), found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["RandomForest", "ExtremeRandomTrees", "GradientBoosting"])
def test_contributions_are_those_of_the_definition(name):
    _, part, rows = fitted(name, 2)
    small = msgspec.structs.replace(part, trees=part.trees[:2])
    output = np.zeros((len(rows), 2))
    base, added, _ = explained(of_trees([small], [1.0], Calibration(), ENCODING), rows, output)
    for number in (0, 7):
        told, contributions = of_definition(small, len(small.base) - 1, rows[number])
        assert base[number] == pytest.approx(told, abs=1e-5)
        assert added[number] == pytest.approx(contributions, abs=1e-5)


def test_a_derived_feature_counts_for_itself_and_a_mean_of_the_label_as_its_column():
    contract = odd_contract(derived=[{"name": "both", "expression": "matrix * count"}])
    features, frame = features_of(contract, ENCODING), odd_table(900, 4)
    raw, labels = encode_frame(ENCODING, frame), class_codes(contract, frame["outcome"])
    colour = ENCODING.names.index("label")
    learned, _, means = with_means(compute(raw, features, ENCODING), labels, raw[:1], (colour,), 2, seed=1)
    model = LGBMClassifier(n_estimators=10, num_leaves=8, n_jobs=1, verbose=-1).fit(learned, labels)
    part = trees_of(model, 2)
    whole = {"features": features, "encoding": ENCODING, "means": means}
    output = predict(matrix_graph([part], [1.0], Calibration(), columns=raw.shape[1], classes=2, **whole).SerializeToString(), raw)
    content = of_trees([part], [1.0], Calibration(), ENCODING, features, means)
    base, added, _ = explained(content, raw, output)
    told = model.booster_.predict(applied(compute(raw, features, ENCODING), means), pred_contrib=True)
    assert json.loads(np.load(io.BytesIO(content))["about"].tobytes())["features"] == [*ENCODING.names, "both"]
    assert added[:, -1] == pytest.approx(told[:, 6], abs=1e-5)
    assert added[:, colour] == pytest.approx(told[:, colour] + told[:, 7], abs=1e-5)
    assert 1 / (1 + np.exp(-base - added.sum(axis=1))) == pytest.approx(output[:, 1], abs=1e-5)


def test_a_calibration_of_the_logarithm_of_odds_moves_contributions_with_it():
    _, part, rows = fitted("LightGBM", 2)
    calibration = Calibration(slope=0.8, shift=0.3)
    output = predict(matrix_graph([part], [1.0], calibration, columns=rows.shape[1], classes=2).SerializeToString(), rows)
    base, added, _ = explained(of_trees([part], [1.0], calibration, ENCODING), rows, output)
    assert 1 / (1 + np.exp(-base - added.sum(axis=1))) == pytest.approx(output[:, 1], abs=1e-5)


@pytest.mark.slow
def test_a_vote_is_a_sum_of_trees_where_its_members_answers_are(monkeypatch):
    _, boosted, _ = fitted("LightGBM", 2)
    _, forest, rows = fitted("RandomForest", 2)
    halves = [msgspec.structs.replace(forest, trees=part) for part in (forest.trees[:50], forest.trees[50:])]
    output = predict(matrix_graph(halves, [0.3, 0.7], Calibration(), columns=rows.shape[1], classes=2).SerializeToString(), rows)
    base, added, _ = explained(of_trees(halves, [0.3, 0.7], Calibration(), ENCODING), rows, output)
    assert base + added.sum(axis=1) == pytest.approx(output[:, 1], abs=1e-5)
    assert not of_trees(halves, [0.3, 0.7], Calibration(slope=2.0), ENCODING)
    assert not of_trees([boosted, forest], [0.5, 0.5], Calibration(), ENCODING)
    assert not of_trees([boosted, boosted], [0.5, 0.5], Calibration(), ENCODING)
    monkeypatch.setattr(explanation, "MOST", 1000)
    assert not of_trees(halves, [0.3, 0.7], Calibration(), ENCODING), "so many leaves are explained by a sample"
