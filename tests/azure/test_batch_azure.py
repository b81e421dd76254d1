"""Files scored on the cluster, and each pipeline file as Azure gets it."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake.loopback import TRAINING, Loopback
from test_training_azure import checked

from conftest import Command, registered
from pushline.azure.cloud import Cloud, quietly
from pushline.azure.pipeline import document_of, load
from pushline.batch import parts
from pushline.batch.job import Options, score_batch
from pushline.project import Project
from pushline.settings import load_settings

pytestmark = pytest.mark.slow
NAME = {"PUSHLINE_MODEL_NAME": "batch-model"}


@pytest.mark.usefixtures("official")
def test_a_file_is_scored_on_the_cluster_in_parallel_jobs_as_it_is_here(
    azure: Loopback, aci: Project, model: Path, rows: Path, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    version = registered(azure, aci, model, "batch-model")
    here = score_batch(str(rows), tmp_path / "here.csv", model, version, options=Options(), progress=lambda line: None)
    monkeypatch.setattr(parts, "ROWS", 100)
    there = command("score-batch", str(rows), "--out", str(tmp_path / "there.csv"), "--cluster", "--json", client=TRAINING, **NAME)
    assert there.code == 0, there.err
    assert (tmp_path / "there.csv").read_bytes() == Path(here.out).read_bytes()
    assert (tmp_path / "there.rejects.csv").read_bytes() == Path(str(here.rejects)).read_bytes()
    said = json.loads(there.out)
    assert (said["scored"]["scored"], said["scored"]["rejected"]) == (998, 2)
    assert said["drift"]["verdict"]
    [put] = azure.world.asked("PUT", r"/batchEndpoints/batch-model-batch-\w{6}/deployments/v1$")
    deployed = json.loads(put.body)["properties"]
    assert deployed["model"]["assetId"].endswith("/models/batch-model/versions/1")
    assert deployed["resources"]["instanceCount"] * deployed["maxConcurrencyPerInstance"] > 1
    assert deployed["errorThreshold"] == 0
    assert (azure.world.invalid, azure.world.unknown) == ([], [])
    assert not list(tmp_path.glob(".there*"))


def test_a_batch_job_that_fails_shows_its_own_words_and_runs_again(
    azure: Loopback, aci: Project, model: Path, rows: Path, command: Command, tmp_path: Path
) -> None:
    registered(azure, aci, model, "batch-model")
    azure.world.sabotage["batchscoring"] = "echo 'no space left on node 3' >&2; exit 3"
    arguments = ("score-batch", str(rows), "--out", str(tmp_path / "scores.parquet"), "--cluster")
    ended = command(*arguments, client=TRAINING, **NAME)
    assert ended.code == 4
    assert "no space left on node 3" in ended.err
    azure.world.sabotage.clear()
    again = command(*arguments, "--strict", client=TRAINING, **NAME)
    assert again.code == 1, again.err
    assert "line 8" in again.err
    puts = len(azure.world.asked("POST", r"batch-model-batch-\w{6}\..*/jobs$"))
    tolerant = command(*arguments, client=TRAINING, **NAME)
    assert tolerant.code == 0, tolerant.err
    assert "Going on with batchjob-" in tolerant.err
    assert len(azure.world.asked("POST", r"batch-model-batch-\w{6}\..*/jobs$")) == puts, "the job that had ended was used again"


def test_the_cluster_is_of_the_aci_target_alone(rows: Path, command: Command, tmp_path: Path) -> None:
    ended = command("score-batch", str(rows), "--out", str(tmp_path / "o.csv"), "--cluster", PUSHLINE_TARGET="local")
    assert ended.code == 2
    assert "There is no cluster" in ended.err


def test_there_are_three_pipeline_files(repo: Path) -> None:
    """train.yml is submitted by every test that trains; the others by the test below."""
    assert {file.stem for file in (repo / "pipelines").glob("*.yml")} == {"prepare", "score-batch", "train"}


@pytest.mark.usefixtures("official")
@pytest.mark.parametrize("name", ["prepare", "score-batch"])
def test_each_pipeline_file_is_submitted_as_it_is(
    azure: Loopback, aci: Project, model: Path, rows: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    for variable, value in azure.as_job(TRAINING).items():
        monkeypatch.setenv(variable, value)
    checked(aci, "00000000000000c1")
    file, settings = aci.pipelines / f"{name}.yml", load_settings(aci.root)
    inputs: dict[str, Any] = {"prepare": {"data": aci.build / "check-data"}, "score-batch": {"rows": rows, "model": model}}[name]
    document = document_of(file, settings.azure, inputs, f"as-it-is-{name}")
    written = yaml.safe_load(file.read_text())
    assert document["jobs"] == written["jobs"]
    assert {key: document[key] for key in ("type", "display_name", "description")} == {
        key: written[key] for key in ("type", "display_name", "description")
    }
    cloud = Cloud(settings.azure)
    with quietly():
        job = load(document, file, experiment="as-it-is", tags={})
        assert cloud.ml.jobs.validate(job).error_messages == {}
        made = cloud.ml.jobs.create_or_update(job)
    until = time.monotonic() + 60
    while azure.world.jobs[made.name].status not in ("Completed", "Failed") and time.monotonic() < until:
        time.sleep(0.2)
    assert (azure.world.jobs[made.name].status, azure.world.jobs[made.name].error) == ("Completed", "")
    assert (azure.world.invalid, azure.world.unknown) == ([], [])
