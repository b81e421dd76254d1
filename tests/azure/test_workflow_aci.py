"""deliver.yml on the aci target: the same jobs, executed against the loopback Azure."""

import sys
from pathlib import Path

import pytest
from fake.loopback import RELEASE, TRAINING, Loopback

from conftest import QUICK, project_with
from workflows.github import GitHub, Run
from working_copy import tracked_files

pytestmark = [pytest.mark.slow, pytest.mark.workflows, pytest.mark.timeout(900)]


class Repository:
    """A repository that is connected to the loopback Azure, with the variables that bootstrap sets."""

    def __init__(self, azure: Loopback, repo: Path, scratch: Path, data: Path) -> None:
        import shutil

        project_with(repo, scratch / "origin", data)
        for name in tracked_files(repo):
            if name.startswith("tests/"):
                (scratch / "origin" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(repo / name, scratch / "origin" / name)
        self.github = GitHub(scratch / "origin", scratch)
        self.github.commit("Tests")
        self.azure, self.data = azure, data

    def run(self, event: str, client: str, *, job: str | None = None, **inputs: str) -> Run:
        """One run, its identity being the one that the environment's AZURE_CLIENT_ID names."""
        said = {**self.azure.as_job(client), **QUICK, "PUSHLINE_DATA": str(self.data)}
        names = ("PUSHLINE_TARGET", "PUSHLINE_AZURE__SUBSCRIPTION", "PUSHLINE_AZURE__RESOURCE_GROUP", "PUSHLINE_AZURE__WORKSPACE")
        variables = {name: said.pop(name) for name in (*names, "AZURE_TENANT_ID", "AZURE_CLIENT_ID")}
        payload = {"inputs": {"reason": "test", **inputs}} if event == "workflow_dispatch" else {"ref": "refs/heads/main"}
        return self.github.run("deliver.yml", event, payload=payload, env=said, variables=variables, job=job)


@pytest.fixture(scope="module")
def repository(azure: Loopback, repo: Path, pinned: Path, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    if not (Path(sys.executable).parent / "act").exists():
        pytest.skip("act is not installed: it comes with requirements/dev.txt")
    return Repository(azure, repo, tmp_path_factory.mktemp("workflow"), pinned)


def test_a_push_trains_on_azure_and_the_approved_release_goes_to_aci(repository: Repository, azure: Loopback) -> None:
    before = len(azure.world.calls)
    trained = repository.run("push", TRAINING, job="evidence")  # the release job waits for its approval
    assert trained.code == 0, trained.explain()
    assert trained.ran == ["check-data", "train", "register", "evidence"]
    assert "the registry lives in" in trained.jobs["train"].text
    assert not [call for call in azure.world.calls[before:] if call.method == "PUT" and "containerGroups/" in call.path]
    released = repository.run("workflow_dispatch", RELEASE, **{"from": "deploy", "run": trained.id})
    assert released.code == 0, released.explain()
    order = [name for name, _ in released.jobs["release"].steps if name in ("deploy", "smoke", "load-test", "promote")]
    assert order == ["deploy", "smoke", "load-test", "promote"]
    assert [call for call in azure.world.calls[before:] if call.method == "PUT" and "containerGroups/" in call.path]
    assert azure.world.invalid == []


def test_no_token_stands_in_an_artifact(repository: Repository, azure: Loopback) -> None:
    texts = [file.read_bytes() for file in repository.github.store.rglob("*") if file.is_file()]
    assert texts
    directory = azure.world.directory
    secrets = {*directory.issued, *directory.assertions, directory.runner_token}
    assert len(secrets) > 5
    assert not [secret[:6] for secret in secrets for text in texts if secret.encode() in text]
