"""A training that has been done is not done again."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from command import Ran
from pushline.data.contract import load_contract
from pushline.data.profile import load_profile
from pushline.data.profile.sample import sample_rows
from pushline.delivery import Delivery
from pushline.execution import execute
from pushline.files import content_hash, remove
from pushline.project import Project
from pushline.registry import open_store
from pushline.results import RegisterResult, TrainResult, load
from pushline.settings import load_settings
from training.model_folders import table_csv_of
from working_copy import REPO, copy_project, git

pytestmark = pytest.mark.slow


class Trained(Exception):
    """The pipeline would have run."""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, run_pushline: Callable[..., Ran]) -> tuple[Project, TrainResult, pd.DataFrame]:
    """A registered training, and on another day a commit that changes the service, with nothing left in build/ but checked data."""
    folder = tmp_path_factory.mktemp("before") / "project"
    folder.mkdir()
    project = copy_project(REPO, folder)
    rows = sample_rows(load_profile(project.profile), load_contract(project.contract), 1500, 5)
    file = table_csv_of(rows, project.root / "rows.csv")
    check(project, file)
    for arguments in (("train", "--budget", "1s"), ("register",)):
        ran = run_pushline(project, *arguments)
        assert ran.code == 0, ran.err
    trained = load(project.build, TrainResult)
    holdout = pd.read_parquet(trained.holdout)
    service = project.root / "src" / "pushline" / "serving" / "app.py"
    text = service.read_text()
    service.unlink()  # a copy's code is links
    service.write_text(f"{text}\n# Another line.\n")
    git("add", "-A", cwd=project.root)
    git("commit", "-qm", "Serve otherwise", cwd=project.root)
    remove(project.build)
    check(project, file)
    return project, trained, holdout


def check(project: Project, file: Path) -> None:
    """Leave a checked table of another file than data.lock pins."""
    with warnings.catch_warnings(action="ignore"):  # libraries' own
        execute(Delivery(project, load_settings(project.root, {}), lambda line: None), "check-data", file=file)


@pytest.fixture
def delivery(before: tuple[Project, TrainResult, pd.DataFrame], monkeypatch: pytest.MonkeyPatch) -> Delivery:
    """In this process, where a pipeline that runs is found out."""

    def run(*arguments: Any, **options: Any) -> None:
        raise Trained

    monkeypatch.setattr("pushline.training.stage.run_where_the_target_is", run)
    return Delivery(before[0], load_settings(before[0].root, {}), lambda line: None)


def test_the_earlier_result_is_taken_with_its_version_and_the_hold_out_is_made_again(
    before: tuple[Project, TrainResult, pd.DataFrame], run_pushline: Callable[..., Ran]
) -> None:
    project, trained, holdout = before
    ran = run_pushline(project, "train", "--budget", "1s")
    assert ran.code == 0, ran.err
    again = load(project.build, TrainResult)
    assert "the result of version 1 is taken" in ran.err
    assert "Not trained again" in ran.out
    assert not (project.build / "train" / "steps").exists()
    same = {name: getattr(trained, name) for name in ("run_id", "metrics", "leaderboard", "git_revision", "training", "holdout_rows")}
    assert {name: getattr(again, name) for name in same} == same
    assert again.taken_from == "1"
    assert Path(again.card).is_file()
    assert Path(again.evaluation).is_file()
    pd.testing.assert_frame_equal(pd.read_parquet(again.holdout), holdout)
    assert run_pushline(project, "register").code == 0
    assert load(project.build, RegisterResult).version == "1"
    assert [version.version for version in open_store(project, load_settings(project.root, {})).versions()] == ["1"]


def test_it_is_trained_where_that_is_asked_for_or_a_setting_has_changed(delivery: Delivery) -> None:
    assert isinstance(execute(delivery, "train", budget="1s"), TrainResult)
    for budget, anew in (("1s", True), ("2s", False)):
        with pytest.raises(Trained):
            execute(delivery, "train", budget=budget, anew=anew)
    delivery.settings = msgspec.structs.replace(delivery.settings, training=msgspec.structs.replace(delivery.settings.training, seed=8))
    with pytest.raises(Trained):
        execute(delivery, "train", budget="1s")


def test_it_is_trained_where_the_registry_has_another_model_than_was_logged(delivery: Delivery) -> None:
    model = delivery.store().download("1") / "model.onnx"
    content, before = model.read_bytes(), content_hash(model)
    try:
        model.write_bytes(content + b"x")
        with pytest.raises(Trained):
            execute(delivery, "train", budget="1s")
    finally:
        model.write_bytes(content)
    assert content_hash(model) == before


def test_a_registry_that_is_not_there_has_no_version_and_is_not_made(project: Project) -> None:
    store = open_store(project, load_settings(project.root, {}))
    assert store.versions() == ()
    assert store.champion() is None
    assert not project.state.exists()
