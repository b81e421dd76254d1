"""A stage on a machine that has not what the stage before left there."""

import warnings
from pathlib import Path

import msgspec
import pytest

from command import run_cli
from pushline.delivery import Delivery
from pushline.errors import CriticalFindings
from pushline.project import Project
from pushline.results import CheckDataResult, FetchResult, load
from pushline.settings import load_settings
from small_table import draw, pin


@pytest.fixture
def delivery(repo: Path, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Delivery:
    """A delivery whose data was fetched, and checked on another machine; its first value is one that the contract refuses."""
    file = draw(repo, tmp_path / "calls.csv", seed=5, rows=500)
    header, row, rest = file.read_text(encoding="utf-8").split("\n", 2)
    file.write_text("\n".join([header, ",".join(["-5", *row.split(",")[1:]]), rest]), encoding="utf-8")
    pin(project, file)
    monkeypatch.setenv("PUSHLINE_DATA", str(file))
    assert run_cli(project, "fetch", env={"PUSHLINE_DATA": str(file)}).code == 0
    return Delivery(project, load_settings(project.root), lambda line: None)


def checked_elsewhere(delivery: Delivery, **changed: str) -> CheckDataResult:
    fetched = load(delivery.build, FetchResult)
    said = CheckDataResult(
        data_version=fetched.data_version, file="/elsewhere/calls.csv", table="/elsewhere/table.parquet", rows=500, columns=21,
        findings=(), class_counts={}, generated_sample=False, critical=0, warning=0, info=0,
    )  # fmt: skip
    return msgspec.structs.replace(said, **changed)


def test_the_table_of_data_that_was_checked_elsewhere_is_read_and_not_checked_again(delivery: Delivery) -> None:
    here = delivery.with_table(checked_elsewhere(delivery))
    assert Path(here.table).is_file()
    assert Path(here.file).is_file()
    assert here.critical == 0


@pytest.mark.slow
def test_data_that_moved_since_it_was_checked_is_checked_anew_and_can_be_refused(delivery: Delivery) -> None:
    with warnings.catch_warnings(action="ignore"), pytest.raises(CriticalFindings, match=r"calls\.csv"):  # libraries' own
        delivery.with_table(checked_elsewhere(delivery, data_version="another version"))
