"""The engine's code as a folder, in a repository that has the engine as a package."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from command import run_cli
from pushline import engine
from pushline.azure.image import context_of
from pushline.files import content_hash
from pushline.project import Project
from pushline.results import Release
from pushline.template.answers import Engine, Record
from pushline.template.render import render
from working_copy import git


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("small")
    for path, content in render(Record(engine=Engine(version="0.1.0", sha256="0" * 64))).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Begin"]):
        git(*arguments, cwd=root)
    return Project(root)


def test_steps_get_a_copy_of_the_engine_that_runs_and_git_ignores_it(small: Project) -> None:
    code = engine.code_of(small.root)
    assert content_hash(code / "pushline") == content_hash(engine.PACKAGE)
    (code / "pushline" / "__init__.py").write_text("# of an older engine\n")
    engine.copied.cache_clear()
    assert content_hash(engine.code_of(small.root) / "pushline") == content_hash(engine.PACKAGE)
    status = ["git", "status", "--porcelain"]
    assert subprocess.run(status, cwd=small.root, capture_output=True, check=True).stdout == b""


def test_the_image_of_a_small_repository_holds_the_engines_code(small: Project, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("")
    release = Release(id="v1", model_name="m", model_version="1", model=tmp_path / "model", git_revision="abc")
    with tarfile.open(fileobj=io.BytesIO(context_of(small, release)), mode="r:gz") as packed:
        names = packed.getnames()
    assert {"src/pushline/__init__.py", "Dockerfile", "requirements/serve.txt", "model/MLmodel"} <= set(names)


def test_a_pipeline_that_is_published_keeps_the_engine_of_that_day(small: Project) -> None:
    ended = run_cli(small, "publish", "train")
    assert ended.code == 0, ended.err
    files = small.state / "pipelines" / "versions" / "train" / "1" / "files"
    assert (files / engine.FOLDER / "pushline" / "pipelines").is_dir()
    assert engine.code_in(files) == files / engine.FOLDER
