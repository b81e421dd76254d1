"""data_checks/contract.yml against rows that were made by the profile, and against the pinned table where it can be had."""

from pathlib import Path

import pytest

from pushline.data.checks.check_data import check_data
from pushline.data.contract import load_contract
from pushline.data.profile import load_profile
from pushline.data.rules import load_rules
from pushline.data.sources.lock import load_lock
from pushline.project import Project
from pushline.results import CheckDataResult
from pushline.settings import load_settings
from repository.conftest import ROOT, Pushline

pytestmark = pytest.mark.slow


def checked(copy: Path, file: Path) -> CheckDataResult:
    """What `pushline check-data FILE` does, without the seconds that a process of its own takes to begin."""
    project = Project(copy)
    return check_data(project, load_contract(project.contract), file=file, fetched=None, progress=lambda line: None)


def test_contract_rules_lock_profile_and_settings_speak_of_one_table() -> None:
    contract, profile = load_contract(ROOT / "data_checks" / "contract.yml"), load_profile(ROOT / "data_checks" / "profile.json")
    lock = load_lock(ROOT / "data.lock")
    load_rules(ROOT / "data_checks" / "rules.py", contract)
    assert {column.name for column in contract.columns} <= set(lock.files[0].columns)
    assert {column.name for column in contract.inputs} <= {column.name for column in profile.columns}
    assert profile.data == contract.name
    assert load_settings(ROOT, {}).model_name != "model"


def test_made_rows_satisfy_the_contract(made: Path, copy: Path) -> None:
    wrong = [finding for finding in checked(copy, made).findings if finding.severity == "critical"]
    # Fewer rows are made than the table has, and no rule holds between columns that are drawn: what is said of one column is judged.
    assert [finding.message for finding in wrong if finding.column] == []


@pytest.mark.parametrize("fault", ["a column is missing", "a column has another name", "the label has a value of its own"])
def test_a_table_that_breaks_the_contract_is_stopped(fault: str, made: Path, copy: Path) -> None:
    import pandas as pd

    contract = load_contract(copy / "data_checks" / "contract.yml")
    frame = pd.read_csv(made, sep=contract.delimiter, dtype=str, keep_default_na=False)
    label, first = contract.label.name, contract.features()[0].name
    if fault == "a column is missing":
        frame = frame.drop(columns=first)
    elif fault == "a column has another name":
        frame = frame.rename(columns={first: "something else"})
    else:
        frame[label] = frame[label].where(frame.index > 40, "something else")
    frame.to_csv(copy / "broken.csv", sep=contract.delimiter, index=False)
    assert checked(copy, copy / "broken.csv").critical


def test_the_pinned_table_satisfies_the_contract(pushline: Pushline) -> None:
    fetched = pushline("fetch")
    if fetched.returncode == 3:
        pytest.skip(f"the table can't be had here: {fetched.stderr.splitlines()[0]}")
    ran = pushline("check-data")
    assert ran.returncode == 0, ran.stdout + ran.stderr
