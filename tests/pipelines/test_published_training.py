"""Training as others start it: plain HTTP with a key, followed to its end, whatever becomes of the service."""

import json
import signal
from pathlib import Path

import pytest

from pipelines.growing import part_of
from pipelines.service.service_process import Service, wait_until
from pushline.pipelines.service.published import PublishedPipelines
from pushline.project import Project
from pushline.registry import open_store
from pushline.settings import load_settings
from registry.models import log, make_model, shops
from small_table import pin

pytestmark = [pytest.mark.example, pytest.mark.slow]  # it needs as many rows as the table has


@pytest.mark.timeout(900)
def test_a_published_training_registers_a_model_version_although_the_service_is_killed(
    project: Project, table_csv: Path, tmp_path: Path
) -> None:
    place = tmp_path / "data"
    place.mkdir()
    pin(project, part_of(table_csv, place / "some.csv", 0, 0.2))
    revision = PublishedPipelines(project).publish("train")[0].git_revision
    service = Service(project, PUSHLINE_DATA=str(place)).start()
    run = service.begun("train", {"budget": "3", "seed": 11, "objective": "recall:0.7"})
    wait_until(lambda: service.run(run)["step"] == "train", 300)
    service.end(signal.SIGKILL)
    (project.root / "data_checks" / "contract.yml").write_text("broken: true\n")  # the working tree is no part of the version
    service.start()
    assert service.run(run)["state"] == "running"
    wait_until(lambda: service.run(run)["state"] != "running", 600)
    seen = service.run(run)
    service.end()
    assert seen["state"] == "succeeded", seen["error"]
    store = open_store(project, load_settings(project.root))
    version = store.version(seen["result"]["model_version"])
    assert version.run_id == seen["result"]["mlflow_run"]
    assert version.tags["git_revision"] == revision
    assert version.tags["reason"] == seen["result"]["reason"]
    assert (Path(seen["outputs"]["model"]) / "matrix.onnx").is_file()
    logged = store.client.get_run(version.run_id).data.params  # type: ignore[attr-defined]
    assert (logged["seed"], logged["objective"]) == ("11", "recall:0.7")
    assert store.download(version.version).is_dir()


def test_a_published_preparation_works_on_the_pinned_data(project: Project, table_csv: Path, tmp_path: Path) -> None:
    place = tmp_path / "data"
    place.mkdir()
    pin(project, part_of(table_csv, place / "some.csv", 0, 0.05))
    PublishedPipelines(project).publish("prepare")
    service = Service(project, PUSHLINE_DATA=str(place)).start()
    seen = service.ended(service.begun("prepare", {"holdout": 0.3}), 200)
    service.end()
    assert seen["state"] == "succeeded", seen["error"]
    prepared = Path(seen["outputs"]["prepared"])
    counts = json.loads((prepared / "counts.json").read_text())
    assert counts["rows"] == counts["train"] + counts["holdout"] + sum(counts["rejected"].values())
    assert 0.2 < counts["holdout"] / counts["rows"] < 0.4
    assert (prepared / "MLTable").is_file()


def test_a_published_scoring_takes_the_champion(project: Project, tmp_path: Path) -> None:
    import pandas as pd

    store = open_store(project, load_settings(project.root))
    model = make_model(tmp_path / "model", shops(2000, 1))
    version = store.register(log(store, model), {"accepted": "true"}).version
    store.set_champion_alias(version)
    rows = shops(500, 8).drop(columns="outcome")
    rows.to_csv(project.root / "rows.csv", index=False)
    PublishedPipelines(project).publish("score-batch")
    service = Service(project).start()
    seen = service.ended(service.begun("score-batch", {"rows": str(project.root / "rows.csv")}), 200)
    wrong = service.ask("POST", "/pipelines/score-batch/runs", {"inputs": {"rows": "/does/not/exist.csv"}})
    missing = service.ask("POST", "/pipelines/score-batch/runs", {})
    service.end()
    assert seen["state"] == "succeeded", seen["error"]
    assert len(pd.read_parquet(Path(seen["outputs"]["scores"]) / "scores.parquet")) == 500
    assert (wrong[0], missing[0]) == (422, 422)
