"""The profile of a quantity: bands in the place of classes, and the label among the columns."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pushline.data.contract import Contract
from pushline.data.profile import Profile, profile_of
from pushline.data.profile.drift import drift_of
from pushline.data.profile.histogram import SMALLEST
from pushline.data.profile.sample import sample_rows
from training.quantities import quantity_contract, quantity_table

ROWS = 4000


@pytest.fixture(scope="module")
def contract() -> Contract:
    return quantity_contract()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("quantities") / "table.parquet"
    quantity_table(ROWS, 1).to_parquet(file, index=False)
    return file


@pytest.fixture(scope="module")
def profile(table: Path, contract: Contract) -> Profile:
    return profile_of(table, contract, "0" * 16)


def test_rows_are_counted_by_about_ten_bands_of_the_label(profile: Profile) -> None:
    assert 8 <= len(profile.classes) <= 12
    assert sum(profile.class_counts) == ROWS
    assert min(profile.class_counts) > ROWS / 20


def test_no_cell_of_the_label_holds_few_rows_or_ends_at_a_value_of_a_row(profile: Profile, table: Path) -> None:
    label = profile.column("price")
    assert label is not None
    assert min(sum(cell) for cell in zip(*label.counts, strict=True)) >= SMALLEST
    assert not {*label.low, *label.high} & set(pd.read_parquet(table)["price"])


def test_generated_rows_have_the_label_that_goes_with_their_columns(profile: Profile, contract: Contract, table: Path) -> None:
    real, made = pd.read_parquet(table), sample_rows(profile, contract, ROWS, 7)
    assert list(made.columns) == [column.name for column in contract.columns]
    assert made["price"].quantile([0.1, 0.5, 0.9]).to_numpy() == pytest.approx(real["price"].quantile([0.1, 0.5, 0.9]).to_numpy(), rel=0.05)
    together = [frame["count"].astype(float).corr(frame["price"]) for frame in (real, made)]
    assert together[1] == pytest.approx(together[0], abs=0.1)


def test_a_label_that_has_moved_is_drift_and_one_that_has_not_is_none(profile: Profile, contract: Contract, tmp_path: Path) -> None:
    for name, factor, verdict in (("same", 1.0, "stable"), ("dearer", 1.3, "drift")):
        frame = quantity_table(ROWS, 2)
        frame["price"] = np.asarray(frame["price"]) * factor
        frame.to_parquet(tmp_path / f"{name}.parquet", index=False)
        drift = drift_of(tmp_path / f"{name}.parquet", contract, profile)
        assert next(column.verdict for column in drift.columns if column.label) == verdict
