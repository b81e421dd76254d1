"""A pipeline file as Azure gets it: as it is, with the inputs of this run and a known place for each output."""

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from pushline.azure.cloud import quietly
from pushline.azure.failures import first_line
from pushline.errors import SettingsError
from pushline.results import Scalar
from pushline.settings import Azure, seconds
from pushline.training.automl.limits import AZURE_METRICS as PRIMARY

STORE = "workspaceblobstore"
BEST_MODEL = "best_model"
HELD_BACK = 0.1  # share of the training rows that Azure's AutoML does not see: on them the threshold is chosen


def place_of(job: str, output: str) -> str:
    """Where an output of a job lies in the workspace's default store."""
    return f"pushline/jobs/{job}/{output}"


def document_of(file: Path, settings: Azure, inputs: Mapping[str, Scalar | Path], name: str) -> dict[str, Any]:
    """The pipeline with this run's values. `engine = "pushline"` puts our AutoML's component in the place of the AutoML node.

    Raises SettingsError where the file can't be read or Azure's AutoML has no such metric.
    """
    try:
        document: dict[str, Any] = msgspec.yaml.decode(file.read_text(encoding="utf-8"))
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError(f"{file} can't be read.", why=str(error), do="Correct the file, or restore it from git.") from error
    document["name"] = name
    document.setdefault("settings", {})["default_compute"] = f"azureml:{settings.cluster}"
    for key, value in inputs.items():
        if isinstance(document["inputs"].get(key), dict):
            document["inputs"][key]["path"] = str(value)
        elif key in document["inputs"]:
            document["inputs"][key] = value
    for key, node in list(document["jobs"].items()):
        if node.get("type") == "automl":
            budget = str(inputs.get("budget", settings.budget))
            if settings.engine == "pushline":
                document["jobs"][key] = our_automl(file, key)
            else:
                document["jobs"][key] = azures_automl(node, settings, str(inputs.get("metric", "average_precision")), budget)
                if "held_back" in document["inputs"]:
                    document["inputs"]["held_back"] = HELD_BACK
            document["jobs"][key]["outputs"] = {BEST_MODEL: f"${{{{parent.outputs.{BEST_MODEL}}}}}"}
            document.setdefault("outputs", {})[BEST_MODEL] = {"type": "mlflow_model"}
    for key, output in document["outputs"].items():
        output["path"] = f"azureml://datastores/{STORE}/paths/{place_of(name, key)}"
    return document


def azures_automl(node: dict[str, Any], settings: Azure, metric: str, budget: str) -> dict[str, Any]:
    """The AutoML node with the settings' metric and time, always with an ONNX model."""
    if metric not in PRIMARY:
        raise SettingsError(
            f"Azure's AutoML can't optimise {metric}.",
            why=f"It knows {', '.join(PRIMARY)}.",
            do='Choose one of them as training.metric, or set engine = "pushline" in [tool.pushline.azure].',
        )
    limits = {**node.get("limits", {}), "timeout_minutes": max(15, math.ceil(seconds(budget) / 60))}  # Azure takes no less
    limits["trial_timeout_minutes"] = min(limits.get("trial_timeout_minutes", 15), limits["timeout_minutes"])
    limits["max_concurrent_trials"] = min(settings.concurrent_trials, settings.max_nodes)
    training = {**node.get("training", {}), "enable_onnx_compatible_models": True}
    return {**node, "primary_metric": PRIMARY[metric], "limits": limits, "training": training}


def cut_at_search(document: dict[str, Any]) -> list[str]:
    """Take out of a document the steps that read what its AutoML node leaves, and return their names in order.

    Where Azure's AutoML leaves its ONNX model is documented in more than one way, so these steps run where it can be looked for.
    """
    jobs = document["jobs"]
    later = [key for key, node in jobs.items() if node.get("type") == "automl"]
    search = later[0]
    for key, node in jobs.items():
        if key not in later and any(f"parent.jobs.{before}.outputs" in str(node) for before in later):
            later.append(key)
    for key in later[1:]:
        for bound in jobs.pop(key).get("outputs", {}).values():
            document["outputs"].pop(str(bound).strip("${} ").removeprefix("parent.outputs."), None)
    return [key for key in later if key != search]


def our_automl(file: Path, key: str) -> dict[str, Any]:
    """Our AutoML's component in the place of the node, bound as the local runner binds it; the budget alone limits its time."""
    from pushline.pipelines.runner.definition import JobOutput, ParentInput, load_pipeline

    bound: dict[str, Any] = {}
    for name, source in load_pipeline(file).jobs[key].inputs.items():
        if isinstance(source, ParentInput):
            bound[name] = f"${{{{parent.inputs.{source.name}}}}}"
        elif isinstance(source, JobOutput):
            bound[name] = f"${{{{parent.jobs.{source.job}.outputs.{source.output}}}}}"
        elif name != "timeout_minutes":
            bound[name] = source
    return {"type": "command", "component": "./components/automl.yml", "inputs": bound}


def load(document: dict[str, Any], file: Path, *, experiment: str, tags: Mapping[str, str]) -> Any:
    """The document as a job of the SDK. Raises SettingsError, with what the SDK found, for one that it does not take."""
    import yaml
    from marshmallow.exceptions import ValidationError

    with quietly():
        from azure.ai.ml import load_job
        from azure.ai.ml.exceptions import MlException

        try:
            job = load_job(io.StringIO(yaml.safe_dump(document, sort_keys=False)), relative_origin=str(file))
        except (MlException, ValidationError, TypeError) as error:
            raise SettingsError(
                f"Azure ML can't read {file.name}.", why=first_line(error), do="Correct the file; the local runner is not as strict."
            ) from error
    job.experiment_name = experiment
    job.tags = dict(tags)
    return job
