"""Every order in which two pushes, a retrain and a rollback can meet, by GitHub's rules and what the workflow files ask for."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import release_order as order


def wrong_of(workflows: Path) -> set[str]:
    _, ends = order.explored(order.settings(workflows))
    return set().union(*(end.wrong for end in ends))


@pytest.fixture
def workflows(repo: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(repo / ".github" / "workflows", tmp_path / "workflows"))


@pytest.fixture(scope="module")
def explored(repo: Path) -> Any:
    """How many orders there are, and where each ends."""
    return order.explored(order.settings(repo / ".github" / "workflows"))


def test_nothing_cancels_or_displaces_what_it_must_not_in_any_order(explored: Any) -> None:
    number, ends = explored
    assert number > 10_000
    assert set().union(*(end.wrong for end in ends)) == set()
    assert all(len(end.ended) == len(order.EVENTS) for end in ends)


def test_every_order_ends_in_the_state_that_the_rules_of_the_page_give(explored: Any) -> None:
    for end in explored[1]:
        assert end.releases == order.by_the_table(tuple(event for event, _ in end.ended), end)


def test_the_table_of_the_page_is_the_one_that_the_files_give(repo: Path, workflows: Path) -> None:
    page = (repo / "docs" / "workflows.md").read_text(encoding="utf-8")
    assert all(f"| {' | '.join(row)} |" in page for row in order.rows(order.settings(workflows)))


@pytest.mark.parametrize(
    ("file", "old", "new", "seen"),
    [
        ("deliver.yml", "      queue: max\n", "", "cancels"),
        ("rollback.yml", "      queue: max\n", "", "cancels"),
        ("rollback.yml", "group: release", "group: rollback", "while"),
        ("deliver.yml", "cancel-in-progress: false\n      queue: max", "cancel-in-progress: true", "cancels"),
        ("deliver.yml", "pushline register --again", "pushline register --help", "older push displaces newer push"),
        ("rollback.yml", 'pushline rollback --to "$PREVIOUS"', "pushline rollback", "another release than its approver saw"),
    ],
    ids=["release without a queue", "rollback without a queue", "groups apart", "interrupting", "deciding once", "rolling back blindly"],
)  # fmt: skip
def test_a_workflow_that_asks_for_less_is_seen(workflows: Path, file: str, old: str, new: str, seen: str) -> None:
    text = (workflows / file).read_text(encoding="utf-8")
    assert old in text
    (workflows / file).write_text(text.replace(old, new), encoding="utf-8")
    assert any(seen in each for each in wrong_of(workflows))
