"""A table with a leak and rows that repeat, and a look at another file: through the real commands to the end."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from command import QUICK, Ran, run_cli
from pushline.project import Project
from pushline.results import CheckDataResult, TrainResult, load
from working_copy import copy_project

pytestmark = pytest.mark.slow
ROWS = 4_000


def orders(seed: int, share: float) -> pd.DataFrame:
    """Rows of three coarse features, of which nine in ten repeat others, and of one column that is known only with the outcome."""
    random = np.random.default_rng(seed)
    came_back = random.random(ROWS) < share
    return pd.DataFrame(
        {
            "size": random.integers(1, 41, ROWS) + 15 * came_back,
            "shop": random.choice(["north", "south", "east", "west"], ROWS),
            "member": random.choice(["yes", "no"], ROWS),
            "refunded": np.where(came_back, "full", "none"),
            "returned": np.where(came_back, "yes", "no"),
        }
    )


class Told:
    """A delivery, and what its commands said."""

    def __init__(self, project: Project, ran: Ran) -> None:
        self.project, self.ran = project, ran
        self.trained, self.checked = load(project.build, TrainResult), load(project.build, CheckDataResult)


@pytest.fixture(scope="module")
def told(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("doubtful") / "project"
    folder.mkdir()
    project, file = copy_project(repo, folder), folder.parent / "orders.csv"
    orders(1, 0.1).to_csv(file, index=False)
    adopted = run_cli(project, "adopt", str(file), "--label", "returned", "--known-after", "refunded", "--apply")
    assert adopted.code == 0, adopted.err
    ran = run_cli(project, "run", "--budget", "2s", env=QUICK, timeout=280)
    try:
        assert ran.code == 0, ran.err
        yield Told(project, ran)
    finally:
        run_cli(project, "stop", env=QUICK)


def test_rows_that_repeat_are_all_learned_from_or_judged_by_with_the_share_that_the_table_has(told: Told) -> None:
    assert told.trained.train_rows + told.trained.holdout_rows == ROWS
    holdout = pd.read_parquet(told.project.root / told.trained.holdout)
    assert len(holdout) == told.trained.holdout_rows
    assert abs((holdout["returned"] == "yes").mean() - 0.1) < 0.08, "whole groups of equal rows are held out, and none is dropped"
    assert "repeat an earlier row in every column" in told.ran.out.splitlines()[-1], "what to look at is told last"


def test_a_look_at_another_file_changes_neither_what_is_learned_from_nor_the_evidence(told: Told, tmp_path: Path) -> None:
    other = orders(2, 0.6)
    other.assign(size="large").to_csv(tmp_path / "faulty.csv", index=False)
    other.to_csv(tmp_path / "other.csv", index=False)
    before = run_cli(told.project, "evidence", "--json", env=QUICK).out
    assert run_cli(told.project, "check-data", str(tmp_path / "faulty.csv")).code == 1
    run_cli(told.project, "check-data", str(tmp_path / "other.csv"))
    assert run_cli(told.project, "evidence", "--json", env=QUICK).out == before
    again = run_cli(told.project, "train", "--budget", "1s", "--json", env=QUICK, timeout=280)
    assert again.code == 0, again.err
    trained = json.loads(again.out)
    assert trained["data_version"] == told.checked.data_version
    assert trained["train_rows"] + trained["holdout_rows"] == ROWS


def test_a_leak_that_is_learned_from_stops_the_run_and_leaves_the_live_release(told: Told) -> None:
    live = json.loads(run_cli(told.project, "status", "--json", env=QUICK).out)["live"]
    contract = told.project.contract.read_text(encoding="utf-8")
    leaking = re.sub(r"\n +known: after\n +reason: [^\n]*", "", contract)
    assert leaking != contract
    told.project.contract.write_text(leaking, encoding="utf-8")
    ran = run_cli(told.project, "run", "--budget", "2s", env=QUICK, timeout=280)
    assert ran.code == 1
    assert "refunded alone names the label" in ran.err
    head = (told.project.build / "report.html").read_text(encoding="utf-8").split("</header>")[0]
    assert "Stopped at check-data" in head
    assert json.loads(run_cli(told.project, "status", "--json", env=QUICK).out)["live"] == live
