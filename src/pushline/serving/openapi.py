"""The API document, made from the contract: descriptions, enumerations, bounds, a working example, keys and error shapes."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from pushline.data.contract import Column
from pushline.data.contract.dates import DATE_EXAMPLES, PATTERNS
from pushline.serving.model_folder import EXPLAINED_AT_MOST
from pushline.serving.problems import ERRORS_AT_MOST, EXAMPLES, SCORING_EXAMPLES, Problem
from pushline.settings import Serving

if TYPE_CHECKING:
    from pushline.serving.scorer import Scorer

JSON = "application/json"
# Licences of data that are SPDX identifiers once blanks are dashes, such as CC BY 4.0.
SPDX = re.compile(r"CC0-1\.0|CC-BY(-NC)?(-SA|-ND)?-[1-4]\.0|PDDL-1\.0|ODbL-1\.0|ODC-By-1\.0|MIT|Apache-2\.0|BSD-[23]-Clause")


class ApiDocument:
    """The document of one service: what all its operations have in common, and the parts they are made of."""

    def __init__(self, headers: Mapping[str, str], problems: Iterable[Problem]) -> None:
        """`headers`: what they say, of every answer; `problems`: a refusal of each kind, as the service gives it."""
        self.described = {"x-request-id": "Names this request in the log.", **headers}
        self.headers = {name: {"$ref": f"#/components/headers/{name}"} for name in self.described}
        self.problems = {problem.kind: problem for problem in problems}

    def content(self, info: dict[str, Any], tags: Mapping[str, str], paths: Any, schemas: Mapping[str, Any], key: str) -> bytes:
        """The OpenAPI 3.1 document as JSON."""
        components = {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": key}},
            "schemas": {**schemas, "Problem": problem_schema(self.problems)},
            "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in self.described.items()},
        }
        document = {
            "openapi": "3.1.0",
            "info": info,
            # Relative: the document works behind any proxy and prefix.
            "servers": [{"url": ".", "description": "this service"}],
            "tags": [{"name": name, "description": text} for name, text in tags.items()],
            "paths": paths,
            "components": components,
        }
        return msgspec.json.encode(document)

    def operation(
        self, name: str, tag: str, summary: str, said: str, content: Any, *kinds: str, key: bool = True, status: int = 200, **more: Any
    ) -> dict[str, Any]:
        """An operation, its answer, and the refusals of these kinds and of those that any request can meet."""
        responses: dict[str, Any] = {str(status): {"description": said, "headers": self.headers, "content": content}}
        common = ("bad-request", "timeout", "address-too-long", "headers-too-large", "unmet-expectation", "overloaded")
        for kind in (*(("no-key", "wrong-key") if key else ()), *kinds, *common):
            self.add_refusal(responses, self.problems[kind])
        security: list[dict[str, list[str]]] = [{"key": []}] if key else []
        return {"operationId": name, "tags": [tag], "summary": summary, "security": security, "responses": responses, **more}

    def add_refusal(self, responses: dict[str, Any], problem: Problem) -> None:
        said: dict[str, Any] = {"schema": reference("Problem"), "examples": {}}
        new = {"description": problem.title + ".", "headers": dict(self.headers), "content": {"application/problem+json": said}}
        response = responses.setdefault(str(problem.status), new)
        example = {"summary": problem.title, "value": msgspec.json.decode(problem.document("order-4711"))}
        response["content"]["application/problem+json"]["examples"][problem.kind] = example
        if problem.status == 401:
            response["headers"]["www-authenticate"] = {"description": "The scheme of the key.", "schema": {"type": "string"}}
        if problem.status == 503:
            response["headers"]["retry-after"] = {"description": "Seconds to wait.", "schema": {"type": "integer"}}


def reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def closed(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": list(properties), "properties": properties, **more}


def problem_schema(kinds: Iterable[str]) -> dict[str, Any]:
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


def health_of(api: ApiDocument, description: str) -> dict[str, Any]:
    answer = said_as({"status": "ok"})
    return api.operation("health", "operation", "Is the process alive", "Yes.", answer, key=False, description=description)


def said_as(example: dict[str, str]) -> dict[str, Any]:
    return {JSON: {"schema": closed({name: {"type": "string"} for name in example}, example=example)}}


def document_of(scorer: "Scorer", version: str, limits: Serving) -> bytes:
    """The document of one model."""
    contract = scorer.contract
    headers = {"x-model-version": "Version of the model in the registry.", "x-release": "The release that answered."}
    info = {
        "title": f"Scoring: {contract.title or contract.name}",
        "version": version,
        "description": f"{contract.description}\n\nThe model predicts `{contract.label.name}`: {contract.label.description}.".strip(),
        "contact": {"name": f"Owners of {contract.name}"},
        "license": licence_of(contract.licence),
    }
    tags = {"scores": "What the model answers.", "operation": "Whether the service is well."}
    schemas = {"Row": row_of(scorer), "Request": request_of(scorer, limits), "Answer": answer_of(scorer)}
    api = ApiDocument(headers, example_problems(scorer, limits))
    return api.content(info, tags, paths_of(api, scorer, limits, version), schemas, "One of the two keys of the endpoint.")


def licence_of(text: str) -> dict[str, str]:
    """The licence of the data, by its SPDX identifier where the text is one but for blanks."""
    if not text:
        return {"name": "Data: not stated", "identifier": "NOASSERTION"}
    name = re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")
    return {"name": f"Data: {text}", "identifier": name if SPDX.fullmatch(name) else f"LicenseRef-{name or 'data'}"}


def paths_of(api: ApiDocument, scorer: "Scorer", limits: Serving, version: str) -> dict[str, Any]:
    score = api.operation(
        *("score", "scores", "Score rows", "An answer for each row, in the order of the rows."),
        {JSON: {"schema": reference("Answer"), **answered(scorer, {"data": [example_row(scorer)]}, version)}},
        *("malformed-json", "body-too-large", "too-many-rows", "unsupported-media-type", "invalid-rows", "invalid-query", "no-explanation"),
        description=(
            f"Up to {limits.max_rows} rows and {limits.max_bytes} bytes a request. Columns the model does not use may be sent and are "
            "ignored; a name that is no column of the contract is refused."
        ),
        parameters=[explain_parameter()] if scorer.explainer else [],
        requestBody={"required": True, "content": {JSON: {"schema": reference("Request")}}},
    )
    ready = api.operation(
        *("readiness", "operation", "Is the model loaded", "Yes."),
        said_as({"status": "ready", "release": "…", "model_version": version}),
        key=False,
        description="A release that is draining says 503: send requests elsewhere.",
    )
    metrics = api.operation(
        *("metrics", "operation", "Counters and histograms for Prometheus", "The exposition format, version 0.0.4."),
        {"text/plain": {"schema": {"type": "string"}}},
        description="Requests, rows, refusals and seconds since this release began, by status.",
    )
    return {
        "/score": {"post": score},
        "/healthz": {"get": health_of(api, "It asks nothing of the model.")},
        "/readyz": {"get": ready},
        "/metrics": {"get": metrics},
    }


def explain_parameter() -> dict[str, Any]:
    text = f"How many features to name that moved each row's score most. Up to {EXPLAINED_AT_MOST} rows a request are explained."
    schema = {"type": "integer", "minimum": 1, "maximum": 9999}
    return {"name": "explain", "in": "query", "required": False, "description": text, "schema": schema, "example": 3}


def answered(scorer: "Scorer", request: Any, version: str) -> dict[str, Any]:
    """What the service answers to the example of a request, as an example; nothing where it would refuse it."""
    try:
        shown = scorer.score(msgspec.json.encode(request))
    except Problem:
        return {}
    return {"example": {**scorer.fields(shown), **scorer.constants, "model_version": version}}


def example_problems(scorer: "Scorer", limits: Serving) -> list[Problem]:
    """A refusal of each kind; where the model has a part in it, the one that it gives."""
    rows: Any = {"data": [{**example_row(scorer), "no_such_column": 1}]}
    found = common_problems(limits)
    for body in (b'{"data": [', msgspec.json.encode(rows), msgspec.json.encode({"data": [{}] * (limits.max_rows + 1)})):
        try:
            scorer.payload.careful(body)
        except Problem as problem:
            found.append(problem)
    return [*found, *map(Problem, SCORING_EXAMPLES)]


def common_problems(limits: Serving) -> list[Problem]:
    """A refusal of each kind that needs no model."""
    return [Problem(kind, detail.format(limits=limits)) for kind, detail in EXAMPLES.items()]


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
    kind = "string" if column.is_text else column.type
    schema: dict[str, Any] = {"type": [kind, "null"] if column.optional else kind}
    if column.is_date:  # its own pattern, for a date-time of RFC 3339 has to have seconds and an offset
        schema |= {"format": "date"} if column.type == "date" else {"pattern": f"^{PATTERNS[column.type]}$"}
    if described:
        schema["description"] = described
    if column.allowed is not None and column.closed:
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
    if column.is_date:
        return DATE_EXAMPLES[column.type]
    if column.is_text:
        return "text"
    middle = [bound for bound in (column.minimum, column.maximum) if bound is not None]
    return int(middle[0]) if middle and column.type == "integer" else (middle[0] if middle else 0)


def example_row(scorer: "Scorer") -> dict[str, Any]:
    """A row with every column the model uses."""
    return {column.name: example_of(column) for column in scorer.payload.columns}


def request_of(scorer: "Scorer", limits: Serving) -> dict[str, Any]:
    rows = {"type": "array", "minItems": 1, "maxItems": limits.max_rows, "items": reference("Row")}
    return closed({"data": rows}, example={"data": [example_row(scorer)]})


def answer_of(scorer: "Scorer") -> dict[str, Any]:
    share = {"type": "number", "minimum": 0, "maximum": 1}
    version = {"type": "string", "description": "Version of the model in the registry."}
    reasons = explanation_fields(scorer) if scorer.explainer else {}
    if scorer.quantity:
        return with_optional(closed({**quantity_fields(scorer), "level": share, "model_version": version}), reasons)
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
    return with_optional(closed({"result": result, **extra, "model_version": version}), reasons)


def with_optional(schema: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "properties": {**schema["properties"], **more}}


def explanation_fields(scorer: "Scorer") -> dict[str, Any]:
    """The members of an answer whose request asks to explain it."""
    number, about = {"type": "number"}, scorer.explainer.about  # type: ignore[union-attr]
    reason = closed({"feature": {"type": "string", "enum": list(about.features)}, "contribution": number})
    unit = {"type": "string", "description": "Of the feature, where the contract has one."}
    error = {**number, "description": "Standard error of a contribution that was sampled."}
    row = {
        "score": {**number, "description": f"Of the answered class, or of the value, as {about.scale}: base + contributions + others."},
        "base": {**number, "description": "The mean score, where nothing is known of a row."},
        "reasons": {"type": "array", "items": with_optional(reason, {"unit": unit, "error": error})},
        "others": {**number, "description": "The contributions of all other features."},
    }
    said = {"method": {"type": "string", "const": about.method}, "scale": {"type": "string", "const": about.scale}}
    return {
        "explanations": {"type": "array", "items": closed(row), "description": "What moved each row's score, the furthest first."},
        "explained": closed(said),
    }


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
