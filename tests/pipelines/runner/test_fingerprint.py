import ast
from pathlib import Path

import pytest

from pushline.pipelines.runner.fingerprint import BESIDE_TRAINING, packages_hash, training_fingerprint
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


STEPS = ("prepare", "automl", "evaluate")


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


@pytest.mark.parametrize("file", ["README.md", "docs/index.md", "src/pushline/azure/groups.py", "src/pushline/cli/run.py"])
def test_a_commit_that_touches_nothing_of_a_training_keeps_its_identity(copy: Project, file: str) -> None:
    before = identity(copy)
    add_a_line(copy.root / file)
    assert identity(copy, git_revision="bbbb") == before


@pytest.mark.parametrize(
    "file", ["src/pushline/training/automl/search.py", "data_checks/contract.yml", "pipelines/train.yml", "requirements/steps.txt"]
)
def test_code_contract_pipeline_and_packages_are_part_of_the_identity(copy: Project, file: str) -> None:
    before = identity(copy)
    add_a_line(copy.root / file)
    assert identity(copy) != before


@pytest.mark.parametrize("changed", [{"seed": 8}, {"data_version": "d2"}])
def test_settings_and_data_are_part_of_the_identity(copy: Project, changed: dict[str, object]) -> None:
    assert identity(copy, **changed) != identity(copy)


def test_what_the_identity_leaves_out_is_imported_by_no_step_of_a_training(repo: Path) -> None:
    reached: set[str] = set()
    waiting = [f"pushline.pipelines.steps.{name}" for name in STEPS]
    while waiting:
        name = waiting.pop()
        place = repo / "src" / Path(*name.split("."))
        file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if name in reached or not name.startswith("pushline") or not file.is_file():
            continue
        reached.add(name)
        waiting += imported(ast.parse(file.read_text(encoding="utf-8")))
    assert len(reached) > 30
    assert {name.split(".")[1] for name in reached if "." in name} & BESIDE_TRAINING == set()


def imported(tree: ast.Module) -> list[str]:
    """The modules that a file imports anywhere; what it imports for its types alone does not run."""
    for_types = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    left_out = {id(inner) for node in for_types for inner in ast.walk(node)}
    found: list[str] = []
    for node in ast.walk(tree):
        if id(node) in left_out:
            continue
        if isinstance(node, ast.Import):
            found += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
    return found
