"""The image's files say what they should, without building anything."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pushline.serving.healthcheck import port_of


def tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def test_the_dockerfile_is_clean(repo: Path) -> None:
    done = subprocess.run([tool("hadolint"), str(repo / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_caddyfile_is_valid(repo: Path, tmp_path: Path) -> None:
    file = str(repo / "src/pushline/azure/Caddyfile")
    env = {**os.environ, "SITE": "localhost", "TLS_ISSUER": "internal", "CADDY_STORAGE": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [tool("caddy"), "validate", "--config", file, "--adapter", "caddyfile"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert subprocess.run([tool("caddy"), "fmt", "--diff", file], env=env, capture_output=True, check=False).returncode == 0


def test_compose_runs_the_service_without_rights(repo: Path) -> None:
    services = yaml.safe_load((repo / "compose.yml").read_text())["services"]
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert "ports" not in services["scoring"]
    port = services["scoring"]["expose"][0]
    assert services["caddy"]["environment"]["UPSTREAM"] == f"scoring:{port}"
    assert f"PUSHLINE_SERVING__PORT={port}" in (repo / "Dockerfile").read_text()


def test_nothing_but_the_needed_gets_into_the_context(repo: Path) -> None:
    rules = [line for line in (repo / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule for rule in rules if rule.startswith("!")} == {"!requirements/serve.txt", "!src", "!model", "!signers", "!build/image"}


@pytest.mark.parametrize(
    ("arguments", "port"),
    [(["pushline", "serve", "--port", "9001"], 9001), (["serve", "--port=9002"], 9002), (["serve"], 8123)],
)
def test_the_health_check_reads_the_port_as_the_service_does(arguments: list[str], port: int) -> None:
    assert port_of(arguments) == port


def test_the_health_check_reads_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHLINE_SERVING__PORT", "9003")
    assert port_of(["serve"]) == 9003


@pytest.mark.slow
def test_a_bill_of_materials_lists_what_the_image_installs(repo: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(repo / "scripts" / "sbom.py"), str(tmp_path / "sbom.json")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    names = {component["name"] for component in json.loads((tmp_path / "sbom.json").read_text())["components"]}
    assert {"onnxruntime", "msgspec", "uvloop", "httptools"} <= names
