"""What the evidence job says of the approval, against a stand-in for GitHub: of which run it is, who is asked, and what is refused."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from pushline.errors import NotAccepted
from pushline.github.approval import approval, verdict
from pushline.report.evidence import Evidence, Side

FAKE = Path(__file__).resolve().parent / "fake_gh.py"
REVIEWED: dict[str, Any] = {"production": {"reviewers": [{"type": "User", "id": 11}], "branches": [], "variables": {}, "policy": None}}
UNPROTECTED: dict[str, Any] = {"production": {**REVIEWED["production"], "reviewers": []}}


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the environments of the repository; the job is one of main."""
    script = tmp_path / "gh"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{FAKE}" "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "FAKE_GH": str(tmp_path / "gh.json"), "GITHUB_ACTIONS": "true"}
    for name, value in {**variables, "GITHUB_REPOSITORY": "example/bank", "GITHUB_RUN_ID": "59", "GITHUB_REF": "refs/heads/main"}.items():
        monkeypatch.setenv(name, value)

    def with_environments(environments: dict[str, Any]) -> None:
        state = {"repository": "example/bank", "private": False, "environments": environments, "calls": []}
        (tmp_path / "gh.json").write_text(json.dumps(state), encoding="utf-8")

    return with_environments


def shown(*, accepted: bool = True) -> Evidence:
    return Evidence(
        model_name="shop", version="3", accepted=accepted, reason="worse", metric="", generated_sample=False, target="aci", now=None,
        proposed=Side(), stages=(),
    )  # fmt: skip


@pytest.mark.parametrize("environments", [{}, UNPROTECTED], ids=["not made yet", "without reviewers"])
def test_an_environment_that_asks_nobody_is_said_and_stops_a_release_to_a_cloud(environments: dict[str, Any], job: Any) -> None:
    job(environments)
    asked = approval("", first="", by_hand=False)
    assert "Nobody is asked before this is released" in asked.lead()
    verdict(asked, shown(), target="local", first="")
    verdict(asked, shown(accepted=False), target="aci", first="")  # nothing would be released
    with pytest.raises(NotAccepted, match="nobody would be asked"):
        verdict(asked, shown(), target="aci", first="")


@pytest.mark.parametrize(("environments", "by_hand"), [(REVIEWED, False), (UNPROTECTED, True)], ids=["reviewers", "a run by hand"])
def test_where_somebody_is_asked_the_evidence_names_its_run_alone(environments: dict[str, Any], by_hand: bool, job: Any) -> None:
    job(environments)
    asked = approval("57", first="deploy", by_hand=by_hand)
    assert asked.lead() == "Evidence of [run 57](https://github.com/example/bank/actions/runs/57).\n\n"
    verdict(asked, shown(), target="aci", first="deploy")
    with pytest.raises(NotAccepted, match="was not accepted"):
        verdict(asked, shown(accepted=False), target="local", first="deploy")


def test_the_approver_of_a_rehearsal_reads_that_its_release_ends_with_the_job(job: Any) -> None:
    job(REVIEWED)
    assert "This is a rehearsal" in approval("", first="", by_hand=False, rehearsal=True).lead()


def test_a_later_job_names_the_run_that_trained_not_the_one_it_began_from(job: Any) -> None:
    job(REVIEWED)
    assert approval("57", first="train", by_hand=False).run == "59"


@pytest.mark.parametrize("ref", ["refs/heads/topic", "refs/tags/main", "refs/pull/7/merge", ""])
def test_only_the_default_branch_is_released(ref: str, job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job(REVIEWED)
    monkeypatch.setenv("GITHUB_REF", ref)
    with pytest.raises(NotAccepted, match="Only main is released"):
        approval("", first="", by_hand=False)


def test_outside_jobs_nothing_is_asked_of_github() -> None:
    assert approval("", first="", by_hand=False).lead() == ""
