import io
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

from command import Ran
from data.profile.test_profile import CONTRACT, LABEL
from pushline.data.contract import Contract, load_contract, parse_contract
from pushline.data.profile import Profile, load_profile, profile_of
from pushline.data.profile.sample import SampleResult, blocks_of, sample_rows, write_sample
from pushline.errors import SettingsError, TargetError
from pushline.project import Project
from pushline.results import CheckDataResult

Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def contract(repo: Path) -> Contract:
    return load_contract(repo / "data_checks" / "contract.yml")


@pytest.fixture(scope="module")
def profile(repo: Path) -> Profile:
    return load_profile(repo / "data_checks" / "profile.json")


@pytest.fixture(scope="module")
def rows(profile: Profile, contract: Contract) -> pd.DataFrame:
    return sample_rows(profile, contract, 20_000, 3)


def test_rows_have_the_columns_and_types_of_the_contract(rows: pd.DataFrame, contract: Contract) -> None:
    kinds = {"integer": "int64", "number": "float64", "string": "object", "boolean": "bool"}
    assert {name: str(kind) for name, kind in rows.dtypes.items()} == {column.name: kinds[column.type] for column in contract.columns}
    assert all(isinstance(value, str) for column in contract.columns if column.is_text for value in rows[column.name])


@pytest.mark.example
def test_every_value_keeps_the_contract(rows: pd.DataFrame, contract: Contract) -> None:
    for column in contract.columns:
        values = rows[column.name]
        assert column.allowed is None or set(values) <= set(column.allowed)
        assert column.minimum is None or values.min() >= column.minimum
        assert column.maximum is None or values.max() <= column.maximum


@pytest.mark.example
def test_what_holds_between_columns_of_the_example_holds_in_its_sample(rows: pd.DataFrame) -> None:
    assert not ((rows.pdays != 999) & (rows.previous == 0)).any()
    assert ((rows.previous == 0) == (rows.poutcome == "nonexistent")).all()
    assert not ((rows.poutcome == "success") & (rows.pdays == 999)).any()
    assert ((rows.housing == "unknown") == (rows.loan == "unknown")).all()


def test_the_sample_of_the_example_looks_like_the_real_table(rows: pd.DataFrame, real_data: Path, contract: Contract) -> None:
    real = pd.read_csv(real_data)
    for column in contract.columns:
        if column.is_text:
            apart = rows[column.name].value_counts(normalize=True).sub(real[column.name].value_counts(normalize=True), fill_value=0)
            assert apart.abs().max() < 0.02
        else:
            assert abs(rows[column.name].mean() - real[column.name].mean()) < 0.05 * real[column.name].std()


def test_no_real_row_is_drawn_on_purpose(rows: pd.DataFrame, real_data: Path) -> None:
    real = pd.read_csv(real_data).round(3)
    assert len(rows.merge(real.drop_duplicates(), how="inner")) < 5  # chance alone


@pytest.mark.example
def test_classes_have_their_shares(profile: Profile, contract: Contract) -> None:
    for n in (1, 10, 1000):
        share = profile.class_counts[1] / profile.rows
        assert abs((sample_rows(profile, contract, n, 1)[contract.label.name] == contract.positive).sum() - n * share) <= 1


@pytest.mark.example
def test_there_is_something_to_learn_from_a_sample(rows: pd.DataFrame, contract: Contract) -> None:
    positive = rows[contract.label.name] == contract.positive
    rates = [positive.groupby(rows[column.name]).transform("mean") for column in contract.features() if column.is_text]
    score = np.log(np.clip(pd.concat(rates, axis=1), 1e-3, 1)).sum(axis=1)
    top = positive[score >= score.quantile(0.9)].mean()
    assert top > 3 * positive.mean()


def test_the_same_seed_gives_the_same_rows_and_another_gives_others(profile: Profile, contract: Contract) -> None:
    first = sample_rows(profile, contract, 200, 5)
    pd.testing.assert_frame_equal(first, sample_rows(profile, contract, 200, 5))
    assert not first.equals(sample_rows(profile, contract, 200, 6))


@pytest.mark.example
def test_generated_rows_stay_what_they_were(profile: Profile, contract: Contract) -> None:
    first = sample_rows(profile, contract, 2, 7).iloc[0]
    assert [first.age, first.job, first["emp.var.rate"], first.y] == [47, "blue-collar", -1.8, "no"]


@pytest.mark.slow
def test_the_time_of_a_sample_grows_with_its_rows(profile: Profile, contract: Contract) -> None:
    """Twenty times the rows take twenty times as long, not four hundred times."""

    def seconds(rows: int) -> float:
        started = time.process_time()
        assert len(sample_rows(profile, contract, rows, 1)) == rows
        return time.process_time() - started

    few = min(seconds(50_000) for _ in range(3))
    assert seconds(1_000_000) < 100 * few


@pytest.fixture
def odd(tmp_path: Path) -> Profile:
    """The profile of a table with missing values, booleans, identifiers and free text."""
    lines = ["id,note,size,kind,flag,count,bought"]
    for n in range(200):
        size, kind = ("", "") if n % 4 == 0 else (n % 3 + 0.5, "ab"[n % 2])
        lines.append(f'{n},"private, {n}",{size},{kind},{"true" if n % 3 else ""},{"" if n % 5 == 0 else n % 9},{"yes" if n % 2 else "no"}')
    (tmp_path / "odd.csv").write_text("\n".join(lines) + "\n")
    return profile_of(tmp_path / "odd.csv", CONTRACT, "")


def test_missing_values_stay_missing_in_their_share_and_together(odd: Profile) -> None:
    rows = sample_rows(odd, CONTRACT, 4000, 1)
    assert (str(rows["count"].dtype), str(rows["size"].dtype)) == ("Int64", "float64")
    assert abs(rows["size"].isna().mean() - 0.25) < 0.03
    assert (rows["size"].isna() == rows["kind"].isna()).all()
    assert abs(rows["flag"].isna().mean() - 1 / 3) < 0.03
    assert set(rows["flag"].dropna()) == {True}
    assert rows["id"].is_unique
    assert not rows["note"].str.contains("private").any()


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ({"type": "integer", "allowed": ["0", "1"]}, {0, 1}),
        ({"type": "boolean", "allowed": ["false", "true"]}, {False, True}),
        ({"type": "string", "allowed": ["0", "1", "2"]}, {"0", "1", "2"}),
    ],
    ids=["integer", "boolean", "three classes"],
)
def test_a_label_of_another_type_is_drawn_in_its_type(tmp_path: Path, label: dict[str, object], expected: set[object]) -> None:
    allowed: list[str] = label["allowed"]  # type: ignore[assignment]
    positive = {"positive": allowed[1]} if len(allowed) == 2 else {}
    contract = parse_contract({"name": "t", **positive, "columns": [{"name": "x", "type": "integer"}, {**LABEL, **label}]})
    (tmp_path / "t.csv").write_text("x,label\n" + "".join(f"{n % 3},{allowed[n % len(allowed)]}\n" for n in range(90)))
    made = sample_rows(profile_of(tmp_path / "t.csv", contract, ""), contract, 60, 1)
    assert set(made["label"]) == expected


def test_a_profile_of_another_table_is_refused(profile: Profile) -> None:
    with pytest.raises(SettingsError, match="pushline profile"):
        sample_rows(profile, CONTRACT, 10, 1)


@pytest.mark.example
def test_written_rows_are_read_again(rows: pd.DataFrame, tmp_path: Path) -> None:
    write_sample(rows, tmp_path / "s.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "s.csv"), rows)
    assert max(len(cell) for line in (tmp_path / "s.csv").read_text().splitlines()[:500] for cell in line.split(",")) < 20


def test_many_rows_are_written_block_by_block(
    profile: Profile, contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushline.data.profile.sample.BLOCK", 100)
    write_sample(blocks_of(profile, contract, 250, 1), tmp_path / "s.csv")
    made = pd.read_csv(tmp_path / "s.csv")
    assert len(made) == 250
    assert not made.duplicated().any()
    pd.testing.assert_frame_equal(made[:100], sample_rows(profile, contract, 100, 1))
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv"]


def test_a_place_that_can_not_be_written_is_an_error_and_leaves_nothing(rows: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "s.csv").mkdir()
    with pytest.raises(TargetError, match="can't be written"):
        write_sample(rows, tmp_path / "s.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv"]


def test_the_command_prints_rows_in_the_order_of_the_contract(project: Project, run_pushline: Run, contract: Contract) -> None:
    ran = run_pushline(project, "sample", "--rows", "5", "--seed", "1")
    assert ran.code == 0, ran.err
    made = pd.read_csv(io.StringIO(ran.out))
    assert (len(made), list(made)) == (5, [column.name for column in contract.columns])
    assert run_pushline(project, "sample", "--rows", "5", "--seed", "1").out == ran.out


def test_the_command_writes_a_file(project: Project, run_pushline: Run, tmp_path: Path) -> None:
    ran = run_pushline(project, "sample", "--rows", "50", "--out", str(tmp_path / "s.csv"), "--json")
    assert ran.code == 0, ran.err
    assert msgspec.json.decode(ran.out, type=SampleResult).rows == len(pd.read_csv(tmp_path / "s.csv")) == 50


def test_the_command_needs_a_profile(project: Project, run_pushline: Run) -> None:
    project.profile.unlink()
    ran = run_pushline(project, "sample")
    assert (ran.code, "pushline profile" in ran.err) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "seed"), [(1000, 1), (40_000, 2)])
def test_a_sample_passes_check_data_with_no_finding(
    project: Project, run_pushline: Run, profile: Profile, contract: Contract, tmp_path: Path, count: int, seed: int
) -> None:
    write_sample(sample_rows(profile, contract, count, seed), tmp_path / "s.csv")
    ran = run_pushline(project, "check-data", str(tmp_path / "s.csv"), "--json")
    assert ran.code == 0, ran.err
    assert msgspec.json.decode(ran.out, type=CheckDataResult).findings == ()
