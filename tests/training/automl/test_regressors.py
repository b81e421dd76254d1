"""Every algorithm for a quantity, each objective: the graph answers as the library does."""

import numpy as np
import pytest

from pushline.data.contract.encoding import encode_frame, encoding_of
from pushline.training.automl.algorithms import REGRESSORS, Candidate, for_labels, objectives_of
from pushline.training.automl.libraries import build
from pushline.training.export import predict
from pushline.training.graph import Calibration, matrix_graph
from training.quantities import quantity_contract, quantity_table

FEW = {"n_estimators": 12, "max_iter": 12, "iterations": 12}
EVERY = [(name, place) for name, algorithm in REGRESSORS.items() for place in range(len(algorithm.portfolio))]


@pytest.mark.parametrize(("name", "place"), EVERY, ids=str)
def test_the_graph_of_a_regressor_answers_as_its_library(name: str, place: int) -> None:
    contract, learn, judge = quantity_contract(), quantity_table(600, 1), quantity_table(400, 2)
    encoding = encoding_of(contract.features())
    algorithm = REGRESSORS[name]
    parameters = {key: FEW.get(key, value) for key, value in algorithm.portfolio[place].items()}
    labels = learn["price"].round().to_numpy() if parameters.get("objective") == "poisson" else learn["price"].to_numpy()
    candidate = Candidate(name=name, algorithm=name, builder=algorithm.builder, parameters=parameters)
    model = build(candidate, seed=1, threads=1, kinds=tuple(column.kind for column in encoding.columns))
    model.fit(encode_frame(encoding, learn), labels)
    graph = matrix_graph([model.part()], [1.0], Calibration(), columns=len(encoding.columns), classes=1)
    rows = encode_frame(encoding, judge)
    native, served = model.predict(rows), predict(graph.SerializeToString(), rows)[:, 0]
    assert np.abs(served - native).max() <= 1e-5 * np.abs(native).max()
    assert np.std(served) > 0


def test_a_vote_of_unlike_members_is_the_weighted_mean_of_their_values() -> None:
    contract, learn = quantity_contract(), quantity_table(600, 1)
    encoding = encoding_of(contract.features())
    rows, labels, kinds = encode_frame(encoding, learn), learn["price"].to_numpy(), tuple(column.kind for column in encoding.columns)
    models, weights = [], [0.4, 0.25, 0.2, 0.15]
    for name, objective in (("LightGBM", "log mean"), ("LightGBM", "tweedie"), ("XGBoostRegressor", "squared"), ("ElasticNet", "")):
        algorithm = REGRESSORS[name]
        chosen = next(one for one in algorithm.portfolio if one.get("objective", "") == objective)
        small = {key: FEW.get(key, value) for key, value in chosen.items()}
        candidate = Candidate(name=name, algorithm=name, builder=algorithm.builder, parameters=small)
        models.append(build(candidate, seed=1, threads=1, kinds=kinds).fit(rows, labels))
    graph = matrix_graph([model.part() for model in models], weights, Calibration(), columns=len(encoding.columns), classes=1)
    expected = sum(weight * model.predict(rows) for model, weight in zip(models, weights, strict=True))
    assert np.abs(predict(graph.SerializeToString(), rows)[:, 0] - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_loss_is_tried_where_the_label_admits_it() -> None:
    prices, counts, changes = np.array([0.5, 2.5, 9.0]), np.array([0.0, 1.0, 4.0]), np.array([-1.5, 0.0, 3.0])
    assert objectives_of(prices, "rmse") == ("squared", "absolute", "log mean", "gamma")
    assert objectives_of(counts, "mae") == ("squared", "absolute", "log", "poisson", "tweedie")
    assert objectives_of(changes, "rmse") == ("squared", "absolute")
    tried = for_labels(REGRESSORS["LightGBM"], changes, "rmse").portfolio
    assert {one["objective"] for one in tried} == {"squared", "absolute"}
