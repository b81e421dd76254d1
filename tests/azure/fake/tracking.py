"""The workspace's MLflow: a real MLflow server, behind the host and with the limits that Azure's has.

Logged models are unknown there (an empty 404), and artifacts go through run history into blob storage.

Sources at learn.microsoft.com: "Track experiments and models with MLflow" and "Manage model registries with MLflow", each with its table of
what is supported.
"""

import http.client
import json
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fake import storage
from fake.assets import ARTIFACTS
from fake.history import SCOPE
from fake.jobs import Node, Running
from fake.proxy import end_with_us, free_port
from fake.resources import authorize_data
from fake.wire import Refusal, Request, Response, route
from fake.world import HISTORY, STORAGE, WORKSPACE_ID

if TYPE_CHECKING:
    from fake.world import World

PLACE = re.compile(rb'(/experiments/[^/"]+)/([0-9a-f]{32})/artifacts')  # Azure's own addresses have /runs/ between
UNKNOWN = ("logged-models", "traces")
# Azure's MLflow is of an older protocol: calls that came later end in a 404 of its own shape (azure-sdk-for-python issue 44896).
LATER = ("runs/log-inputs", "runs/outputs")
RUNS = "/history/v1.0" + SCOPE + "/experiments/{experiment}/runs/{run}/artifacts"


class Tracking:
    """One `mlflow server` on SQLite. It starts in the background; `wait` is called by whoever needs it first."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        folder.mkdir(parents=True)
        root = f"azureml://{HISTORY}/mlflow/v2.0{WORKSPACE_ID}/experiments"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        self.log = (folder / "server.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1",
             "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--default-artifact-root", root, "--no-serve-artifacts"],
            env={**environment, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            cwd=folder,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
            preexec_fn=end_with_us,  # noqa: PLW1509 - started before any thread of ours
        )  # fmt: skip
        self.ready = False

    def wait(self, seconds: float = 90) -> None:
        until = time.monotonic() + seconds
        while not self.ready and time.monotonic() < until:
            try:
                self.ready = self.ask("GET", "/health", b"", {}).status == 200
            except OSError:
                time.sleep(0.2)
        if not self.ready:
            raise TimeoutError("the MLflow server does not answer")

    def stop(self) -> None:
        os.killpg(self.process.pid, 15)
        self.process.wait(20)
        self.log.close()

    def ask(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Response:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, target, body=body, headers={"content-type": "application/json", **headers})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return Response(answer.status, content, {"Content-Type": answer.getheader("content-type", "application/json")})

    def call(self, method: str, what: str, **body: Any) -> Any:
        """Ask the server itself, for the fake's own hands."""
        self.wait()
        answer = self.ask(method, f"/api/2.0/mlflow/{what}", json.dumps(body).encode(), {})
        if answer.status != 200:
            raise RuntimeError(f"{what}: {answer.status} {answer.content!r}")
        return json.loads(answer.content)


def of(world: "World") -> Tracking:
    server = world.services["tracking"]
    server.wait()
    return server


@route("ANY", HISTORY, "/mlflow/{version}" + SCOPE + "/api/2.0/mlflow/{rest...}")
def mlflow(world: "World", request: Request, rest: str, **_: str) -> Response:
    """Pass on what Azure's MLflow knows; what it does not gets the empty 404 that was reported of it."""
    if rest.startswith(UNKNOWN) or "/alias" in rest:
        return Response(404, b"")
    if rest.startswith(LATER):
        raise Refusal(404, "NotFound", f"No HTTP resource was found that matches the request URI '{request.path}'.")
    if rest.startswith("model-versions/") and request.method != "GET":
        refuse_empty_tags(request.json)
    kind = "models" if rest.startswith(("registered-models", "model-versions")) else "experiments/runs"
    reads = request.method == "GET" or rest.rpartition("/")[2].startswith(("search", "get-"))
    authorize_data(world, request, f"{kind}/{'read' if reads else 'write'}", rest)
    target = re.sub(r"^.*?(/api/2\.0/mlflow/)", r"\1", request.target)
    for run, own in world.run_ids.items():  # Azure's MLflow knows the run of a node by the node's own name
        target = target.replace(f"run_id={run}", f"run_id={own}")
    answer = of(world).ask(request.method, target, request.body, {})
    answer.content = PLACE.sub(rb"\1/runs/\2/artifacts", answer.content)
    return answer


def refuse_empty_tags(body: dict[str, Any]) -> None:
    """The tags of a model version are those of an asset of the workspace, whose values may not be empty: an expert's reading of the
    resource manager's rules for tags, so the stricter of two possibilities.
    """
    if any(not each.get("value") for each in [*(body.get("tags") or []), *([body] if "key" in body else [])]):
        raise Refusal(400, "INVALID_PARAMETER_VALUE", "The value of a tag may not be empty.")


@route("GET", HISTORY, RUNS)
def list_artifacts(world: "World", request: Request, run: str, **_: str) -> Response:
    prefix = folder_of(run)
    box = storage.client(world).get_container_client(ARTIFACTS)
    names = [each.name.removeprefix(prefix) for each in box.list_blobs(name_starts_with=prefix)]
    return Response(200, {"value": [{"origin": "ExperimentRun", "container": f"dcid.{run}", "path": name} for name in names]})


@route("POST", HISTORY, RUNS + "/batch/metadata")
def empty_artifacts(world: "World", request: Request, run: str, **_: str) -> Response:
    paths = [each["path"] for each in request.json["paths"]]
    made = {
        path: {"contentUri": link(world, run, path), "origin": "ExperimentRun", "container": f"dcid.{run}", "path": path} for path in paths
    }
    known = {path: {"artifactId": f"ExperimentRun/dcid.{run}/{path}", "path": path} for path in paths}
    return Response(200, {"artifacts": known, "artifactContentInformation": made, "errors": {}})


@route("GET", HISTORY, RUNS + "/contentinfo")
def content_information(world: "World", request: Request, run: str, **_: str) -> Response:
    path = request.query["path"]
    box = storage.client(world).get_container_client(ARTIFACTS)
    if not box.get_blob_client(folder_of(run) + path).exists():
        raise Refusal(404, "UserError", f"The artifact {path} of run {run} was not found.")
    return Response(200, {"contentUri": link(world, run, path), "origin": "ExperimentRun", "container": f"dcid.{run}", "path": path})


def folder_of(run: str) -> str:
    return f"ExperimentRun/dcid.{run}/"


def link(world: "World", run: str, path: str) -> str:
    return f"https://{STORAGE}.blob.core.windows.net/{ARTIFACTS}/{folder_of(run)}{path}?{storage.sas(world)}"


def record_trials(world: "World", job: Running, node: Node, trials: list[dict[str, Any]], model: Path, place: str) -> None:
    """The runs that AutoML leaves: a parent for the node, a child per trial with its score, the best one's model."""
    server = of(world)
    experiment = experiment_of(server, job.properties["experimentName"])
    best, first = "", -1.0
    for number, trial in enumerate(trials):
        tags = [{"key": "mlflow.parentRunId", "value": node.run}, {"key": "mlflow.runName", "value": trial["name"]}]
        run = create_run(server, experiment, [*tags, {"key": "run_algorithm", "value": trial["algorithm"]}])
        if trial.get("score") is not None:
            server.call(
                "POST", "runs/log-metric", run_id=run, key="average_precision_score_weighted", value=trial["score"], timestamp=number
            )
            if trial["score"] > first:
                best, first = run, trial["score"]
        server.call("POST", "runs/update", run_id=run, status="FINISHED", end_time=int(datetime.now(UTC).timestamp() * 1000))
    if best and place.startswith("outputs/"):
        storage.keep(world, ARTIFACTS, folder_of(best) + place, model)
    parent = create_run(server, experiment, [{"key": "azureml.run", "value": node.run}, {"key": "automl_best_child_run_id", "value": best}])
    world.run_ids[node.run] = parent
    server.call("POST", "runs/update", run_id=parent, status="FINISHED", end_time=int(datetime.now(UTC).timestamp() * 1000))


def experiment_of(server: Tracking, name: str) -> str:
    server.wait()
    found = server.ask("GET", f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={quote(name)}", b"", {})
    if found.status == 200:
        return str(json.loads(found.content)["experiment"]["experiment_id"])
    return str(server.call("POST", "experiments/create", name=name)["experiment_id"])


def create_run(server: Tracking, experiment: str, tags: list[dict[str, str]]) -> str:
    made = server.call("POST", "runs/create", experiment_id=experiment, start_time=int(datetime.now(UTC).timestamp() * 1000), tags=tags)
    return str(made["run"]["info"]["run_id"])
