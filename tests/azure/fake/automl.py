"""Azure's AutoML node, played by Pushline's own AutoML and left in the layout that Azure documents."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fake.jobs import Node, Running
    from fake.world import World


def stand_in(world: "World", job: "Running", node: "Node", definition: dict[str, Any]) -> tuple[list[str], Path]:
    """The command that plays the node: the uploaded code's own AutoML step, with a budget a test can afford."""
    from fake.jobs import brought, code_of, value_of
    from fake.resources import get

    components = [each["componentId"] for each in job.properties["jobs"].values() if "componentId" in each]
    code = code_of(world, get(world, components[0])["properties"]["componentSpec"]["code"], job.folder / "code")
    node.outputs["best_model"] = job.folder / node.name / "best_model"
    node.outputs["best_model"].mkdir(parents=True)
    inputs = job.properties["inputs"]
    arguments = {
        "--training-data": value_of(world, job, definition["training_data"], "training_data"),
        "--contract": brought(world, job, inputs["contract"], "contract"),
        "--use-known-after": inputs["use_known_after"]["value"],
        "--budget": world.automl_budget,
        "--out": node.outputs["best_model"],
    }
    flat = [str(part) for pair in arguments.items() for part in pair]
    return [sys.executable, "-m", "pushline.pipelines.steps.automl", *flat], code


def as_azure_leaves_it(world: "World", job: "Running", node: "Node") -> None:
    """Turn our AutoML's folder into Azure's: model.onnx of the best trial, its trials as runs of the workspace's MLflow."""
    folder = node.outputs["best_model"]
    board = folder / "leaderboard.json"
    trials = json.loads(board.read_text()) if board.is_file() else []
    from fake import tracking

    tracking.record_trials(world, job, node, trials, folder / "model.onnx")
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name not in ("model.onnx", "MLmodel"):
            file.unlink()
