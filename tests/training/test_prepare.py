from types import SimpleNamespace

import msgspec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pushline.data.contract import parse_contract
from pushline.data.contract.split import split_of
from pushline.errors import DataError, PushlineError
from pushline.settings import Training
from pushline.training.prepare import hold_out_again, prepare, read_counts, refuse_missing_class, write_prepared
from training.tables import odd_contract, odd_table


def write(frame: pd.DataFrame, folder) -> None:
    frame.to_parquet(folder / "table.parquet", index=False)


def test_every_row_is_in_exactly_one_place(tmp_path):
    contract, frame = odd_contract(), odd_table(600, 1)
    frame.loc[3, "count"] = 99
    frame.loc[4, "outcome"] = "splendid"
    frame.loc[5, "label"] = "violet"
    frame.loc[6, "outcome"] = None
    frame = pd.concat([frame, frame.iloc[[10, 11]]], ignore_index=True)
    write(frame, tmp_path)
    prepared = prepare(tmp_path, contract, holdout=0.2)
    counts = prepared.counts
    assert counts.rows == 602 == counts.train + counts.holdout + sum(counts.rejected.values())
    assert counts.rejected == {
        "count: above 50": 1,
        "label: not an allowed value": 1,
        "outcome: no class of the contract": 1,
        "outcome: no label": 1,
    }
    assert prepared.rejects["row"].tolist() == [4, 5, 6, 7]
    assert (len(prepared.train), len(prepared.holdout)) == (counts.train, counts.holdout)


def test_a_required_value_that_is_empty_rejects_the_row(tmp_path):
    frame = odd_table(300, 1).astype({"count": object})
    frame.loc[7, "count"] = None
    write(frame, tmp_path)
    assert prepare(tmp_path, odd_contract()).counts.rejected == {"count: empty, and a value is required": 1}


def test_training_rows_hold_the_models_columns_and_the_hold_out_all(tmp_path):
    write(odd_table(300, 1), tmp_path)
    prepared = prepare(tmp_path, odd_contract())
    assert "later" not in prepared.train
    assert "later" in prepared.holdout
    assert "later" in prepare(tmp_path, odd_contract(), use_known_after=True).train


def test_rows_held_back_come_from_the_training_side_alone(tmp_path):
    contract = odd_contract()
    write(odd_table(600, 1), tmp_path)
    whole, part = (prepare(tmp_path, contract, holdout=0.2, held_back=share) for share in (0.0, 0.25))
    assert part.holdout.equals(whole.holdout)
    assert (len(whole.held_back), len(part.train) + len(part.held_back)) == (0, len(whole.train))
    assert 0.15 < len(part.held_back) / len(whole.train) < 0.35
    assert list(part.held_back.columns) == list(part.train.columns)
    assert part.counts.rows == part.counts.train + part.counts.held_back + part.counts.holdout + sum(part.counts.rejected.values())
    write_prepared(part, tmp_path / "part")
    write_prepared(whole, tmp_path / "whole")
    assert len(pd.read_parquet(tmp_path / "part" / "held_back.parquet")) == part.counts.held_back
    assert not (tmp_path / "whole" / "held_back.parquet").exists()


def test_the_split_is_by_content(tmp_path):
    contract, frame = odd_contract(), odd_table(400, 1)
    write(frame, tmp_path)
    first = prepare(tmp_path, contract, holdout=0.25)
    assert len(first.holdout) == split_of(frame, contract, 0.25).sum()
    write(pd.concat([odd_table(100, 2), frame.sample(frac=1, random_state=1)], ignore_index=True), tmp_path)
    second = prepare(tmp_path, contract, holdout=0.25)
    kept = first.holdout.merge(second.holdout, how="inner", on=list(first.holdout.columns))
    assert len(kept) == len(first.holdout)


def coarse_table(rows: int, seed: int) -> pd.DataFrame:
    """Three coarse features, one row in ten positive: hundreds of rows are equal."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({name: random.integers(0, 4, rows) for name in ("a", "b", "c")})
    odds = 0.02 + 0.16 * (frame[["a", "b", "c"]].sum(axis=1) / 9)
    return frame.assign(y=np.where(random.random(rows) < odds, "yes", "no"))


COARSE = parse_contract(
    {
        "name": "coarse",
        "positive": "yes",
        "columns": [
            *({"name": name, "type": "integer"} for name in ("a", "b", "c")),
            {"name": "y", "type": "string", "role": "label", "allowed": ["no", "yes"]},
        ],
    }
)


def test_repeated_rows_are_data_and_stay_on_one_side(tmp_path):
    frame = coarse_table(5000, 1)
    write(frame, tmp_path)
    prepared = prepare(tmp_path, COARSE, holdout=0.2)
    assert prepared.counts.rejected == {}
    assert prepared.counts.train + prepared.counts.holdout == 5000
    for side in (prepared.train, prepared.holdout):
        assert abs((side["y"] == "yes").mean() - 0.1) < 0.02
    features = ["a", "b", "c"]
    assert prepared.train[features].drop_duplicates().merge(prepared.holdout[features], how="inner").empty


def test_rows_twinned_under_new_identifiers_stay_on_one_side(tmp_path):
    contract = parse_contract(
        {
            "name": "twins",
            "positive": "yes",
            "columns": [
                {"name": "id", "type": "integer", "role": "identifier"},
                {"name": "x", "type": "number"},
                {"name": "y", "type": "string", "role": "label", "allowed": ["no", "yes"]},
            ],
        }
    )
    random = np.random.default_rng(1)
    x = np.tile(random.normal(size=2000), 5)
    frame = pd.DataFrame({"id": np.arange(10_000), "x": x, "y": np.where(x + random.normal(size=10_000) > 0, "yes", "no")})
    write(frame, tmp_path)
    prepared = prepare(tmp_path, contract)
    assert prepared.counts.holdout > 500
    assert not np.isin(prepared.holdout["x"], prepared.train["x"]).any()


VISITS = {
    "name": "visits",
    "positive": "yes",
    "columns": [
        {"name": "customer", "type": "string", "role": "identifier"},
        {"name": "day", "type": "string", "role": "ignored"},
        {"name": "x", "type": "number"},
        {"name": "y", "type": "string", "role": "label", "allowed": ["no", "yes"]},
    ],
}


def visits(rows: int) -> pd.DataFrame:
    random = np.random.default_rng(3)
    day = (pd.Timestamp("2026-01-01") + pd.to_timedelta(random.integers(0, 90, rows), unit="D")).strftime("%Y-%m-%d")
    customer = [f"c{number}" for number in random.integers(0, 60, rows)]
    frame = pd.DataFrame({"customer": customer, "day": day, "x": random.normal(size=rows)})
    return frame.assign(y=np.where(random.random(rows) < 0.3, "yes", "no"))


def test_groups_are_on_one_side_and_the_folds_know_them(tmp_path):
    write(visits(1200), tmp_path)
    prepared = prepare(tmp_path, parse_contract({**VISITS, "split": {"group": "customer"}}), holdout=0.3, held_back=0.2)
    assert "customer" not in prepared.train
    assert len(prepared.belongs) == len(prepared.train)
    assert len(np.unique(prepared.belongs)) + prepared.holdout["customer"].nunique() < 60
    write_prepared(prepared, tmp_path / "out")
    assert np.array_equal(np.load(tmp_path / "out" / "belongs.npy"), prepared.belongs)


def test_the_time_after_is_held_out_and_the_folds_know_the_order(tmp_path):
    frame = visits(1200)
    frame.loc[0, "day"] = None
    write(frame, tmp_path)
    prepared = prepare(tmp_path, parse_contract({**VISITS, "split": {"time": "day"}}), holdout=0.2)
    assert prepared.counts.rejected == {"day: empty, and a value is required": 1}
    assert prepared.counts.held_from == prepared.holdout["day"].min() > "2026-03-01"
    frame = frame.dropna().sort_values("x")
    order = prepared.train.assign(moment=prepared.belongs).sort_values("x")
    known = frame[frame["day"] < prepared.counts.held_from]["day"].rank(method="dense").to_numpy() - 1
    assert np.array_equal(order["moment"].to_numpy(), known)


def test_rows_between_the_sides_are_rejects_with_the_reason(tmp_path):
    frame = visits(1200)
    frame["customer"] = [f"c{day}" for day in pd.to_datetime(frame["day"]).dt.dayofyear // 3 + np.arange(1200) % 2]
    write(frame, tmp_path)
    contract = parse_contract({**VISITS, "split": {"group": "customer", "time": "day", "embargo": 2}})
    prepared = prepare(tmp_path, contract, holdout=0.2, held_back=0.1)
    counts = prepared.counts
    assert set(counts.rejected) == {"customer: came before, and this row is of the held-out time", "day: within the embargo"}
    assert counts.rows == counts.train + counts.held_back + counts.holdout + sum(counts.rejected.values())
    assert len(prepared.belongs) == counts.train
    assert not set(frame["customer"][frame["day"] < counts.held_from]) & set(prepared.holdout["customer"])


def test_a_side_without_a_class_is_an_error_that_says_what_to_do(tmp_path):
    frame = odd_table(200, 1)
    write(frame[frame["outcome"] == "bad"], tmp_path)
    with pytest.raises(DataError, match="no row of the class 'good'") as raised:
        prepare(tmp_path, odd_contract())
    assert raised.value.what == "The training rows hold no row of the class 'good'."
    assert "Bring more rows" in raised.value.do


def test_the_side_that_lacks_a_class_is_named_with_the_rows_of_both(tmp_path):
    write(odd_table(300, 1), tmp_path)
    counts = prepare(tmp_path, odd_contract(), holdout=0.2).counts
    classes = {**counts.holdout_classes, "good": 0}
    with pytest.raises(DataError) as raised:
        refuse_missing_class(msgspec.structs.replace(counts, holdout_classes=classes))
    assert raised.value.what == "The hold-out holds no row of the class 'good'."
    sides = f"{counts.train} are for training and {counts.holdout} are held out"
    assert raised.value.why == f"The table has 300 rows, of which {sides}."
    with pytest.raises(DataError) as raised:
        refuse_missing_class(msgspec.structs.replace(counts, train_classes={}, holdout_classes={}, train=0))
    assert raised.value.what == "The training rows hold no row."


PRICES = {
    "name": "prices",
    "task": "regression",
    "columns": [{"name": "x", "type": "number"}, {"name": "y", "type": "number", "role": "label", "minimum": 0, "maximum": 9}],
}


def test_a_quantity_beyond_its_range_rejects_the_row(tmp_path):
    random = np.random.default_rng(4)
    frame = pd.DataFrame({"x": random.normal(size=300), "y": random.uniform(1, 8, 300), "other": "not of the contract"})
    frame.loc[[3, 4, 5, 6], "y"] = [-1, 10, np.nan, np.inf]
    write(frame, tmp_path)
    prepared = prepare(tmp_path, parse_contract(PRICES))
    assert prepared.counts.rejected == {"y: below 0": 1, "y: above 9": 1, "y: no label": 1, "y: no number": 1}
    assert prepared.rejects.set_index("row")["reason"].to_dict() == {4: "y: below 0", 5: "y: above 9", 6: "y: no label", 7: "y: no number"}
    assert list(prepared.train) == list(prepared.holdout) == ["x", "y"]
    assert prepared.counts.train_classes == {}


def test_a_side_of_a_quantity_needs_a_row(tmp_path):
    write(pd.DataFrame({"x": [1.0], "y": [2.0]}), tmp_path)
    with pytest.raises(DataError) as raised:
        prepare(tmp_path, parse_contract(PRICES))
    assert raised.value.what == "The hold-out holds no row."


def test_a_table_that_is_not_there_names_the_stage_that_makes_it(tmp_path):
    with pytest.raises(DataError) as raised:
        prepare(tmp_path, odd_contract())
    assert "pushline check-data" in raised.value.do


def test_the_folder_holds_what_the_next_steps_and_azure_read(tmp_path):
    frame = odd_table(300, 1)
    frame.loc[6, "outcome"] = None
    write(frame, tmp_path)
    prepared = prepare(tmp_path, odd_contract(), held_back=0.2)
    out = tmp_path / "out"
    write_prepared(prepared, out)
    assert read_counts(out) == prepared.counts
    for name in ("train", "held_back", "holdout", "rejects"):
        pd.testing.assert_frame_equal(pd.read_parquet(out / f"{name}.parquet"), getattr(prepared, name))
        assert pq.read_schema(out / f"{name}.parquet").pandas_metadata["index_columns"] == []
    assert (out / "MLTable").read_text() == ("type: mltable\npaths:\n  - file: ./train.parquet\ntransformations:\n  - read_parquet\n")


def test_a_folder_that_can_not_be_written_is_an_error_that_names_it(tmp_path):
    write(odd_table(300, 1), tmp_path)
    (tmp_path / "out").write_text("a file")
    with pytest.raises(PushlineError, match="out"):
        write_prepared(prepare(tmp_path, odd_contract()), tmp_path / "out")


def test_the_hold_out_of_an_earlier_training_is_made_again_or_it_is_said_that_it_can_not_be(tmp_path):
    write(odd_table(300, 1), tmp_path)
    settings = Training(holdout=0.3)
    unseen = prepare(tmp_path, odd_contract(), holdout=0.3).holdout
    trained = SimpleNamespace(holdout=str(tmp_path / "a" / "b" / "holdout.parquet"), holdout_rows=len(unseen))
    for _ in range(2):
        hold_out_again(trained, tmp_path, odd_contract(), settings)
        pd.testing.assert_frame_equal(pd.read_parquet(trained.holdout), unseen)
    trained.holdout_rows += 1
    with pytest.raises(DataError) as raised:
        hold_out_again(trained, tmp_path, odd_contract(), settings)
    assert raised.value.why == f"It had {len(unseen) + 1:,} rows, the data of this machine gives {len(unseen):,}."
