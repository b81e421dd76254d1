"""A pipeline published to Azure is started from outside, and by a schedule."""

import json

import pytest
from fake.loopback import TRAINING, Loopback
from test_training_azure import checked

from conftest import Command
from pushline.data.lock import load_lock
from pushline.project import Project
from pushline.settings import load_settings
from working_copy import REPO

pytestmark = pytest.mark.slow
NAME = load_settings(REPO, {}).model_name


def test_a_published_pipeline_is_started_over_rest_and_followed_to_its_end(azure: Loopback, aci: Project, command: Command) -> None:
    checked(aci, load_lock(aci.data_lock).version)
    assert command("train", client=TRAINING).code == 0
    published = command("publish", "train", "--json", client=TRAINING)
    assert published.code == 0, published.err
    assert json.loads(published.out)["version"] == 1
    again = command("publish", "train", client=TRAINING)
    assert "unchanged: train version 1" in again.out
    endpoint = azure.world.asked("PUT", rf"/batchEndpoints/{NAME}-train$")
    assert json.loads(endpoint[-1].body)["properties"]["defaults"]["deploymentName"] == "v1"

    started = command("consume", "train", "--set", "seed=9", "--json", client=TRAINING)
    assert started.code == 0, started.err
    run = json.loads(started.out)
    assert run["state"] == "succeeded"
    assert azure.world.jobs[run["id"]].properties["inputs"]["seed"]["value"] == "9"
    refused = command("consume", "train", "--set", "speed=9", client=TRAINING)
    assert refused.code == 2
    assert "has no input 'speed'" in refused.err

    scheduled = command("schedule", "train", "--cron", "17 5 * * 1", "--json", client=TRAINING)
    assert scheduled.code == 0, scheduled.err
    [asked] = azure.world.asked("PUT", rf"/schedules/{NAME}-train$")
    assert json.loads(asked.body)["properties"]["trigger"]["expression"] == "17 5 * * 1"
    assert json.loads(command("schedule", "train", "--json", client=TRAINING).out)["cron"] == "17 5 * * 1"
    assert azure.world.invalid == []
    assert azure.world.unknown == []
