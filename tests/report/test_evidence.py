"""What an approval decides between, and that nothing of another version is passed off as its evidence."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pushline.errors import RegistryError, SettingsError, TargetError
from pushline.project import Project
from pushline.registry.store import ModelVersion
from pushline.release.target import Endpoint, Status
from pushline.report.evidence import EvidenceBundle, evidence_summary, gather
from pushline.report.terminal import lines_of_markdown
from pushline.results import Release
from pushline.settings import PushlineSettings
from report.delivery_made import leave_everything

TAGS = {"accepted": "true", "reason": "good enough", "metric": "average_precision", "score": "0.465500", "data_version": "0d0d0d0d0d0d0d0d"}
BEFORE = Release(id="v2-12e2c3e", model_name="garden-shop", model_version="2", git_revision="12e2c3e", model="/m/2")


class Versions:
    """A registry of three versions, the second the champion."""

    def __init__(self, champion: str | None = "2") -> None:
        self.crowned = champion

    def version(self, version: str) -> ModelVersion:
        if version not in {"1", "2", "3"}:
            raise RegistryError(f"There is no version {version}.")
        return ModelVersion(name="garden-shop", version=version, run_id="r", made_at=datetime(2026, 1, 1, tzinfo=UTC), tags=TAGS)

    def champion(self) -> ModelVersion | None:
        return self.version(self.crowned) if self.crowned else None


class Slots:
    def __init__(self, live: Release | None) -> None:
        self.live = live

    def status(self) -> Status:
        live = Endpoint(release=self.live, url="http://127.0.0.1:8123") if self.live else None
        return Status(target="local", live=live, candidate=None, previous=None)


@pytest.fixture
def built(tmp_path: Path) -> Project:
    leave_everything(tmp_path / "build")
    return Project(tmp_path)


def gathered(project: Project, *, live: Release | None = BEFORE, champion: str | None = "2", version: str | None = None) -> EvidenceBundle:
    store: Any = Versions(champion)
    slots: Any = Slots(live)
    return gather(project, PushlineSettings(), store, lambda: slots, version)


def test_the_evidence_holds_everything_an_approval_needs(built: Project) -> None:
    markdown = evidence_summary(gathered(built))
    for part in ("# garden-shop version 3: accepted for release", "```mermaid", "## What will change", "## Challenger and champion",
                 "| **average precision** | 0.4721 | 0.4218 to 0.5193 |", "More unknown values than tolerated", "## Model card",
                 "Rank customers before a call."):  # fmt: skip
        assert part in markdown, part


def test_what_is_live_stands_beside_what_is_proposed(built: Project) -> None:
    markdown = evidence_summary(gathered(built))
    assert "| model version | `2` | `3` |" in markdown
    assert "| release | `v2-12e2c3e` | made by deploy |" in markdown


def test_without_a_live_release_the_champion_is_what_users_got_last(built: Project) -> None:
    evidence = gathered(built, live=None).evidence
    assert evidence.now is not None
    assert (evidence.now.version, evidence.now.release) == ("2", "")


def test_the_first_release_says_that_nothing_is_live(built: Project) -> None:
    found = gathered(built, live=None, champion=None)
    assert found.evidence.now is None
    assert "this is the first release" in evidence_summary(found)


def test_a_target_that_does_not_answer_is_no_reason_to_show_nothing(built: Project) -> None:
    def gone() -> Any:
        raise TargetError("The target is gone.")

    store: Any = Versions()
    assert gather(built, PushlineSettings(), store, gone).evidence.now is not None


def test_azure_is_never_asked_for_its_state(built: Project) -> None:
    def refuse() -> Any:
        pytest.fail("the evidence job has no identity on Azure")

    store: Any = Versions()
    assert gather(built, PushlineSettings(target="aci"), store, refuse).evidence.target == "aci"


def test_an_older_version_brings_no_figures_of_this_run(built: Project) -> None:
    found = gathered(built, version="1")
    markdown = evidence_summary(found)
    assert found.trained is None
    assert "0.4721" not in markdown
    assert "was not trained in this run" in markdown
    assert "good enough" in markdown


def test_stale_results_are_no_evidence(built: Project) -> None:
    file = built.build / "check-data" / "result.json"
    content = msgspec.json.decode(file.read_bytes())
    file.write_bytes(msgspec.json.encode({**content, "made_at": "2027-01-01T00:00:00Z"}))
    found = gathered(built, version="3")
    assert (found.trained, found.registered) == (None, None)


def test_evidence_without_a_registered_version_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no result of register yet"):
        gathered(Project(tmp_path))


def test_a_version_that_does_not_exist_is_refused(built: Project) -> None:
    with pytest.raises(RegistryError, match="no version 9"):
        gathered(built, version="9")


def test_the_real_command_says_what_is_missing(project: Project, run_pushline: Callable[..., Any]) -> None:
    ended = run_pushline(project, "evidence")
    assert ended.code == 2
    assert "pushline register" in ended.err


def test_in_a_terminal_the_evidence_is_plain_lines_with_what_to_look_at_first(built: Project) -> None:
    lines = lines_of_markdown(evidence_summary(gathered(built)))
    assert lines[0] == "garden-shop version 3: accepted for release"
    assert lines[2].startswith("warning: The data has 1 warning")
    assert any(line.split() == ["model", "version", "2", "3"] for line in lines)
    text = "\n".join(lines)
    assert "challenger, lower end" not in text, "one figure has one interval"
    assert not re.search(r"\\[_*`]|\*\*|```|<br|^\|", text, re.MULTILINE), "no Markdown"
    assert "[!WARNING]" in evidence_summary(gathered(built))
    assert lines_of_markdown(evidence_summary(gathered(built, version="1")))[-1] == "The data of this version was not checked in this run."
