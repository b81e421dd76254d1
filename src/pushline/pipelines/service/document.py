"""The API document of published pipelines."""

from typing import Any

import msgspec

from pushline import __version__
from pushline.pipelines.service.published import NAME, Version
from pushline.pipelines.service.runs import LogPart, Run, Start
from pushline.serving.openapi import JSON, ApiDocument, common_problems, health_of, reference
from pushline.serving.problems import Problem
from pushline.settings import Serving

KEYS = "One of the two keys in .pushline/pipelines-keys.json; the scoring service has others."
PROBLEMS = {
    "malformed-json": "JSON is malformed: invalid character (byte 0).",
    "invalid-inputs": "train has no input 'weather'. Its inputs are budget, seed.",
    "not-found": "There is no run '20261127-080000-000000-abcdef'.",
    "retired": "Version 1 of train is retired.",
    "overloaded": "2 runs are going on.",
}
DESCRIPTIONS = {
    "listPipelines": "What each one runs, the inputs it takes, and which one is the default.",
    "describePipeline": "Its inputs with their types and defaults.",
    "describeVersion": "Its inputs with their types and defaults, and whether it is retired.",
    "startRun": "Without a version the default one is started. Inputs that are not set have the version's defaults.",
    "listRuns": "Runs that have ended are listed, too.",
    "showRun": "Its state, its steps and, once it has ended, what came of it.",
    "showLog": "The answer says at which byte to go on next time.",
    "cancelRun": "Its steps are stopped; what they left is kept.",
}


def document(limits: Serving) -> bytes:
    """The OpenAPI 3.1 document as JSON."""
    _, schemas = msgspec.json.schema_components([Version, Run, LogPart, Start], ref_template="#/components/schemas/{name}")
    info = {
        "title": "Published pipelines",
        "version": __version__,
        "description": "Start a published pipeline and follow its run. A run goes on when its caller or this service goes away.",
        "contact": {"name": "Owners of this repository"},
        "license": {"name": "MIT", "identifier": "MIT"},
    }
    tags = {
        "pipelines": "What was published, and starting it.",
        "runs": "How a run goes, what it said, and ending it.",
        "operation": "Whether the service is well.",
    }
    api = ApiDocument({}, [*common_problems(limits), *(Problem(kind, detail) for kind, detail in PROBLEMS.items())])
    return api.content(info, tags, paths(api), schemas, KEYS)


def paths(api: ApiDocument) -> dict[str, Any]:
    name = parameter("name", "of the pipeline", {"type": "string", "pattern": NAME})
    number = parameter("version", "its number", {"type": "integer", "minimum": 1, "maximum": 999_999_999})
    run = parameter("run", "id of the run", {"type": "string", "pattern": "^[0-9a-z-]+$", "maxLength": 60})
    first = {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}
    begin = {"name": "from", "in": "query", "description": "byte to begin at", "schema": first}

    def operation(
        called: str, tag: str, summary: str, schema: Any, *parameters: Any, status: int = 200, kinds: tuple[str, ...] = (), **more: Any
    ) -> Any:
        refusals = ("malformed-json", "body-too-large", "invalid-inputs", *kinds, *(("not-found",) if parameters else ()))
        said, content = "Done." if status == 200 else "Accepted.", {JSON: {"schema": schema}}
        more |= {"description": DESCRIPTIONS[called], "parameters": list(parameters)}
        return api.operation(called, tag, summary, said, content, *refusals, status=status, **more)

    start = operation(
        *("startRun", "pipelines", "Start a run", reference("Run"), name),
        status=202,
        kinds=("retired", "unsupported-media-type"),
        requestBody={"required": False, "content": {JSON: {"schema": reference("Start"), "example": {"inputs": {"budget": "60s"}}}}},
    )
    start["responses"]["202"]["headers"] = {
        **api.headers,
        "location": {"description": "Address of the run.", "schema": {"type": "string"}},
    }
    version, state = reference("Version"), reference("Run")
    return {
        "/pipelines": {"get": operation("listPipelines", "pipelines", "List every version", listed("pipelines", version))},
        "/pipelines/{name}": {"get": operation("describePipeline", "pipelines", "Describe the default version", version, name)},
        "/pipelines/{name}/versions/{version}": {
            "get": operation("describeVersion", "pipelines", "Describe a version", version, name, number)
        },
        "/pipelines/{name}/runs": {"post": start},
        "/runs": {"get": operation("listRuns", "runs", "List every run, newest first", listed("runs", state))},
        "/runs/{run}": {"get": operation("showRun", "runs", "Show how a run is going", state, run)},
        "/runs/{run}/logs": {"get": operation("showLog", "runs", "Read the log of a run from a byte on", reference("LogPart"), run, begin)},
        "/runs/{run}/cancel": {"post": operation("cancelRun", "runs", "Ask a run to end", state, run, status=202)},
        "/healthz": {"get": health_of(api, "It asks nothing of runs or pipelines.")},
    }


def parameter(name: str, text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


def listed(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": [name], "properties": {name: {"type": "array", "items": schema}}}
