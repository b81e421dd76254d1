import hashlib
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushline.data.contract import Contract, load_contract, parse_contract
from pushline.data.contract.split import estimates, gaps_of, held_since, holdout_sql, newest, split_id, split_of
from pushline.data.profile import load_profile
from pushline.data.profile.sample import sample_rows
from pushline.errors import ContractError, DataError

LABEL = {"name": "label", "type": "string", "role": "label", "allowed": ["n", "y"]}
CONTRACT = parse_contract(
    {
        "name": "t",
        "positive": "y",
        "columns": [
            {"name": "text", "type": "string", "missing_at_most": 1},
            {"name": "whole", "type": "integer", "missing_at_most": 1},
            {"name": "number", "type": "number", "missing_at_most": 1},
            {"name": "flag", "type": "boolean", "missing_at_most": 1},
            LABEL,
        ],
    }
)


@pytest.fixture(scope="module")
def contract(repo: Path) -> Contract:
    return load_contract(repo / "data_checks" / "contract.yml")


@pytest.fixture(scope="module")
def rows(repo: Path, contract: Contract) -> pd.DataFrame:
    return sample_rows(load_profile(repo / "data_checks" / "profile.json"), contract, 5000, 1)


def frame(**changed: object) -> pd.DataFrame:
    """200 rows that differ in `whole`, with columns changed."""
    made = {"text": ["a"] * 200, "whole": range(200), "number": [0.5] * 200, "flag": [True] * 200, "label": ["n", "y"] * 100}
    return pd.DataFrame({**made, **changed})


def test_rows_are_where_they_have_always_been() -> None:
    held = np.flatnonzero(split_of(frame(), CONTRACT, 0.1)).tolist()
    assert held[:6] == [6, 15, 44, 49, 61, 63]


def test_the_hash_needs_no_library_to_be_computed_again() -> None:
    def fields(row: pd.Series) -> list[str]:
        return ["true" if row.flag else "false", f"{row.number:.12g}", row.text, str(row.whole)]  # in the order of the columns' names

    texts = ["".join(f"{len(text)}:{text}" for text in fields(row)) for _, row in frame().iterrows()]
    held = [int(hashlib.md5(text.encode()).hexdigest()[:8], 16) < 0.1 * 2**32 for text in texts]
    assert held == split_of(frame(), CONTRACT, 0.1).tolist()


def test_the_share_is_about_what_was_asked_for(rows: pd.DataFrame, contract: Contract) -> None:
    for share in (0.1, 0.3):
        assert abs(split_of(rows, contract, share).mean() - share) < 0.02
    assert not split_of(rows, contract, 0).any()
    assert split_of(rows, contract, 1).all()


def test_a_row_keeps_its_side_when_data_is_added_and_the_order_changes(rows: pd.DataFrame, contract: Contract) -> None:
    before = split_of(rows, contract, 0.2)
    shuffled = rows.sample(frac=1, random_state=1)
    more = pd.concat([shuffled.iloc[:100], rows, shuffled])[list(reversed(rows.columns))]
    assert (split_of(more, contract, 0.2)[100 : 100 + len(rows)] == before).all()


def test_a_larger_share_keeps_the_rows_of_a_smaller_one(rows: pd.DataFrame, contract: Contract) -> None:
    assert not (split_of(rows, contract, 0.1) & ~split_of(rows, contract, 0.2)).any()


def test_the_label_has_no_say(rows: pd.DataFrame, contract: Contract) -> None:
    turned = rows.assign(**{contract.label.name: contract.positive})
    assert (split_of(turned, contract, 0.2) == split_of(rows, contract, 0.2)).all()


def test_equal_rows_stay_together(rows: pd.DataFrame, contract: Contract) -> None:
    twice = split_of(pd.concat([rows, rows]), contract, 0.2)
    assert (twice[: len(rows)] == twice[len(rows) :]).all()


def test_both_sides_have_the_same_share_of_the_positive_class(rows: pd.DataFrame, contract: Contract) -> None:
    held, positive = split_of(rows, contract, 0.3), rows[contract.label.name] == contract.positive
    assert abs(positive[held].mean() - positive[~held].mean()) < 0.03


@pytest.mark.parametrize(
    "same",
    [
        {"number": [0.1 + 0.4] * 200},
        {"number": [0.49999999999999994] * 200},
        {"whole": pd.array(range(200), dtype="Int64")},
        {"whole": pd.array(range(200), dtype="int32")},
        {"flag": pd.array([True] * 200, dtype="boolean")},
        {"text": pd.array(["a"] * 200, dtype="string")},
    ],
    ids=["sum", "noise", "nullable", "narrow", "nullable boolean", "string type"],
)
def test_how_a_value_is_held_has_no_say(same: dict[str, object]) -> None:
    assert (split_of(frame(**same), CONTRACT, 0.5) == split_of(frame(), CONTRACT, 0.5)).all()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"text": [None] * 200}, {"text": ["-"] * 200}),
        ({"text": [None] * 200}, {"text": [""] * 200}),
        ({"number": [0.5] * 200}, {"number": [0.51] * 200}),
        ({"flag": [True] * 200}, {"flag": [False] * 200}),
    ],
)
def test_another_value_is_another_row(one: dict[str, object], other: dict[str, object]) -> None:
    assert (split_of(frame(**one), CONTRACT, 0.5) != split_of(frame(**other), CONTRACT, 0.5)).any()


def test_missing_and_not_a_number_are_the_same() -> None:
    missing = pd.DataFrame({"number": pd.array([None] * 200, dtype="Float64")})["number"]
    assert (split_of(frame(number=missing), CONTRACT, 0.5) == split_of(frame(number=[np.nan] * 200), CONTRACT, 0.5)).all()


def test_a_typed_table_is_split_as_a_frame_is(rows: pd.DataFrame, contract: Contract, tmp_path: Path) -> None:
    file = tmp_path / "table.parquet"
    with duckdb.connect() as connection:
        connection.from_df(rows).write_parquet(str(file))
        held = connection.sql(f"SELECT {holdout_sql(contract, 0.2)} AS held FROM read_parquet('{file}')").fetchnumpy()["held"]
    assert (held == split_of(rows, contract, 0.2)).all()


@pytest.mark.example
def test_the_real_table_is_split_as_it_has_always_been(real_data: Path, contract: Contract) -> None:
    assert int(split_of(pd.read_csv(real_data), contract, 0.1).sum()) == 3340


def split_by(**split: object) -> Contract:
    """A contract with a customer and a day, neither of which the model sees."""
    columns = [
        {"name": "customer", "type": "integer", "role": "identifier"},
        {"name": "day", "type": "string", "role": "ignored"},
        {"name": "x", "type": "number"},
        LABEL,
    ]
    return parse_contract({"name": "t", "positive": "y", "columns": columns, "split": split})


def purchases(rows: int = 1000) -> pd.DataFrame:
    random = np.random.default_rng(1)
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(random.integers(0, 100, rows), unit="D")
    frame = pd.DataFrame({"customer": random.integers(0, 80, rows), "day": days.strftime("%Y-%m-%d"), "x": random.normal(size=rows)})
    return frame.assign(label=["n", "y"] * (rows // 2))


def test_all_rows_of_a_group_are_on_one_side_and_stay_there_when_others_come() -> None:
    contract, frame = split_by(group="customer"), purchases()
    held = split_of(frame, contract, 0.3)
    assert 0.1 < held.mean() < 0.5
    assert frame.assign(held=held).groupby("customer")["held"].nunique().eq(1).all()
    more = pd.concat([purchases().assign(customer=1000), frame])
    assert (split_of(more, contract, 0.3)[len(frame) :] == held).all()


def test_the_newest_rows_are_held_out_and_those_of_one_moment_stay_together() -> None:
    contract, frame = split_by(time="day"), purchases()
    held = split_of(frame, contract, 0.2)
    assert abs(held.mean() - 0.2) < 0.02
    assert frame["day"][held].min() > frame["day"][~held].max()
    assert not split_of(frame, contract, 0).any()
    assert split_of(frame, contract, 1).all()


def newcomers(rows: int = 1000) -> pd.DataFrame:
    """Purchases of customers who come one after the other and stay for up to ten days."""
    frame = purchases(rows)
    day = frame["customer"] + np.random.default_rng(2).integers(0, 10, rows)
    return frame.assign(day=(pd.Timestamp("2026-01-01") + pd.to_timedelta(day, unit="D")).dt.strftime("%Y-%m-%d"))


def test_with_group_and_time_the_groups_that_came_last_are_held_out_and_nothing_of_their_time_is_learned() -> None:
    contract, frame = split_by(group="customer", time="day"), newcomers()
    held = split_of(frame, contract, 0.2)
    assert abs(held.mean() - 0.2) < 0.03
    assert frame.assign(held=held).groupby("customer")["held"].nunique().eq(1).all()
    ((gap, reason),) = gaps_of(frame, contract.split, held)
    learned, edge = frame[~held & ~gap], frame["day"][held].min()
    assert learned["day"].max() < edge <= frame["day"][gap].min()
    assert reason == "customer: came before, and this row is of the held-out time"
    assert 0 < gap.mean() < 0.1
    assert (held_since(frame, contract.split, edge) == held).all()


@pytest.mark.parametrize("how", ["dates", "dates with a time", "numbers"])
def test_nothing_is_learned_within_the_embargo(how: str) -> None:
    contract, frame = split_by(time="day", embargo=5), purchases()
    days = frame["day"] + ("T08:30" if how == "dates with a time" else "")
    frame["day"] = (pd.to_datetime(days) - pd.Timestamp("2026-01-01")).dt.days if how == "numbers" else days
    held = split_of(frame, contract, 0.2)
    ((gap, reason),) = gaps_of(frame, contract.split, held)
    assert (gap.any(), reason) == (True, "day: within the embargo")
    day = pd.to_datetime(frame["day"], unit="D") if how == "numbers" else pd.to_datetime(frame["day"])
    assert day[held].min() - day[~held & ~gap].max() == pd.Timedelta(days=5)


def test_a_moment_may_be_a_number() -> None:
    contract = split_by(time="customer")
    frame = purchases()
    held = split_of(frame, contract, 0.2)
    assert frame["customer"][held].min() > frame["customer"][~held].max()
    assert gaps_of(frame, contract.split, held) == []


def test_text_that_is_no_date_has_no_order() -> None:
    frame = purchases()
    frame.loc[3, "day"] = "27.11.2026"
    with pytest.raises(DataError, match="can't be split by day") as told:
        split_of(frame, split_by(time="day"), 0.2)
    assert "1 of its 1,000 values are no ISO dates, such as '27.11.2026'" in told.value.why


@pytest.mark.parametrize(
    ("split", "fault"),
    [
        ({}, "split names `group`, `time` or both"),
        ({"group": "customer", "time": "customer"}, "one column as `group` and as `time`"),
        ({"group": "customer", "embargo": 3}, "embargo goes with `time`"),
        ({"group": "nobody"}, "which is no column"),
        ({"time": "label"}, "which is the label"),
    ],
)
def test_a_split_that_can_decide_nothing_is_refused(split: dict[str, object], fault: str) -> None:
    with pytest.raises(ContractError) as told:
        split_by(**split)
    assert fault in told.value.why


def test_models_of_one_split_have_its_name() -> None:
    names = {split_id(contract) for contract in (CONTRACT, split_by(time="day"), split_by(group="customer"), split_by(group="x"))}
    names |= {split_id(split_by(group="customer", time="day")), split_id(split_by(group="day", time="customer"))}
    assert len(names) == 6
    contracts = CONTRACT, split_by(time="day"), split_by(group="customer"), split_by(group="customer", time="day")
    assert [estimates(contract) for contract in contracts] == [
        "rows like these, drawn as these were",
        "the time after what training has seen, by day",
        "values of customer that no training has seen",
        "values of customer that no training has seen, in the time after what training has seen, by day",
    ]


def test_the_name_of_a_split_stays_what_it_is() -> None:
    """Another name would send every champion to the floor."""
    assert split_id(CONTRACT) == "features-9f9497a74737"
    assert split_id(split_by(time="day")) == "time-944c27e5b97a"
    assert split_id(split_by(group="customer")) == "group-b6c45863875e"
    assert split_id(split_by(group="customer", time="day")) == "group-time-2ae38fcf1df4"


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.floats(0, 1))
def test_no_other_edge_comes_closer_to_the_share(moments: list[int], share: float) -> None:
    values = np.array(moments, dtype=np.float64)
    held, rows = newest(values, share), round(share * len(values))
    assert held.dtype == bool
    assert not held.any() if rows == 0 else held.any()
    edges = [int((values >= edge).sum()) for edge in set(moments)]
    assert rows == 0 or abs(int(held.sum()) - rows) == min(abs(count - rows) for count in edges)
    assert not held.any() or held.all() or values[held].min() > values[~held].max()


@pytest.mark.parametrize("also", [True, False])
def test_what_is_known_only_after_decides_no_side_unless_there_is_nothing_else(also: bool) -> None:
    after = {"name": "z", "type": "number", "known": "after"}
    columns = [*([{"name": "x", "type": "number"}] if also else []), after, LABEL]
    contract = parse_contract({"name": "t", "positive": "y", "columns": columns})
    rows = pd.DataFrame({"x": np.arange(400.0), "z": np.arange(400.0), "label": ["n", "y"] * 200})
    moved = split_of(rows.assign(z=rows["z"] + 0.5), contract, 0.3) != split_of(rows, contract, 0.3)
    assert moved.any() == (not also)
