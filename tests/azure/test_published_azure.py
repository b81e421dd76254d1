"""A pipeline published to Azure is started from outside, and by a schedule."""

import json
from pathlib import Path

import pytest
from fake.loopback import TRAINING, Loopback
from test_training_azure import checked

from conftest import Command, registered
from pushline.data.sources.lock import load_lock
from pushline.project import Project
from pushline.settings import load_settings
from working_copy import REPO

pytestmark = pytest.mark.slow
NAME = load_settings(REPO, {}).model_name


def test_a_published_pipeline_is_started_over_rest_and_followed_to_its_end(azure: Loopback, aci: Project, command: Command) -> None:
    checked(aci, load_lock(aci.data_lock).version)
    assert command("train", client=TRAINING).code == 0, "a published pipeline reads the table that a training has uploaded"
    published = command("publish", "train", "--json", client=TRAINING)
    assert published.code == 0, published.err
    assert json.loads(published.out)["version"] == 1
    again = command("publish", "train", client=TRAINING)
    assert "unchanged: train version 1" in again.out
    endpoint = azure.world.asked("PUT", rf"/batchEndpoints/{NAME}-train-\w{{6}}$")
    assert json.loads(endpoint[-1].body)["properties"]["defaults"]["deploymentName"] == "v1"

    started = command("consume", "train", "--set", "seed=9", "--json", client=TRAINING)
    assert started.code == 0, started.err
    run = json.loads(started.out)
    assert (run["state"], run["version"], run["pipeline"]) == ("succeeded", 1, "train")
    assert azure.world.jobs[run["id"]].properties["inputs"]["seed"]["value"] == "9"
    refused = command("consume", "train", "--set", "speed=9", client=TRAINING)
    assert refused.code == 2
    assert "has no input 'speed'" in refused.err

    place = endpoint[-1].path
    with azure.world.lock:
        azure.world.resources[f"{place}/deployments/v2".lower()] = {
            **azure.world.resources[f"{place}/deployments/v1".lower()],
            "name": "v2",
        }
    azure.world.sabotage["prepare"] = "exit 3"  # how it ends does not matter here
    chosen = command("consume", "train", "--json", client=TRAINING)
    assert json.loads(chosen.out)["version"] == 1, "the newest is v2, and the endpoint's default is v1, as someone may choose in the studio"
    azure.world.sabotage.clear()

    scheduled = command("schedule", "train", "--cron", "17 5 * * 1", "--json", client=TRAINING)
    assert scheduled.code == 0, scheduled.err
    [asked] = azure.world.asked("PUT", rf"/schedules/{NAME}-train-\w{{6}}$")
    assert json.loads(asked.body)["properties"]["trigger"]["expression"] == "17 5 * * 1"
    assert json.loads(command("schedule", "train", "--json", client=TRAINING).out)["cron"] == "17 5 * * 1"
    assert azure.world.invalid == []
    assert azure.world.unknown == []


def test_a_published_batch_pipeline_takes_a_file_and_the_champion(
    azure: Loopback, aci: Project, model: Path, rows: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(azure, aci, model, "batch-model")
    published = command("publish", "score-batch", client=TRAINING, PUSHLINE_MODEL_NAME="batch-model")
    assert published.code == 0, published.err
    monkeypatch.chdir(rows.parent)
    started = command("consume", "score-batch", "--set", f"rows={rows.name}", "--json", client=TRAINING, PUSHLINE_MODEL_NAME="batch-model")
    assert started.code == 0, started.err
    job = azure.world.jobs[json.loads(started.out)["id"]]
    assert {job.properties["inputs"][name]["jobInputType"] for name in ("model", "rows")} == {"mlflow_model", "uri_file"}
    assert "998 rows scored" in job.folder.joinpath("score.log").read_text().replace(",", "")
