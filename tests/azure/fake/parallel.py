"""A batch deployment of a model: its scoring script runs in as many processes as the deployment says, over mini-batches of files.

Source: learn.microsoft.com, "Author scoring scripts for batch deployments".
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fake import storage
from fake.assets import ARTIFACTS
from fake.wire import Refusal, Request

if TYPE_CHECKING:
    from fake.jobs import Node, Running
    from fake.world import World

NODE = "batchscoring"
OUTPUT = "score"
DRIVER = Path(__file__).with_name("mini_batches.py")


def job_of(endpoint: str, deployment: dict[str, Any], request: Request) -> tuple[dict[str, Any], dict[str, Any]]:
    """The job of an invocation as a GET shows it, and the node that it runs."""
    asked = request.json["properties"]
    given = list((asked.get("inputData") or {}).values())
    if len(given) != 1 or given[0]["jobInputType"] not in ("UriFolder", "UriFile"):
        raise Refusal(400, "BadRequest", "A deployment of a model takes one input, a file or a folder.")
    output = (asked.get("outputData") or {}).get(OUTPUT, {})
    outputs = {OUTPUT: {"jobOutputType": "uri_folder", **({"uri": output["uri"]} if "uri" in output else {})}}
    properties = {"jobType": "Pipeline", "jobs": {}, "inputs": {}, "outputs": outputs, "displayName": endpoint, "tags": {}}
    node = {
        "type": "parallel",
        "deployment": deployment["properties"],
        "input": {"uri": given[0]["uri"]},
        "outputs": {OUTPUT: {"value": f"${{{{parent.outputs.{OUTPUT}}}}}"}},
    }
    return {"properties": {**properties, "experimentName": endpoint, "properties": {}, "settings": {}}}, {NODE: node}


def command_of(world: "World", job: "Running", node: "Node", definition: dict[str, Any]) -> tuple[list[str], Path, dict[str, str]]:
    """The driver's arguments, the folder of the code, and the variables that the service gives a scoring script."""
    from fake.jobs import brought, code_of

    deployed = definition["deployment"]
    code = code_of(world, deployed["codeConfiguration"]["codeId"], job.folder / "code")
    rows = brought(world, job, definition["input"], "input")
    node.outputs[OUTPUT] = job.folder / node.name / OUTPUT
    node.outputs[OUTPUT].mkdir(parents=True, exist_ok=True)
    said = {
        "script": deployed["codeConfiguration"]["scoringScript"],
        "rows": str(rows),
        "mini_batch_size": deployed["miniBatchSize"],
        "processes": deployed["maxConcurrencyPerInstance"] * deployed["resources"]["instanceCount"],
        "retries": deployed["retrySettings"]["maxRetries"],
        "error_threshold": deployed["errorThreshold"],
    }
    variables = {
        **{name: str(value) for name, value in (deployed.get("environmentVariables") or {}).items()},
        "AZUREML_MODEL_DIR": str(model_of(world, deployed["model"]["assetId"], job.folder / "models")),
        "AZUREML_BI_OUTPUT_PATH": str(node.outputs[OUTPUT]),
    }
    return [sys.executable, str(DRIVER), json.dumps(said)], code, variables


def model_of(world: "World", asset: str, to: Path) -> Path:
    """The files of a registered model: the workspace's models and the versions of its MLflow are the same."""
    from fake import tracking

    name, _, version = asset.rpartition("/models/")[2].partition("/versions/")
    found = tracking.of(world).ask("GET", f"/api/2.0/mlflow/model-versions/get?name={name}&version={version}", b"", {})
    if found.status != 200:
        raise Refusal(404, "UserError", f"There is no model {name} with version {version}.")
    run, _, folder = json.loads(found.content)["model_version"]["source"].rpartition("/artifacts/")
    prefix = f"ExperimentRun/dcid.{run.rpartition('/')[2]}/{folder}"
    storage.fetch(world, ARTIFACTS, prefix, to / folder)
    return to
