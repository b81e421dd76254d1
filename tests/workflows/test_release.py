"""release.yml, executed: a tag of the engine's repository becomes a release with the wheel that a clone makes too."""

import hashlib
import json
from pathlib import Path

import pytest

from pushline.template.wheel import built, pack
from workflows.repository import Repository

pytestmark = [pytest.mark.workflows, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def repository(repo: Path, tmp_path: Path) -> Repository:
    """With the tests that a small repository gets, which are in the wheel."""
    return Repository(
        repo, tmp_path, tests=tuple(file.relative_to(repo).as_posix() for file in (repo / "tests" / "repository").glob("*.py"))
    )


def tagged(repository: Repository, *known: str) -> str:
    """Push the tag; `known` are those that GitHub has. How the release's step ended."""
    github = repository.github
    github.state.write_text(json.dumps({**github.known, "tags": list(known)}), encoding="utf-8")
    run = github.run("release.yml", "push", payload={"ref": "refs/tags/v0.1.0"}, env={**repository.env, "GITHUB_REF_NAME": "v0.1.0"})
    job = run.jobs["wheel"]
    assert job.step("Attest where the wheel comes from") == "success", run.explain()
    return job.step("release")


def test_a_tag_becomes_a_release_with_the_wheel_of_that_commit_attested(repository: Repository, tmp_path: Path) -> None:
    assert tagged(repository, "v0.1.0") == "success"
    (released,) = repository.github.known["releases"]
    (wheel,) = map(Path, released["files"])
    assert released["tag_name"] == "v0.1.0"
    assert wheel.read_bytes() == pack(built(repository.github.origin))
    (attestation,) = (tmp_path / "attestations").glob("*-provenance.json")
    assert json.loads(attestation.read_text())["subjects"] == {wheel.name: hashlib.sha256(wheel.read_bytes()).hexdigest()}


def test_a_tag_that_is_gone_again_makes_no_release(repository: Repository) -> None:
    assert tagged(repository) == "failure"
    assert not repository.github.known.get("releases")
