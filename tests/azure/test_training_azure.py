"""Training on Azure: what it leaves, and how it goes wrong, through the real command."""

import msgspec
import pytest
from fake.estate import IDENTITY
from fake.loopback import TRAINING, Loopback
from fake.world import WORKSPACE_ID

from conftest import Command
from pushline import results
from pushline.azure.cloud import Cloud
from pushline.azure.compute import ensure_cluster
from pushline.progress import silent
from pushline.project import REVISION, Project
from pushline.results import CheckDataResult, TrainResult, Trial
from pushline.settings import load_settings
from pushline.training.prepare import Counts

pytestmark = pytest.mark.slow


ROWS = 1500


def checked(project: Project, rows: str) -> None:
    """A result of check-data with a table, as that stage leaves it."""
    import pandas as pd

    from pushline.data.contract import load_contract
    from pushline.data.profile import load_profile
    from pushline.data.profile.sample import sample_rows

    table = project.build / "check-data" / "table.parquet"
    table.parent.mkdir(parents=True)
    frame: pd.DataFrame = sample_rows(load_profile(project.profile), load_contract(project.contract), ROWS, 5)
    frame.to_parquet(table)
    made = CheckDataResult(
        data_version=rows, file="calls.csv", table=str(table), rows=ROWS, columns=21, findings=(), critical=0, warning=0, info=0
    )
    results.save(project.build, made)


def test_a_failed_step_shows_its_own_words_and_where_to_look(azure: Loopback, aci: Project, command: Command) -> None:
    checked(aci, "00000000000000a1")
    azure.world.sabotage["prepare"] = "echo 'no space left on node 7' >&2; exit 3"
    ended = command("train", client=TRAINING)
    assert ended.code == 4
    assert "The step prepare of" in ended.err
    assert "no space left on node 7" in ended.err
    assert "https://ml.azure.com/runs/" in ended.err
    assert "no space left" in (aci.build / "train" / "steps" / "prepare.log").read_text()


def test_a_training_is_found_again_and_cancelled(azure: Loopback, aci: Project, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from pushline.azure.cloud import Cloud

    checked(aci, "00000000000000a2")
    azure.world.sabotage["prepare"] = "sleep 60"

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupting:
        interrupting.setattr(Cloud, "steps", killed)
        interrupted = command("train", client=TRAINING)
    assert interrupted.code == 130
    assert "train --attach" in interrupted.err
    jobs = len(azure.world.jobs)
    assert command("train", "--cancel", client=TRAINING).code == 0
    attached = command("train", "--attach", client=TRAINING)
    assert attached.code == 2
    assert "canceled" in attached.err
    assert len(azure.world.jobs) == jobs, "neither started another job"


def test_a_quota_that_does_not_reach_names_the_settings(aci: Project, command: Command) -> None:
    checked(aci, "00000000000000a3")
    ended = command("train", client=TRAINING, PUSHLINE_AZURE__CLUSTER="too-large", PUSHLINE_AZURE__MAX_NODES="50")
    assert ended.code == 4
    assert "quota" in ended.err
    assert "max_nodes" in ended.err


def test_a_cluster_is_made_with_the_identity_that_pulls_images_and_keeps_it_when_its_nodes_change(
    azure: Loopback, aci: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in azure.as_job(TRAINING).items():
        monkeypatch.setenv(name, value)
    for most in (2, 3):
        more = {"PUSHLINE_AZURE__CLUSTER": "kept", "PUSHLINE_AZURE__MAX_NODES": str(most)}
        ensure_cluster(Cloud(load_settings(aci.root, {**azure.settings(), **more}).azure), silent)
        cluster = azure.world.resources[f"{WORKSPACE_ID}/computes/kept".lower()]
        assert cluster["properties"]["properties"]["scaleSettings"]["maxNodeCount"] == most
        assert list(cluster["identity"]["userAssignedIdentities"]) == [IDENTITY]


def test_a_size_that_azure_does_not_have_names_the_setting(aci: Project, command: Command) -> None:
    checked(aci, "00000000000000a4")
    ended = command("train", client=TRAINING, PUSHLINE_AZURE__CLUSTER="odd", PUSHLINE_AZURE__VM_SIZE="Standard_Imaginary_v9")
    assert ended.code == 4
    assert "vm_size" in ended.err


def test_azures_automl_gives_a_model_that_we_serve_and_its_trials(azure: Loopback, aci: Project, command: Command) -> None:
    checked(aci, "00000000000000b1")
    ended = command("train", client=TRAINING, PUSHLINE_AZURE__ENGINE="azure", PUSHLINE_AZURE__BUDGET="20m")
    assert ended.code == 0, ended.err
    trained = results.load(aci.build, TrainResult)
    assert trained.algorithm.startswith("Azure AutoML: ")
    assert len(trained.leaderboard) == 3
    assert trained.leaderboard[0].score == max(trial.score or 0 for trial in trained.leaderboard)
    kept = (aci.build / "train" / "leaderboard.json").read_bytes()
    assert msgspec.json.decode(kept, type=tuple[Trial, ...]) == trained.leaderboard
    counts = msgspec.json.decode(next((aci.build / "train" / "steps").rglob("counts.json")).read_bytes(), type=Counts)
    assert counts.train > counts.held_back > 0.05 * ROWS, "its threshold is chosen on training rows that its search did not see"
    card = (aci.build / "train" / "card.md").read_text()
    assert "training rows that the search did not see" in card
    [node] = [step for job in azure.world.jobs.values() for step in job.properties.get("jobs", {}).values() if step["type"] == "automl"]
    assert node["primary_metric"] == "average_precision_score_weighted"
    assert node["limits"] == {
        "enable_early_termination": True,
        "max_concurrent_trials": 2,
        "timeout_minutes": 20,
        "trial_timeout_minutes": 15,
    }
    assert node["training"]["enable_onnx_compatible_models"] is True
    assert node["training"]["enable_vote_ensemble"] is True
    (aci.root / "README.md").write_text("A word corrected.\n")
    (aci.root / REVISION).write_text("another-commit\n")
    again = command("train", client=TRAINING, PUSHLINE_AZURE__ENGINE="azure", PUSHLINE_AZURE__BUDGET="20m")
    assert again.code == 0, again.err
    assert "used again" in again.err, "a commit that changes nothing of the training starts none"
    assert results.load(aci.build, TrainResult).git_revision == trained.git_revision


@pytest.mark.parametrize("place", ["the node's output", "outputs/mlflow-model/model.onnx"])
def test_the_onnx_model_is_found_wherever_azure_may_leave_it(azure: Loopback, aci: Project, command: Command, place: str) -> None:
    checked(aci, f"00000000000000{'b4' if place.startswith('the') else 'b5'}")
    azure.world.behaviour["onnx"] = place
    ended = command("train", client=TRAINING, PUSHLINE_AZURE__ENGINE="azure", PUSHLINE_AZURE__BUDGET="20m")
    assert ended.code == 0, ended.err
    assert results.load(aci.build, TrainResult).algorithm.startswith("Azure AutoML: ")


def test_a_model_without_onnx_stops_the_stage_and_names_the_setting(azure: Loopback, aci: Project, command: Command) -> None:
    checked(aci, "00000000000000b2")
    azure.world.behaviour["onnx"] = "nowhere"
    ended = command("train", client=TRAINING, PUSHLINE_AZURE__ENGINE="azure", PUSHLINE_AZURE__BUDGET="20m")
    assert ended.code == 4
    assert "engine = " in ended.err
    assert "enable_onnx_compatible_models" in ended.err


def test_a_metric_that_azures_automl_does_not_know_is_a_setting(aci: Project, command: Command) -> None:
    checked(aci, "00000000000000b3")
    ended = command("train", client=TRAINING, PUSHLINE_AZURE__ENGINE="azure", PUSHLINE_TRAINING__METRIC="log_loss")
    assert ended.code == 2
    assert "log_loss" in ended.err
