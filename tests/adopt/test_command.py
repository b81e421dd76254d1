"""`pushline adopt` as a person meets it: what it shows, what it writes, what it leaves alone."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from adopt.tables import Table, orders, sixty_rows
from command import Ran, run_cli
from data.file_server import file_server
from pushline.adopt import journal
from pushline.adopt.draft import AdoptRequest
from pushline.adopt.plan import carry_out, plan_adoption
from pushline.data.contract import load_contract
from pushline.data.rules import load_rules
from pushline.data.sources.fetch import fetch
from pushline.files import scratch
from pushline.project import Project
from working_copy import copy_project, tracked_files

pytestmark = pytest.mark.slow

Run = Callable[..., Ran]
GIT = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.invalid"]


def adopt(project: Project, table: Table, *options: str, text: str | None = None) -> Ran:
    return run_cli(project, "adopt", str(table.file), "--label", table.label, *table.options, *options, text_input=text)


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
    ended = adopt(project, table, "--in-git", "--apply")
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
    for part in ("900 rows, 11 columns", "returned = yes", "by time placed", "'NA' in `amount` as empty", "Nothing was written."):
        assert part in shown.out
    assert "tests/" not in shown.out
    assert len(shown.out.splitlines()) < 14
    assert changed(project) == []


def test_every_file_and_line_that_changes_is_shown_on_request(project: Project, table: Table) -> None:
    shown = adopt(project, table, "--diff")
    for part in (
        "+  - name: amount",
        "+    allowed: ['?', gift, home, office]",
        "removed   src/pushline/project.py",
    ):
        assert part in shown.out


def test_every_kind_of_column_has_its_place_in_the_contract(adopted: Project) -> None:
    columns = load_contract(adopted.contract).by_name
    roles = {name: (column.type, column.role) for name, column in columns.items()}
    assert roles == {
        "order_id": ("integer", "identifier"),
        "placed": ("datetime", "feature"),
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
    fetched = fetch(copied, local=None, sample_if_offline=False, progress=lambda line: None)
    assert (fetched.rows, fetched.files[0].origin) == (900, "data/")


def test_adopting_in_a_clone_leaves_what_a_new_repository_is(adopted: Project, table: Table, tmp_path: Path) -> None:
    ended = run_cli(adopted, "new", str(tmp_path / "own"), "--table", str(table.file), "--label", table.label, "--in-git")
    assert ended.code == 0, ended.err
    names = tracked_files(tmp_path / "own")
    assert [name for name in tracked_files(adopted.root) if name != "signers/tests.pub"] == names
    assert [name for name in names if (adopted.root / name).read_bytes() != (tmp_path / "own" / name).read_bytes()] == []


def test_the_same_file_again_changes_nothing(adopted: Project, table: Table) -> None:
    again = adopt(adopted, table, "--in-git")
    assert (again.code, "Nothing to do" in again.out) == (0, True)


def test_an_adoption_made_twice_can_still_be_taken_back(project: Project, table: Table) -> None:
    before = tree_of(project.root)
    assert [adopt(project, table, "--apply").code for _ in range(2)] == [0, 0]
    assert run_cli(project, "adopt", "--undo").code == 0
    assert tree_of(project.root) == before


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
    said = json.loads(adopt(project, table, "--json").out)
    assert (said["rows"], said["positive"], said["applied"]) == (900, "yes", False)
    assert "data/orders.csv" not in said["changes"]
    assert set(said["set_aside"]) == {"order_id", "street", "note", "currency"}
    assert said["split"].startswith("by time placed; a quick model's log loss is ")


def tree_of(root: Path) -> dict[str, bytes]:
    """Every file of a project but git's own, the state of this machine and compiled code."""
    left = {".git", ".pushline", "__pycache__"}
    files = (file for file in root.rglob("*") if file.is_file() and not left & set(file.relative_to(root).parts))
    return {str(file.relative_to(root)): file.read_bytes() for file in files}


@pytest.mark.parametrize("how", ["ignored", "new", "hidden from git status"])
def test_a_file_that_git_can_not_bring_back_is_never_replaced(how: str, project: Project, table: Table) -> None:
    kept = project.root / "data" / "orders.csv"
    kept.parent.mkdir(exist_ok=True)
    if how == "ignored":
        (project.root / ".git" / "info" / "exclude").write_text("/data/\n")
        kept.write_text("the only copy\n")
    elif how == "new":
        kept.write_text("the only copy\n")
    else:
        kept = project.root / "pyproject.toml"
        subprocess.run(["git", "update-index", "--assume-unchanged", "pyproject.toml"], cwd=project.root, check=True)
        kept.write_text(kept.read_text() + "# the only copy\n")
    before = tree_of(project.root)
    stopped = adopt(project, table, "--in-git", "--apply")
    assert (stopped.code, str(kept.relative_to(project.root)) in stopped.err) == (2, True)
    assert tree_of(project.root) == before


def test_tables_beside_the_pinned_one_are_nobodys_to_remove(project: Project, table: Table) -> None:
    (project.root / ".git" / "info" / "exclude").write_text("/data/\n")
    (project.root / "data").mkdir(exist_ok=True)
    (project.root / "data" / "raw.csv").write_text("the only copy\n")
    assert adopt(project, table, "--apply").code == 0
    assert (project.root / "data" / "raw.csv").read_text() == "the only copy\n"


def test_another_table_of_the_same_name_in_data_stops_it(project: Project, table: Table) -> None:
    (project.root / "data").mkdir(exist_ok=True)
    (project.root / "data" / "orders.csv").write_text("another\n")
    stopped = adopt(project, table, "--apply")
    assert (stopped.code, "another table of the same name" in stopped.err) == (2, True)


def test_no_row_goes_into_git_unless_told_so(project: Project, table: Table) -> None:
    inside = project.root / "my orders [new].csv"
    inside.write_bytes(table.file.read_bytes())
    assert adopt(project, Table(inside, table.label), "--apply").code == 0
    commit(project)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=project.root, capture_output=True, text=True, check=True).stdout.split("\0")
    assert not [name for name in listed if name.endswith(".csv")]
    assert fetch(project, local=None, sample_if_offline=False, progress=lambda line: None).rows == 900


def test_an_adoption_is_taken_back_to_the_byte(repo: Path, table: Table, tmp_path: Path) -> None:
    project = copy_project(repo, tmp_path, with_tests=True)
    before = tree_of(project.root)
    assert adopt(project, table, "--in-git", "--apply").code == 0
    assert tree_of(project.root) != before
    undone = run_cli(project, "adopt", "--undo")
    assert undone.code == 0, undone.err
    assert tree_of(project.root) == before
    assert changed(project) == []
    again = run_cli(project, "adopt", "--undo")
    assert (again.code, "no adoption to take back" in again.err) == (2, True)


def test_an_adoption_that_people_changed_since_is_not_taken_back(project: Project, table: Table) -> None:
    assert adopt(project, table, "--apply").code == 0
    project.contract.write_text(project.contract.read_text() + "# mine\n")
    before = tree_of(project.root)
    stopped = run_cli(project, "adopt", "--undo")
    assert (stopped.code, "data_checks/contract.yml" in stopped.err) == (2, True)
    assert tree_of(project.root) == before


def test_a_look_at_an_interrupted_adoption_says_so(project: Project, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    put, done = journal.put, iter([True])

    def cut_off(place: Path, content: bytes | None, mode: int) -> None:
        if not next(done, False):
            raise KeyboardInterrupt
        put(place, content, mode)

    monkeypatch.setattr(journal, "put", cut_off)
    with scratch(project.state / "adopt-scratch") as place:
        plan = plan_adoption(project, AdoptRequest(file=table.file, label=table.label), in_git=False, scratch=place)
        with pytest.raises(KeyboardInterrupt):
            carry_out(project, plan)
    looked = adopt(project, table)
    assert (looked.code, "interrupted" in looked.err) == (2, True)


@pytest.fixture
def leaking(tmp_path: Path) -> Table:
    """Orders with a column that is known only once they came back or not, and one that is merely strong."""
    frame = pd.read_csv(orders(tmp_path).file, dtype=str, keep_default_na=False).drop(columns=["amount", "placed"])
    came_back = (frame["returned"] == "yes").to_numpy()
    random = np.random.default_rng(4)
    frame["refunded"] = np.where(came_back, "full", np.where(random.random(len(frame)) < 0.5, "none", "open"))
    frame["strength"] = np.round(random.normal(size=len(frame)) + 2.05 * came_back, 3)
    file = tmp_path / "leaking.csv"
    frame.to_csv(file, index=False)
    return Table(file, "returned")


def test_a_column_that_decides_the_label_stops_it_until_a_person_said_what_it_is(project: Project, leaking: Table) -> None:
    stopped = adopt(project, leaking, "--apply")
    assert (stopped.code, changed(project)) == (1, [])
    for part in ("refunded", "--known-after refunded", "--keep-suspect refunded"):
        assert part in stopped.err
    assert "strength" not in stopped.err
    shown = adopt(project, leaking)
    assert shown.code == 0
    assert "WRONG?      refunded alone names the label of 100.0% of the rows" in shown.out
    assert "strength alone names" not in shown.out
    after = adopt(project, leaking, "--known-after", "refunded", "--apply")
    assert after.code == 0, after.err
    assert load_contract(project.contract).by_name["refunded"].known == "after"


def test_a_kept_suspect_stays_kept_and_one_that_comes_later_is_critical(project: Project, leaking: Table, run_pushline: Run) -> None:
    kept = adopt(project, leaking, "--keep-suspect", "refunded", "--apply")
    assert kept.code == 0, kept.err
    assert load_contract(project.contract).by_name["refunded"].decides_label
    assert run_pushline(project, "check-data", str(leaking.file)).code == 0
    commit(project)
    assert "Nothing to do" in adopt(project, leaking).out
    frame = pd.read_csv(leaking.file, dtype=str, keep_default_na=False)
    frame["member"] = np.where(frame["returned"] == "yes", "True", "False")
    frame.to_csv(leaking.file, index=False)
    ran = run_pushline(project, "check-data", str(leaking.file), "--json")
    findings = {(finding["id"], finding["severity"], finding["column"]) for finding in json.loads(ran.out)["findings"]}
    assert ran.code == 1
    assert ("decides-label", "critical", "member") in findings
    assert ("decides-label", "critical", "refunded") not in findings


@pytest.mark.parametrize(
    ("answer", "why"),
    [("other bytes\n", "other bytes"), (None, "404"), ("http://example.org/t.csv", "https")],
)
def test_an_address_that_does_not_give_the_table_is_refused_before_anything_is_touched(
    answer: str | None, why: str, project: Project, table: Table
) -> None:
    if answer and answer.startswith("http"):
        stopped = adopt(project, table, "--url", answer)
    else:
        with file_server() as server:
            server.files = {"t.csv": answer.encode()} if answer else {}
            stopped = adopt(project, table, "--url", server.url("t.csv"), "--apply")
    assert (stopped.code, why in stopped.err, changed(project)) == (2, True, [])


def test_the_address_of_the_very_table_is_pinned(project: Project, tmp_path: Path) -> None:
    sixty = sixty_rows(tmp_path)
    with file_server() as server:
        server.files = {"sixty.csv": sixty.file.read_bytes()}
        ended = adopt(project, sixty, "--url", server.url("sixty.csv"), "--apply")
        assert ended.code == 0, ended.err
        assert server.url("sixty.csv") in project.data_lock.read_text()


def test_a_table_is_adopted_from_its_address_which_is_pinned_with_it(project: Project, tmp_path: Path) -> None:
    sixty = sixty_rows(tmp_path)
    with file_server() as server:
        server.files = {"sixty.csv": sixty.file.read_bytes()}
        ended = run_cli(project, "adopt", server.url("sixty.csv"), "--label", sixty.label, *sixty.options, "--apply")
        assert (ended.code, f"is fetched from {server.url('sixty.csv')}" in ended.out) == (0, True), ended.err
        assert server.url("sixty.csv") in project.data_lock.read_text()
        absent = run_cli(project, "adopt", server.url("gone.csv"), "--label", sixty.label)
    assert (absent.code, "It answered 404" in absent.err) == (3, True)


def test_an_address_that_may_hold_a_key_is_not_put_into_git(project: Project, tmp_path: Path) -> None:
    sixty = sixty_rows(tmp_path)
    with file_server() as server:
        server.files = {"sixty.csv?key=s3cret": sixty.file.read_bytes()}
        ended = run_cli(project, "adopt", server.url("sixty.csv?key=s3cret"), "--label", sixty.label, *sixty.options, "--apply")
    assert (ended.code, "stays out of git" in ended.out) == (0, True), ended.err
    assert not [file for file in project.root.rglob("*") if file.is_file() and b"s3cret" in file.read_bytes()]


def test_a_rare_class_explains_the_size_of_the_holdout(project: Project, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    frame = pd.DataFrame({"a": random.normal(size=2000).round(3), "y": ["no"] * 1988 + ["yes"] * 12})
    frame.to_csv(tmp_path / "rare.csv", index=False)
    shown = adopt(project, Table(tmp_path / "rare.csv", "y"))
    assert "because 'yes' has 12 rows in all" in shown.out


def test_repeated_rows_are_told(project: Project, tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    frame = pd.DataFrame({"a": random.integers(0, 5, 2000), "b": random.integers(0, 4, 2000), "y": random.integers(0, 2, 2000)})
    frame.to_csv(tmp_path / "coarse.csv", index=False)
    assert "of the rows repeat an earlier one in every column" in adopt(project, Table(tmp_path / "coarse.csv", "y")).out
