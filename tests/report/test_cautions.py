"""What no gate refuses and a person should look at stands on the first screen of the report, in the evidence, and last in the terminal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pushline.evaluation import Evaluation, Suspect
from pushline.files import write_json
from pushline.project import Project
from pushline.report.cautions import cautions_of
from pushline.report.page import page_of
from pushline.report.states import states_of
from pushline.report.summary import summary_of_run
from pushline.results import CheckDataResult, LoadTestResult, TrainResult, load, save
from report.delivery_made import evaluation, leave_everything

LEAK = Suspect(column="outcome_code", reason="alone it ranks `yes` with a ROC AUC of 0.95", evidence={"roc_auc_alone": 0.95})
DATE = Suspect(column="month", reason="it identifies when a row was made", evidence={"joint_values": 11})


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A delivery with nothing odd about it."""
    leave_everything(tmp_path / "build")
    change(tmp_path / "build", CheckDataResult, findings=(), warning=0, info=0)
    write_json(tmp_path / "build" / "train" / "evaluation.json", msgspec.structs.replace(evaluation(), suspects=(DATE,)))
    return tmp_path / "build"


def change(build: Path, kind: Any, **values: Any) -> None:
    result = load(build, kind)
    save(build, msgspec.structs.replace(result, **values))


def known(build: Path, **values: Any) -> None:
    found: Evaluation = msgspec.structs.replace(evaluation(), **{"suspects": (), **values})
    write_json(build / "train" / "evaluation.json", found)


def said(build: Path) -> list[str]:
    return [one.what for one in cautions_of(states_of(build), build)]


def test_a_delivery_with_nothing_odd_is_green(build: Path) -> None:
    assert said(build) == []
    assert '<header class="good">' in page_of(Project(build.parent))


def silent(build: Path) -> None:
    timeline = load(build, LoadTestResult).timeline
    change(build, LoadTestResult, timeline=tuple(msgspec.structs.replace(one, requests=50 * (one.second > 2)) for one in timeline))


@pytest.mark.parametrize(
    ("odd", "what"),
    [
        (lambda b: known(b, suspects=(LEAK, DATE)), "outcome_code may give the label away"),
        (lambda b: known(b, warnings=("The class yes is never found.",)), "The class yes is never found"),
        (lambda b: change(b, TrainResult, train_rows=20_000, holdout_rows=12_950), "39 % of the rows are held out"),
        (lambda b: change(b, TrainResult, train_rows=28_000), "1,655 rows of 32,950 (5.0 %) were left out"),
        (lambda b: change(b, TrainResult, fitted_rows=2_880), "The model was trained on 2,880 of 29,655 rows"),
        (lambda b: change(b, CheckDataResult, class_counts={"no": 29_000, "yes": 3_692}), "258 rows of 32,950 (0.8 %) have no label"),
        (lambda b: change(b, CheckDataResult, warning=1), "The data has 1 warning"),
        (silent, "Nothing was answered in 3 seconds of 10"),
    ],
)  # fmt: skip
def test_what_is_odd_is_told_in_the_colour_of_a_warning(build: Path, odd: Callable[[Path], None], what: str) -> None:
    odd(build)
    assert [one for one in said(build) if one.startswith(what)] == said(build)
    html = page_of(Project(build.parent))
    assert '<header class="warn">' in html
    head = html.split("</header>")[0]
    assert what in head
    states = states_of(build)
    assert "[!WARNING]" in summary_of_run(states, cautions_of(states, build))


def test_a_stage_of_another_run_gives_no_caution(build: Path) -> None:
    silent(build)
    change(build, LoadTestResult, made_at=load(build, LoadTestResult).made_at.replace(year=2020))
    assert said(build) == []
