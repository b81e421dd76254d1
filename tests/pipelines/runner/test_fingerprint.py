import subprocess
import sys
from pathlib import Path

import pytest

from pushline.pipelines.runner.fingerprint import STARTS, code_reached, packages_hash, training_fingerprint
from pushline.project import Project
from working_copy import copy_project


def test_a_package_of_another_version_is_another_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    seen = {packages_hash()}
    installed = tmp_path / "shoes-1.0.dist-info"
    installed.mkdir()
    seen.add(packages_hash())
    installed.rename(tmp_path / "shoes-1.1.dist-info")
    seen.add(packages_hash())
    assert len(seen) == 3
    assert packages_hash() in seen


@pytest.fixture(scope="module")
def copy(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return copy_project(repo, tmp_path_factory.mktemp("identity"))


def identity(project: Project, **changed: object) -> str:
    inputs = {"data": Path("nowhere"), "contract": project.contract, "data_version": "d1", "seed": 7, "git_revision": "aaaa", **changed}
    return training_fingerprint(project.root, project.pipelines / "train.yml", inputs)


def add_a_line(file: Path) -> None:
    """A copy's code is links, so the file is replaced."""
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content + b"\n# another line\n")


def test_a_commit_that_touches_nothing_of_a_training_keeps_its_identity(copy: Project) -> None:
    before = identity(copy)
    for file in ("README.md", "docs/index.md", "src/pushline/azure/groups.py", "src/pushline/cli/run.py", "src/pushline/serving/app.py"):
        add_a_line(copy.root / file)
    assert identity(copy, git_revision="bbbb") == before


def test_code_contract_pipeline_and_packages_are_part_of_the_identity(copy: Project) -> None:
    seen = [identity(copy)]
    for file in (
        "src/pushline/training/automl/search.py",
        "src/pushline/serving/model_folder.py",
        "data_checks/contract.yml",
        "pipelines/train.yml",
        "requirements/steps.txt",
    ):
        add_a_line(copy.root / file)
        seen.append(identity(copy))
        assert seen[-1] not in seen[:-1], file


def test_settings_and_data_are_part_of_the_identity(copy: Project) -> None:
    assert len({identity(copy), identity(copy, seed=8), identity(copy, data_version="d2")}) == 3


def test_every_module_that_a_training_loads_is_part_of_its_identity_and_most_of_the_service_is_not(repo: Path) -> None:
    reached = set(code_reached(repo / "src"))
    starts = ", ".join(f"pushline.{name}" for name in STARTS)
    code = f"import {starts}, sys; print(*(name for name in sys.modules if name.partition('.')[0] == 'pushline'))"
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=repo / "src", capture_output=True, text=True, check=True)
    assert len(ran.stdout.split()) > 30
    assert set(ran.stdout.split()) <= reached
    search = {f"pushline.training.automl.{file.stem}" for file in (repo / "src" / "pushline" / "training" / "automl").glob("[a-z]*.py")}
    assert search <= reached, "its builders are named in texts"
    shared = {"pushline.serving.explanation", "pushline.serving.model_folder"}  # the files that training writes and the service reads
    assert {name for name in reached if name.startswith("pushline.serving.")} == shared


def test_what_stands_in_a_function_is_imported_where_the_module_is_and_not_where_only_its_package_is(tmp_path: Path) -> None:
    files = {
        "__init__.py": "",
        "pipelines/__init__.py": "def later():\n    import pushline.service\n",
        "pipelines/steps/__init__.py": "",
        "pipelines/steps/automl.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pushline.types\n"
        "def main():\n    from pushline import search\n",
        "search.py": "",
        "service.py": "",
        "types.py": "",
    }
    for name, text in files.items():
        (tmp_path / "pushline" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pushline" / name).write_text(text)
    steps = {"pushline.pipelines", "pushline.pipelines.steps", "pushline.pipelines.steps.automl"}
    assert set(code_reached(tmp_path)) == {"pushline", "pushline.search", *steps}
