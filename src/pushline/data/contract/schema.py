"""The JSON Schema of `data_checks/contract.yml`, for editors."""

from typing import Any

import msgspec

from pushline.data.contract.contract import Contract

FILE = "contract.schema.json"


def contract_schema() -> dict[str, Any]:
    """The schema of the typed model, with its definitions."""
    (reference,), definitions = msgspec.json.schema_components([Contract], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Pushline contract",
        **reference,
        "$defs": definitions,
    }


def schema_file() -> bytes:
    """The schema as it lies beside the contract: for editors, so in one line."""
    return msgspec.json.encode(contract_schema(), order="deterministic") + b"\n"
