"""The page about the service: its commands and clients work as they are printed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from command import clean_environment, path_with_commands
from pushline.project import Project
from pushline.release.local import LocalTarget
from pushline.serving.problems import TITLES
from pushline.settings import load_settings

from .conftest import ReleaseOf, deliver


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def test_the_page_names_every_problem_with_its_status(repo: Path) -> None:
    page = (repo / "docs" / "serving.md").read_text(encoding="utf-8")
    for kind, (status, _) in TITLES.items():
        if kind != "internal":
            assert re.search(rf"^\|[^|]*{status}[^|]*\|[^|]*`{kind}`", page, re.MULTILINE), kind


@pytest.mark.slow
def test_the_commands_and_clients_of_the_page_work(
    repo: Path, project: Project, local: LocalTarget, release: ReleaseOf, free_port: int
) -> None:
    port = {"PUSHLINE_SERVING__PORT": str(free_port)}
    deliver(LocalTarget(project, load_settings(project.root, {**port, "PUSHLINE_SERVING__EXPLAIN": "true"})), release(1))
    page = (repo / "docs" / "serving.md").read_text(encoding="utf-8")
    (project.root / "client.py").write_text("\n".join(blocks(page, "python")))
    (project.root / "client.js").write_text("\n".join(blocks(page, "js")))
    commands, *others = blocks(page, "sh")
    clients = ["python client.py", *(["node client.js"] if shutil.which("node") else [])]
    script = "\n".join([commands, *clients, *others])
    environment = clean_environment(port)
    environment["PATH"] = path_with_commands()
    command = ["bash", "-euo", "pipefail", "-c", script]
    ran = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert len(re.findall(r"\[ ?\d\.\d+, \d\.\d+ ?\]\n", ran.stdout)) == len(clients)
    assert '"probability"' in ran.stdout
    assert '"contribution"' in ran.stdout
