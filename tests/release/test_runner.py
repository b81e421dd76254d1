"""The local target on a runner of one's own: the runner ends what carries its mark when a job is over, and goes on to the next job."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from models_made import release_of
from pushline.github.actions import REHEARSAL, leave
from pushline.progress import silent
from pushline.release.local import LocalTarget
from pushline.results import PromoteResult
from pushline.serving.client import Client
from release.conftest import ReleaseOf, deliver

MARK = "github_of-this-test"


@contextmanager
def job(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A job of the runner. At its end all that carries the mark is killed, as GitHub's runner does (its "orphan processes")."""
    with monkeypatch.context() as inside:
        for name, value in (("GITHUB_ACTIONS", "true"), ("RUNNER_ENVIRONMENT", "self-hosted"), ("RUNNER_TRACKING_ID", MARK)):
            inside.setenv(name, value)
        yield
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("RUNNER_TRACKING_ID") == MARK:
                process.kill()


@pytest.mark.slow
def test_a_release_outlives_its_job_is_replaced_by_the_next_and_comes_back_in_a_third(
    local: LocalTarget, release: ReleaseOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    with job(monkeypatch):
        first = deliver(local, release(1))
    assert Client(first.url).get("/readyz").headers["x-release"] == first.release.id
    with job(monkeypatch):
        second = deliver(local, release(2))
    assert Client(second.url).get("/readyz").headers["x-release"] == second.release.id
    assert second.url == first.url
    with job(monkeypatch):
        local.roll_back(silent)
    assert Client(first.url).get("/readyz").headers["x-release"] == first.release.id


@pytest.mark.parametrize(("runner", "told"), [("github-hosted", True), ("self-hosted", False)])
def test_a_promotion_on_a_runner_of_githubs_says_in_its_summary_that_it_was_a_rehearsal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runner: str, told: bool
) -> None:
    summary = tmp_path / "summary.md"
    for name, value in (("GITHUB_ACTIONS", "true"), ("RUNNER_ENVIRONMENT", runner), ("GITHUB_STEP_SUMMARY", str(summary))):
        monkeypatch.setenv(name, value)
    promoted = PromoteResult(target="local", url="http://127.0.0.1:1", release=release_of(tmp_path, 1), previous=None, assertions=())
    leave(promoted, tmp_path / "none.md")
    assert (summary.is_file() and REHEARSAL in summary.read_text(encoding="utf-8")) == told


def test_the_jobs_that_reach_users_run_where_the_variable_says_and_leave_there_what_lives(repo: Path) -> None:
    import yaml

    for file, name in (("deliver", "release"), ("rollback", "rollback"), ("watch", "watch"), ("publish", "publish")):
        body = yaml.safe_load((repo / ".github" / "workflows" / f"{file}.yml").read_text(encoding="utf-8"))["jobs"][name]
        assert body["runs-on"] == "${{ vars.PUSHLINE_RUNNER || 'ubuntu-24.04' }}"
        assert body["steps"][0]["with"]["clean"] == "${{ runner.environment == 'github-hosted' }}"


def test_no_job_that_a_pull_request_starts_runs_on_a_runner_of_ones_own(repo: Path) -> None:
    text = (repo / ".github" / "workflows" / "checks.yml").read_text(encoding="utf-8")
    assert "PUSHLINE_RUNNER" not in text
