import msgspec
import numpy as np
import pandas as pd
import pytest

from pushline.data.contract import parse_contract
from pushline.data.contract.derived import ExpressionError, parse_expression
from pushline.data.contract.encoding import class_codes, encode_frame, encoding_of
from pushline.errors import ContractError
from pushline.training.automl.algorithms import ALGORITHMS, Candidate
from pushline.training.automl.libraries import build
from pushline.training.automl.worker import part_of
from pushline.training.export import predict
from pushline.training.features import compute, features_of
from pushline.training.graph import Calibration, matrix_graph
from training.tables import odd_contract, odd_table

FRAME = odd_table(400, 3)
NUMBER, SIZE, COUNT = (FRAME[name].astype(float) for name in ("matrix", "size in cm", "count"))
EXPRESSIONS = {
    "matrix * 2 + 1": NUMBER * 2 + 1,
    "-matrix / count": -NUMBER / COUNT.replace(0, np.nan),
    'column("size in cm") < 100': (SIZE < 100).astype(float),
    'label == "red"': (FRAME["label"] == "red").astype(float),
    '"red" != label': (FRAME["label"] != "red").astype(float),
    'label in ("red", "blue") and not column("is.new")': (FRAME["label"].isin(["red", "blue"]) & ~FRAME["is.new"]).astype(float),
    "seen or count >= 20": ((FRAME["seen"] == True) | (COUNT >= 20)).astype(float),  # noqa: E712  None is not True
    "missing(matrix) or missing(label) or missing(seen)": (NUMBER.isna() | FRAME["label"].isna() | FRAME["seen"].isna()).astype(float),
    "log1p(count) + sqrt(count) + abs(matrix)": np.log1p(COUNT) + np.sqrt(COUNT) + NUMBER.abs(),
    "min(count, 10) + max(count, 3)": np.minimum(COUNT, 10) + np.maximum(COUNT, 3),
    "where(count > 5, 1, -1)": pd.Series(np.where(COUNT > 5, 1.0, -1.0)),
    "(count > 5) + (count > 10)": (COUNT > 5).astype(float) + (COUNT > 10),
}


def derived(*expressions: str) -> list[dict[str, str]]:
    return [{"name": f"feature {number}", "expression": text} for number, text in enumerate(expressions)]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_means_what_it_says(text):
    contract = odd_contract(derived=derived(text))
    encoding = encoding_of(contract.features())
    matrix = compute(encode_frame(encoding, FRAME), features_of(contract, encoding), encoding)
    assert matrix.shape == (400, len(encoding.columns) + 1)
    np.testing.assert_allclose(matrix[:, -1], EXPRESSIONS[text].to_numpy(np.float32), rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("wage * 2", "wage is not a column"),
        ("outcome == 'good'", "outcome is not a column"),
        ("label + 1", "'label' is not a number"),
        ("label == 'violet'", "'violet' is not an allowed value of label"),
        ("label", "is a category, not a number"),
        ("matrix and seen", "'matrix' is not a comparison"),
        ("matrix <", "is not an expression"),
        ("__import__('os')", "__import__ of 1 is not a function"),
        ("matrix.real", "matrix.real is not a column"),
        ("[1][0]", "has no meaning here"),
        ("1 < count < 3", "has no meaning here"),
        ("missing(count + 1)", "asks about a column"),
        ("exp(count)", "exp of 1 is not a function"),
    ],
)
def test_an_expression_that_means_nothing_is_refused_by_name(text, why):
    columns = {column.name: column for column in odd_contract().features()}
    with pytest.raises(ExpressionError) as refused:
        parse_expression(text, columns)
    assert why in str(refused.value)


def test_the_contract_refuses_a_derived_feature_with_its_name():
    with pytest.raises(ContractError) as refused:
        odd_contract(derived=[{"name": "label", "expression": "wage"}])
    assert "derived label: the name is taken" in refused.value.why
    assert "derived label: wage is not a column" in refused.value.why


def test_a_feature_of_a_column_known_only_after_the_event_is_left_out_with_it():
    contract = odd_contract(derived=derived("later * 2", "count * 2"))
    assert [one.name for one in features_of(contract, encoding_of(contract.features()))] == ["feature 1"]
    every = encoding_of(contract.features(use_known_after=True))
    assert [one.name for one in features_of(contract, every)] == ["feature 0", "feature 1"]


def test_the_model_carries_its_features_and_takes_the_raw_matrix():
    contract = odd_contract(derived=derived("matrix * count", "where(missing(matrix), 0, matrix / count)"))
    encoding = encoding_of(contract.features())
    features = features_of(contract, encoding)
    raw, labels = encode_frame(encoding, FRAME), class_codes(contract, FRAME["outcome"])
    wide = compute(raw, features, encoding)
    kinds = (*(column.kind for column in encoding.columns), *("number" for _ in features))
    for name in ("XGBoostClassifier", "LogisticRegression"):
        algorithm = ALGORITHMS[name]
        candidate = Candidate(name=name, algorithm=name, builder=algorithm.builder, parameters=algorithm.portfolio[0])
        estimator = build(candidate, seed=1, threads=1, kinds=kinds).fit(wide, labels)
        graph = matrix_graph(
            [part_of(estimator, 2)], [1.0], Calibration(), columns=raw.shape[1], classes=2, features=features, encoding=encoding
        )
        assert np.abs(predict(graph.SerializeToString(), raw) - estimator.predict_proba(wide)).max() <= 1e-5


def test_a_contract_with_features_is_another_contract_and_reads_back():
    plain, rich = odd_contract(), odd_contract(derived=derived("count * 2"))
    assert plain.hash != rich.hash
    assert parse_contract(msgspec.json.decode(msgspec.json.encode(rich))) == rich
