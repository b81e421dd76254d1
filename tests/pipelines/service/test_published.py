"""Versions of a pipeline on disk."""

import shutil
from pathlib import Path

import pytest

from pushline.errors import SettingsError, TargetError
from pushline.pipelines.service.published import PublishedPipelines
from pushline.project import Project


@pytest.fixture
def published(project: Project) -> PublishedPipelines:
    pipelines = PublishedPipelines(project)
    pipelines.publish("train")
    return pipelines


def changed(project: Project) -> None:
    file = project.root / "data_checks" / "contract.yml"
    file.write_text(file.read_text() + "# changed\n")


def test_a_version_holds_the_pipeline_its_code_and_the_lock_and_can_not_be_written(published: PublishedPipelines) -> None:
    version = published.version("train")
    files = published.files(version)
    for name in ("pipelines/train.yml", "pipelines/components/automl.yml", "src/pushline/cli/__init__.py", "requirements/steps.txt",
                 "data_checks/contract.yml", "data_checks/rules.py", "pyproject.toml", "data.lock"):  # fmt: skip
        assert (files / name).is_file()
        assert (files / name).stat().st_mode & 0o222 == 0
    assert not list(files.rglob("__pycache__"))
    assert {one.name for one in version.inputs} >= {"budget", "holdout", "metric", "seed"}
    assert not {one.name for one in version.inputs} & {"git_revision", "data_version", "contract"}


@pytest.mark.slow
def test_publishing_the_same_again_makes_no_new_version(published: PublishedPipelines) -> None:
    version, made = published.publish("train")
    assert (version.version, made) == (1, False)
    changed(published.project)
    version, made = published.publish("train")
    assert (version.version, made, version.default) == (2, True, True)


@pytest.mark.slow
def test_the_default_goes_back_and_a_retired_version_stays_known(published: PublishedPipelines) -> None:
    changed(published.project)
    published.publish("train")
    with pytest.raises(SettingsError, match="is the default"):
        published.retire("train", 2)
    assert published.make_default("train", 1).default
    assert published.retire("train", 2).status == "retired"
    with pytest.raises(SettingsError, match="is retired"):
        published.make_default("train", 2)
    assert [(one.version, one.status, one.default) for one in published.versions("train")] == [(2, "retired", False), (1, "active", True)]


def test_a_version_that_was_changed_is_not_started(published: PublishedPipelines) -> None:
    file = published.files(published.version("train")) / "data.lock"
    file.chmod(0o644)
    file.write_text("")
    with pytest.raises(TargetError, match="not what was published"):
        published.files(published.version("train"))


@pytest.mark.parametrize("name", ["absent", "../train", ""])
def test_what_is_no_pipeline_can_not_be_published(name: str, project: Project) -> None:
    with pytest.raises(SettingsError):
        PublishedPipelines(project).publish(name)


def test_code_outside_of_the_checkout_can_not_be_published(project: Project, telling: Path) -> None:
    shutil.copy(telling, project.pipelines / "telling.yml")
    (project.pipelines / "components" / "tell.yml").symlink_to(telling.parent / "components" / "tell.yml")
    with pytest.raises(SettingsError, match="outside"):
        PublishedPipelines(project).publish("telling")
