import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import duckdb
import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from command import Ran
from data.profile.test_profile import CONTRACT, LABEL
from pushline.data.contract import Contract, load_contract, parse_contract
from pushline.data.profile import Profile, load_profile, profile_of
from pushline.data.profile.drift import ENOUGH, ColumnDrift, Drift, DriftBin, Judge, Reference, drift_of, drift_of_view, reference_of
from pushline.data.profile.sample import sample_rows, write_sample
from pushline.project import Project

pytestmark = pytest.mark.example

Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def contract(repo: Path) -> Contract:
    return load_contract(repo / "data_checks" / "contract.yml")


@pytest.fixture(scope="module")
def profile(repo: Path) -> Profile:
    return load_profile(repo / "data_checks" / "profile.json")


@pytest.fixture(scope="module")
def evidence(repo: Path) -> Iterator[ModuleType]:
    """scripts/drift_evidence.py, which holds the changes that must be caught."""
    sys.path.insert(0, str(repo / "scripts"))
    try:
        import drift_evidence

        yield drift_evidence
    finally:
        sys.path.remove(str(repo / "scripts"))


@pytest.fixture(scope="module")
def rows(profile: Profile, contract: Contract) -> pd.DataFrame:
    return sample_rows(profile, contract, 5000, 11)


def seen(rows: pd.DataFrame, contract: Contract, profile: Profile) -> Drift:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("data", rows)
        return drift_of_view(connection, contract, profile, "rows")


def column(drift: Drift, name: str) -> ColumnDrift:
    return next(each for each in drift.columns if each.column == name)


def test_rows_like_the_reference_are_stable(rows: pd.DataFrame, contract: Contract, profile: Profile) -> None:
    drift = seen(rows, contract, profile)
    assert (drift.verdict, drift.drifted, drift.rows, drift.reference_rows) == ("stable", (), 5000, 32950)


CHANGES = [
    "age + 5",
    "age x 1.2",
    "25 % of job to technician",
    "contact 30 % flipped",
    "campaign x 2",
    "education unknown + 15 points",
    "a new job at 5 %",
    "marital constant",
    "poutcome success x 3",
    "share of yes doubled",
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_must_be_caught_is_caught(change: str, evidence: ModuleType, table_csv: Path, contract: Contract, profile: Profile) -> None:
    how, name = evidence.CAUGHT[change]
    real = pd.read_csv(table_csv)
    for seed in range(3):
        changed = evidence.shifted(real.sample(5000, random_state=seed), how, np.random.default_rng(seed))
        drift = seen(changed, contract, profile)
        assert drift.verdict == "drift"
        assert name in drift.drifted


def test_the_list_of_changes_is_that_of_the_evidence(evidence: ModuleType) -> None:
    assert list(evidence.CAUGHT) == CHANGES


@pytest.mark.parametrize("size", [250, 1000, 30_000])
def test_resamples_of_the_same_data_do_not_drift(
    size: int, evidence: ModuleType, table_csv: Path, contract: Contract, profile: Profile
) -> None:
    real = pd.read_csv(table_csv)
    for seed in range(5):
        drift = seen(real.sample(size, replace=True, random_state=seed), contract, profile)
        assert drift.drifted == ()
        assert drift.verdict == ("too few rows" if size < ENOUGH else "stable")


def resampled(table_csv: Path, size: int, contract: Contract, profile: Profile) -> Iterator[Drift]:
    """The drift of rows of the file, drawn with replacement 50 times; as Arrow, which DuckDB reads fastest."""
    real = pa.Table.from_pandas(pd.read_csv(table_csv))
    with duckdb.connect(config={"threads": 1}) as connection:
        for seed in range(50):
            connection.register("data", real.take(np.random.default_rng(seed).integers(0, len(real), size)))
            yield drift_of_view(connection, contract, profile, "rows")


@pytest.mark.slow
@pytest.mark.parametrize("size", [250, 1000, 5000])
def test_fifty_resamples_do_not_drift(size: int, table_csv: Path, contract: Contract, profile: Profile) -> None:
    for drift in resampled(table_csv, size, contract, profile):
        assert all(each.statistic <= each.threshold for each in drift.columns if each.verdict != "time")  # type: ignore[operator]


@pytest.mark.slow
def test_thirty_thousand_rows_do_not_drift_either(table_csv: Path, contract: Contract, profile: Profile) -> None:
    assert {drift.verdict for drift in resampled(table_csv, 30_000, contract, profile)} == {"stable"}


def test_a_column_that_tells_the_time_moves_on_without_an_alarm(rows: pd.DataFrame, contract: Contract, profile: Profile) -> None:
    later = rows.assign(**{each.name: rows[each.name] + 1 for each in contract.columns if each.encodes_time})
    drift = seen(later, contract, profile)
    assert drift.verdict == "stable"
    assert {each.column for each in drift.columns if each.verdict == "time"} == {c.name for c in contract.columns if c.encodes_time}
    assert max(each.statistic or 0 for each in drift.columns if each.verdict == "time") > 1


def test_few_rows_get_no_verdict_whatever_they_hold(rows: pd.DataFrame, contract: Contract, profile: Profile) -> None:
    drift = seen(rows.head(ENOUGH - 1).assign(marital="married"), contract, profile)
    assert (drift.verdict, drift.drifted) == ("too few rows", ())


def test_missing_values_that_were_never_missing_are_drift(rows: pd.DataFrame, contract: Contract, profile: Profile) -> None:
    with_gaps = rows.assign(age=rows["age"].astype("Int64").mask(np.arange(len(rows)) % 20 == 0))
    age = column(seen(with_gaps, contract, profile), "age")
    assert (age.verdict, age.moved) == ("drift", "missing: 0.0% to 5.0%")


def test_the_value_that_moved_most_is_told_with_both_shares(rows: pd.DataFrame, contract: Contract, profile: Profile) -> None:
    marital = column(seen(rows.assign(marital="divorced"), contract, profile), "marital")
    assert marital.moved.startswith("divorced: 11.")
    assert marital.moved.endswith("to 100.0%")
    assert marital.level == "strong"


def test_columns_that_are_not_there_are_said_to_be_absent(rows: pd.DataFrame, contract: Contract, profile: Profile) -> None:
    drift = seen(rows.drop(columns=["duration", contract.label.name]), contract, profile)
    assert [each.column for each in drift.columns if each.verdict == "absent"] == ["duration"]
    assert not any(each.label for each in drift.columns)


def test_rows_without_a_label_do_not_count_for_its_share(rows: pd.DataFrame, contract: Contract, profile: Profile) -> None:
    half = rows.assign(**{contract.label.name: rows[contract.label.name].where(np.arange(len(rows)) % 2 == 0)})
    label = column(seen(half, contract, profile), contract.label.name)
    assert (label.verdict, label.label) == ("stable", True)


def test_identifiers_are_left_out_and_free_text_counts_by_being_there(tmp_path: Path) -> None:
    made = pd.DataFrame({"id": range(2000), "note": [f"n{n}" for n in range(2000)]})
    made["size"], made["kind"], made["flag"], made["count"] = 0.5, "a", True, [n % 9 for n in range(2000)]
    made["bought"] = ["yes", "no"] * 1000
    made.to_parquet(tmp_path / "t.parquet", index=False)
    profile = profile_of(tmp_path / "t.parquet", CONTRACT, "v")
    assert drift_of(tmp_path / "t.parquet", CONTRACT, profile).verdict == "stable"
    made.assign(id=made["id"] + 10_000, note=[None, *["x"] * 1999]).to_parquet(tmp_path / "same.parquet", index=False)
    assert drift_of(tmp_path / "same.parquet", CONTRACT, profile).drifted == ()
    made.assign(note=None).astype({"note": "string"}).to_parquet(tmp_path / "gone.parquet", index=False)
    assert drift_of(tmp_path / "gone.parquet", CONTRACT, profile).drifted == ("note",)


def test_a_column_that_was_constant_and_no_longer_is_has_drifted(tmp_path: Path) -> None:
    contract = parse_contract({"name": "t", "positive": "y", "columns": [{"name": "x", "type": "integer"}, LABEL]})
    old = pd.DataFrame({"x": [1] * 2000, "label": ["y", "n"] * 1000})
    old.to_parquet(tmp_path / "old.parquet", index=False)
    old.assign(x=[1, 2] * 1000).to_parquet(tmp_path / "new.parquet", index=False)
    profile = profile_of(tmp_path / "old.parquet", contract, "")
    assert drift_of(tmp_path / "old.parquet", contract, profile).verdict == "stable"
    assert drift_of(tmp_path / "new.parquet", contract, profile).drifted == ("x",)


def test_numbers_beyond_all_that_was_seen_are_new_values(rows: pd.DataFrame, contract: Contract, profile: Profile) -> None:
    older = rows.assign(age=rows["age"].mask(np.arange(len(rows)) % 50 == 0, 105))
    age = column(seen(older, contract, profile), "age")
    assert (age.verdict, age.moved) == ("drift", "values not seen before: 0.0% to 2.0%")


def test_bins_are_few_and_hold_every_row(profile: Profile) -> None:
    for known in profile.columns:
        bins = reference_of(known, profile.rows).bins
        assert sum(each.rows for each in bins) == profile.rows
        assert 2 <= len(bins) <= 12
        assert len({each.name for each in bins}) == len(bins)


def test_a_spike_has_a_bin_of_its_own(profile: Profile) -> None:
    pdays = profile.column("pdays")
    assert pdays is not None
    assert [each.name for each in reference_of(pdays, profile.rows).bins] == ["0 to 26", "999"]


def test_what_matters_and_what_chance_explains_are_both_asked() -> None:
    judge = Judge(reference=100_000, chance=1e-7)
    x = CONTRACT.by_name["kind"]
    old = Reference(bins=(DriftBin(name="a", rows=50_000), DriftBin(name="b", rows=50_000)), missing=0)
    tiny = judge.of(x, old, {"a": 520_000, "b": 480_000})  # certain, and without consequence
    noise = judge.of(x, old, {"a": 580, "b": 420})  # large, and perhaps chance
    both = judge.of(x, old, {"a": 5_800, "b": 4_200})
    assert [tiny.verdict, noise.verdict, both.verdict] == ["stable", "stable", "drift"]


def test_the_command_is_content_with_a_sample(project: Project, run_pushline: Run, rows: pd.DataFrame, tmp_path: Path) -> None:
    write_sample(rows, tmp_path / "s.csv")
    ran = run_pushline(project, "drift", str(tmp_path / "s.csv"), "--json")
    assert ran.code == 0, ran.err
    assert msgspec.json.decode(ran.out, type=Drift).verdict == "stable"
    assert "stable" in (project.build / "drift" / "summary.md").read_text()


def test_the_command_says_no_to_drifted_rows_and_names_the_column(
    project: Project, run_pushline: Run, rows: pd.DataFrame, tmp_path: Path, contract: Contract
) -> None:
    write_sample(rows.assign(marital="single").drop(columns=["duration", contract.label.name]), tmp_path / "s.csv")
    ran = run_pushline(project, "drift", str(tmp_path / "s.csv"), "--json")
    assert (ran.code, "marital" in ran.err) == (1, True)
    assert msgspec.json.decode(ran.out, type=Drift).drifted == ("marital",)


def test_the_command_needs_the_columns_of_the_model(project: Project, run_pushline: Run, rows: pd.DataFrame, tmp_path: Path) -> None:
    write_sample(rows.drop(columns=["age"]), tmp_path / "s.csv")
    ran = run_pushline(project, "drift", str(tmp_path / "s.csv"))
    assert (ran.code, "age" in ran.err, "Traceback" in ran.err) == (3, True, False)


@pytest.mark.parametrize("arguments", [(), ("f.csv", "--days", "3"), ("f.csv", "--version", "3")])
def test_the_command_wants_one_thing_to_look_at(project: Project, run_pushline: Run, arguments: tuple[str, ...]) -> None:
    assert run_pushline(project, "drift", *arguments).code == 2
