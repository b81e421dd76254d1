"""checks.yml, executed."""

import pytest

from workflows.github import GitHub, Run

pytestmark = [pytest.mark.workflows, pytest.mark.slow, pytest.mark.timeout(1200)]

# `make test` and `make check` are real; inside the rehearsal of a pull request they look at one file.
ONE_TEST = {"PYTEST_ADDOPTS": "-k test_errors -p no:cacheprovider"}


def pull_request(github: GitHub, base: str, **env: str) -> Run:
    payload = {"pull_request": {"number": 7, "base": {"sha": base}, "head": {"ref": "change"}}}
    return github.run("checks.yml", "pull_request", payload=payload, env={**ONE_TEST, **env})


def test_a_change_of_prose_runs_neither_tests_nor_data_checks_and_passes(github: GitHub) -> None:
    base = github.git("rev-parse", "HEAD")
    (github.origin / "README.md").write_text("Only words.", encoding="utf-8")
    github.commit()
    run = pull_request(github, base)
    assert {name: job.result for name, job in run.jobs.items()} == {"plan": "success", "lint": "success", "checks": "success"}, (
        run.explain()
    )
