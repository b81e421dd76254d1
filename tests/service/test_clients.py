"""The API documents satisfy the linters of others, and the clients that others' generators make of them work."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import web
from pushline.pipelines.service.routes import document as document_of_pipelines
from pushline.settings import Serving
from service_made import Service, get

pytestmark = pytest.mark.slow

TYPESCRIPT = """
import createClient from "openapi-fetch";
import type { components, paths } from "./service.js";

const [address, key, content] = (globalThis as any).process.argv.slice(2) as [string, string, string];
const body = JSON.parse(content) as components["schemas"]["Request"];
const stranger = await createClient<paths>({ baseUrl: address }).POST("/score", { body });
const client = createClient<paths>({ baseUrl: address, headers: { authorization: `Bearer ${key}` } });
const { data } = await client.POST("/score", { body });
console.log(JSON.stringify([stranger.response.status, data!.result]));
"""
PYTHON = """
import json, sys
from client import AuthenticatedClient
from client.api.scores import score
from client.models import Request

address, key, content = sys.argv[1:]
with AuthenticatedClient(base_url=address, token=key) as client:
    answer = score.sync(client=client, body=Request.from_dict(json.loads(content)))
print(json.dumps(answer.to_dict()["result"]))
"""


@pytest.fixture(scope="module")
def documents(shared_service: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documents of both services in a folder where the tools of others run."""
    folder = tmp_path_factory.mktemp("clients")
    (folder / "service.json").write_bytes(get(shared_service.url + "/openapi.json"))
    (folder / "pipelines.json").write_bytes(document_of_pipelines(Serving()))
    return folder


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python of its own that holds the generator of Python clients and what these clients import."""
    place = tmp_path_factory.mktemp("generator") / "venv"
    uv = Path(sys.executable).with_name("uv")
    ran(place.parent, uv, "venv", "--quiet", "--python", sys.executable, place)
    lock = web.PLACE / "requirements.txt"
    ran(place.parent, uv, "pip", "install", "--quiet", "--python", place / "bin" / "python", "--require-hashes", "-r", lock)
    return place / "bin" / "python"


@pytest.fixture
def example(documents: Path) -> tuple[str, list[Any]]:
    """The request that the document shows, and the results of its answer."""
    score = json.loads((documents / "service.json").read_bytes())["paths"]["/score"]["post"]
    request = json.loads((documents / "service.json").read_bytes())["components"]["schemas"]["Request"]["example"]
    return json.dumps(request), score["responses"]["200"]["content"]["application/json"]["example"]["result"]


def ran(folder: Path, *command: str | Path) -> str:
    """What a command of others says when it ends well."""
    quiet = {**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"}
    ended = subprocess.run([*map(str, command)], cwd=folder, env=quiet, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize("name", ["service", "pipelines"])
def test_spectral_finds_nothing(documents: Path, name: str) -> None:
    (documents / "rules.yml").write_text('extends: ["spectral:oas"]\n')
    ran(documents, web.installed(".bin/spectral"), "lint", "--fail-severity", "hint", "--ruleset", "rules.yml", f"{name}.json")


@pytest.mark.parametrize("name", ["service", "pipelines"])
def test_redocly_finds_nothing(documents: Path, name: str) -> None:
    said = ran(documents, web.installed(".bin/redocly"), "lint", "--extends", "recommended", "--format", "json", f"{name}.json")
    assert '"errors": 0' in said
    assert '"warnings": 0' in said


def test_a_typescript_client_compiles_and_scores(service: Service, documents: Path, example: tuple[str, list[Any]]) -> None:
    (documents / "node_modules").symlink_to(web.installed("openapi-fetch").parent)
    (documents / "package.json").write_text('{"type": "module"}')
    (documents / "main.ts").write_text(TYPESCRIPT)
    ran(documents, web.installed(".bin/openapi-typescript"), "service.json", "--output", "service.ts")
    strict = ["--strict", "--noUncheckedIndexedAccess", "--skipLibCheck"]
    ran(documents, web.installed(".bin/tsc"), *strict, "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom", "main.ts")
    content, result = example
    assert json.loads(ran(documents, "node", "main.js", service.url, service.key, content)) == [401, result]


def test_a_python_client_scores(service: Service, documents: Path, python: Path, example: tuple[str, list[Any]]) -> None:
    generator = python.with_name("openapi-python-client")
    ran(documents, generator, "generate", "--path", "service.json", "--meta", "none", "--output-path", "client", "--fail-on-warning")
    content, result = example
    (documents / "main.py").write_text(PYTHON)
    assert json.loads(ran(documents, python, "main.py", service.url, service.key, content)) == result
