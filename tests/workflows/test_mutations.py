"""The rules would notice: each of these changes of a workflow turns a test of tests/workflows/test_rules.py red."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from working_copy import copy_project

pytestmark = [pytest.mark.workflows, pytest.mark.slow]

STAGE = "      - name: smoke\n        run: pushline smoke\n"
# file, what is changed, into what, the rule that must say no
MUTATIONS = {
    "a stage is left out": ("deliver.yml", STAGE, "", "test_the_stages_stand_in_the_order_of_the_flow"),
    "a stage is misspelt": ("deliver.yml", "run: pushline smoke", "run: pushline smok", "test_a_step_is_one_command_that_exists"),
    "nobody approves": ("deliver.yml", "    environment: production\n", "", "test_what_reaches_users_waits_for_a_person"),
    "an artifact has another name": ("deliver.yml", "name: stage-train\n", "name: stage-training\n", "test_an_artifact_that_is_taken"),
    "a rerun releases an old result": ("deliver.yml", "inputs.from == 'deploy' && inputs.run", "inputs.run", "test_only_the_first_job"),
    "a red job does not count": ("checks.yml", "[plan, lint, test, data, rehearsal]", "[plan, lint, test, rehearsal]", "test_checks_waits"),
}  # fmt: skip


@pytest.fixture(scope="module")
def copy(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(repo, tmp_path_factory.mktemp("mutated"), with_tests=True).root


@pytest.mark.parametrize("what", MUTATIONS)
def test_a_rule_turns_red_where(what: str, copy: Path) -> None:
    name, before, after, rule = MUTATIONS[what]
    file = copy / ".github" / "workflows" / name
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "tests/workflows/test_rules.py"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}  # said to the run around it
    done = subprocess.run([*command, "-k", rule], cwd=copy, env=environment, capture_output=True, text=True, check=False)
    file.write_text(text, encoding="utf-8")
    assert done.returncode == 1, done.stdout
    assert re.search(rf"FAILED \S+::{rule}", done.stdout), done.stdout[-2000:]
