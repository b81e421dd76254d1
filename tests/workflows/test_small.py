"""The workflows of a small repository, executed with the engine out of its wheel: what a pull request must pass, and a delivery."""

from pathlib import Path

import pytest

from adopt.tables import sixty_rows
from command import run_cli
from pushline.project import Project
from workflows.github import GitHub
from workflows.repository import SMALL, Repository, as_act_can_run_it, need_act

pytestmark = [pytest.mark.workflows, pytest.mark.slow, pytest.mark.timeout(1200)]


class Small(Repository):
    """A table of sixty rows in a repository of its own."""

    def __init__(self, engine: Project, scratch: Path) -> None:
        need_act()
        table, origin = sixty_rows(scratch), scratch / "origin"
        made = run_cli(engine, "new", str(origin), "--table", str(table.file), "--label", table.label, *table.options, "--in-git")
        assert made.code == 0, made.err
        as_act_can_run_it(origin)
        self.github = GitHub(origin, scratch)
        self.github.commit("Begin")
        self.github.git("branch", "-q", "-M", "main")
        self.env = SMALL


def test_a_pull_request_and_a_delivery_of_a_small_repository_pass(project: Project, tmp_path: Path) -> None:
    repository = Small(project, tmp_path)
    base = repository.github.git("rev-parse", "main")
    repository.github.git("checkout", "-q", "-b", "change")
    contract = repository.github.origin / "data_checks" / "contract.yml"
    contract.write_text(contract.read_text(encoding="utf-8") + "# A word more.\n", encoding="utf-8")
    head = repository.github.commit()
    payload = {"pull_request": {"number": 7, "base": {"sha": base, "ref": "main"}, "head": {"ref": "change", "sha": head}}}
    budget = {"PUSHLINE_REHEARSAL_BUDGET": "1s"}
    checked = repository.github.run("checks.yml", "pull_request", payload=payload, variables=budget, env=repository.env)
    assert checked.code == 0, checked.explain()
    assert checked.ran == ["checks"]
    assert " passed" in checked.jobs["checks"].text  # its own tests, with no other engine than its wheel
    repository.github.git("checkout", "-q", "main")
    repository.github.git("merge", "-q", "change")
    delivered = repository.push()
    assert delivered.code == 0, delivered.explain()
    assert delivered.ran[-1] == "release"
    assert ("promote", "success") in delivered.jobs["release"].steps
