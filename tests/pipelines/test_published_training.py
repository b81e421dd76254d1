"""Training as others start it: plain HTTP with a key, followed to its end, whatever becomes of the service."""

import signal
from pathlib import Path

import pytest

from pipelines.growing import part_of, pin_only
from pipelines.service import Service, wait_until
from pushline.pipelines.published import PublishedPipelines
from pushline.project import Project
from pushline.registry import open_store
from pushline.settings import load_settings

pytestmark = pytest.mark.slow


@pytest.mark.timeout(900)
def test_a_published_training_registers_a_model_version_although_the_service_is_killed(
    project: Project, real_data: Path, tmp_path: Path
) -> None:
    place = tmp_path / "data"
    place.mkdir()
    pin_only(project, part_of(real_data, place / "some.csv", 0, 0.2))
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
