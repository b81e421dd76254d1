import copy
from typing import Any

import pytest

from pushline.release.openapi_faults import openapi_faults, scoring

VALID: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Model", "version": "1"},
    "paths": {
        "/score": {
            "post": {
                "operationId": "score",
                "security": [{"key": []}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Request"}}}},
                "responses": {
                    "200": {"description": "Scores.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}}}
                },
            }
        },
        "/healthz": {"get": {"operationId": "health", "responses": {"200": {"description": "Yes."}}}},
    },
    "components": {
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        "schemas": {
            "Row": {"type": "object", "properties": {"size": {"type": "integer", "minimum": 0}}, "required": ["size"]},
            "Request": {
                "type": "object",
                "properties": {"data": {"type": "array", "items": {"$ref": "#/components/schemas/Row"}}},
                "example": {"data": [{"size": 3}]},
            },
            "Answer": {"type": "object", "required": ["result"]},
        },
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The valid document with one place of it set, or removed where the value is None."""
    document = copy.deepcopy(VALID)
    *parts, last = path.split(" ")
    place = document
    for part in parts:
        place = place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return document


def test_a_valid_document_has_no_fault() -> None:
    assert openapi_faults(VALID) == []


def test_the_example_and_the_shape_of_the_answer_are_found_through_references() -> None:
    example, shape = scoring(VALID)
    assert example == {"data": [{"size": 3}]}
    assert shape == {"$ref": "#/components/schemas/Answer"}


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("openapi", "2.0", "$.openapi: '2.0' does not match"),
        ("info title", None, "$.info: 'title' is a required property"),
        ("paths", {}, "$.paths: {} should be non-empty"),
        ("paths /healthz get responses", {}, "$.paths['/healthz'].get.responses: {} should be non-empty"),
        ("paths /healthz get responses 200", {}, "$.paths['/healthz'].get.responses['200']: {} is not valid"),
        ("paths /score post requestBody", {}, "$.paths['/score'].post.requestBody: {} is not valid"),
        ("paths /healthz get operationId", "score", "operationId score is used twice"),
        ("components securitySchemes", {}, "the security scheme key is not defined"),
        ("components schemas Row", None, "#/components/schemas/Row leads nowhere"),
        ("components schemas Row type", "whole number", "components schemas Row is not a JSON Schema"),
        (
            "components schemas Request example",
            {"data": [{"size": -1}]},
            "the example of components schemas Request contradicts its schema",
        ),
    ],
)
def test_each_fault_is_named(path: str, value: Any, fault: str) -> None:
    assert any(found.startswith(fault) for found in openapi_faults(changed(path, value))), openapi_faults(changed(path, value))


@pytest.mark.parametrize("document", [None, [], "openapi", {}])
def test_what_is_no_document_is_no_valid_one(document: Any) -> None:
    assert openapi_faults(document)
