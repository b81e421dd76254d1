"""The API document of published pipelines."""

from typing import Any

import msgspec

from pushline import __version__
from pushline.pipelines.service.published import Version
from pushline.pipelines.service.runs import LogPart, Run
from pushline.serving.openapi import problem_schema
from pushline.serving.problems import EXAMPLES, TITLES
from pushline.settings import Serving

KEYS = "One of the two keys in .pushline/pipelines-keys.json; the scoring service has others."
# Refusals that only this service has.
KINDS = {
    "invalid-inputs": (422, "The inputs do not match the pipeline"),
    "retired": (409, "The version can't be started"),
}
JSON, PROBLEM = "application/json", "application/problem+json"
# Any request can meet these; how each looks is an example.
REFUSALS = {
    "400": ("Not valid HTTP or JSON.", "bad-request"),
    "401": ("A valid key is required.", "no-key"),
    "408": ("Too slow.", "timeout"),
    "413": ("Too large.", "body-too-large"),
    "414": ("The address is too long.", "address-too-long"),
    "422": ("A value is wrong.", "invalid-inputs"),
    "431": ("Too many headers.", "headers-too-large"),
    "503": ("Busy.", "overloaded"),
}
DETAILS = {
    **EXAMPLES,
    "invalid-inputs": "train has no input 'weather'. Its inputs are budget, seed.",
    "not-found": "There is no run '20261127-080000-000000-abcdef'.",
    "retired": "Version 1 of train is retired.",
    "too-many": "2 runs are going on.",
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
    "health": "It asks nothing of runs or pipelines.",
}
ID = {"type": "string", "pattern": "^[0-9a-z-]+$", "maxLength": 60}


def document() -> bytes:
    """The OpenAPI 3.1 document as JSON."""
    _, components = msgspec.json.schema_components([Version, Run, LogPart], ref_template="#/components/schemas/{name}")
    content = {
        "openapi": "3.1.0",
        "info": {
            "title": "Published pipelines",
            "version": __version__,
            "description": "Start a published pipeline and follow its run. A run goes on when its caller or this service goes away.",
            "contact": {"name": "Owners of this repository"},
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": ".", "description": "this service"}],
        "tags": [
            {"name": "pipelines", "description": "What was published, and starting it."},
            {"name": "runs", "description": "How a run goes, what it said, and ending it."},
            {"name": "operation", "description": "Whether the service is well."},
        ],
        "paths": paths(),
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": KEYS}},
            "schemas": {**components, "Start": start_schema(), "Problem": problem_schema({**TITLES, **KINDS})},
        },
    }
    return msgspec.json.encode(content)


def paths() -> dict[str, Any]:
    name = parameter("name", "of the pipeline", {"type": "string", "pattern": "^[a-z][a-z0-9-]*$", "maxLength": 61})
    number = parameter("version", "its number", {"type": "integer", "minimum": 1, "maximum": 999_999_999})
    run = parameter("run", "id of the run", ID)
    begin = {
        "name": "from",
        "in": "query",
        "description": "byte to begin at",
        "schema": {"type": "integer", "minimum": 0, "maximum": 10**15 - 1},
    }
    body = {"required": False, "content": {JSON: {"schema": reference("Start"), "example": {"inputs": {"budget": "60s"}}}}}
    listed = {"type": "object", "required": ["pipelines"], "properties": {"pipelines": {"type": "array", "items": reference("Version")}}}
    runs = {"type": "object", "required": ["runs"], "properties": {"runs": {"type": "array", "items": reference("Run")}}}
    return {
        "/pipelines": {"get": operation("listPipelines", "pipelines", "List every version", 200, listed)},
        "/pipelines/{name}": {
            "get": operation("describePipeline", "pipelines", "Describe the default version", 200, reference("Version"), name, missing=True)
        },
        "/pipelines/{name}/versions/{version}": {
            "get": operation("describeVersion", "pipelines", "Describe a version", 200, reference("Version"), name, number, missing=True)
        },
        "/pipelines/{name}/runs": {"post": {**starting(name), "requestBody": body}},
        "/runs": {"get": operation("listRuns", "runs", "List every run, newest first", 200, runs)},
        "/runs/{run}": {"get": operation("showRun", "runs", "Show how a run is going", 200, reference("Run"), run, missing=True)},
        "/runs/{run}/logs": {
            "get": {
                **operation("showLog", "runs", "Read the log of a run from a byte on", 200, reference("LogPart"), run, begin, missing=True),
            }
        },
        "/runs/{run}/cancel": {"post": operation("cancelRun", "runs", "Ask a run to end", 202, reference("Run"), run, missing=True)},
        "/healthz": {"get": health()},
    }


def starting(name: dict[str, Any]) -> dict[str, Any]:
    made = operation("startRun", "runs", "Start a run", 202, reference("Run"), name, missing=True)
    made["responses"]["202"]["headers"] = {"location": {"description": "Address of the run.", "schema": {"type": "string"}}}
    for status, said, kind in (
        ("409", "The version is retired.", "retired"),
        ("415", "Not JSON.", "unsupported-media-type"),
        ("422", "An input is wrong.", "invalid-inputs"),
        ("503", "Too many runs.", "too-many"),
    ):
        made["responses"][status] = problem(said, kind)
    return made


def operation(
    name: str, tag: str, summary: str, status: int, schema: dict[str, Any], *given: dict[str, Any], missing: bool = False
) -> dict[str, Any]:
    responses = {str(status): {"description": "Done." if status == 200 else "Accepted.", "content": {JSON: {"schema": schema}}}}
    for code, (said, kind) in REFUSALS.items():
        responses[code] = problem(said, kind)
    if missing:
        responses["404"] = problem("There is nothing of that name.", "not-found")
    named = {"operationId": name, "tags": [tag], "summary": summary, "description": DESCRIPTIONS[name]}
    made: dict[str, Any] = {**named, "security": [{"key": []}], "responses": responses}
    return {**made, "parameters": list(given)} if given else made


def health() -> dict[str, Any]:
    schema = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
    made = operation("health", "operation", "Is the service alive", 200, schema)
    del made["responses"]["401"]
    return {**made, "security": []}


def parameter(name: str, text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


def reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def problem(text: str, kind: str) -> dict[str, Any]:
    """A response with the document of such a refusal as its example."""
    detail = DETAILS[kind].format(limits=Serving())
    kind = "overloaded" if kind == "too-many" else kind
    status, title = (KINDS | TITLES)[kind]
    said = {"type": f"urn:pushline:problem:{kind}", "title": title, "status": status, "detail": detail}
    return {
        "description": text,
        "content": {PROBLEM: {"schema": reference("Problem"), "example": {**said, "request_id": "order-4711"}}},
    }


def start_schema() -> dict[str, Any]:
    value = {"type": ["string", "number", "boolean"]}
    properties = {
        "inputs": {"type": "object", "additionalProperties": value, "description": "Values by the names that the version describes."},
        "version": {"type": ["integer", "null"], "minimum": 1, "description": "A version instead of the default one."},
    }
    return {"type": "object", "additionalProperties": False, "properties": properties}
