"""Azure's AutoML node: what stands for it is run on the node's own data, and leaves what Azure documents.

Source: learn.microsoft.com, "Set up AutoML training with the Azure Machine Learning Python SDK" and "CLI (v2) Automated ML
classification job YAML schema".
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fake.jobs import Node, Running
    from fake.world import World


def stand_in(world: "World", job: "Running", node: "Node", definition: dict[str, Any]) -> tuple[list[str], Path]:
    """The command that plays the node, and where it runs."""
    from fake.jobs import value_of

    node.outputs["best_model"] = job.folder / node.name / "best_model"
    node.outputs["best_model"].mkdir(parents=True)
    arguments = {
        "--training-data": value_of(world, job, definition["training_data"], "training_data"),
        "--target": definition["target_column_name"],
        "--positive": definition["positive_label"],
        "--out": node.outputs["best_model"],
    }
    script = Path(__file__).with_name("azures_automl.py")
    return [sys.executable, str(script), *(str(part) for pair in arguments.items() for part in pair)], job.folder


def as_azure_leaves_it(world: "World", job: "Running", node: "Node") -> None:
    """Its trials become runs of the workspace's MLflow, and the best one's files hold the model as ONNX where that was asked for.

    The node's output is an MLflow model without it. By the documentation of AutoML's ONNX models and of its best child run the file is
    `outputs/model.onnx` there, beside `outputs/mlflow-model/`; `behaviour["onnx"]` names another place that was reported.
    """
    from fake import tracking

    folder = node.outputs["best_model"]
    trials = json.loads((folder.parent / "trials.json").read_text())
    place = world.behaviour.get("onnx", "outputs/model.onnx")
    if not job.properties["jobs"][node.name]["training"].get("enable_onnx_compatible_models"):
        place = "nowhere"
    tracking.record_trials(world, job, node, trials, folder / "model.onnx", place)
    if place != "the node's output":
        (folder / "model.onnx").unlink()
