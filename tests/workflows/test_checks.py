"""checks.yml, executed: what a pull request must pass.

`make check`, `make test` and the rehearsal are real. The repository under test holds one of the test files only: with all of them the tests
would run themselves.
"""

import re
import shutil
import sys
from pathlib import Path

import pytest

from pushline.project import Project
from small_table import draw, pin
from workflows.github import Run
from workflows.repository import Repository

pytestmark = [pytest.mark.workflows, pytest.mark.slow, pytest.mark.timeout(900)]

KEPT = (
    "tests/conftest.py",
    "tests/ask_warm.py",
    "tests/command.py",
    "tests/signed.py",
    "tests/small_table.py",
    "tests/working_copy.py",
    "tests/test_errors.py",
)


class Proposed(Repository):
    """A repository with a pull request."""

    def __init__(self, repo: Path, scratch: Path) -> None:
        super().__init__(repo, scratch, tests=KEPT)
        self.project = Project(self.github.origin)
        cache = scratch / "mypy"
        if (repo / ".mypy_cache").is_dir():  # what was looked at there need not be looked at again
            shutil.copytree(repo / ".mypy_cache", cache)
        self.env["MYPY_CACHE_DIR"] = str(cache)
        self.more_checks = ""  # types and generated docs: one pull request shows that lint runs them

    def pull_request(self, *, budget: str = "1s") -> Run:
        """Commit what was changed on a branch, and run what GitHub runs for its pull request; `budget` of its rehearsal."""
        base = self.github.git("rev-parse", "main")
        self.github.git("checkout", "-q", "-B", "change")
        head = self.github.commit()
        payload = {"pull_request": {"number": 7, "base": {"sha": base, "ref": "main"}, "head": {"ref": "change", "sha": head}}}
        self.env["MAKEFLAGS"] = f"-- SIDE_BY_SIDE=-q MORE_CHECKS={self.more_checks}"  # one file of tests needs no workers
        variables = {"PUSHLINE_REHEARSAL_BUDGET": budget}
        return self.github.run("checks.yml", "pull_request", payload=payload, variables=variables, env=self.env)

    def propose_data(self, file: Path, *, budget: str = "1s") -> Run:
        """A pull request that moves data.lock to `file`."""
        pin(self.project, file)
        self.env["PUSHLINE_DATA"] = str(file)
        return self.pull_request(budget=budget)


@pytest.fixture
def repository(repo: Path, tmp_path: Path) -> Proposed:
    return Proposed(repo, tmp_path)


def test_new_data_goes_through_every_job_and_passes_with_its_drift_in_the_summary(repo: Path, repository: Proposed) -> None:
    (repository.github.scratch / "new").mkdir()
    run = repository.propose_data(draw(repo, repository.github.scratch / "new" / "calls.csv", seed=6))
    assert run.code == 0, run.explain()
    tests = [name for name in run.ran if name.startswith("test on Python ")]
    assert tests == [f"test on Python {sys.version_info[0]}.{sys.version_info[1]}"]
    assert {*run.ran} == {"plan", "lint", *tests, "data", "rehearsal", "checks"}
    assert all(" passed" in run.jobs[name].text for name in tests)
    assert "check-data" in run.jobs["data"].summary
    assert "data diff" in run.jobs["data"].summary
    assert "against the profile of data version" in run.jobs["data"].summary  # the drift of what is new
    assert repository.github.artifacts(run) == ["rehearsal"]


def test_a_broken_value_a_failing_test_and_a_failing_rehearsal_are_red_and_each_is_named(repository: Proposed) -> None:
    """All in one pull request; that each alone is red is held by tests/test_scripts.py."""
    header, row, rest = repository.data.read_text(encoding="utf-8").split("\n", 2)
    broken = repository.github.scratch / "broken" / "calls.csv"
    broken.parent.mkdir()
    broken.write_text(f"{header}\n{re.sub('^[^,]*', '-5', row)}\n{rest}", encoding="utf-8")
    failing = (
        "import pytest\n\n\ndef test_nothing_is_something() -> None:\n    assert [] == [1]\n\n\n"
        'def test_what_is_not_here() -> None:\n    pytest.skip("it is not on this machine")\n'
    )
    (repository.project.root / "tests" / "test_broken.py").write_text(failing, encoding="utf-8")
    run = repository.propose_data(broken, budget="soon")
    assert run.code != 0
    named = sorted(message for level, message, _ in run.jobs["checks"].annotations if level == "error")
    assert named == ["data: failure", "rehearsal: failure", "test: failure"]
    assert "'soon' is not a duration" in run.jobs["rehearsal"].text
    assert "test_nothing_is_something" in "".join(job.text for name, job in run.jobs.items() if name.startswith("test on "))
    tests = [job for name, job in run.jobs.items() if name.startswith("test on ")]
    assert any("1 skipped: 1 × it is not on this machine" in job.text for job in tests)
    ((message, where),) = [(said, of) for level, said, of in run.jobs["data"].annotations if level == "error" and "file" in of]
    assert "calls.csv, line 2" in message
    assert where["file"] == "data_checks/contract.yml"
    contract = (repository.project.root / where["file"]).read_text(encoding="utf-8").splitlines()
    assert f"name: {header.split(',')[0]}" in contract[int(where["line"]) - 1]


def test_a_change_of_prose_runs_neither_tests_nor_data_checks_and_passes(repository: Proposed) -> None:
    (repository.project.root / "README.md").write_text("Only words.", encoding="utf-8")
    repository.more_checks = "check-engine"
    run = repository.pull_request()
    assert {name: job.result for name, job in run.jobs.items()} == {"plan": "success", "lint": "success", "checks": "success"}, (
        run.explain()
    )
