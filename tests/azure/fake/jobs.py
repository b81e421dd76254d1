"""Jobs: a submitted pipeline is run on this machine, node by node, with the code, components and data that were uploaded.

Sources at learn.microsoft.com: "Jobs - Create Or Update" and "Component Versions - Create Or Update" of Azure Machine Learning, "CLI (v2)
pipeline job YAML schema".
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from command import commands
from fake import automl, parallel, storage
from fake.assets import ARTIFACTS, CONTAINER, CREATED, WORKSPACE, address
from fake.resources import ARM, accepted, authorize, check, get, put
from fake.wire import Refusal, Request, Response, route
from fake.world import HISTORY, WORKSPACE_ID

if TYPE_CHECKING:
    from fake.world import World

BINDING = re.compile(r"\$\{\{\s*([\w.\-]+)\s*\}\}")
KEPT_FROM_HERE = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")


@dataclass
class Node:
    """One node of a pipeline as it runs: a child run."""

    name: str
    run: str
    status: str = "NotStarted"
    error: str = ""
    outputs: dict[str, Path] = field(default_factory=dict)


@dataclass
class Running:
    """A pipeline job as it runs."""

    name: str
    body: dict[str, Any]
    folder: Path
    nodes: list[Node] = field(default_factory=list)
    status: str = "NotStarted"
    error: str = ""
    cancelled: bool = False
    process: subprocess.Popen[bytes] | None = None
    hidden: dict[str, Any] = field(default_factory=dict)  # nodes that the service adds and a GET does not show

    @property
    def properties(self) -> dict[str, Any]:
        return dict(self.body["properties"])

    def definition_of(self, node: str) -> dict[str, Any]:
        return dict(self.hidden.get(node) or self.properties["jobs"][node])


def running(world: "World") -> dict[str, Running]:
    return world.jobs


@route("PUT", ARM, WORKSPACE + "/jobs/{name}")
def submit(world: "World", request: Request, name: str, **_: str) -> Response:
    authorize(world, request)
    if name in running(world):
        raise Refusal(409, "UserError", f"A job with the name {name} already exists.")
    check(world, request)
    if request.json["properties"]["jobType"] != "Pipeline":
        raise Refusal(400, "UserError", "The loopback Azure runs pipeline jobs only.")
    start(world, name, request.json)
    return Response(201, seen(world, name, request.path))


def start(world: "World", name: str, body: dict[str, Any], hidden: dict[str, Any] | None = None) -> None:
    job = Running(name, body, world.folder / "jobs" / name, hidden=hidden or {})
    job.nodes = [Node(each, f"{name}-{each}") for each in in_order(job.hidden or body["properties"]["jobs"])]
    running(world)[name] = job
    put(world, f"{WORKSPACE_ID}/jobs/{name}", body)
    threading.Thread(target=run, args=(world, job), daemon=True).start()


@route("GET", ARM, WORKSPACE + "/jobs/{name}")
def read(world: "World", request: Request, name: str, **_: str) -> Response:
    authorize(world, request)
    return Response(200, seen(world, name, request.path))


@route("GET", ARM, WORKSPACE + "/jobs")
def list_jobs(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    return Response(200, {"value": [seen(world, name, f"{WORKSPACE_ID}/jobs/{name}") for name in reversed(running(world))]})


@route("POST", ARM, WORKSPACE + "/jobs/{name}/cancel")
def cancel(world: "World", request: Request, name: str, **_: str) -> Response:
    authorize(world, request)
    job = running(world)[name]
    job.cancelled = True
    end_process(job)
    return accepted(world, request, world.begin(lambda: ("Succeeded", None)))


@route("DELETE", ARM, WORKSPACE + "/jobs/{name}")
def delete(world: "World", request: Request, name: str, **_: str) -> Response:
    """Of a job that has ended; it is gone a while later."""
    authorize(world, request)
    if running(world)[name].status not in ("Completed", "Failed", "Canceled"):
        raise Refusal(409, "UserError", f"The job {name} is {running(world)[name].status}.")
    world.resources.pop(request.path.lower())
    running(world).pop(name)
    return accepted(world, request, world.begin(lambda: ("Succeeded", None)))


def end_process(job: Running) -> None:
    if job.process is not None and job.process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.process.pid, signal.SIGKILL)


def seen(world: "World", name: str, path: str) -> dict[str, Any]:
    """The job as a GET shows it."""
    get(world, path)
    job = running(world)[name]
    properties = job.properties
    studio = f"https://ml.azure.com/runs/{name}?wsid={WORKSPACE_ID}"
    services = {
        "Tracking": {"jobServiceType": "Tracking", "endpoint": f"azureml://{HISTORY}/mlflow/v1.0{WORKSPACE_ID}"},
        "Studio": {"jobServiceType": "Studio", "endpoint": studio},
    }
    properties |= {"status": job.status, "services": services}
    return {
        "id": path,
        "name": name,
        "type": "Microsoft.MachineLearningServices/workspaces/jobs",
        "properties": properties,
        "systemData": CREATED,
    }


def in_order(jobs: dict[str, Any]) -> list[str]:
    """The nodes' names, each after those it reads from."""
    done: list[str] = []
    while len(done) < len(jobs):
        ready = [name for name, job in jobs.items() if name not in done and needs(job) <= set(done)]
        if not ready:
            raise Refusal(400, "UserError", "The pipeline has a cycle.")
        done.append(ready[0])
    return done


def needs(job: dict[str, Any]) -> set[str]:
    return set(re.findall(r"parent\.jobs\.([\w\-]+)\.outputs", str({name: value for name, value in job.items() if name != "outputs"})))


def run(world: "World", job: Running) -> None:
    """Run all nodes; the first that fails ends the job."""
    job.status = "Running"
    try:
        for node in job.nodes:
            if job.cancelled:
                break
            node.status = "Running"
            run_node(world, job, node)
            node.status = "Canceled" if job.cancelled else "Failed" if node.error else "Completed"
            if node.error:
                break
        job.error = next((node.error for node in job.nodes if node.error), "")
    except Exception as error:  # noqa: BLE001 - told to whoever asks for the job, as the service would
        job.error = f"{type(error).__name__}: {error}"
        world.broken.append(f"job {job.name}: {job.error}")
    job.status = "Canceled" if job.cancelled else "Failed" if job.error else "Completed"


def run_node(world: "World", job: Running, node: Node) -> None:
    definition = job.definition_of(node.name)
    variables: dict[str, str] = {}
    if definition["type"] == "automl":
        command, code = automl.stand_in(world, job, node, definition)
    elif definition["type"] == "parallel":
        command, code, variables = parallel.command_of(world, job, node, definition)
    else:
        command, code = command_of(world, job, node, definition)
    if node.name in world.sabotage:
        command = ["sh", "-c", world.sabotage[node.name]]
    log = job.folder / f"{node.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {name: os.environ[name] for name in KEPT_FROM_HERE if name in os.environ}
    with log.open("wb") as stream:
        job.process = subprocess.Popen(
            command,
            cwd=code,
            env={**environment, **variables},
            stdout=stream,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        if job.cancelled:  # while the node was made ready
            end_process(job)
        code_left = job.process.wait()
    storage.keep(world, ARTIFACTS, f"ExperimentRun/dcid.{node.run}/user_logs/std_log.txt", log)
    if code_left and not job.cancelled:
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        node.error = f"Execution failed. User process '{command[0]}' exited with status code {code_left}. {''.join(last)}"
        return
    if definition["type"] == "automl" and not job.cancelled:
        automl.as_azure_leaves_it(world, job, node)
    for name, folder in node.outputs.items():
        if folder.exists():
            storage.keep(world, CONTAINER, place_of(job, node, name), folder)


def place_of(job: Running, node: Node, output: str) -> str:
    """Where an output goes in the default store: where the pipeline says, else a place of the service's own."""
    binding = job.definition_of(node.name).get("outputs", {}).get(output, {}).get("value", "")
    found = BINDING.match(binding)
    said = job.properties["outputs"].get(found[1].removeprefix("parent.outputs."), {}).get("uri") if found else None
    return address(said.replace("${{name}}", job.name))[1].rstrip("/") if said else f"azureml/{node.run}/{output}"


def command_of(world: "World", job: Running, node: Node, definition: dict[str, Any]) -> tuple[list[str], Path]:
    """The arguments of a command node, with its inputs brought here, and the folder of its code."""
    component = get(world, definition["componentId"])["properties"]["componentSpec"]
    code = code_of(world, component["code"], job.folder / "code")
    values: dict[str, str] = {}
    for name, spec in component.get("inputs", {}).items():
        bound = definition.get("inputs", {}).get(name)
        if bound is not None:
            values[f"inputs.{name}"] = str(value_of(world, job, bound, name))
        elif "default" in spec:
            values[f"inputs.{name}"] = str(spec["default"])
    for name in component.get("outputs", {}):
        node.outputs[name] = job.folder / node.name / name
        node.outputs[name].parent.mkdir(parents=True, exist_ok=True)
        if component["outputs"][name].get("type") != "uri_file":
            node.outputs[name].mkdir(exist_ok=True)
        values[f"outputs.{name}"] = str(node.outputs[name])
    text = re.sub(
        r"\$\[\[(.*?)\]\]", lambda found: found[1] if all(key in values for key in BINDING.findall(found[1])) else "", component["command"]
    )
    arguments = [
        BINDING.sub(lambda found: values[found[1]], part) for part in shlex.split(BINDING.sub(lambda found: f"${{{{{found[1]}}}}}", text))
    ]
    python = sys.executable if world.cold else str(commands() / "python")
    return [python if arguments[0] == "python" else arguments[0], *arguments[1:]], code


def code_of(world: "World", reference: str, folder: Path) -> Path:
    """The uploaded code of a component, brought here once per job."""
    version = get(world, reference.removeprefix("azureml:"))
    here = folder / version["id"].split("/codes/")[1].replace("/", "-")
    if not here.is_dir():
        container, prefix = address(version["properties"]["codeUri"])
        storage.fetch(world, container, prefix, here)
    return here


def value_of(world: "World", job: Running, bound: Any, name: str) -> str | Path:
    """A literal, or the local path of what a node's input is bound to."""
    text = bound if isinstance(bound, str) else bound.get("value", bound.get("uri", ""))
    found = BINDING.fullmatch(str(text))
    if found is None:
        return brought(world, job, bound, name) if isinstance(bound, dict) and "uri" in bound else str(text)
    parts = found[1].split(".")
    if parts[:2] == ["parent", "inputs"]:
        given = job.properties["inputs"][parts[2]]
        return brought(world, job, given, parts[2]) if "uri" in given else given["value"]
    node = next(each for each in job.nodes if each.name == parts[2])
    return node.outputs[parts[4]]


def brought(world: "World", job: Running, given: dict[str, Any], name: str) -> Path:
    """A data input on this machine: an asset's files, or those at an address."""
    uri = given["uri"]
    found = re.fullmatch(r"(?:azureml:)?(/subscriptions/.*|[\w\-]+:[\w\-.]+)", uri)
    if found is not None:
        path = found[1] if found[1].startswith("/") else f"{WORKSPACE_ID}/data/{found[1].replace(':', '/versions/')}"
        if "/models/" in path:
            return parallel.model_of(world, path, job.folder / "models")
        uri = get(world, path)["properties"]["dataUri"]
    here = job.folder / "inputs" / name
    if here.exists():
        shutil.rmtree(here)
    return storage.fetch(world, *address(uri), here)
