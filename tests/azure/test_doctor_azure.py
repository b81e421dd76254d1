"""`pushline doctor` with an account: as a person, who sees all of it, and as a job, which sees what it may do itself."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake.loopback import Empty

from conftest import Ended
from github.test_bootstrap import FAKE, FRESH
from pushline.doctor import examination, repository

Doctor = Callable[..., tuple[Ended, dict[str, list[dict[str, Any]]]]]
BOOTSTRAP = ("bootstrap", "azure", "--subject-prefix", "repo:example/bank", "--location", "westeurope", "--apply")


@pytest.fixture
def doctor(in_account: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Run it with a stand-in `gh`; returns how it ended and its lines by name.

    Nothing runs behind this account, so what would ask its registry and its container groups is left out here;
    tests/azure/test_delivery_aci.py has it.
    """
    monkeypatch.setitem(examination.ROOMS, "repository", (repository.contract,))
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "gh"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{FAKE}" "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    (tmp_path / "gh.json").write_text(json.dumps(FRESH), encoding="utf-8")
    has_gh = {"PATH": f"{script.parent}:{os.environ['PATH']}", "FAKE_GH": str(tmp_path / "gh.json"), "GITHUB_REPOSITORY": "example/bank"}

    def run(**variables: str) -> tuple[Ended, dict[str, list[dict[str, Any]]]]:
        ended = in_account("doctor", "--json", **has_gh, **variables)
        lines: dict[str, list[dict[str, Any]]] = {}
        for line in json.loads(ended.out):
            lines.setdefault(line["name"], []).append(line)
        return ended, lines

    return run


def states(lines: list[dict[str, Any]]) -> set[str]:
    return {str(line["state"]) for line in lines}


def as_job(account: Empty, environment: str, project: Path) -> dict[str, str]:
    client = json.loads((project / ".pushline" / "azure.json").read_text())["clients"][environment]
    return {**account.as_job(client), "AZURE_CLIENT_SECRET": "", "GITHUB_ACTIONS": "true"}


def test_a_fresh_account_lacks_everything_and_says_what_makes_it(account: Empty, doctor: Doctor) -> None:
    ended, lines = doctor()
    assert ended.code == 1
    assert states(lines["Azure sign-in"]) == {"works"}
    assert states(lines["Azure account"]) == {"missing"}
    assert any("resource group bank-rg" in line["says"] for line in lines["Azure account"])
    assert {line["do"] for line in lines["Azure account"]} == {"Run `pushline bootstrap azure --apply`."}
    assert not [call for call in account.world.calls if call.method not in ("GET", "POST")]


def test_a_complete_account_works(in_account: Callable[..., Ended], doctor: Doctor) -> None:
    assert in_account(*BOOTSTRAP).code == 0
    _, lines = doctor()
    assert [line["says"] for line in lines["Azure account"]] == ["resources, identities, trust and roles are as they should be"]


def test_a_repository_that_was_renamed_is_noticed_by_its_subjects(in_account: Callable[..., Ended], doctor: Doctor) -> None:
    assert in_account(*[part.replace("example/bank", "example/former") for part in BOOTSTRAP]).code == 0
    _, lines = doctor()
    said = [line["says"] for line in lines["Azure account"]]
    assert len(said) == 2
    assert all("subject: repo:example/former:environment" in each for each in said)


def test_a_sign_in_that_fails_is_a_line_with_what_to_do(doctor: Doctor) -> None:
    ended, lines = doctor(AZURE_CLIENT_SECRET="expired")
    assert ended.code == 1
    assert states(lines["Azure sign-in"]) == {"missing"}
    assert "AZURE_CLIENT_SECRET" in lines["Azure sign-in"][0]["do"]


@pytest.mark.parametrize("environment", ["training", "production"])
def test_a_job_sees_its_own_subject_workspace_and_roles(
    account: Empty, in_account: Callable[..., Ended], doctor: Doctor, project: Any, environment: str
) -> None:
    assert in_account(*BOOTSTRAP).code == 0
    _, lines = doctor(**as_job(account, environment, project.root))
    assert lines["federated subject"][0]["says"] == f"repo:example/bank:environment:{environment}"
    assert states(lines["workspace"]) == {"works"}, lines["workspace"]
    assert states(lines["roles"]) == {"works"}, lines["roles"]
    assert states(lines["GitHub settings"]) == {"not needed"}


def test_a_job_whose_subject_nobody_trusts_is_told_the_one_to_add(
    account: Empty, in_account: Callable[..., Ended], doctor: Doctor, project: Any
) -> None:
    assert in_account(*BOOTSTRAP).code == 0
    account.world.directory.subject = "repo:example/bank:ref:refs/heads/main"
    ended, lines = doctor(**as_job(account, "training", project.root))
    assert ended.code == 1
    assert "subject repo:example/bank:ref:refs/heads/main" in lines["Azure sign-in"][0]["do"]
    assert "::error" in ended.err


def test_a_job_without_one_of_its_roles_names_it(account: Empty, in_account: Callable[..., Ended], doctor: Doctor, project: Any) -> None:
    assert in_account(*BOOTSTRAP).code == 0
    variables = as_job(account, "production", project.root)
    held = account.world.rights[variables["AZURE_CLIENT_ID"]]
    account.world.rights[variables["AZURE_CLIENT_ID"]] = tuple(role for role in held if not role.name.startswith("Key Vault"))
    ended, lines = doctor(**variables)
    assert ended.code == 1
    assert [line["says"].partition(" on ")[0] for line in lines["roles"]] == ["this identity has not Key Vault Secrets Officer"]


def test_the_local_target_needs_nothing_of_a_broken_account(doctor: Doctor) -> None:
    _, lines = doctor(PUSHLINE_TARGET="local")
    assert states(lines["Azure account"]) == {"note"}
