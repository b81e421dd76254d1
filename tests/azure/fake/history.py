"""Run history: what azure-ai-ml asks beside the resource manager about runs, their children and their logs."""

from typing import TYPE_CHECKING, Any

from fake import storage
from fake.assets import ARTIFACTS, CREATED
from fake.jobs import Node, Running, running
from fake.wire import Refusal, Request, Response, route
from fake.world import HISTORY, STORAGE, WORKSPACE_ID

if TYPE_CHECKING:
    from fake.world import World

SCOPE = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"


@route("GET", HISTORY, "/discovery", token=False)
def discovery(world: "World", request: Request) -> Response:
    here = f"https://{HISTORY}"
    return Response(
        200, dict.fromkeys(("api", "history", "experimentation", "hyperdrive", "pipelines", "modelmanagement", "notebooks"), here)
    )


@route("GET", HISTORY, "/history/v1.0" + SCOPE + "/runs/{run}/children")
def children(world: "World", request: Request, run: str, **_: str) -> Response:
    job = running(world).get(run)
    return Response(200, {"value": [child(job, node) for node in job.nodes if node.status != "NotStarted"] if job else []})


@route("GET", HISTORY, "/history/v1.0" + SCOPE + "/runs/{run}/details")
def details(world: "World", request: Request, run: str, **_: str) -> Response:
    for job in running(world).values():
        for node in job.nodes:
            if node.run == run:
                log = f"ExperimentRun/dcid.{run}/user_logs/std_log.txt"
                address = f"https://{STORAGE}.blob.core.windows.net/{ARTIFACTS}/{log}?{storage.sas(world)}"
                return Response(200, {**child(job, node), "logFiles": {"user_logs/std_log.txt": address}, "error": error_of(node.error)})
    if run in running(world):
        job = running(world)[run]
        return Response(200, {"runId": run, "status": job.status, "logFiles": {}, "error": error_of(job.error)})
    raise Refusal(404, "NotFound", f"Run {run} not found.")


def error_of(message: str) -> dict[str, Any] | None:
    return {"error": {"code": "UserError", "message": message}} if message else None


def child(job: Running, node: Node) -> dict[str, Any]:
    definition = job.definition_of(node.name)
    return {
        "runId": node.run,
        "parentRunId": job.name,
        "rootRunId": job.name,
        "experimentId": "1",
        "displayName": node.name,
        "status": node.status,
        "createdUtc": CREATED["createdAt"],
        "tags": {},
        "properties": {"azureml.moduleName": node.name, "azureml.runsource": "azureml.StepRun", "StepType": definition["type"]},
        "runType": "azureml.StepRun",
        "services": {"Studio": {"endpoint": f"https://ml.azure.com/runs/{node.run}?wsid={WORKSPACE_ID}", "type": "Studio"}},
    }
