"""`pushline adopt` as a person meets it: what it shows, what it writes, what it leaves alone."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from adopt.tables import Table, orders
from command import Ran, run_cli
from pushline.data.contract import load_contract
from pushline.data.fetch import fetch
from pushline.data.rules import load_rules
from pushline.project import Project
from test_architecture import ALSO_WORDS
from working_copy import copy_project, tracked_files

pytestmark = pytest.mark.slow

GIT = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.invalid"]


def adopt(project: Project, table: Table, *options: str) -> Ran:
    return run_cli(project, "adopt", str(table.file), "--label", table.label, *table.options, *options)


def commit(project: Project) -> None:
    subprocess.run([*GIT, "add", "-A"], cwd=project.root, check=True)
    subprocess.run([*GIT, "commit", "-q", "-m", "More"], cwd=project.root, check=True)


def changed(project: Project) -> list[str]:
    """Files that differ from the last commit."""
    return subprocess.run(
        ["git", "status", "--porcelain"], cwd=project.root, capture_output=True, text=True, check=True
    ).stdout.splitlines()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return orders(tmp_path_factory.mktemp("orders"))


@pytest.fixture(scope="module")
def adopted(repo: Path, table: Table, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the whole repository, tests included, in which the orders were adopted. Tests that change it copy it first."""
    project = copy_project(repo, tmp_path_factory.mktemp("adopted"), with_tests=True)
    ended = adopt(project, table, "--apply")
    assert ended.code == 0, ended.err
    commit(project)
    return project


@pytest.fixture
def copied(adopted: Project, tmp_path: Path) -> Project:
    subprocess.run(["git", "clone", "-q", str(adopted.root), str(tmp_path / "clone")], check=True)
    return Project(tmp_path / "clone")


def test_without_a_yes_the_difference_is_shown_and_nothing_is_written(project: Project, table: Table) -> None:
    shown = adopt(project, table)
    assert shown.code == 0
    for part in (
        "+  - name: amount",
        "+    allowed: ['?', gift, home, office]",
        "set aside placed: Dates",
        "rewritten: 'NA' in `amount` as empty",
    ):
        assert part in shown.out
    assert "Nothing was written." in shown.out
    assert changed(project) == []


def test_every_kind_of_column_has_its_place_in_the_contract(adopted: Project) -> None:
    columns = load_contract(adopted.contract).by_name
    roles = {name: (column.type, column.role) for name, column in columns.items()}
    assert roles == {
        "order_id": ("integer", "identifier"),
        "placed": ("string", "ignored"),
        "amount": ("number", "feature"),
        "visits": ("integer", "feature"),
        "kind": ("string", "feature"),
        "member": ("boolean", "feature"),
        "depot": ("string", "feature"),
        "street": ("string", "ignored"),
        "note": ("string", "ignored"),
        "currency": ("string", "ignored"),
        "returned": ("string", "label"),
    }
    assert {column.severity for column in columns.values() if column.allowed and column.role == "feature"} == {"warning"}
    assert 0.2 < columns["visits"].missing_at_most < 0.5


def test_the_pipelines_and_settings_are_those_of_the_table(adopted: Project) -> None:
    node = yaml.safe_load((adopted.pipelines / "train.yml").read_text())["jobs"]["automl"]
    assert (node["target_column_name"], node["positive_label"]) == ("returned", "yes")
    assert node["primary_metric"] == "average_precision_score_weighted"  # 15 % say yes
    assert 'model_name = "orders"' in (adopted.root / "pyproject.toml").read_text()
    assert load_rules(adopted.rules, load_contract(adopted.contract)) == ()


def test_a_clone_finds_the_table_without_any_account(copied: Project) -> None:
    fetched = fetch(copied, local=None, sample_if_offline=False, tell=lambda line: None)
    assert (fetched.rows, fetched.files[0].origin) == (900, "data/")


@pytest.mark.example
def test_no_trace_of_the_example_is_left(repo: Path, adopted: Project) -> None:
    contract = load_contract(repo / "data_checks" / "contract.yml")
    names = {column.name for column in contract.columns} - ALSO_WORDS | {contract.name, contract.title}
    trace = re.compile("|".join(rf"(?<![\w.-]){re.escape(name)}(?![\w-])" for name in sorted(names)), re.IGNORECASE)
    files = [name for name in tracked_files(adopted.root) if not name.startswith(("requirements/", "data/")) and not name.endswith(".gz")]
    texts = {name: (adopted.root / name).read_bytes().decode("utf-8", errors="replace") for name in files}
    assert {(name, found[0]) for name, text in texts.items() if (found := trace.search(text))} == set()


def test_what_is_left_of_the_tests_is_in_order(adopted: Project) -> None:
    touched = subprocess.run(
        ["git", "diff", "--name-only", "--diff-filter=d", "HEAD~1", "--", "*.py"],
        cwd=adopted.root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    ruff = str(Path(sys.executable).with_name("ruff"))
    for arguments in (["check"], ["format", "--check"]):
        ran = subprocess.run([ruff, *arguments, *touched], cwd=adopted.root, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout[-2000:]


def test_the_same_file_again_changes_nothing(adopted: Project, table: Table) -> None:
    again = adopt(adopted, table)
    assert (again.code, "Nothing to do" in again.out) == (0, True)


def test_a_table_that_changed_gives_a_difference_that_keeps_what_people_wrote(copied: Project, table: Table, tmp_path: Path) -> None:
    text = copied.contract.read_text()
    text = text.replace("  - name: amount\n", "  # Asked sales: never above 9000.\n  - name: amount\n    description: Worth in EUR\n")
    copied.contract.write_text(text)
    commit(copied)
    frame = pd.read_csv(table.file, dtype=str, keep_default_na=False).drop(columns="street")
    frame["visits"] = frame["visits"].replace({"39": "139"})
    frame["weight"] = [f"{number % 17}.5" for number in range(len(frame))]
    later = Table(tmp_path / "later.csv", table.label)
    frame.to_csv(later.file, index=False)
    ended = adopt(copied, later, "--apply")
    assert ended.code == 0, ended.err
    assert "-  - name: street" in ended.out
    assert "+  - name: weight" in ended.out
    contract = load_contract(copied.contract)
    assert contract.name == "orders"
    assert contract.by_name["amount"].description == "Worth in EUR"
    assert contract.by_name["visits"].maximum == 160
    assert "# Asked sales: never above 9000.\n" in copied.contract.read_text()


def test_changes_that_no_commit_has_stop_it(copied: Project, table: Table) -> None:
    copied.contract.write_text(copied.contract.read_text().replace("maximum: ", "maximum: 1"))
    before = copied.contract.read_bytes()
    stopped = adopt(copied, Table(table.file, "kind", ("--name", "other")), "--apply")
    assert stopped.code == 2
    assert "data_checks/contract.yml" in stopped.err
    assert copied.contract.read_bytes() == before
    assert [line for line in changed(copied) if not line.endswith("contract.yml")] == []


def test_json_tells_all_of_the_plan(project: Project, table: Table) -> None:
    said = json.loads(adopt(project, table, "--json", "--keep-out").out)
    assert (said["rows"], said["positive"], said["applied"]) == (900, "yes", False)
    assert "data/orders.csv" not in said["changes"]
    assert set(said["set_aside"]) == {"order_id", "placed", "street", "note", "currency"}
