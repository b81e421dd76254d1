"""A repository that pins a small table, on a stand-in for GitHub."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from command import QUICK
from pushline.files import write_json
from pushline.signing.signers import GITHUB, GithubSigner
from sigstore_made import trusted_root
from small_table import draw, pin
from workflows.github import GitHub, Run
from working_copy import copy_project

SMALL = {**QUICK, "PUSHLINE_TRAINING__LOCAL_BUDGET": "1s", "PUSHLINE_LOAD__SECONDS": "1", "PUSHLINE_LOAD__RATE": "20"}
# What a person fills in, with what GitHub takes where nothing is said.
INPUTS = {
    "deliver.yml": {"reason": "test", "from": "check-data", "run": "", "version": "", "target": "", "budget": "", "registry": "stop"},
    "rollback.yml": {"reason": "test"},
    "score-batch.yml": {"input": "", "version": "", "format": "parquet", "cluster": "false"},
    "publish.yml": {"pipeline": "train"},
    "retrain.yml": {"now": "false"},
    "upgrade.yml": {"to": ""},
}


def as_act_can_run_it(root: Path) -> None:
    """Let the jobs ask for the Python that the tests run on, as the stand-in of setup-python has no other, and says so; and leave out
    the queue of a concurrency group, which act does not know.
    """
    mine = "{}.{}".format(*sys.version_info[:2])
    for name, asked in ((".github/actions/setup/action.yml", r'default: "3\.\d+"'), (".github/workflows/checks.yml", r'python: \["3.*"\]')):
        file = root / name
        text, count = re.subn(asked, lambda found: re.sub(r'"3.*"', f'"{mine}"', found[0]), file.read_text(encoding="utf-8"))
        assert count == 1 or "python:" not in text, f"{name} asks for Python in another way"
        file.write_text(text, encoding="utf-8")
    for file in (root / ".github" / "workflows").glob("*.yml"):
        file.write_text(file.read_text(encoding="utf-8").replace("      queue: max\n", ""), encoding="utf-8")
    for page in (
        root / "docs" / "workflows.md",
        root / "docs" / "costs.md",
    ):  # what they tell of the queue and of the Pythons is no longer so
        if page.is_file():
            page.write_text(re.sub(r"<!-- generated: .*-->\n", "", page.read_text(encoding="utf-8")), encoding="utf-8")


def need_act() -> None:
    """Skip where workflows can't be executed."""
    if not (Path(sys.executable).parent / "act").exists():
        pytest.skip("act is not installed: it comes with requirements/dev.txt")
    if shutil.which("git") is None:
        pytest.skip("git is not on this machine")


class Repository:
    """The project as a repository whose main pins `data`. Of the tests it holds the files named `tests`."""

    def __init__(self, repo: Path, scratch: Path, *, tests: tuple[str, ...] = ()) -> None:
        need_act()
        (scratch / "origin").mkdir()
        project = copy_project(repo, scratch / "origin")
        for name in tests:
            (project.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(repo / name, project.root / name)
        as_act_can_run_it(project.root)
        self.data = draw(repo, scratch / "calls.csv", seed=5)
        pin(project, self.data)
        write_json(project.signers / GITHUB, GithubSigner(repository="example/bank"))
        (project.signers / "trusted_root.jsonl").write_text(f"{json.dumps(trusted_root())}\n", encoding="utf-8")
        self.github = GitHub(project.root, scratch)
        self.github.commit("A small table")
        self.env = {**SMALL, "PUSHLINE_DATA": str(self.data)}

    def push(self, **how: Any) -> Run:
        """main was pushed."""
        return self.github.run("deliver.yml", "push", payload={"ref": "refs/heads/main"}, **self.with_env(how))

    def dispatch(self, workflow: str, inputs: dict[str, Any] | None = None, **how: Any) -> Run:
        """Somebody pressed "Run workflow"."""
        payload = {"inputs": {**INPUTS.get(workflow, {}), **(inputs or {})}, "ref": "refs/heads/main"}
        return self.github.run(workflow, "workflow_dispatch", payload=payload, **self.with_env(how))

    def with_env(self, how: dict[str, Any]) -> dict[str, Any]:
        return {**how, "env": {**self.env, **how.get("env", {})}}

    def result(self, run: Run, artifact: str, stage: str) -> dict[str, Any]:
        """What a stage left, as it travels."""
        file = self.github.store / run.id / artifact / stage / "result.json"
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found
