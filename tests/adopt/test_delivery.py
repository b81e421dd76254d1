"""Each table, from a file nobody has seen to a promoted release, through the real commands."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from adopt.tables import TABLES, Make, fares, odd_names, sixty_rows
from command import QUICK, Ran
from pushline.data.contract import load_contract
from pushline.project import Project
from pushline.results import CheckDataResult, PromoteResult, RegisterResult, load

Run = Callable[..., Ran]


def adopt_and_deliver(make: Make, project: Project, folder: Path, run_pushline: Run) -> Ran:
    """The release is live when this returns; its answer to the drafted example is in what is returned."""
    table = make(folder)
    adopted = run_pushline(project, "adopt", str(table.file), "--label", table.label, *table.options, "--apply")
    assert adopted.code == 0, adopted.err
    table.file.unlink()  # fetch has to find it in the copy that this machine keeps
    ran = run_pushline(project, "run", "--budget", "2s", env=QUICK, timeout=280)
    try:
        assert ran.code == 0, ran.err
        scored = run_pushline(project, "score", "examples/two-rows.json", "--json", env=QUICK)
        assert scored.code == 0, scored.err
    finally:
        run_pushline(project, "stop", env=QUICK)
    return scored


def expect_promoted(project: Project, scored: Ran) -> None:
    contract = load_contract(project.contract)
    assert load(project.build, CheckDataResult).critical == 0
    assert load(project.build, RegisterResult).decision.accept
    assert load(project.build, PromoteResult).release.model_name == contract.name
    assert set(json.loads(scored.out)["result"]) <= set(contract.classes)


@pytest.mark.slow
def test_a_table_of_sixty_rows_becomes_a_promoted_release(project: Project, tmp_path: Path, run_pushline: Run) -> None:
    expect_promoted(project, adopt_and_deliver(sixty_rows, project, tmp_path, run_pushline))


@pytest.mark.slow
@pytest.mark.parametrize("make", TABLES, ids=lambda make: make.__name__.replace("_", "-"))
def test_a_table_of_any_kind_becomes_a_promoted_release(make: Make, project: Project, tmp_path: Path, run_pushline: Run) -> None:
    expect_promoted(project, adopt_and_deliver(make, project, tmp_path, run_pushline))


@pytest.mark.slow
def test_a_name_is_data_from_the_table_to_scores_by_file(project: Project, tmp_path: Path, run_pushline: Run) -> None:
    expect_promoted(project, adopt_and_deliver(odd_names, project, tmp_path, run_pushline))
    made = tmp_path / "more.csv"
    assert run_pushline(project, "sample", "--rows", "40", "--out", str(made)).code == 0
    batch = run_pushline(project, "score-batch", str(made), "--out", str(tmp_path / "scores.csv"), "--strict")
    assert batch.code == 0, batch.err
    assert len((tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()) == 41


@pytest.mark.slow
def test_a_quantity_becomes_a_promoted_release_that_answers_value_low_and_high(project: Project, tmp_path: Path, run_pushline: Run) -> None:
    scored = adopt_and_deliver(fares, project, tmp_path, run_pushline)
    contract = load_contract(project.contract)
    assert contract.task == "regression"
    assert load(project.build, CheckDataResult).critical == 0
    assert load(project.build, RegisterResult).decision.accept
    answer = json.loads(scored.out)
    assert set(answer) == {"result", "low", "high", "level", "model_version"}
    assert all(low < value < high for low, value, high in zip(answer["low"], answer["result"], answer["high"], strict=True))
    made = tmp_path / "more.csv"
    assert run_pushline(project, "sample", "--rows", "400", "--out", str(made)).code == 0
    batch = run_pushline(project, "score-batch", str(made), "--out", str(tmp_path / "scores.csv"), "--strict")
    assert batch.code == 0, batch.err
    assert (tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()[0].endswith(",fare,result,low,high")
    judged = run_pushline(project, "evaluate", str(made), "--json")
    assert judged.code == 0, judged.err
    assert 0.5 < json.loads(judged.out)["metrics"]["coverage"]["value"] <= 1
