"""What holds for the profile, the sample, the split and the drift of any table."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pushline.data.contract import parse_contract
from pushline.data.contract.split import split_of
from pushline.data.profile import Profile, load_profile, profile_of, write_profile
from pushline.data.profile.drift import drift_of
from pushline.data.profile.histogram import FEW, SMALLEST
from pushline.data.profile.sample import sample_rows

CONTRACT = parse_contract(
    {
        "name": "any",
        "positive": "y",
        "columns": [
            {"name": 'odd "name", with; marks', "type": "number", "missing_at_most": 1, "belongs_with": "it's a pair"},
            {"name": "kind", "type": "string", "allowed": ["", "a'b", "ü;"], "missing_at_most": 1, "belongs_with": "it's a pair"},
            {"name": "count", "type": "integer", "missing_at_most": 1},
            {"name": "flag", "type": "boolean", "missing_at_most": 1},
            {"name": "label", "type": "string", "role": "label", "allowed": ["n", "y"]},
        ],
    }
)
NUMBER, KIND, COUNT, FLAG, LABEL = (column.name for column in CONTRACT.columns)
ROW = st.tuples(
    st.one_of(st.none(), st.floats(-1e9, 1e9), st.sampled_from([0.0, -0.0, 1.5])),
    st.one_of(st.none(), st.sampled_from(["", "a'b", "ü;"])),
    st.one_of(st.none(), st.integers(-(2**40), 2**40), st.sampled_from([0, 999])),
    st.one_of(st.none(), st.booleans()),
)
# no shrinking: each example runs whole queries, and the rows it names are few enough to read
anything = settings(
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


def frame(rows: list[tuple[Any, ...]], times: int = 1) -> pd.DataFrame:
    """The rows, each `times` over, with a label of either class."""
    columns = dict(zip((NUMBER, KIND, COUNT, FLAG), zip(*(rows * times), strict=True), strict=True))
    kinds = {NUMBER: "float64", KIND: "string", COUNT: "Int64", FLAG: "boolean"}
    made = pd.DataFrame({name: pd.array(values, dtype=kinds[name]) for name, values in columns.items()})
    made[LABEL] = np.where(np.arange(len(made)) % 2 == 0, "y", "n")
    return made


def profiled(made: pd.DataFrame, folder: Path) -> Profile:
    made.to_parquet(folder / "t.parquet", index=False)
    return profile_of(folder / "t.parquet", CONTRACT, "v")


@pytest.mark.slow
@given(rows=st.lists(ROW, min_size=2, max_size=40), times=st.sampled_from([1, 3, 40]))
@anything
def test_a_profile_counts_every_row_and_shows_none(tmp_path: Path, rows: list[tuple[Any, ...]], times: int) -> None:
    made = frame(rows, times)
    profile = profiled(made, tmp_path)
    for column in profile.columns:
        told = sum(map(sum, column.counts)) + sum(column.missing)
        assert 0 <= len(made) - told < SMALLEST + FEW * len(profile.classes)  # left out: too few with a value, or of a class
        sizes = [sum(cell) for cell in zip(*column.counts, strict=True)]
        assert len(sizes) <= 1 or min(sizes) >= SMALLEST
    for group in profile.groups:
        assert sum(map(sum, group.counts)) == len(made)
        assert min(sum(cell) for cell in zip(*group.counts, strict=True)) >= SMALLEST
    write_profile(tmp_path / "p.json", profile)
    assert load_profile(tmp_path / "p.json") == profile


@pytest.mark.slow
@given(rows=st.lists(ROW, min_size=2, max_size=30), seed=st.integers(0, 2**31))
@anything
def test_a_sample_holds_nothing_that_the_data_could_not(tmp_path: Path, rows: list[tuple[Any, ...]], seed: int) -> None:
    made = frame(rows, 6)
    profile = profiled(made, tmp_path)
    sample = sample_rows(profile, CONTRACT, 200, seed)
    for name in (NUMBER, COUNT):
        seen, old = sample[name].dropna(), made[name].dropna()
        tolerance = 1e-9 * max(1.0, float(old.abs().max())) if len(old) else 0.0
        assert seen.empty or (float(seen.min()) >= float(old.min()) - tolerance and float(seen.max()) <= float(old.max()) + tolerance)
    assert set(sample[KIND].dropna()) <= set(made[KIND].dropna())
    if not profile.groups:  # too few rows to tell which values go together without telling of one row
        return
    pairs = {(pd.isna(n), k if isinstance(k, str) else None) for n, k in zip(made[NUMBER], made[KIND], strict=True)}
    assert {(pd.isna(n), k if isinstance(k, str) else None) for n, k in zip(sample[NUMBER], sample[KIND], strict=True)} <= pairs


@pytest.mark.slow
@given(rows=st.lists(ROW, min_size=1, max_size=30), more=st.lists(ROW, max_size=10), share=st.sampled_from([0.1, 0.5]))
@anything
def test_a_row_never_changes_sides(rows: list[tuple[Any, ...]], more: list[tuple[Any, ...]], share: float) -> None:
    alone = split_of(frame(rows), CONTRACT, share)
    among = split_of(frame([*more, *rows]), CONTRACT, share)
    assert (among[len(more) :] == alone).all()


@given(rows=st.lists(ROW, min_size=2, max_size=20))
@anything
@pytest.mark.slow
def test_data_never_drifts_from_its_own_profile(tmp_path: Path, rows: list[tuple[Any, ...]]) -> None:
    made = frame(rows, 600)
    drift = drift_of(tmp_path / "t.parquet", CONTRACT, profiled(made, tmp_path))
    assert drift.verdict == "stable"
    assert {column.column for column in drift.columns} == {column.name for column in CONTRACT.columns}


@pytest.mark.parametrize("kind", ["float64", "Float64"])
def test_an_infinite_number_counts_as_missing(tmp_path: Path, kind: str) -> None:
    made = frame([(1.0, "", 1, True), (2.0, "", 1, True)], 20)
    made[NUMBER] = pd.array([np.inf, -np.inf, np.nan, 1.0] * 10, dtype=kind)
    column = profiled(made, tmp_path).column(NUMBER)
    assert column is not None
    assert (sum(column.missing), column.low) == (30, (1.0,))
