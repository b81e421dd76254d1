"""Missing evidence never opens a gate: whatever a table lost, check-data or prepare says so."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushline.data.checks.check_data import check_data
from pushline.data.contract import Contract, parse_contract
from pushline.errors import ContractError, DataError
from pushline.progress import silent
from pushline.project import Project
from pushline.training.prepare import prepare

ROWS = 80
NOTHING = ["", "nan", "NaN", "inf", "-inf", "Infinity", "1e999", "null", "None"]


def contract_of(task: str) -> Contract:
    label = {"name": "y", "type": "string", "role": "label", "allowed": ["no", "yes"]}
    if task == "regression":
        label = {"name": "y", "type": "number", "role": "label"}
    columns = [
        {"name": "x", "type": "number", "minimum": -10, "maximum": 10},
        {"name": "n", "type": "integer", "minimum": 0, "maximum": 100},
        {"name": "day", "type": "date"},
        {"name": "row", "type": "string", "allowed": ["a", "b"]},
        label,
    ]
    whole = {"name": "t", "task": task, "columns": columns, "rows_at_least": 10}
    return parse_contract(whole | ({"positive": "yes"} if task == "classification" else {}))


def sound(task: str) -> pd.DataFrame:
    random = np.random.default_rng(4)
    y = random.normal(size=ROWS).round(3) if task == "regression" else np.array(["no", "yes"])[random.integers(0, 2, ROWS)]
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(random.integers(0, 300, ROWS), unit="D")
    made = {"x": random.normal(size=ROWS).round(3), "n": random.integers(0, 100, ROWS), "day": days.strftime("%Y-%m-%d")}
    return pd.DataFrame({**made, "row": np.array(["a", "b"])[random.integers(0, 2, ROWS)], "y": y}).astype(str)


def one_cell(frame: pd.DataFrame, column: str, word: str) -> pd.DataFrame:
    return frame.assign(**{column: frame[column].where(frame.index != 7, word)})


def whole_column(frame: pd.DataFrame, column: str, word: str) -> pd.DataFrame:
    return frame.assign(**{column: word})


def gone(frame: pd.DataFrame, column: str, word: str) -> pd.DataFrame:
    return frame.drop(columns=column)


def renamed(frame: pd.DataFrame, column: str, word: str) -> pd.DataFrame:
    return frame.rename(columns={column: "__row"})


def no_rows(frame: pd.DataFrame, column: str, word: str) -> pd.DataFrame:
    return frame.iloc[:0]


def one_class(frame: pd.DataFrame, column: str, word: str) -> pd.DataFrame:
    return frame[frame["y"] == frame["y"].iloc[0]]


Lose = Callable[[pd.DataFrame, str, str], pd.DataFrame]


@pytest.fixture(scope="module")
def empty_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


def criticals(project: Project, frame: pd.DataFrame, task: str) -> set[str]:
    file = project.root / "t.csv"
    frame.to_csv(file, index=False)
    checked = check_data(project, contract_of(task), file=file, fetched=None, progress=silent)
    return {finding.id for finding in checked.findings if finding.severity == "critical"}


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_table_itself_is_sound(task: str, empty_project: Project) -> None:
    assert not criticals(empty_project, sound(task), task)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    task=st.sampled_from(["classification", "regression"]),
    lose=st.sampled_from([one_cell, whole_column, gone, renamed, no_rows, one_class]),
    column=st.sampled_from(["x", "n", "day", "row", "y"]),
    word=st.sampled_from(NOTHING),
)
def test_a_table_that_lost_evidence_is_critical(task: str, lose: Lose, column: str, word: str, empty_project: Project) -> None:
    if lose is one_class and task == "regression":
        lose = no_rows
    assert criticals(empty_project, lose(sound(task), column, word), task)


CELLS = st.sampled_from([None, np.nan, np.inf, -np.inf, 0.5, -0.5, 3.0, 11.0])


@settings(max_examples=25, deadline=None)
@given(
    task=st.sampled_from(["classification", "regression"]),
    values=st.lists(st.tuples(CELLS, st.sampled_from([None, "no", "yes", "maybe"]), CELLS), max_size=30),
    share=st.sampled_from([0.1, 0.5, 1.0]),
)
def test_no_row_without_evidence_is_learned_from_or_judged_by(
    task: str, values: list[tuple[float | None, str | None, float | None]], share: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    label = {"name": "y", "type": "number", "role": "label", "minimum": -1, "maximum": 1}
    if task == "classification":
        label = {"name": "y", "type": "string", "role": "label", "allowed": ["no", "yes"]}
    columns = [{"name": "x", "type": "number", "minimum": -1, "maximum": 10}, label]
    contract = parse_contract({"name": "t", "task": task, "columns": columns} | ({"positive": "yes"} if task == "classification" else {}))
    labels = [word if task == "classification" else number for _, word, number in values]
    frame = pd.DataFrame({"x": np.array([x for x, *_ in values], dtype=float), "y": labels})
    frame = frame.astype({"y": "float64" if task == "regression" else "string"})
    folder = tmp_path_factory.mktemp("typed")
    frame.to_parquet(folder / "table.parquet")
    try:
        prepared = prepare(folder, contract, holdout=share)
    except DataError:
        return
    counts = prepared.counts
    assert counts.rows == len(values) == counts.train + counts.holdout + sum(counts.rejected.values())
    for side in (prepared.train, prepared.holdout):
        assert len(side)
        assert side["x"].between(-1, 10).all()
        assert side["y"].between(-1, 1).all() if task == "regression" else set(side["y"]) == {"no", "yes"}


@pytest.mark.parametrize("name", ["__row", "file_row_number", "__ROW", "File_Row_Number"])
def test_a_contract_with_a_name_of_the_checks_own_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="contradicts itself"):
        parse_contract(
            {
                "name": "t",
                "task": "regression",
                "columns": [{"name": name, "type": "number"}, {"name": "y", "type": "number", "role": "label"}],
            }
        )
