"""The API document is true: made from the contract, and nothing the service does contradicts it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from command import clean_environment
from pushline.data.contract import load_contract
from pushline.release.openapi import fault_of_value, faults_of, scoring
from pushline.serving.problems import TITLES
from service_made import Service, get


@pytest.fixture
def document(service: Service) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(get(service.url + "/openapi.json"))
    return content


def test_the_document_is_valid_and_its_example_scores(service: Service, document: dict[str, Any]) -> None:
    assert not faults_of(document)
    example, shape = scoring(document)
    answer = service.request(json.dumps(example).encode())
    assert answer.status == 200
    assert not fault_of_value(document, shape, answer.json)


@pytest.mark.example
def test_every_column_of_the_contract_is_described_with_its_bounds(document: dict[str, Any], repo: Path) -> None:
    contract = load_contract(repo / "data_checks" / "contract.yml")
    row = document["components"]["schemas"]["Row"]
    assert set(row["properties"]) == {column.name for column in contract.inputs}
    for column in contract.features():
        schema = row["properties"][column.name]
        assert column.description in schema["description"]
        assert schema.get("enum") == (list(column.allowed) if column.allowed else None)
        assert (schema.get("minimum"), schema.get("maximum")) == (column.minimum, column.maximum)
        assert schema["example"] == column.example
        assert column.name in row["required"]
    assert "duration" not in row["required"]


def test_the_document_asks_for_a_key_where_the_service_does(service: Service, document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            answer = service.request(b"{}", method=method.upper(), path=path, key=None)
            assert (answer.status == 401) == bool(operation.get("security")), path


def test_the_problems_it_can_meet_are_documented(document: dict[str, Any]) -> None:
    responses = document["paths"]["/score"]["post"]["responses"]
    assert {int(status) for status in responses} == {status for status, _ in TITLES.values()} - {404, 405, 500} | {200}
    for response in responses.values():
        jsonschema.Draft202012Validator.check_schema(next(iter(response["content"].values()))["schema"])


@pytest.mark.slow
def test_schemathesis_finds_nothing(service: Service, tmp_path: Path) -> None:
    """Thousands of requests made from the document, right and wrong ones, against the running service."""
    # By default it does not count 413, the answer to more rows than maxItems, as a refusal.
    (tmp_path / "schemathesis.toml").write_text("[checks]\nnegative_data_rejection.expected-statuses = [400, 413, 415, 422]\n")
    arguments = [str(Path(sys.executable).with_name("schemathesis")), "run", service.url + "/openapi.json", "--checks", "all"]
    arguments += ["--max-examples", "40", "--header", f"Authorization: Bearer {service.key}", "--seed", "7", "--no-color"]
    done = subprocess.run(arguments, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "No issues found" in done.stdout, done.stdout[-3000:]
