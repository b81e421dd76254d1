from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

from command import Ran
from pushline.data.contract import Contract, load_contract, parse_contract
from pushline.data.profile.histogram import FEW, SMALLEST
from pushline.data.profile.profile import Profile, ProfileResult, edges_of, load_profile, profile_of, write_profile
from pushline.errors import DataError, DataUnavailable, SettingsError
from pushline.project import Project
from pushline.results import CheckDataResult, save

Run = Callable[..., Ran]

CONTRACT = parse_contract(
    {
        "name": "small",
        "positive": "yes",
        "columns": [
            {"name": "id", "type": "integer", "role": "identifier"},
            {"name": "note", "type": "string"},
            {"name": "size", "type": "number", "missing_at_most": 0.5, "belongs_with": "pair"},
            {"name": "kind", "type": "string", "allowed": ["a", "b", "c"], "missing_at_most": 0.5, "belongs_with": "pair"},
            {"name": "flag", "type": "boolean"},
            {"name": "count", "type": "integer"},
            {"name": "bought", "type": "string", "role": "label", "allowed": ["no", "yes"]},
        ],
    }
)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """300 rows with missing values, a rare text, an identifier and notes."""
    rows = pd.DataFrame({"id": range(300), "note": [f"private {n}" for n in range(300)]})
    rows["size"] = [None if n % 10 == 0 else (n % 7) * 0.1 for n in range(300)]
    rows["kind"] = ["c" if n < 3 else None if n % 10 == 0 else "ab"[n % 7 > 3] for n in range(300)]
    rows["flag"] = ["true" if n % 3 else "false" for n in range(300)]
    rows["count"] = [n % 20 for n in range(300)]
    rows["bought"] = ["yes" if n % 5 == 0 else "no" for n in range(300)]
    file = tmp_path / "small.csv"
    rows.to_csv(file, index=False)
    return file


def test_the_profile_of_the_example_is_that_of_the_real_file(repo: Path, real_data: Path, tmp_path: Path) -> None:
    committed = repo / "data_checks" / "profile.json"
    made = profile_of(real_data, load_contract(repo / "data_checks" / "contract.yml"), load_profile(committed).data_version)
    write_profile(tmp_path / "profile.json", made)
    assert (tmp_path / "profile.json").read_bytes() == committed.read_bytes()
    assert committed.stat().st_size < 100_000


def expect_no_row(profile: Profile) -> None:
    """No cell of a few rows, and none of a few rows of a class."""
    for part in (*profile.columns, *profile.groups):
        sizes = [sum(cell) for cell in zip(*part.counts, strict=True)]
        assert not sizes or len(sizes) == 1 or min(sizes) >= SMALLEST
        assert not [count for counts in (*part.counts, getattr(part, "missing", ())) for count in counts if 0 < count < FEW]
    assert min(profile.class_counts) >= FEW


def test_the_profile_of_the_example_tells_of_no_row(repo: Path) -> None:
    profile = load_profile(repo / "data_checks" / "profile.json")
    expect_no_row(profile)
    for column in profile.columns:
        assert column.kind == "free" or sum(map(sum, column.counts)) + sum(column.missing) == profile.rows


def made_tables(random: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Tables as people have them, with columns of many values and a rare class."""
    rows = 2000
    salaries = np.round(random.lognormal(10.4, 0.5, rows)).astype(int)
    ages = random.integers(18, 70, rows)
    teams = np.array(list("abcdefgh"))[np.minimum(random.geometric(0.3, rows), 8) - 1]
    incomes = np.where(random.random(rows) < 0.004, np.nan, salaries * 1.5)
    return {
        "salaries": pd.DataFrame({"salary": salaries, "age": ages, "team": teams}),
        "positions": pd.DataFrame({"lat": random.normal(52.5, 0.1, rows), "lon": random.normal(13.4, 0.2, rows)}),
        "few rows": pd.DataFrame({"amount": np.round(random.gamma(1, 300, 90), 2)}),
        "tails": pd.DataFrame({"debt": np.round(random.pareto(1.2, rows) * 1000, 2), "calls": random.poisson(1.5, rows)}),
        "with gaps": pd.DataFrame({"income": incomes, "visits": random.poisson(40, rows) ** 2}),
    }


@pytest.mark.parametrize("name", ["salaries", "positions", "few rows", "tails", "with gaps"])
def test_who_holds_the_profile_learns_the_value_of_no_row(name: str, tmp_path: Path) -> None:
    random = np.random.default_rng(11)
    frame = made_tables(random)[name]
    kinds = {"i": "integer", "f": "number", "O": "string"}
    columns: list[dict[str, object]] = [
        {"name": each, "type": kinds[frame[each].dtype.kind], "missing_at_most": 0.5} for each in frame if each != "team"
    ]
    if "team" in frame:
        columns.append({"name": "team", "type": "string", "allowed": list("abcdefgh")})
    frame["label"] = np.where(random.random(len(frame)) < 0.12, "y", "n")
    frame.to_csv(tmp_path / "t.csv", index=False)
    contract = parse_contract({"name": "t", "positive": "y", "columns": [*columns, LABEL]})
    profile = profile_of(tmp_path / "t.csv", contract, "")
    expect_no_row(profile)
    for column in profile.columns:
        if column.kind != "number":
            continue
        seen = frame[column.name].dropna()
        shared = set(seen.value_counts()[lambda counts: counts >= SMALLEST].index)
        ordered = np.sort(seen)
        noise = 1e-6 * np.abs(ordered).max()
        assert ordered[SMALLEST - 1] - noise <= column.low[0] <= column.high[-1] <= ordered[-SMALLEST] + noise
        alone = {edge for edge in (*column.low, *column.high) if edge in set(seen) and edge not in shared}
        digits = column.decimals
        coarse = {edge for edge in alone if round(edge, 0 if digits <= 2 else digits - 2) == edge}
        assert alone <= coarse, sorted(alone - coarse)
        assert len(alone) <= max(2, len(seen) / 50)


def test_identifiers_and_free_text_leave_no_trace(small: Path, tmp_path: Path) -> None:
    write_profile(tmp_path / "profile.json", profile_of(small, CONTRACT, ""))
    profile = load_profile(tmp_path / "profile.json")
    assert [column.name for column in profile.columns if column.kind == "free"] == ["id", "note"]
    assert "private" not in (tmp_path / "profile.json").read_text()


def test_counts_are_by_class_and_missing_values_apart(small: Path) -> None:
    profile = profile_of(small, CONTRACT, "v")
    size, kind, flag = (profile.column(name) for name in ("size", "kind", "flag"))
    assert size is not None
    assert kind is not None
    assert flag is not None
    assert (profile.classes, profile.class_counts, profile.rows) == (("no", "yes"), (240, 60), 300)
    assert (size.missing, size.decimals, size.low) == ((0, 30), 1, (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6))
    assert kind.values == ("a", "b")  # the three rows of c are too few to show
    assert (flag.values, sum(map(sum, flag.counts))) == (("false", "true"), 300)


def test_columns_that_belong_together_keep_what_holds_between_them(small: Path) -> None:
    profile = profile_of(small, CONTRACT, "v")
    (pair,) = profile.groups
    assert pair.columns == ("size", "kind")
    assert sum(map(sum, pair.counts)) == 300
    assert set(pair.cells) == {(-1, -1), *((at, 0) for at in range(4)), *((at, 1) for at in range(4, 7))}


def test_more_distinct_numbers_than_are_worth_a_query_each_still_make_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushline.data.profile.profile.DISTINCT", 1000)
    contract = parse_contract({"name": "t", "positive": "y", "columns": [{"name": "x", "type": "number"}, LABEL]})
    rows = pd.DataFrame({"x": [n / 7 for n in range(8000)] + [5000.0] * 2000, "label": ["y", "n"] * 5000})
    rows.to_csv(tmp_path / "t.csv", index=False)
    column = profile_of(tmp_path / "t.csv", contract, "").column("x")
    assert column is not None
    assert sum(map(sum, column.counts)) == 10_000
    assert edges_of(column) == sorted(edges_of(column))
    assert column.high[-1] == 5000
    assert sum(counts[-1] for counts in column.counts) >= 2000


LABEL = {"name": "label", "type": "string", "role": "label", "allowed": ["n", "y"]}


def test_a_class_without_a_row_is_refused(tmp_path: Path) -> None:
    contract = parse_contract({"name": "t", "positive": "y", "columns": [{"name": "x", "type": "number"}, LABEL]})
    (tmp_path / "t.csv").write_text("x,label\n1,n\n2,n\n")
    with pytest.raises(DataError, match="'y'"):
        profile_of(tmp_path / "t.csv", contract, "")


@pytest.mark.parametrize("content", ["x,label\nten,n\n2,y\n", "a,b\n1,2\n", ""])
def test_a_file_that_is_not_the_table_is_refused(tmp_path: Path, content: str) -> None:
    contract = parse_contract({"name": "t", "positive": "y", "columns": [{"name": "x", "type": "number"}, LABEL]})
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(DataError):
        profile_of(tmp_path / "t.csv", contract, "")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match=r"gone\.csv"):
        profile_of(tmp_path / "gone.csv", CONTRACT, "")


@pytest.mark.parametrize("content", [b"{", b'{"schema": 2}', None])
def test_a_profile_that_can_not_be_used_is_an_error_with_a_way_out(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "profile.json").write_bytes(content)
    with pytest.raises(SettingsError, match="pushline profile"):
        load_profile(tmp_path / "profile.json")


def checked(project: Project, *, sample: bool = False, critical: int = 0) -> None:
    """Leave a result of check-data, as the stage does."""
    result = CheckDataResult(
        data_version="v",
        file="f.csv",
        table="build/check-data/table.parquet",
        rows=1,
        columns=1,
        findings=(),
        critical=critical,
        warning=0,
        info=0,
        generated_sample=sample,
    )
    save(project.build, result)


def contract_of(project: Project) -> Contract:
    return load_contract(project.contract)


@pytest.mark.example
def test_the_command_makes_the_same_profile_again(project: Project, run_pushline: Run, real_data: Path) -> None:
    before = project.profile.read_bytes()
    project.profile.unlink()
    ran = run_pushline(project, "profile", str(real_data), "--json")
    assert ran.code == 0, ran.err
    assert msgspec.json.decode(ran.out, type=ProfileResult).rows == 32950
    assert project.profile.read_bytes() == before


def test_the_command_refuses_a_generated_sample(project: Project, run_pushline: Run) -> None:
    checked(project, sample=True)
    ran = run_pushline(project, "profile")
    assert (ran.code, "generated sample" in ran.err) == (2, True)


def test_the_command_refuses_data_with_critical_findings(project: Project, run_pushline: Run) -> None:
    checked(project, critical=1)
    ran = run_pushline(project, "profile")
    assert (ran.code, "critical" in ran.err) == (1, True)


def test_the_command_asks_for_check_data_first(project: Project, run_pushline: Run) -> None:
    ran = run_pushline(project, "profile")
    assert (ran.code, "check-data" in ran.err) == (2, True)
