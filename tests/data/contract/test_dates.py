"""Dates from text to the parts that a model learns from."""
# ruff: noqa: DTZ001 - as a table has them, without a zone

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushline.data.contract import Contract, parse_contract
from pushline.data.contract.dates import PARTS, hours_of
from pushline.data.contract.encoding import encode_frame, encode_rows, encoding_of
from pushline.errors import ContractError
from pushline.training.features import compute, features_of

FIRST, LAST = datetime(1800, 1, 1), datetime(2399, 12, 31, 23, 59)


def dated(kind: str = "datetime", **more: object) -> Contract:
    columns = [
        {"name": "placed", "type": kind, "missing_at_most": 1, **more},
        {"name": "paid", "type": kind, "missing_at_most": 1},
        {"name": "label", "type": "string", "role": "label", "allowed": ["n", "y"]},
    ]
    return parse_contract(
        {
            "name": "t",
            "positive": "y",
            "columns": columns,
            "derived": [{"name": "waited", "expression": "days(paid) - days(placed)"}],
        }
    )


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(st.lists(st.datetimes(FIRST, LAST), min_size=1, max_size=20))
def test_the_graph_finds_the_parts_that_the_calendar_has(moments: list[datetime]) -> None:
    contract = dated(parts=list(PARTS))
    frame = pd.DataFrame({"placed": [moment.isoformat(timespec="minutes") for moment in moments], "paid": None})
    encoding = encoding_of(contract.features())
    features = features_of(contract, encoding)
    matrix = compute(encode_frame(encoding, frame), features, encoding)
    names = [*encoding.names, *(feature.name for feature in features)]
    for part in ("year", "month", "day", "weekday", "hour"):
        wanted = [moment.weekday() if part == "weekday" else getattr(moment, part) for moment in moments]
        assert matrix[:, names.index(f"placed: {part}")].tolist() == wanted
    days = [(moment - datetime(1970, 1, 1)) / timedelta(days=1) for moment in moments]
    assert np.allclose(matrix[:, names.index("placed: days")], days, atol=0.03, rtol=1e-7)


def test_a_model_sees_the_parts_and_the_days_between_but_never_the_instant() -> None:
    contract = dated()
    encoding = encoding_of(contract.features())
    features = features_of(contract, encoding)
    rows = [{"placed": "2026-11-27T08:30", "paid": "2026-12-01T20:30:00Z"}, {"placed": None, "paid": "2024-02-29"}]
    matrix = compute(encode_rows(encoding, rows), features, encoding)
    assert [feature.name for feature in features][:4] == ["waited", "placed: month", "placed: weekday", "placed: hour"]
    assert matrix[:, :2].tolist() == [[0, 0], [0, 0]]
    assert matrix[0, 2:6].tolist() == [4.5, 11, 4, 8]
    assert np.isnan(matrix[1, 2:6]).all()
    assert matrix[1, 6:].tolist() == [2, 3, 0]


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)), st.integers(-14, 14))
def test_an_offset_is_taken_into_account(moment: datetime, offset: int) -> None:
    text = f"{moment.isoformat(timespec='seconds')}{'+' if offset >= 0 else '-'}{abs(offset):02d}:00"
    utc = (moment - timedelta(hours=offset)).replace(tzinfo=UTC, second=0, microsecond=0)
    assert hours_of(text, "datetime") == utc.timestamp() // 900 / 4


@pytest.mark.parametrize("text", ["27.11.2026", "2026-02-30", "2026-11-27T24:00", "2026-11-27T08:61", "", "0000-01-01", "2026-11-27 8:30"])
def test_what_is_no_date_is_told(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of which fault is told by the caller
        hours_of(text, "datetime")


@pytest.mark.parametrize(
    ("column", "fault"),
    [
        ({"parts": ["hour"]}, "the hour goes with datetime"),
        ({"parts": []}, "names one at least"),
        ({"minimum": 3}, "bounds go with"),
        ({"allowed": ["2026-01-01"]}, "`allowed` goes with"),
        ({"example": "27.11.2026"}, "is not a value of this column"),
    ],
)
def test_a_date_column_that_means_nothing_is_refused(column: dict[str, object], fault: str) -> None:
    with pytest.raises(ContractError) as told:
        dated("date", **column)
    assert fault in told.value.why
