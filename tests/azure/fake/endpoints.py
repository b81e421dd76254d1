"""Batch endpoints, of pipeline components and of models, and schedules: what is published in Azure."""

from typing import TYPE_CHECKING, Any

from fake import jobs, parallel
from fake.assets import CREATED, WORKSPACE
from fake.resources import ARM, accepted, authorize, check, children, get, put
from fake.wire import Refusal, Request, Response, route
from fake.world import REGION, WORKSPACE_ID

if TYPE_CHECKING:
    from fake.world import World

ENDPOINT = WORKSPACE + "/batchEndpoints/{name}"
DEPLOYMENT = ENDPOINT + "/deployments/{deployment}"
INVOCATION = "{name}." + f"{REGION}.inference.ml.azure.com"
# Endpoints' names are unique in a region (learn.microsoft.com, "Deploy models for scoring in batch endpoints"), and other users of the
# template have the plain ones.
OF_OTHERS = ("-train", "-batch", "-score-batch", "-prepare")
SCHEDULE = WORKSPACE + "/schedules/{name}"


def readable(path: str) -> None:
    @route("GET", ARM, path)
    def read(world: "World", request: Request, **_: str) -> Response:
        authorize(world, request)
        return Response(200, get(world, request.path))


def writable(path: str, extras: Any) -> None:
    @route("PUT", ARM, path)
    def write(world: "World", request: Request, **found: str) -> Response:
        authorize(world, request)
        check(world, request)
        known = request.path.lower() in world.resources
        if path == ENDPOINT and not known and found["name"].endswith(OF_OTHERS):
            raise Refusal(409, "UserError", f"The endpoint name {found['name']} is already in use in {REGION}.")
        made = put(world, request.path, {**request.json, "systemData": CREATED}, provisioningState="Succeeded", **extras(found))
        return accepted(world, request, world.begin(lambda: ("Succeeded", made)), status=200 if known else 201, content=made)


def of_endpoint(found: dict[str, str]) -> dict[str, str]:
    here = f"https://{found['name']}.{REGION}.inference.ml.azure.com"
    return {"scoringUri": f"{here}/jobs", "swaggerUri": f"{here}/swagger.json"}


for each_path, each_extras in (
    (ENDPOINT, of_endpoint),
    (DEPLOYMENT, lambda _: {}),
    (SCHEDULE, lambda _: {"provisioningStatus": "Succeeded"}),
):
    readable(each_path)
    writable(each_path, each_extras)


@route("GET", ARM, ENDPOINT + "/deployments")
def deployments(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    get(world, request.path.rpartition("/deployments")[0])
    return Response(200, {"value": children(world, request.path)})


@route("POST", INVOCATION, "/jobs")
def invoke(world: "World", request: Request, name: str) -> Response:
    """Start a job of the deployment that is asked for, or of the default one."""
    endpoint = get(world, f"{WORKSPACE_ID}/batchEndpoints/{name}")
    wanted = request.headers.get("azureml-model-deployment") or endpoint["properties"]["defaults"]["deploymentName"]
    deployment = get(world, f"{WORKSPACE_ID}/batchEndpoints/{name}/deployments/{wanted}")
    if "deploymentConfiguration" not in deployment["properties"]:
        body, hidden = parallel.job_of(name, deployment, request)
        return started(world, body, hidden)
    component = deployment["properties"]["deploymentConfiguration"]["componentId"]["assetId"]
    spec = get(world, component)["properties"]["componentSpec"]
    given = request.json["properties"].get("inputData", {})
    inputs = {}
    for key, kind in spec["inputs"].items():
        if key in given:
            inputs[key] = {"uri": given[key]["uri"], "jobInputType": kind["type"]} if "uri" in given[key] else literal(given[key]["value"])
        elif "default" in kind:
            inputs[key] = literal(kind["default"])
        elif kind.get("optional") not in (True, "true"):
            raise Refusal(400, "BadRequest", f"The input {key} is required.")
    outputs = {key: {"jobOutputType": kind["type"]} for key, kind in spec.get("outputs", {}).items()}
    properties = {"jobType": "Pipeline", "jobs": spec["jobs"], "inputs": inputs, "outputs": outputs, "displayName": name, "tags": {}}
    return started(world, {"properties": {**properties, "experimentName": name, "properties": {}, "settings": {}}}, {})


def started(world: "World", body: dict[str, Any], hidden: dict[str, Any]) -> Response:
    job = f"batchjob-{world.number():08d}"
    jobs.start(world, job, body, hidden)
    return Response(201, {"id": f"{WORKSPACE_ID}/jobs/{job}", "name": job, "type": "jobs", "properties": {"status": "NotStarted"}})


def literal(value: Any) -> dict[str, str]:
    return {"value": str(value), "jobInputType": "literal"}
