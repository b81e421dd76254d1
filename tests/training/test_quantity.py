"""What is said of a quantity's predictions, and what is refused before a search."""

import numpy as np
import pytest

from pushline.data.checks.label_checks import ranks_left
from pushline.data.contract import parse_contract
from pushline.data.contract.encoding import encode_frame, encoding_of
from pushline.errors import ContractError, DataError, SettingsError
from pushline.settings import Training
from pushline.training import quantity
from pushline.training.leakage import suspects_of
from pushline.training.prepare import prepare
from pushline.training.stage import refuse_other_task
from training.quantities import quantity_contract, quantity_table


def test_figures_of_intervals_are_those_of_their_rows() -> None:
    random = np.random.default_rng(1)
    labels = random.gamma(3, 10, 2000)
    value = labels + random.normal(0, 4, 2000)
    predictions = np.column_stack([value, value - 1.645 * 4, value + 1.645 * 4])
    parts = quantity.parts_of(labels, predictions, 0.9, rounds=200, seed=1)
    seen = parts["metrics"]
    assert seen["coverage"].value == pytest.approx(0.9, abs=0.02)
    assert seen["coverage"].low < 0.9 < seen["coverage"].high
    assert seen["width"].value == pytest.approx(2 * 1.645 * 4)
    assert seen["rmse"].value == pytest.approx(4, rel=0.05)
    assert seen["rmse"].high < parts["baseline"]["rmse"]
    assert sum(parts["residuals"].rows) == sum(one.rows for one in parts["ranges"]) == 2000
    wider = quantity.parts_of(labels, np.column_stack([value, value - 40, value + 40]), 0.9, rounds=20, seed=1)["metrics"]
    assert wider["pinball"].value > seen["pinball"].value  # what is wider than it need be costs


def test_a_share_of_a_label_of_nought_is_no_figure() -> None:
    assert "mape" not in quantity.metrics_of(np.array([0.0, 1.0]))
    assert "mape" in quantity.metrics_of(np.array([0.5, 1.0]))


def test_a_copy_of_the_label_is_told_and_an_honest_column_is_not() -> None:
    contract, frame = quantity_contract(), quantity_table(2000, 1, missing=0)
    labels = frame["price"].to_numpy()
    for copy in (labels * 3 + 1, -np.log(labels + 1)):
        assert (ranks_left(copy, labels) or 1) < 0.002
    assert (ranks_left(frame["count"].to_numpy(dtype=float), labels) or 0) > 0.5
    frame["size"] = labels * 2
    encoding = encoding_of(contract.features())
    assert [one.column for one in suspects_of(encode_frame(encoding, frame), labels, encoding, contract)] == ["size"]


def test_rows_without_a_number_are_rejected_with_the_reason(tmp_path) -> None:
    frame = quantity_table(300, 1)
    frame.loc[:4, "price"] = np.nan
    frame.loc[10:11, "price"] = -3.0
    frame.to_parquet(tmp_path / "table.parquet", index=False)
    prepared = prepare(tmp_path, quantity_contract())
    assert prepared.counts.rejected == {"price: no label": 5, "price: below 0": 2}
    assert prepared.counts.train + prepared.counts.holdout == 293
    assert prepared.counts.train_classes == {}


def test_no_row_held_out_is_refused(tmp_path) -> None:
    quantity_table(6, 1).to_parquet(tmp_path / "table.parquet", index=False)
    with pytest.raises(DataError, match="hold-out holds no row"):
        prepare(tmp_path, quantity_contract(), holdout=0.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "string"}, "of type integer or number"),
        ({"allowed": ["1", "2"]}, "go with classes"),
    ],
)
def test_a_contract_of_a_quantity_that_speaks_of_classes_contradicts_itself(change: dict, said: str) -> None:
    label = {"name": "price", "type": "number", "role": "label", **change}
    with pytest.raises(ContractError) as refused:
        parse_contract({"name": "things", "task": "regression", "columns": [{"name": "size", "type": "number"}, label]})
    assert said in refused.value.why


def test_a_contract_of_a_quantity_has_no_class() -> None:
    contract = quantity_contract()
    assert contract.classes == ()


def test_settings_of_the_other_task_are_refused_before_the_search() -> None:
    contract = quantity_contract()
    refuse_other_task("rmse", Training(), contract)
    with pytest.raises(SettingsError, match="roc_auc does not suit") as refused:
        refuse_other_task("roc_auc", Training(), contract)
    assert "rmse, mae, r2" in refused.value.do
    with pytest.raises(SettingsError, match="imbalance"):
        refuse_other_task("mae", Training(imbalance="smote"), contract)
