"""What must hold for the table the repository is about, whichever it is: `pushline adopt` leaves these tests in place."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from command import QUICK, Ran
from pushline.data.contract import load_contract
from pushline.data.profile import load_profile
from pushline.data.rules import load_rules
from pushline.data.sources.lock import load_lock
from pushline.project import Project
from pushline.results import CheckDataResult, LoadTestResult, PromoteResult, RegisterResult, SmokeResult, load
from pushline.settings import load_settings
from pushline.training.threshold import parse_objective
from working_copy import find_real_data


def test_contract_rules_lock_and_profile_speak_of_one_table(repo: Path) -> None:
    contract, profile, lock = (
        load_contract(repo / "data_checks" / "contract.yml"),
        load_profile(repo / "data_checks" / "profile.json"),
        load_lock(repo / "data.lock"),
    )
    load_rules(repo / "data_checks" / "rules.py", contract)
    assert {column.name for column in contract.columns} <= set(lock.files[0].columns)
    assert [column.name for column in contract.inputs] == [column.name for column in profile.columns]
    assert profile.classes == contract.classes
    assert (profile.data, profile.data_version) == (contract.name, lock.version)


def test_the_settings_fit_the_table(repo: Path) -> None:
    settings = load_settings(repo, {})
    parse_objective(settings.training.objective)
    assert settings.model_name != "model"


def test_generated_rows_keep_the_contract(repo: Path, project: Project, run_pushline: Callable[..., Ran]) -> None:
    drawn = run_pushline(project, "sample", "--rows", "2000", "--out", "rows.csv")
    assert drawn.code == 0, drawn.err
    checked = json.loads(run_pushline(project, "check-data", "rows.csv", "--json").out)
    assert [finding for finding in checked["findings"] if finding["severity"] == "critical"] == []


@pytest.mark.slow
def test_the_table_becomes_a_promoted_release_that_answers(project: Project, run_pushline: Callable[..., Ran]) -> None:
    file = find_real_data()
    env, sample = {"PUSHLINE_DATA": str(file)} if file else {}, [] if file else ["--sample"]
    ran = run_pushline(project, "run", "--budget", "2s", *sample, env={**env, **QUICK}, timeout=280)
    try:
        assert ran.code == 0, ran.err
        answered = run_pushline(project, "score", "examples/two-rows.json", "--json", env=QUICK)
    finally:
        run_pushline(project, "stop", env=QUICK)
    build = project.build
    assert load(build, CheckDataResult).critical == 0
    assert load(build, RegisterResult).decision.accept
    assert load(build, SmokeResult).passed
    assert load(build, LoadTestResult).passed
    assert load(build, PromoteResult).url
    assert answered.code == 0, answered.err
    assert set(json.loads(answered.out)["result"]) <= set(load_contract(project.contract).classes)
