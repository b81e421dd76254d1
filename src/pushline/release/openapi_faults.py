"""Whether a document is valid OpenAPI, and whether it tells the truth about an answer."""

from collections.abc import Iterator
from typing import Any

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
# The part of OpenAPI's own structure that a client relies on, as a JSON Schema.
FILLED = {"type": "object", "minProperties": 1}
REFERENCE = {"required": ["$ref"]}
OPERATION = {
    "type": "object",
    "required": ["responses"],
    "properties": {
        "responses": {**FILLED, "additionalProperties": {"anyOf": [REFERENCE, {"required": ["description"]}]}},
        "requestBody": {"anyOf": [REFERENCE, {"required": ["content"], "properties": {"content": FILLED}}]},
    },
}
TEXT = {"type": "string", "minLength": 1}
STRUCTURE = {
    "type": "object",
    "required": ["openapi", "info", "paths"],
    "properties": {
        "openapi": {"type": "string", "pattern": r"^3\."},
        "info": {"type": "object", "required": ["title", "version"], "properties": {"title": TEXT, "version": TEXT}},
        "paths": {
            **FILLED,
            "propertyNames": {"pattern": "^/"},
            "additionalProperties": {"type": "object", "properties": dict.fromkeys(METHODS, OPERATION)},
        },
    },
}


def openapi_faults(document: Any) -> list[str]:
    """What is wrong with an OpenAPI document; empty where nothing is.

    Its structure, every reference, security scheme and id, every schema against the JSON Schema meta-schema, and every example
    against its schema.
    """
    import jsonschema

    faults = [said(error) for error in jsonschema.Draft202012Validator(STRUCTURE).iter_errors(document)]
    if faults:
        return faults
    found = list(nodes(document))
    references = {node["$ref"] for _, node in found if isinstance(node.get("$ref"), str)}
    faults = [f"{reference} leads nowhere" for reference in sorted(references) if resolve(document, reference) is None]
    operations = [node for place, node in found if place[:1] == ("paths",) and len(place) == 3 and place[2] in METHODS]
    schemes = document.get("components", {}).get("securitySchemes", {})
    needs = [need for each in (document, *operations) for need in each.get("security", [])]
    faults += sorted({f"the security scheme {name} is not defined" for need in needs for name in need if name not in schemes})
    ids = [operation["operationId"] for operation in operations if "operationId" in operation]
    faults += sorted({f"operationId {name} is used twice" for name in ids if ids.count(name) > 1})
    for place, schema in found:
        if not faults and is_schema(place):
            try:
                jsonschema.Draft202012Validator.check_schema(schema)
            except jsonschema.SchemaError as error:
                faults.append(f"{' '.join(place)} is not a JSON Schema: {error.message}")
    return faults or list(faults_of_examples(document, found))


def faults_of_examples(document: dict[str, Any], found: list[tuple[tuple[str, ...], dict[str, Any]]]) -> Iterator[str]:
    for place, node in found:
        schema = node if is_schema(place) else node.get("schema", {}) if place[-2:-1] == ("content",) else None
        for example in examples_in(node) if schema is not None else ():
            fault = fault_of_value(document, schema, example)
            if fault:
                yield f"the example of {' '.join(place)} contradicts its schema: {fault}"


def nodes(node: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every object of a document but those of examples, and the names that lead to it."""
    if isinstance(node, dict):
        yield place, node
        for name, value in node.items():
            if name not in ("example", "examples"):
                yield from nodes(value, (*place, name))
    elif isinstance(node, list):
        for position, value in enumerate(node):
            yield from nodes(value, (*place, str(position)))


def is_schema(place: tuple[str, ...]) -> bool:
    return place[-1:] == ("schema",) or (place[:2] == ("components", "schemas") and len(place) == 3)


def examples_in(node: dict[str, Any]) -> list[Any]:
    """The examples of a media type (named) or of a schema (listed)."""
    several = node.get("examples", [])
    if isinstance(several, dict):
        several = [example["value"] for example in several.values() if isinstance(example, dict) and "value" in example]
    return [*([node["example"]] if "example" in node else []), *several]


def fault_of_value(document: dict[str, Any], schema: Any, value: Any) -> str:
    """The first way in which a value is not what a schema of the document says; empty where it is."""
    import jsonschema

    # References such as #/components/schemas/Row are of the whole document, so it stands around the schema.
    whole = {**{k: v for k, v in document.items() if k == "components"}, **(schema if isinstance(schema, dict) else {})}
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(whole).iter_errors(value))
    return said(error) if error else ""


def said(error: Any) -> str:
    return f"{error.json_path}: {error.message}"[:200]


def scoring(document: dict[str, Any]) -> tuple[Any, Any]:
    """Of the scoring operation: its documented example request, and the schema of its answer. None for what is missing."""
    operation = document.get("paths", {}).get("/score", {}).get("post", {})
    body = deref(document, operation.get("requestBody", {})).get("content", {}).get("application/json", {})
    given = [*examples_in(body), *examples_in(deref(document, body.get("schema")))]
    answer = deref(document, operation.get("responses", {}).get("200", {})).get("content", {}).get("application/json", {})
    return (given[0] if given else None), answer.get("schema")


def deref(document: dict[str, Any], node: Any) -> dict[str, Any]:
    while isinstance(node, dict) and isinstance(node.get("$ref"), str):
        node = resolve(document, node["$ref"])
    return node if isinstance(node, dict) else {}


def resolve(document: Any, reference: str) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        document = document.get(name) if isinstance(document, dict) else None
    return document
