"""The cloud is an extra: without its packages everything local works, and aci says what to install."""

import subprocess
import sys
from pathlib import Path

import pytest

from command import clean_environment
from pushline.project import Project

# What Python runs at its start: every import of a package of Azure fails as if it were not installed.
MISSING = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "azure" or name.startswith(("azure.", "azureml")):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


@pytest.fixture
def without(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "sitecustomize.py").write_text(MISSING)
    return {"PYTHONPATH": str(tmp_path / "start")}


def run(project: Project, *arguments: str, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pushline", *arguments]
    return subprocess.run(command, cwd=project.root, env=clean_environment(env), capture_output=True, text=True, timeout=120, check=False)


def test_the_command_line_imports_no_azure_module() -> None:
    code = "import sys, pushline.cli; print([name for name in sys.modules if name.split('.')[0] in ('azure', 'azureml', 'msal')])"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert seen.stdout.strip() == "[]"


def test_the_local_target_needs_no_azure_package(project: Project, without: dict[str, str]) -> None:
    seen = run(project, "status", env=without)
    assert seen.returncode == 0, seen.stderr
    assert "target: local" in seen.stdout


def test_the_aci_target_says_which_extra_to_install(project: Project, without: dict[str, str]) -> None:
    azure = {"PUSHLINE_TARGET": "aci", "PUSHLINE_AZURE__SUBSCRIPTION": "s", "PUSHLINE_AZURE__RESOURCE_GROUP": "g"}
    seen = run(project, "status", env={**without, **azure, "PUSHLINE_AZURE__WORKSPACE": "w"})
    assert seen.returncode == 2, seen.stderr
    assert "requirements/train.txt" in seen.stderr
    assert "Traceback" not in seen.stderr
