"""Microsoft's official ARM schemas, closed: a property that the schema does not name fails."""

import json
import os
import re
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator
from jsonschema.exceptions import best_match

REPO = Path(__file__).resolve().parents[3]
SAID = os.environ.pop("PUSHLINE_ARM_SCHEMAS", "")  # taken away: what begins so is a setting to the program

# What azure-ai-ml itself sends against the schema of the version it names; each was looked at, none is ours to change.
# The first two are errors of the schema: cores and memory are fractions, as the service's own examples show.
DEPARTURES: dict[str, list[str]] = {
    "containerGroups": [r"resources\.requests\.(cpu|memoryInGB): [\d.]+ is not of type 'integer'"],
    "containerApps": [r"resources\.cpu: [\d.]+ is not of type 'integer'"],
    "workspaces/codes/versions": [r"hash_version: \d+ is not of type 'string'"],
    "workspaces/batchEndpoints": [r"authMode: 'aadToken' is not one of", r"is not one of \['AADToken'"],
    "workspaces/batchEndpoints/deployments": [
        r"loggingLevel: 'info' is not one of",
        r"settings\.\w+: (True|False) is not of type 'string'",
    ],
}


def archive() -> Path | None:
    """The zip of the schemas, where this machine has it."""
    place = Path(SAID) if SAID else REPO.parent / "shared" / "arm_schemas.zip"
    return place if place.is_file() else None


def departs(provider: str, kind: str, name: str, api_version: str, body: Any) -> str:
    """What in the body of a PUT breaks the official schema, or nothing."""
    found = document(provider, api_version)
    if found is None:
        return f"there is no schema of {provider} at {api_version}"
    entry = found["resourceDefinitions"].get(kind.replace("/", "_"))
    if entry is None:
        return f"the schema of {provider} at {api_version} has no {kind}"
    whole = {**body, "name": name, "type": f"{provider}/{kind}", "apiVersion": api_version}
    whole.pop("id", None)
    known = DEPARTURES.get(kind, [])
    for error in Draft4Validator({**entry, "definitions": found["definitions"]}).iter_errors(whole):
        for leaf in leaves(error):
            told = f"{'.'.join(map(str, leaf.absolute_path))}: {leaf.message[:300]}"
            if not any(re.search(pattern, told) for pattern in known):
                return told
    return ""


def leaves(error: Any) -> list[Any]:
    """The error itself, or of alternatives the one that came nearest."""
    if not error.context:
        return [error]
    best = best_match([error])
    return [best] if best is not None else [error]


@cache
def document(provider: str, api_version: str) -> dict[str, Any] | None:
    file = archive()
    if file is None:
        return None
    with zipfile.ZipFile(file) as opened:
        names = {name.lower(): name for name in opened.namelist()}
        member = names.get(f"{api_version}/{provider}.json".lower())
        if member is None:
            return None
        raw = json.loads(opened.read(member))
    definitions = raw.get("definitions", {})
    kinds = {**raw.get("subscription_resourceDefinitions", {}), **raw.get("resourceDefinitions", {})}
    return {
        "definitions": {name: closed(node, definitions) for name, node in definitions.items()},
        "resourceDefinitions": {name: closed(node, definitions) for name, node in kinds.items()},
    }


def closed(node: Any, definitions: dict[str, Any]) -> Any:
    """The node without template expressions, its unions flattened and its objects closed."""
    if isinstance(node, list):
        return [closed(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "allOf" in node and any("oneOf" in part for part in node["allOf"]):
        return union(node, definitions)
    if "oneOf" in node:
        rest = [item for item in node["oneOf"] if "definitions.json#/definitions/expression" not in item.get("$ref", "")]
        if len(rest) == 1:
            return closed(rest[0], definitions)
        return {"anyOf": [closed(item, definitions) for item in rest]}
    made = {
        name: {key: closed(value, definitions) for key, value in inner.items()} if name == "properties" else closed(inner, definitions)
        for name, inner in node.items()
        if name not in ("description", "default", "pattern" if "format" in node else "")
    }
    if made.get("properties") and "additionalProperties" not in made:
        made["additionalProperties"] = False
    return made


def union(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A common part and one of several kinds, told by a constant: one closed object per kind."""
    common: dict[str, Any] = {"properties": {}, "required": []}
    kinds: list[dict[str, Any]] = []
    for part in node["allOf"]:
        if "oneOf" in part:
            kinds = part["oneOf"]
        else:
            merge(common, part, definitions)
    made = []
    for kind in kinds:
        whole: dict[str, Any] = {"properties": dict(common["properties"]), "required": list(common["required"])}
        for part in kind.get("allOf", [kind]):
            merge(whole, part, definitions)
        made.append(
            {
                "type": "object",
                "properties": {name: closed(inner, definitions) for name, inner in whole["properties"].items()},
                "required": sorted(set(whole["required"])),
                "additionalProperties": False,
            }
        )
    return {"anyOf": made}


def merge(into: dict[str, Any], part: dict[str, Any], definitions: dict[str, Any]) -> None:
    if "$ref" in part:
        part = definitions[part["$ref"].rpartition("/")[2]]
    for inner in part.get("allOf", []):
        merge(into, inner, definitions)
    for name, value in part.get("properties", {}).items():
        into["properties"][name] = {"enum": [value["const"]]} if "const" in value else value
    into["required"] += part.get("required", [])
