import numpy as np
import pytest

from pushline.data.contract import Contract, parse_contract
from pushline.data.contract.encoding import encoding_of
from pushline.training.leakage import suspects_of
from training.conftest import ExampleSplit

ROWS = 2000


def contract_of(**extra: dict) -> Contract:
    columns = [{"name": "x", "type": "number", **extra.get("x", {})}, {"name": "z", "type": "integer", **extra.get("z", {})}]
    columns += [{"name": "t", "type": "number", "encodes_time": True}]
    label = {"name": "y", "type": "string", "role": "label", "allowed": ["no", "yes"]}
    return parse_contract({"name": "t", "positive": "yes", "columns": [*columns, label]})


def suspects(x: np.ndarray, z: np.ndarray, t: np.ndarray, labels: np.ndarray, **extra: dict) -> dict[str, str]:
    contract = contract_of(**extra)
    matrix = np.stack([x, z, t], axis=1).astype(np.float32)
    return {one.column: one.reason for one in suspects_of(matrix, labels, encoding_of(contract.features()), contract)}


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(1)


def clean(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two columns without a fault, one that tells the time, and labels."""
    labels = (random.random(ROWS) < 0.2).astype(np.int64)
    return random.normal(size=ROWS) + 0.5 * labels, random.integers(0, 40, ROWS), random.integers(0, 60, ROWS) / 7, labels


def test_clean_columns_are_no_suspects(random):
    assert set(suspects(*clean(random))) == {"t"}


def test_a_column_that_nearly_decides_the_label_is_a_suspect_with_its_auc(random):
    _, z, t, labels = clean(random)
    found = suspects(labels + random.normal(0, 0.3, ROWS), z, t, labels)
    assert "alone it ranks" in found["x"]


def test_a_value_that_only_the_rare_class_has_is_a_suspect(random):
    x, z, t, labels = clean(random)
    z = np.where((labels == 1) & (random.random(ROWS) < 0.3), 99, z)
    assert "almost always `yes`" in suspects(x, z, t, labels)["z"]


def test_an_identifier_is_a_suspect(random):
    x, _, t, labels = clean(random)
    assert "looks like an identifier" in suspects(x, random.permutation(ROWS), t, labels)["z"]


def test_a_column_that_follows_the_files_order_is_a_suspect(random):
    _, z, t, labels = clean(random)
    found = suspects(np.arange(ROWS) + random.normal(0, 30, ROWS), z, t, labels)
    assert "rises with the row's place in the file" in found["x"]


def test_a_column_given_by_one_that_tells_the_time_is_a_suspect(random):
    x, _, t, labels = clean(random)
    assert "follows from `t`" in suspects(x, np.floor(t), t, labels)["z"]


def test_a_column_known_only_after_the_event_is_told_where_it_is_used(random):
    x, z, t, labels = clean(random)
    extra = {"z": {"known": "after", "reason": "Counted at the end"}}
    contract = contract_of(**extra)
    matrix = np.stack([x, z, t], axis=1).astype(np.float32)
    encoding = encoding_of(contract.features(use_known_after=True))
    found = {one.column: one.reason for one in suspects_of(matrix, labels, encoding, contract)}
    assert "known only after the event (Counted at the end)" in found["z"]


@pytest.mark.slow
@pytest.mark.usefixtures("real_data")  # generated rows do not keep which columns go together in time
def test_the_economic_columns_of_the_example_are_told_with_their_joint_values(example_split: ExampleSplit):
    found = suspects_of(example_split.matrix, example_split.labels, example_split.encoding, example_split.contract)
    timed = [one for one in found if "identifies when a row was made" in one.reason]
    assert {one.column for one in timed} == {column.name for column in example_split.contract.columns if column.encodes_time}
    assert all(one.evidence["joint_values"] < 500 for one in timed)
