"""Whether a document is valid OpenAPI, and whether it tells the truth about an answer."""

from collections.abc import Iterator
from typing import Any

METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
SCORE = "/score"


def openapi_faults(document: Any) -> list[str]:
    """What is wrong with an OpenAPI document; empty where nothing is.

    The structure that OpenAPI 3 asks for, every reference, and every schema against the JSON Schema meta-schema.
    """
    if not isinstance(document, dict):
        return ["it is not a JSON object"]
    faults = []
    if not str(document.get("openapi", "")).startswith("3."):
        faults.append(f"openapi is {document.get('openapi')!r}, not 3.x")
    info = document.get("info")
    if not isinstance(info, dict) or not all(isinstance(info.get(name), str) and info[name] for name in ("title", "version")):
        faults.append("info lacks a title or a version")
    paths = document.get("paths")
    if not isinstance(paths, dict) or not paths:
        return [*faults, "it has no paths"]
    faults += [fault for path, item in paths.items() for fault in faults_of_path(path, item)]
    faults += [f"{reference} leads nowhere" for reference in references(document) if resolve(document, reference) is None]
    faults += faults_of_security(document)
    faults += faults_of_ids(document)
    return faults or faults_of_schemas(document)


def faults_of_path(path: str, item: Any) -> Iterator[str]:
    if not path.startswith("/") or not isinstance(item, dict):
        yield f"{path} is not a path"
        return
    for method, operation in item.items():
        if method not in METHODS:
            continue
        place = f"{method} {path}"
        responses = operation.get("responses") if isinstance(operation, dict) else None
        if not isinstance(responses, dict) or not responses:
            yield f"{place} has no responses"
            continue
        for status, response in responses.items():
            if not isinstance(response, dict) or not ("$ref" in response or isinstance(response.get("description"), str)):
                yield f"response {status} of {place} has no description"
        body = operation.get("requestBody")
        if body is not None and not (isinstance(body, dict) and (body.get("content") or "$ref" in body)):
            yield f"the body of {place} has no content"


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in document.get("paths", {}).values():
        if isinstance(item, dict):
            yield from (operation for method, operation in item.items() if method in METHODS and isinstance(operation, dict))


def faults_of_security(document: dict[str, Any]) -> list[str]:
    schemes = document.get("components", {}).get("securitySchemes", {})
    asked = [*document.get("security", []), *(need for operation in operations(document) for need in operation.get("security", []))]
    return sorted({f"the security scheme {name} is not defined" for need in asked for name in need if name not in schemes})


def faults_of_ids(document: dict[str, Any]) -> list[str]:
    ids = [operation["operationId"] for operation in operations(document) if "operationId" in operation]
    return sorted({f"operationId {name} is used twice" for name in ids if ids.count(name) > 1})


def faults_of_schemas(document: dict[str, Any]) -> list[str]:
    """Faults of the schemas, and of examples that contradict their schema."""
    import jsonschema

    faults = []
    for place, schema in schemas(document):
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as error:
            faults.append(f"{place} is not a JSON Schema: {error.message}")
    if faults:
        return faults
    for place, schema, example in examples(document):
        fault = fault_of_value(document, schema, example)
        if fault:
            faults.append(f"the example of {place} contradicts its schema: {fault}")
    return faults


def examples(document: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Where an example stands, the schema it must match, and the example."""
    for place, media in media_types(document):
        yield from ((place, media.get("schema", {}), example) for example in examples_in(media))
    for place, schema in schemas(document):
        if isinstance(schema, dict):
            yield from ((place, schema, example) for example in examples_in(schema))


def examples_in(node: dict[str, Any]) -> list[Any]:
    """The examples of a media type (named) or of a schema (listed)."""
    found = [node["example"]] if "example" in node else []
    several = node.get("examples", [])
    if isinstance(several, dict):
        return found + [example["value"] for example in several.values() if isinstance(example, dict) and "value" in example]
    return found + list(several)


def fault_of_value(document: dict[str, Any], schema: Any, value: Any) -> str:
    """The first way in which a value is not what a schema of the document says; empty where it is."""
    import jsonschema

    # References such as #/components/schemas/Row are of the whole document, so it stands around the schema.
    whole = {**{k: v for k, v in document.items() if k == "components"}, **(schema if isinstance(schema, dict) else {})}
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(whole).iter_errors(value))
    return f"{error.json_path}: {error.message}"[:200] if error else ""


def scoring(document: dict[str, Any]) -> tuple[Any, Any]:
    """Of the scoring operation: its documented example request, and the schema of its answer. None for what is missing."""
    operation = document.get("paths", {}).get(SCORE, {}).get("post", {})
    body = deref(document, operation.get("requestBody", {})).get("content", {}).get("application/json", {})
    given = [*examples_in(body), *examples_in(deref(document, body.get("schema")))]
    answer = deref(document, operation.get("responses", {}).get("200", {})).get("content", {}).get("application/json", {})
    return (given[0] if given else None), answer.get("schema")


def schemas(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((f"schema {name}", schema) for name, schema in document.get("components", {}).get("schemas", {}).items())
    yield from ((place, media["schema"]) for place, media in media_types(document) if "schema" in media)


def media_types(node: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every media type object of the document: what stands under a `content`."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "content" and isinstance(value, dict):
                yield from ((f"{place} ({kind})".strip(), media) for kind, media in value.items() if isinstance(media, dict))
            elif name not in ("example", "examples", "schema", "schemas"):
                yield from media_types(value, f"{place} {name}".strip())


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(value) for name, value in node.items() if name not in ("example", "examples")))
    if isinstance(node, list):
        return set().union(*(references(value) for value in node))
    return set()


def deref(document: dict[str, Any], node: Any) -> dict[str, Any]:
    while isinstance(node, dict) and isinstance(node.get("$ref"), str):
        node = resolve(document, node["$ref"])
    return node if isinstance(node, dict) else {}


def resolve(document: Any, reference: str) -> Any:
    if not reference.startswith("#/"):
        return None
    for part in reference[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(document, dict) or name not in document:
            return None
        document = document[name]
    return document
