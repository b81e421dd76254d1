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
from pushline.release.openapi_faults import fault_of_value, openapi_faults, scoring
from pushline.serving.problems import TITLES
from pushline.settings import Serving
from service_made import Service, get


@pytest.fixture
def document(service: Service) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(get(service.url + "/openapi.json"))
    return content


def test_the_document_is_valid_and_its_example_scores(service: Service, document: dict[str, Any]) -> None:
    assert not openapi_faults(document)
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


def test_the_examples_are_what_the_service_answers(service: Service, document: dict[str, Any], row: dict[str, Any]) -> None:
    score = document["paths"]["/score"]["post"]["responses"]
    example, _ = scoring(document)
    assert service.request(json.dumps(example).encode()).json == score["200"]["content"]["application/json"]["example"]
    host = f"authorization: Bearer {service.key}\r\n".encode()
    met = [
        service.request(b"{}", key=None),
        service.request(b"{}", key="wrong" * 5),
        service.request(b'{"data": ['),
        service.score([{**example["data"][0], "no_such_column": 1}]),
        service.score([row] * 1001),
        service.request(b" " * 2_000_000),
        service.request(b"{}", "content-type: text/plain"),
        service.request(b"{}", "expect: a-pony"),
        service.request(b"", path="/" + "a" * 9_000),
        service.request(b"", "x: " + "a" * 20_000),
        service.request(b"{}", path="/score?explain=many"),
        service.request(b"{}", path="/score?explain=3"),
        service.raw(b"POST /score HTTP/1.1\r\n" + host + b"content-length: 0\r\n\r\n"),
    ]
    shown = {
        one["value"]["type"]: one["value"]
        for status, response in score.items()
        if status != "200"
        for one in response["content"]["application/problem+json"]["examples"].values()
    }
    assert len({answer.json["type"] for answer in met}) == len(met)
    for answer in met:
        assert {**answer.json, "request_id": "order-4711"} == shown[answer.json["type"]]
    assert set(shown) - {answer.json["type"] for answer in met} == {f"urn:pushline:problem:{kind}" for kind in ("timeout", "overloaded")}


def test_linters_of_others_have_nothing_to_say(document: dict[str, Any]) -> None:
    """What the recommended rules of Redocly ask for beyond a valid document."""
    from pushline.pipelines.service.routes import document as of_pipelines

    for one in (document, json.loads(of_pipelines(Serving()))):
        assert set(one["info"]["license"]) == {"name", "identifier"}
        assert all(tag["description"] for tag in one["tags"])
        operations = [operation for item in one["paths"].values() for operation in item.values()]
        assert all("security" in operation and operation["summary"] and operation["operationId"] for operation in operations)
        for operation in operations:
            for status, response in operation["responses"].items():
                for kind, content in response["content"].items():
                    if kind == "application/problem+json":
                        values = [content["example"]] if "example" in content else [each["value"] for each in content["examples"].values()]
                        assert values
                        assert {str(value["status"]) for value in values} == {status}


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
