"""The train stage through the real command, on a copy of the project."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from command import commands
from pushline.data.contract import load_contract
from pushline.data.profile import load_profile
from pushline.data.profile.sample import sample_rows
from pushline.delivery import Delivery
from pushline.errors import SettingsError
from pushline.execution import execute
from pushline.project import Project
from pushline.results import TrainResult, load
from pushline.settings import Training, load_settings
from pushline.training.best_model import BestModel
from pushline.training.stage import metric_of
from training.model_folders import table_csv_of

Run = Callable[..., object]
pytestmark = [pytest.mark.example, pytest.mark.slow]  # budgets and thresholds that fit its table


def limit(project: Project, lines: str) -> None:
    """Write limits into the AutoML node."""
    file = project.pipelines / "train.yml"
    text = file.read_text()
    assert "    limits:\n" in text
    file.write_text(text.replace("    limits:\n", f"    limits:\n{lines}"))


def checked(project: Project, run_pushline: Run, *, rows: int = 1500, shuffled: bool = False) -> Project:
    """A project with a checked table of generated rows; `shuffled`: the label says nothing."""
    contract = load_contract(project.contract)
    frame = sample_rows(load_profile(project.profile), contract, rows, 5)
    if shuffled:
        label = contract.label.name
        frame[label] = frame[label].sample(frac=1, random_state=1).to_numpy()
    file = table_csv_of(frame, project.root / "rows.csv")
    execute(Delivery(project, load_settings(project.root, {}), lambda line: None), "check-data", file=file)
    return project


def best_of(project: Project) -> BestModel:
    (file,) = (project.build / "train" / "steps").rglob("automl.json")
    return msgspec.json.decode(file.read_bytes(), type=BestModel)


def test_the_nodes_limits_hold_on_this_machine(project: Project, run_pushline: Run) -> None:
    limit(project, "      max_trials: 2\n")
    checked(project, run_pushline)
    ran = run_pushline(project, "train", "--budget", "60s")
    assert ran.code == 0, ran.err
    trained, best = load(project.build, TrainResult), best_of(project)
    assert best.stopped == "2 trials were made"
    assert trained.leaderboard == best.leaderboard
    assert sum(trial.name != "Vote" for trial in trained.leaderboard) == 2
    assert trained.train_rows + trained.holdout_rows <= 1500
    assert len(pd.read_parquet(trained.holdout)) == trained.holdout_rows
    assert Path(trained.card).read_text().startswith("---\n")
    assert best.curve


def test_labels_that_say_nothing_give_a_worthless_card_and_are_not_accepted(project: Project, run_pushline: Run) -> None:
    limit(project, "      max_trials: 1\n")
    checked(project, run_pushline, rows=2500, shuffled=True)
    assert run_pushline(project, "train").code == 0
    assert "**This model is worthless.**" in Path(load(project.build, TrainResult).card).read_text()
    assert run_pushline(project, "register").code == 0
    refused = run_pushline(project, "deploy")
    assert refused.code == 1
    assert "floor" in refused.err


def test_a_treatment_of_the_rare_class_is_compared_on_the_card(project: Project, run_pushline: Run) -> None:
    limit(project, "      max_trials: 1\n")
    checked(project, run_pushline)
    ran = run_pushline(project, "train", env={"PUSHLINE_TRAINING__IMBALANCE": "class_weight", "PUSHLINE_TRAINING__OBJECTIVE": "recall:0.8"})
    assert ran.code == 0, ran.err
    card = Path(load(project.build, TrainResult).card).read_text()
    assert "| none |" in card
    assert "| class_weight |" in card
    assert "`recall:0.8`" in card


@pytest.mark.parametrize(
    ("written", "instead", "why"),
    [
        (
            'target_column_name: "y"',
            "target_column_name: outcome",
            "AutoML node is 'outcome', the contract's is 'y'",
        ),
        ('positive_label: "yes"', 'positive_label: "no"', "AutoML node is 'no', the contract's is 'yes'"),
        ("    training:\n", "    training:\n      allowed_training_algorithms: [LightGMB]\n", "It knows LightGBM"),
        ("    training:\n", "    training:\n      blocked_training_algorithms: [Boosting]\n", "It knows LightGBM"),
    ],
)
def test_a_wrong_name_in_the_node_stops_before_any_step(project: Project, run_pushline: Run, written: str, instead: str, why: str) -> None:
    file = project.pipelines / "train.yml"
    assert written in file.read_text()
    file.write_text(file.read_text().replace(written, instead))
    checked(project, run_pushline, rows=1200)
    ran = run_pushline(project, "train", "--budget", "5s")
    assert ran.code == 2, ran.err
    assert why in ran.err
    assert not list((project.build / "train").rglob("counts.json"))


def test_the_metric_is_the_nodes_where_the_settings_name_none(project: Project) -> None:
    file = project.pipelines / "train.yml"
    assert metric_of(project, Training()) == "average_precision"
    file.write_text(file.read_text().replace("primary_metric: average_precision_score_weighted", "primary_metric: AUC_weighted"))
    assert metric_of(project, Training()) == "roc_auc"
    assert metric_of(project, Training(metric="log_loss")) == "log_loss"
    assert metric_of(project, Training(metric="average_precision")) == "average_precision"
    file.write_text(file.read_text().replace("primary_metric: AUC_weighted", "primary_metric: norm_macro_recall"))
    with pytest.raises(SettingsError, match="norm_macro_recall"):
        metric_of(project, Training())


@pytest.mark.parametrize(
    ("arguments", "env", "why"),
    [
        (("--keep-best",), {"PUSHLINE_TARGET": "aci"}, "can't be ended with the best model so far"),
        (("--budget", "soon"), {}, "'soon' is not a duration"),
        ((), {"PUSHLINE_TRAINING__OBJECTIVE": "f2"}, "'f2' is not an objective"),
        ((), {"PUSHLINE_TRAINING__METRIC": "gini"}, "It may be average_precision, roc_auc, accuracy, log_loss, rmse, mae, r2."),
        ((), {"PUSHLINE_TRAINING__SEED": str(2**32)}, "seed"),
    ],
)
def test_a_setting_that_means_nothing_stops_before_anything_runs(project: Project, run_pushline: Run, arguments, env, why) -> None:
    checked(project, run_pushline)
    refused = run_pushline(project, "train", *arguments, env=env)
    assert refused.code == 2
    assert why in refused.err
    assert not (project.build / "train" / "steps").exists()


def test_an_interruption_keeps_the_best_so_far_when_asked(project: Project, run_pushline: Run) -> None:
    checked(project, run_pushline)
    command = [str(commands() / "pushline"), "train", "--budget", "20m", "--keep-best"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PUSHLINE_")}
    started = subprocess.Popen(command, cwd=project.root, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    with started as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "best 0." in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode == 0, rest
    assert best_of(project).stopped == "it was interrupted"
