"""`POST /score?explain=K` over HTTP: reasons where they were asked for and are to be had, and a refusal that says why elsewhere."""

import hashlib
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pushline.errors import ModelUnreadable
from pushline.files import write_json
from pushline.release.openapi_faults import fault_of_value, openapi_faults, scoring
from pushline.serving.client import Client
from pushline.serving.scorer import Scorer
from service_made import Service, get, service_of
from signed import signed

EXPLAINING = {"PUSHLINE_SERVING__EXPLAIN": "true"}


@pytest.fixture(scope="module")
def explaining(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_of(model, tmp_path_factory.mktemp("explaining"), env=EXPLAINING) as service:
        yield service


def test_an_answer_names_what_moved_it_most_and_adds_up(explaining: Service, row: dict[str, Any]) -> None:
    plain = explaining.score([row, row]).json
    answer = Client(explaining.url).score([row, row], explaining.key, explain=3)
    assert answer.status == 200
    assert {name: answer.content[name] for name in plain} == plain
    assert answer.content["explained"] == {"method": "TreeSHAP", "scale": "log-odds"}
    for probability, found in zip(plain["probability"], answer.content["explanations"], strict=True):
        sizes = [abs(reason["contribution"]) for reason in found["reasons"]]
        assert len(sizes) == 3
        assert sizes == sorted(sizes, reverse=True)
        score = found["base"] + sum(reason["contribution"] for reason in found["reasons"]) + found["others"]
        assert score == pytest.approx(found["score"], abs=1e-9)
        assert 1 / (1 + math.exp(-score)) == pytest.approx(probability, abs=1e-5)


def test_units_are_those_of_the_contract(explaining: Service, row: dict[str, Any], model: Path) -> None:
    units = {column["name"]: column.get("unit", "") for column in json.loads((model / "contract.json").read_text())["columns"]}
    [found] = Client(explaining.url).score([row], explaining.key, explain=99).content["explanations"]
    assert {reason["feature"]: reason.get("unit", "") for reason in found["reasons"]}.items() <= units.items()
    assert found["others"] == pytest.approx(0, abs=1e-12)


def test_the_api_document_says_how_and_holds(explaining: Service, row: dict[str, Any]) -> None:
    document = json.loads(get(explaining.url + "/openapi.json"))
    assert not openapi_faults(document)
    [parameter] = document["paths"]["/score"]["post"]["parameters"]
    assert (parameter["name"], parameter["required"]) == ("explain", False)
    _, shape = scoring(document)
    for path in ("/score", "/score?explain=2"):
        assert not fault_of_value(document, shape, explaining.request(json.dumps({"data": [row]}).encode(), path=path).json)


@pytest.mark.parametrize("asked", ["0", "-1", "many", "", "3&explain=4", "99999", "%D9%A3", "%C2%B2"])
def test_a_number_of_features_that_is_none_is_refused(explaining: Service, row: dict[str, Any], asked: str) -> None:
    answer = explaining.request(json.dumps({"data": [row]}).encode(), path=f"/score?explain={asked}")
    assert (answer.status, answer.json["type"]) == (400, "urn:pushline:problem:invalid-query")


def test_a_service_that_was_not_told_to_explain_says_how_it_would_be(service: Service, row: dict[str, Any]) -> None:
    answer = service.request(json.dumps({"data": [row]}).encode(), path="/score?explain=3")
    assert (answer.status, answer.json["type"]) == (409, "urn:pushline:problem:no-explanation")
    assert "explain = true" in answer.json["detail"]
    assert service.request(json.dumps({"data": [row]}).encode(), path="/score?else=3").status == 200
    assert not json.loads(get(service.url + "/openapi.json"))["paths"]["/score"]["post"].get("parameters")


def test_a_model_of_before_scores_and_says_that_it_has_to_be_trained_again(model: Path, tmp_path: Path, row: dict[str, Any]) -> None:
    older = tmp_path / "older"
    shutil.copytree(model, older)
    (older / "explanation.npz").unlink()
    content = json.loads((older / "scoring.json").read_text())
    del content["sha256"]["explanation.npz"]
    write_json(older / "scoring.json", content)
    with service_of(signed(older), tmp_path / "service", env=EXPLAINING) as service:
        assert service.score([row]).status == 200
        answer = service.request(json.dumps({"data": [row]}).encode(), path="/score?explain=3")
        assert (answer.status, answer.json["type"]) == (409, "urn:pushline:problem:no-explanation")
        assert "trained again" in answer.json["detail"]


def test_an_explanation_that_does_not_add_up_never_becomes_ready(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(model, other)
    arrays = dict(np.load(other / "explanation.npz"))
    about = json.loads(arrays["about"].tobytes())
    arrays["about"] = np.frombuffer(json.dumps({**about, "base": [about["base"][0] + 0.01]}).encode(), dtype=np.uint8)
    np.savez(other / "explanation.npz", **arrays)
    content = json.loads((other / "scoring.json").read_text())
    content["sha256"]["explanation.npz"] = hashlib.sha256((other / "explanation.npz").read_bytes()).hexdigest()
    write_json(other / "scoring.json", content)
    Scorer(other, max_rows=1)
    with pytest.raises(ModelUnreadable, match="does not add up"):
        Scorer(other, max_rows=1, explain=True)


@pytest.mark.slow
def test_what_explains_is_loaded_only_where_it_is_wanted(model: Path) -> None:
    asks = (
        "import sys; from pathlib import Path; from pushline.serving.scorer import Scorer; "
        f"Scorer(Path({str(model)!r}), max_rows=1, explain=bool(int(sys.argv[1]))); print('pushline.serving.explanation' in sys.modules)"
    )
    for wanted, loaded in (("0", "False"), ("1", "True")):
        said = subprocess.run([sys.executable, "-c", asks, wanted], capture_output=True, text=True, check=True)
        assert said.stdout.strip() == loaded
