"""A broken contract is annotated on the line that is wrong, through the real command as a job runs it."""

import re
from collections.abc import Callable

import pytest

from command import Ran
from pushline.project import Project

JOB = {"GITHUB_ACTIONS": "true"}


def annotated(project: Project, run: Callable[..., Ran]) -> tuple[str, int]:
    """File and line of the one error annotation that `check-data` leaves."""
    ran = run(project, "check-data", "pyproject.toml", env=JOB)
    assert ran.code == 2, ran.err
    ((file, line),) = re.findall(r"^::error file=([^,]+),line=(\d+),title=pushline::", ran.err, re.MULTILINE)
    return file, int(line)


@pytest.mark.parametrize(
    ("pattern", "broken"),
    [
        (r"^( +)type: integer", r"\1type: numeric"),  # a value that is not accepted there
        (r"^( +)type: integer", r"\1typo: integer"),  # a key that is none
        (r"^( +)role: label", r"\1role: [label"),  # no YAML any more
    ],
    ids=["a value", "a key", "no YAML"],
)
def test_the_annotation_stands_where_the_contract_is_wrong(
    pattern: str, broken: str, project: Project, run_pushline: Callable[..., Ran]
) -> None:
    text, count = re.subn(pattern, broken, project.contract.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE)
    assert count == 1
    project.contract.write_text(text, encoding="utf-8")
    before = project.contract.read_text(encoding="utf-8").splitlines()
    wrong = next(number for number, line in enumerate(before, 1) if re.search(r"numeric|typo|\[label", line))
    file, line = annotated(project, run_pushline)
    assert file == "data_checks/contract.yml"
    # Of a key that is missing or unknown, the entry's beginning is named; of YAML, where its reader stumbled.
    assert 0 <= abs(line - wrong) <= 3


def test_a_column_that_appears_twice_is_named_where_it_stands(project: Project, run_pushline: Callable[..., Ran]) -> None:
    text = project.contract.read_text(encoding="utf-8")
    first, second = re.findall(r"^ *- name: (\S+)", text, re.MULTILINE)[:2]
    project.contract.write_text(text.replace(f"name: {second}\n", f"name: {first}\n", 1), encoding="utf-8")
    file, line = annotated(project, run_pushline)
    assert f"name: {first}" in project.contract.read_text(encoding="utf-8").splitlines()[line - 1]
    assert file == "data_checks/contract.yml"
