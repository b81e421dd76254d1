"""The API document, made from the contract: descriptions, enumerations, bounds, a working example, keys and error shapes."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from pushline.data.contract import Column
from pushline.serving.problems import ERRORS_AT_MOST, EXAMPLES, TITLES, Problem
from pushline.settings import Serving

if TYPE_CHECKING:
    from pushline.serving.scorer import Scorer

PROBLEM = "#/components/schemas/Problem"
JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
# Licences of data that are SPDX identifiers once blanks are dashes, such as CC BY 4.0.
SPDX = re.compile(r"CC0-1\.0|CC-BY(-NC)?(-SA|-ND)?-[1-4]\.0|PDDL-1\.0|ODbL-1\.0|ODC-By-1\.0|MIT|Apache-2\.0|BSD-[23]-Clause")
ID_HEADER = {"description": "Names this request in the log.", "schema": {"type": "string"}}


def document_of(scorer: "Scorer", version: str, limits: Serving) -> bytes:
    """The OpenAPI 3.1 document of one model as JSON."""
    contract = scorer.contract
    title = f"Scoring: {contract.title or contract.name}"
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "description": f"{contract.description}\n\nThe model predicts `{contract.label.name}`: {contract.label.description}.".strip(),
            "contact": {"name": f"Owners of {contract.name}"},
            "license": licence_of(contract.licence),
        },
        # Relative: the document works behind any proxy and prefix.
        "servers": [{"url": ".", "description": "this service"}],
        "tags": [
            {"name": "scores", "description": "What the model answers."},
            {"name": "operation", "description": "Whether the service is well."},
        ],
        "paths": paths_of(scorer, limits, version),
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "One of the two keys of the endpoint."}},
            "schemas": {
                "Row": row_of(scorer),
                "Request": request_of(scorer, limits),
                "Answer": answer_of(scorer),
                "Problem": problem_schema(),
            },
            "headers": {
                "x-request-id": ID_HEADER,
                "x-model-version": {"description": "Version of the model in the registry.", "schema": {"type": "string"}},
                "x-release": {"description": "The release that answered.", "schema": {"type": "string"}},
            },
        },
    }
    return msgspec.json.encode(document)


def licence_of(text: str) -> dict[str, str]:
    """The licence of the data, by its SPDX identifier where the text is one but for blanks."""
    if not text:
        return {"name": "Data: not stated", "identifier": "NOASSERTION"}
    name = re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")
    return {"name": f"Data: {text}", "identifier": name if SPDX.fullmatch(name) else f"LicenseRef-{name or 'data'}"}


def paths_of(scorer: "Scorer", limits: Serving, version: str) -> dict[str, Any]:
    documents = example_problems(scorer, limits)
    request = {"data": [example_row(scorer)]}
    score = {
        "operationId": "score",
        "tags": ["scores"],
        "summary": "Score rows",
        "description": (
            f"Up to {limits.max_rows} rows and {limits.max_bytes} bytes a request. Columns the model does not use may be sent and are "
            "ignored; a name that is no column of the contract is refused."
        ),
        "security": [{"key": []}],
        "requestBody": {"required": True, "content": {JSON: {"schema": {"$ref": "#/components/schemas/Request"}}}},
        "responses": {
            "200": {
                "description": "An answer for each row, in the order of the rows.",
                "headers": headers(),
                "content": {JSON: {"schema": {"$ref": "#/components/schemas/Answer"}, **answered(scorer, request, version)}},
            },
            **refusals(
                *("malformed-json", "no-key", "wrong-key", "timeout", "body-too-large", "too-many-rows", "unsupported-media-type"),
                *("invalid-rows", "overloaded"),
                documents=documents,
            ),
        },
    }
    return {
        "/score": {"post": score},
        "/healthz": {"get": simple("health", "Is the process alive", "It asks nothing of the model.", {"status": "ok"}, documents)},
        "/readyz": {
            "get": simple(
                *("readiness", "Is the model loaded", "A release that is draining says 503: send requests elsewhere."),
                {"status": "ready", "release": "…", "model_version": version},
                documents,
            )
        },
        "/metrics": {
            "get": {
                "operationId": "metrics",
                "tags": ["operation"],
                "summary": "Counters and histograms for Prometheus",
                "description": "Requests, rows, refusals and seconds since this release began, by status.",
                "security": [{"key": []}],
                "responses": {
                    "200": {
                        "description": "The exposition format, version 0.0.4.",
                        "headers": headers(),
                        "content": {"text/plain": {"schema": {"type": "string"}}},
                    },
                    **refusals("no-key", "wrong-key", "timeout", "overloaded", documents=documents),
                },
            }
        },
    }


def simple(name: str, summary: str, description: str, example: dict[str, str], documents: dict[str, Any]) -> dict[str, Any]:
    properties = {key: {"type": "string"} for key in example}
    schema = {"type": "object", "properties": properties, "required": list(example), "additionalProperties": False, "example": example}
    return {
        "operationId": name,
        "tags": ["operation"],
        "summary": summary,
        "description": description,
        "security": [],
        "responses": {
            "200": {"description": "Yes.", "headers": headers(), "content": {JSON: {"schema": schema}}},
            **refusals("timeout", "overloaded", documents=documents),
        },
    }


def headers() -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("x-request-id", "x-model-version", "x-release")}


def answered(scorer: "Scorer", request: Any, version: str) -> dict[str, Any]:
    """What the service answers to the example of a request, as an example; nothing where it would refuse it."""
    try:
        shown = scorer.score(msgspec.json.encode(request))
    except Problem:
        return {}
    return {"example": {**scorer.fields(shown), **scorer.constants, "model_version": version}}


def example_problems(scorer: "Scorer", limits: Serving) -> dict[str, Any]:
    """For each kind the document of a real refusal; where the model has a part in it, the one that it gives."""
    rows: Any = {"data": [{**example_row(scorer), "no_such_column": 1}]}
    found = {kind: Problem(kind, detail.format(limits=limits)) for kind, detail in EXAMPLES.items()}
    for body in (b'{"data": [', msgspec.json.encode(rows), msgspec.json.encode({"data": [{}] * (limits.max_rows + 1)})):
        try:
            scorer.payload.careful(body)
        except Problem as problem:
            found[problem.kind] = problem
    return {kind: msgspec.json.decode(problem.document("order-4711")) for kind, problem in found.items()}


def refusals(*kinds: str, documents: dict[str, Any]) -> dict[str, Any]:
    """The responses of these kinds of problem, and of those that any request can meet."""
    responses: dict[str, Any] = {}
    for kind in (*kinds, "bad-request", "address-too-long", "headers-too-large", "unmet-expectation"):
        status, title = TITLES[kind]
        shown = {"schema": {"$ref": PROBLEM}, "examples": {}}
        response = responses.setdefault(str(status), {"description": title + ".", "headers": headers(), "content": {PROBLEM_JSON: shown}})
        if kind in documents:
            response["content"][PROBLEM_JSON]["examples"][kind] = {"summary": title, "value": documents[kind]}
        if status == 401:
            response["headers"] = {**headers(), "www-authenticate": {"description": "The scheme of the key.", "schema": {"type": "string"}}}
        if status == 503:
            response["headers"] = {**headers(), "retry-after": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return dict(sorted(responses.items()))


def row_of(scorer: "Scorer") -> dict[str, Any]:
    used, required = set(scorer.payload.names), list(scorer.payload.required)
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": {
            column.name: schema_of(column) if column.name in used else unused_schema(column) for column in scorer.contract.inputs
        },
    }


def unused_schema(column: Column) -> dict[str, Any]:
    """A column that is accepted and ignored takes any value."""
    return {"description": f"{column.description}. Not used by the model: accepted and ignored.", "example": example_of(column)}


def schema_of(column: Column) -> dict[str, Any]:
    """The JSON Schema of a feature's value."""
    described = column.description + (f" ({column.unit})" if column.unit else "")
    schema: dict[str, Any] = {"type": [column.type, "null"] if column.optional else column.type}
    if described:
        schema["description"] = described
    if column.allowed is not None:
        schema["enum"] = [*column.allowed, None] if column.optional else list(column.allowed)
    for key, bound in (("minimum", column.minimum), ("maximum", column.maximum)):
        if bound is not None:
            schema[key] = int(bound) if bound == int(bound) else bound
    schema["example"] = example_of(column)
    return schema


def example_of(column: Column) -> Any:
    """A value that the contract accepts."""
    if column.example is not None:
        return column.example
    if column.allowed:
        return column.allowed[0]
    if column.type == "boolean":
        return True
    if column.is_text:
        return "text"
    middle = [bound for bound in (column.minimum, column.maximum) if bound is not None]
    return int(middle[0]) if middle and column.type == "integer" else (middle[0] if middle else 0)


def example_row(scorer: "Scorer") -> dict[str, Any]:
    """A row with every column the model uses."""
    return {column.name: example_of(column) for column in scorer.payload.columns}


def request_of(scorer: "Scorer", limits: Serving) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["data"],
        "properties": {
            "data": {"type": "array", "minItems": 1, "maxItems": limits.max_rows, "items": {"$ref": "#/components/schemas/Row"}}
        },
        "example": {"data": [example_row(scorer)]},
    }


def answer_of(scorer: "Scorer") -> dict[str, Any]:
    share = {"type": "number", "minimum": 0, "maximum": 1}
    version = {"type": "string", "description": "Version of the model in the registry."}
    if scorer.quantity:
        return closed({**quantity_fields(scorer), "level": share, "model_version": version})
    result = {"type": "array", "items": {"type": "string", "enum": list(scorer.classes)}, "description": "The class of each row."}
    if scorer.binary:
        text = f"Probability that {scorer.contract.label.name} is {scorer.scoring.positive}, for each row."
        extra: dict[str, Any] = {
            "probability": {"type": "array", "items": share, "description": text},
            "threshold": {**share, "description": f"From this probability on, a row is {scorer.scoring.positive}."},
        }
    else:
        extra = {
            "probability": {"type": "array", "items": {"type": "array", "items": share}, "description": "For each row, by class."},
            "classes": {"type": "array", "items": {"type": "string"}, "description": "The classes in the order of the probabilities."},
        }
    return closed({"result": result, **extra, "model_version": version})


def quantity_fields(scorer: "Scorer") -> dict[str, Any]:
    """Value, low and high of each row."""
    label = scorer.contract.label
    unit = f" ({label.unit})" if label.unit else ""
    level = f"{scorer.scoring.level:.4g}"
    described = {
        "result": f"The predicted {label.name} of each row{unit}.",
        "low": f"The prediction interval's lower end: a share of {level} of rows like those in training lies between low and high.",
        "high": "The prediction interval's upper end.",
    }
    return {name: {"type": "array", "items": {"type": "number"}, "description": text} for name, text in described.items()}


def closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": list(properties), "properties": properties}


def problem_schema(kinds: Iterable[str] = TITLES) -> dict[str, Any]:
    error = {
        "type": "object",
        "required": ["message"],
        "properties": {
            "row": {"type": "integer", "minimum": 0, "description": "Position in data, from 0."},
            "column": {"type": "string"},
            "message": {"type": "string"},
        },
    }
    return {
        "type": "object",
        "description": "RFC 9457 problem details.",
        "required": ["type", "title", "status", "detail", "request_id"],
        "properties": {
            "type": {"type": "string", "enum": [f"urn:pushline:problem:{kind}" for kind in kinds]},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "request_id": {"type": "string"},
            "errors": {"type": "array", "items": error, "maxItems": ERRORS_AT_MOST, "description": "The first faults of the rows."},
        },
    }
