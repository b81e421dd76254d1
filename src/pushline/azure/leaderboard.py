"""What the node of Azure's AutoML itself does not leave: its trials, and its model as ONNX."""

from pathlib import Path
from typing import Any, Literal

import msgspec

from pushline.azure.cloud import Cloud
from pushline.azure.failures import asking
from pushline.azure.store import WorkspaceStore
from pushline.files import write_atomically, write_json
from pushline.results import Trial
from pushline.serving.model_folder import PORTABLE
from pushline.training.best_model import AUTOML, LEADERBOARD, BestModel

SCORES = ("average_precision_score_weighted", "AUC_weighted", "accuracy")
MOST = 1000
BEST_CHILD = "automl_best_child_run_id"


def model_of(cloud: Cloud, name: str, run: str, folder: Path) -> Path:
    """`folder`, the output of AutoML's node, with the ONNX model in it wherever Azure left that.

    By what is documented it lies in the node's output, or among the files of the best trial: as `outputs/model.onnx`, or below
    `outputs/mlflow-model/`. Where it is nowhere, the step that needs it says so.
    """
    if any(folder.rglob(PORTABLE)):
        return folder
    with asking("looking for the model of the best trial"):
        tags = WorkspaceStore(cloud, name, downloads=Path()).client.get_run(run).data.tags
        box = cloud.container("workspaceartifactstore")
        place = f"ExperimentRun/dcid.{tags.get(BEST_CHILD, '')}/outputs/"
        found = [blob.name for blob in box.list_blobs(name_starts_with=place) if blob.name.endswith(f"/{PORTABLE}")]
        if found:
            write_atomically(folder / PORTABLE, box.download_blob(min(found, key=len)).readall())
    return folder


def completed(cloud: Cloud, name: str, folder: Path, run: str) -> Path:
    """The folder of an adopted model with the trials of AutoML's run in its record, best first."""
    best = msgspec.json.decode((folder / AUTOML).read_bytes(), type=BestModel)
    trials = trials_of(cloud, name, run)
    algorithm = f"Azure AutoML: {trials[0].algorithm}" if trials else best.algorithm
    write_json(folder / AUTOML, msgspec.structs.replace(best, leaderboard=trials, algorithm=algorithm))
    write_json(folder / LEADERBOARD, trials)
    return folder


def trials_of(cloud: Cloud, name: str, run: str) -> tuple[Trial, ...]:
    """The runs below AutoML's; an empty list where the workspace shows none."""
    store = WorkspaceStore(cloud, name, downloads=Path())
    with asking("reading the trials of AutoML"):
        experiment = store.client.get_experiment_by_name(name)
        if experiment is None:
            return ()
        wanted = f"tags.mlflow.parentRunId = '{run}'"
        found = store.client.search_runs([experiment.experiment_id], filter_string=wanted, max_results=MOST)
    trials = [trial_of(each) for each in found]
    return tuple(sorted(trials, key=lambda trial: -(trial.score if trial.score is not None else -1.0)))


def trial_of(run: Any) -> Trial:
    metrics, tags = run.data.metrics, run.data.tags
    score = next((metrics[name] for name in SCORES if name in metrics), None)
    seconds = max(0.0, ((run.info.end_time or 0) - (run.info.start_time or 0)) / 1000)
    algorithm = tags.get("run_algorithm") or tags.get("mlflow.runName") or run.info.run_id
    state: Literal["ok", "failed"] = "ok" if run.info.status == "FINISHED" and score is not None else "failed"
    return Trial(name=tags.get("mlflow.runName") or run.info.run_id, algorithm=algorithm, score=score, seconds=seconds, state=state)
