"""`pushline bootstrap github` against a stand-in `gh` that answers like GitHub and records its calls."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from command import Ran
from pushline.project import Project

FAKE = Path(__file__).resolve().parent / "fake_gh.py"
FRESH: dict[str, Any] = {
    "repository": "example/bank",
    "private": False,
    "paid": False,
    "environments": {},
    "variables": {},
    "rulesets": [],
    "permissions": {"default_workflow_permissions": "write", "can_approve_pull_request_reviews": False},
    "calls": [],
}


class Account:
    """A GitHub account that keeps its state between commands."""

    def __init__(self, folder: Path, run: Callable[..., Ran], project: Project) -> None:
        self.file, self.run, self.project = folder / "gh.json", run, project
        (folder / "bin").mkdir()
        script = folder / "bin" / "gh"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{FAKE}" "$@"\n', encoding="utf-8")
        script.chmod(0o755)
        self.path = f"{script.parent}:{os.environ['PATH']}"
        self.set(FRESH)

    def set(self, state: dict[str, Any]) -> None:
        self.file.write_text(json.dumps(state), encoding="utf-8")

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.file.read_text(encoding="utf-8"))
        return state

    def bootstrap(self, *arguments: str, **env: str) -> tuple[Ran, list[dict[str, Any]]]:
        """Run the command; returns how it ended and the calls that would change something."""
        self.set({**self.state, "calls": []})
        base = {"PATH": self.path, "FAKE_GH": str(self.file), "GITHUB_REPOSITORY": "example/bank"}
        ran = self.run(self.project, "bootstrap", "github", *arguments, env={**base, **env})
        return ran, [call for call in self.state["calls"] if call["method"] != "GET"]


CLIENTS = {"training": "client-t", "production": "client-p"}


def connect(account: Account) -> None:
    """What `bootstrap azure` leaves in a checkout."""
    left = {"tenant": "t", "subscription": "s", "resource_group": "g", "workspace": "w", "clients": CLIENTS}
    account.project.state.mkdir()
    (account.project.state / "azure.json").write_text(json.dumps(left), encoding="utf-8")


def reviews_of(account: Account) -> tuple[int, bool]:
    """How many approvals a pull request needs, and whether the owners' is among them."""
    rule = next(rule for rule in account.state["rulesets"][0]["rules"] if rule["type"] == "pull_request")["parameters"]
    return rule["required_approving_review_count"], rule["require_code_owner_review"]


@pytest.fixture
def account(tmp_path: Path, run_pushline: Callable[..., Ran], project: Project) -> Account:
    return Account(tmp_path, run_pushline, project)


def test_without_apply_nothing_changes(account: Account) -> None:
    ran, changes = account.bootstrap("--reviewer", "ann")
    assert ran.code == 0, ran.err
    assert "environment production: only from main, approved by 1 reviewers" in ran.out
    assert changes == []


def test_a_fresh_repository_becomes_as_wanted(account: Account) -> None:
    ran, _ = account.bootstrap("--reviewer", "ann", "--reviewer", "org/team", "--apply")
    assert ran.code == 0, ran.err
    state = account.state
    production = state["environments"]["production"]
    assert production["reviewers"] == [{"type": "User", "id": 11}, {"type": "Team", "id": 99}]
    assert [branch["name"] for branch in production["branches"]] == ["main"]
    assert state["environments"]["training"]["reviewers"] == []
    assert state["permissions"] == {"default_workflow_permissions": "read", "can_approve_pull_request_reviews": True}
    checks = next(rule for rule in state["rulesets"][0]["rules"] if rule["type"] == "required_status_checks")
    assert checks["parameters"]["required_status_checks"][0]["context"] == "checks"
    assert "PUSHLINE_TARGET" not in state["variables"]


def test_a_second_apply_changes_nothing(account: Account) -> None:
    account.bootstrap("--reviewer", "ann", "--apply")
    ran, changes = account.bootstrap("--reviewer", "ann", "--apply")
    assert (ran.code, changes) == (0, [])
    assert "is as it should be" in ran.out


def test_what_lies_on_the_second_page_of_a_list_is_seen(account: Account) -> None:
    others = [{"id": number, "name": f"other-{number}", "source_type": "Repository"} for number in range(1, 41)]
    account.set({**FRESH, "rulesets": others, "variables": {f"OTHER_{number}": "1" for number in range(40)}})
    connect(account)
    account.bootstrap("--reviewer", "ann", "--apply")
    ran, changes = account.bootstrap("--reviewer", "ann", "--apply")
    assert (ran.code, changes) == (0, [])


@pytest.mark.slow
def test_a_half_made_repository_is_completed(account: Account) -> None:
    account.bootstrap("--reviewer", "ann", "--apply")
    state = account.state
    state["environments"]["production"]["branches"] = []
    state["rulesets"][0]["enforcement"] = "disabled"
    account.set(state)
    _, changes = account.bootstrap("--reviewer", "ann", "--apply")
    assert [(call["method"], call["path"].split("bank/")[1]) for call in changes] == [
        ("PUT", "environments/production"),
        ("POST", "environments/production/deployment-branch-policies"),
        ("PUT", "rulesets/1"),
    ]
    assert account.state["rulesets"][0]["enforcement"] == "active"


@pytest.mark.slow
def test_another_reviewer_replaces_the_first(account: Account) -> None:
    account.bootstrap("--reviewer", "ann", "--apply")
    account.bootstrap("--reviewer", "bob", "--apply")
    assert account.state["environments"]["production"]["reviewers"] == [{"type": "User", "id": 12}]


def test_where_a_plan_has_no_reviewers_and_no_rules_the_approval_is_a_run_by_hand_and_the_rest_is_made(account: Account) -> None:
    """A private repository without a paid plan: asking for its rules is refused, and so are reviewers."""
    account.set({**FRESH, "private": True})
    connect(account)
    ran, _ = account.bootstrap("--reviewer", "ann", "--apply")
    assert ran.code == 0, ran.err
    assert "waits for a run of deliver.yml by hand" in ran.err
    assert "left alone: the rules for main" in ran.out
    assert account.state["variables"]["PUSHLINE_APPROVAL"] == "dispatch"
    assert account.state["variables"]["PUSHLINE_TARGET"] == "aci"
    for name, client in CLIENTS.items():
        made = account.state["environments"][name]
        assert (made["variables"], [branch["name"] for branch in made["branches"]]) == ({"AZURE_CLIENT_ID": client}, ["main"])
    again, changes = account.bootstrap("--reviewer", "ann", "--apply")
    assert (again.code, changes) == (0, []), again.err


# docs.github.com: rules for branches "in private repositories with GitHub Pro, GitHub Team and GitHub Enterprise Cloud"; environments of
# private repositories from Pro and Team on, and their required reviewers with Enterprise alone.
PLANS: dict[str, dict[str, Any]] = {
    "public, any plan": {},
    "private, Free": {"private": True, "no_environments": True},
    "private, Pro or Team": {"private": True, "paid": True, "reviewers": False},
    "private, Enterprise": {"private": True, "paid": True},
    "public, one maintainer": {"writers": ["ann"]},
    "an organisation that forbids pull requests of workflows": {"no_pull_requests": True},
}


@pytest.mark.slow
def test_the_page_says_of_each_plan_what_bootstrap_leaves_there_and_a_second_run_finds_it_so(account: Account, repo: Path) -> None:
    page = (repo / "docs" / "workflows.md").read_text(encoding="utf-8")
    rows = []
    for plan, has in PLANS.items():
        account.set({**FRESH, **has})
        ran, _ = account.bootstrap("--reviewer", "ann", "--apply")
        assert ran.code == 0, (plan, ran.err)
        state = account.state
        _, again = account.bootstrap("--reviewer", "ann", "--apply")
        refused = {call["path"] for call in again}
        assert all(state[part] == account.state[part] for part in ("environments", "rulesets", "variables", "permissions"))
        assert not refused or "GitHub refused" in ran.err, (plan, again)
        production = state["environments"].get("production", {})
        by_hand = state["variables"].get("PUSHLINE_APPROVAL") == "dispatch"
        approved = (
            "a reviewer of `production`" if production.get("reviewers") else "a run of `deliver.yml` by hand" if by_hand else "nobody"
        )
        needs = reviews_of(account)[0] if state["rulesets"] else None
        main = {None: "by agreement", 0: "pull requests whose check passed", 1: "reviewed pull requests whose check passed"}[needs]
        proposes = "yes" if state["permissions"]["can_approve_pull_request_reviews"] else "no: they push a branch and say where to open it"
        row = f"| {plan} | {approved} | {'yes' if production else 'no: the local target alone'} | {main} | {proposes} |"
        rows.append(row)
    assert "\n".join(rows) in page, "\n".join(rows)


def test_where_a_plan_has_no_environments_it_says_so_and_makes_the_rest(account: Account) -> None:
    account.set({**FRESH, "private": True, "no_environments": True})
    connect(account)
    ran, _ = account.bootstrap("--reviewer", "ann", "--apply")
    assert ran.code == 0, ran.err
    assert "use the local target" in ran.err
    assert account.state["variables"]["PUSHLINE_APPROVAL"] == "dispatch"


def test_who_is_alone_is_not_locked_out(account: Account) -> None:
    account.set({**FRESH, "writers": ["ann"]})
    account.bootstrap("--reviewer", "ann", "--apply")
    assert reviews_of(account) == (0, False)
    account.set({**account.state, "writers": ["ann", "bob"]})
    account.bootstrap("--reviewer", "ann", "--apply")
    assert reviews_of(account) == (1, True)


def test_the_owners_of_the_code_are_the_reviewers_and_who_is_named_stays(account: Account) -> None:
    file = account.project.root / ".github" / "CODEOWNERS"
    before = file.read_text(encoding="utf-8")
    ran, _ = account.bootstrap("--reviewer", "ann", "--reviewer", "org/team")
    assert "@ann @org/team" in ran.err
    assert file.read_text(encoding="utf-8") == before
    account.bootstrap("--reviewer", "ann", "--reviewer", "org/team", "--apply")
    text = file.read_text(encoding="utf-8")
    assert "/pipelines/ @ann @org/team\n" in text
    assert "your-org" not in text
    account.bootstrap("--reviewer", "bob", "--apply")
    assert file.read_text(encoding="utf-8") == text


def test_a_runner_of_ones_own_becomes_the_variable_that_the_workflows_read(account: Account) -> None:
    account.bootstrap("--reviewer", "ann", "--apply", PUSHLINE_RUNNER="self-hosted")
    assert account.state["variables"] == {"PUSHLINE_RUNNER": "self-hosted"}


def test_azure_makes_the_target_a_variable(account: Account) -> None:
    names = {"PUSHLINE_AZURE__SUBSCRIPTION": "s", "PUSHLINE_AZURE__RESOURCE_GROUP": "g", "PUSHLINE_AZURE__WORKSPACE": "w"}
    account.bootstrap("--reviewer", "ann", "--apply", **names)
    assert account.state["variables"] == {"PUSHLINE_TARGET": "aci", **names}


@pytest.mark.slow
def test_what_bootstrap_azure_has_left_becomes_variables_of_the_environments(account: Account) -> None:
    connect(account)
    ran, _ = account.bootstrap("--reviewer", "ann", "--apply")
    assert ran.code == 0, ran.err
    assert account.state["variables"]["AZURE_TENANT_ID"] == "t"
    assert account.state["variables"]["PUSHLINE_TARGET"] == "aci"
    found = {name: account.state["environments"][name]["variables"]["AZURE_CLIENT_ID"] for name in CLIENTS}
    assert found == CLIENTS
    _, changes = account.bootstrap("--reviewer", "ann", "--apply")
    assert changes == []


def test_nobody_to_approve_is_refused(account: Account) -> None:
    ran, changes = account.bootstrap("--apply")
    assert (ran.code, changes) == (2, [])
    assert "--reviewer" in ran.err


def test_a_missing_gh_is_told(account: Account, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = account.run(account.project, "bootstrap", "github", "--reviewer", "ann", env={"PATH": str(tmp_path / "empty")})
    assert ran.code == 2
    assert "gh is missing" in ran.err


def test_the_workflows_of_the_repository_are_named_as_signers_once(account: Account) -> None:
    file = account.project.signers / "github.json"
    ran, _ = account.bootstrap("--reviewer", "ann")
    assert "does not name the workflows of example/bank" in ran.err
    assert not file.exists()
    account.bootstrap("--reviewer", "ann", "--apply")
    assert json.loads(file.read_text()) == {
        "repository": "example/bank",
        "branch": "main",
        "workflows": ["deliver.yml", "retrain.yml"],
        "attestations": True,
    }
    assert (account.project.signers / "trusted_root.jsonl").is_file()
    ran, _ = account.bootstrap("--reviewer", "ann", "--apply")
    assert "signers" not in ran.err


def test_a_private_repository_without_attestations_says_so_in_a_file_that_is_reviewed(account: Account) -> None:
    account.set({**FRESH, "private": True})
    ran, _ = account.bootstrap("--reviewer", "ann", "--apply")
    assert ran.code == 0, ran.err
    assert json.loads((account.project.signers / "github.json").read_text())["attestations"] is False
