import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from command import Ran
from data.file_server import file_server
from pushline.data.contract import Contract, load_contract
from pushline.data.files.version import table_of
from pushline.data.profile import load_profile
from pushline.data.profile.sample import sample_rows, write_sample
from pushline.data.sources.add import AddResult, add
from pushline.data.sources.fetch import fetch
from pushline.data.sources.lock import DataLock, FileSource, PinnedFile, load_lock, lock_text
from pushline.data.sources.lock_history import LockDiff, LockListing
from pushline.errors import CriticalFindings, DataUnavailable, GateClosed, SettingsError
from pushline.project import Project

Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def contract(repo: Path) -> Contract:
    return load_contract(repo / "data_checks" / "contract.yml")


@pytest.fixture(scope="module")
def rows(repo: Path, contract: Contract) -> pd.DataFrame:
    return sample_rows(load_profile(repo / "data_checks" / "profile.json"), contract, 9000, 21)


@pytest.fixture
def growing(project: Project, rows: pd.DataFrame, tmp_path: Path) -> Project:
    """A project that pins the first 5,000 rows, which lie in tmp_path/first.csv."""
    write_sample(rows[:5000], tmp_path / "first.csv")
    seen = table_of(tmp_path / "first.csv")
    pinned = PinnedFile(
        name="first.csv", version=seen.version, rows=seen.rows, columns=seen.columns, sources=(FileSource(sha256=seen.sha256),)
    )
    project.data_lock.write_text(lock_text(DataLock(files=(pinned,))))
    git(project, "commit", "-qam", "Pin the first rows")
    return project


def git(project: Project, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=Test", "-c", "user.email=test@example.invalid", *arguments],
        cwd=project.root,
        check=True,
        capture_output=True,
    )


def quiet(line: str) -> None:
    """Nobody listens."""


def put(project: Project, file: Path | str, *, name: str = "", url: str = "") -> AddResult:
    return add(project, load_contract(project.contract), str(file), name=name, url=url, local=project.root.parent, progress=quiet)


@pytest.mark.slow
def test_new_data_is_pinned_behind_the_old(growing: Project, rows: pd.DataFrame, tmp_path: Path) -> None:
    write_sample(rows[5000:8000], tmp_path / "second.csv")
    before = load_lock(growing.data_lock)
    added = put(growing, tmp_path / "second.csv")
    after = load_lock(growing.data_lock)
    assert [file.name for file in after.files] == ["first.csv", "second.csv"]
    assert (added.before, added.after, added.rows_after) == (before.version, after.version, 8000)
    assert (added.overlaps, added.findings, added.drift.verdict) == ((), (), "stable")


@pytest.mark.slow
def test_what_was_added_is_fetched_although_the_file_is_gone(growing: Project, rows: pd.DataFrame, tmp_path: Path) -> None:
    write_sample(rows[5000:8000], tmp_path / "second.csv")
    put(growing, tmp_path / "second.csv")
    (tmp_path / "second.csv").unlink()
    fetched = fetch(growing, local=tmp_path, sample_if_offline=False, progress=quiet)
    assert [file.origin for file in fetched.files] == ["PUSHLINE_DATA", "cache"]


@pytest.mark.slow
def test_a_look_at_new_data_leaves_the_results_of_the_stages_alone(growing: Project, rows: pd.DataFrame, tmp_path: Path) -> None:
    write_sample(rows[5000:8000], tmp_path / "second.csv")
    put(growing, tmp_path / "second.csv")
    assert not (growing.build / "check-data").exists()
    assert [path.name for path in growing.state.iterdir()] == ["cache"]


def test_the_same_table_is_not_pinned_twice(growing: Project, tmp_path: Path) -> None:
    copy = tmp_path / "copy.csv"
    copy.write_bytes((tmp_path / "first.csv").read_bytes().replace(b"\n", b"\r\n"))
    before = growing.data_lock.read_bytes()
    with pytest.raises(GateClosed, match=r"copy\.csv is in data\.lock already, as first\.csv"):
        put(growing, copy)
    assert growing.data_lock.read_bytes() == before


@pytest.mark.slow
def test_a_file_of_which_every_row_is_pinned_is_refused(growing: Project, rows: pd.DataFrame, tmp_path: Path) -> None:
    write_sample(rows[1000:3000], tmp_path / "part.csv")
    with pytest.raises(GateClosed, match="nothing new"):
        put(growing, tmp_path / "part.csv")


@pytest.mark.slow
def test_rows_that_are_pinned_already_are_named(growing: Project, rows: pd.DataFrame, tmp_path: Path) -> None:
    write_sample(rows[4990:7000], tmp_path / "second.csv")
    (overlap,) = put(growing, tmp_path / "second.csv").overlaps
    assert (overlap.file, overlap.rows, overlap.lines, overlap.other_label) == ("first.csv", 10, tuple(range(2, 12)), 0)


@pytest.mark.example
@pytest.mark.slow
def test_rows_that_are_pinned_with_another_label_are_counted(
    growing: Project, rows: pd.DataFrame, tmp_path: Path, contract: Contract
) -> None:
    turned, label = rows[4000:7000].copy(), contract.label.name
    for one, other in (contract.classes, contract.classes[::-1]):  # fifty of each class: the shares stay
        turned.loc[turned.index[rows[4000:7000][label] == one][:50], label] = other
    write_sample(turned, tmp_path / "second.csv")
    added = put(growing, tmp_path / "second.csv")
    assert [(overlap.rows, overlap.other_label) for overlap in added.overlaps] == [(900, 100)]


@pytest.mark.example
@pytest.mark.slow
def test_data_that_breaks_the_contract_is_not_pinned(growing: Project, rows: pd.DataFrame, tmp_path: Path) -> None:
    broken = rows[5000:8000].copy()
    broken.loc[broken.index[7], "age"] = -4
    write_sample(broken, tmp_path / "second.csv")
    before = growing.data_lock.read_bytes()
    with pytest.raises(CriticalFindings, match="lines 9") as caught:
        put(growing, tmp_path / "second.csv")
    assert "age" in caught.value.why
    assert growing.data_lock.read_bytes() == before
    assert not (growing.state / "cache").exists()


@pytest.mark.slow
def test_few_rows_are_enough_for_an_addition(growing: Project, rows: pd.DataFrame, tmp_path: Path) -> None:
    write_sample(rows[5000:5100], tmp_path / "second.csv")
    added = put(growing, tmp_path / "second.csv")
    assert added.drift.verdict == "too few rows"
    assert {finding.severity for finding in added.findings} <= {"info"}


@pytest.mark.example
def test_other_columns_are_refused(growing: Project, rows: pd.DataFrame, tmp_path: Path) -> None:
    write_sample(rows[5000:8000].drop(columns="age"), tmp_path / "second.csv")
    with pytest.raises(GateClosed, match="age"):
        put(growing, tmp_path / "second.csv")


@pytest.mark.parametrize("name", ["first.csv", "../up.csv", "a/b.csv"])
def test_a_name_that_is_taken_or_leads_elsewhere_is_refused(growing: Project, rows: pd.DataFrame, tmp_path: Path, name: str) -> None:
    write_sample(rows[5000:8000], tmp_path / "second.csv")
    with pytest.raises(SettingsError, match="--name"):
        put(growing, tmp_path / "second.csv", name=name)


@pytest.mark.slow
def test_an_address_is_read_and_pinned_only_if_others_may_use_it(
    growing: Project, rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    write_sample(rows[5000:8000], tmp_path / "here.csv")
    content = (tmp_path / "here.csv").read_bytes()
    with file_server() as server:
        server.files["new.csv"] = content
        added = put(growing, server.url("new.csv"), url="https://example.com/new.csv")
    assert added.file.name == "new.csv"
    assert added.file.sources == (FileSource(url="https://example.com/new.csv", sha256=hashlib.sha256(content).hexdigest()),)


@pytest.mark.slow
def test_an_address_of_a_file_system_is_read(growing: Project, rows: pd.DataFrame, tmp_path: Path) -> None:
    write_sample(rows[5000:8000], tmp_path / "second.csv")
    assert put(growing, f"file://{tmp_path}/second.csv").file.rows == 3000


@pytest.mark.parametrize("said", ["gone.csv", "file:///gone/gone.csv", "nosuch://gone.csv"])
def test_data_that_can_not_be_had_is_an_error(growing: Project, said: str) -> None:
    with pytest.raises(DataUnavailable, match=r"gone\.csv"):
        put(growing, said)


@pytest.mark.slow
def test_without_the_pinned_data_nothing_can_be_compared(growing: Project, rows: pd.DataFrame, tmp_path: Path) -> None:
    write_sample(rows[5000:8000], tmp_path / "second.csv")
    (tmp_path / "first.csv").unlink()
    before = growing.data_lock.read_bytes()
    with pytest.raises(DataUnavailable, match=r"first\.csv"):
        put(growing, tmp_path / "second.csv")
    assert growing.data_lock.read_bytes() == before


@pytest.mark.slow
def test_the_commands_tell_the_story_of_growing_data(growing: Project, run_pushline: Run, rows: pd.DataFrame, tmp_path: Path) -> None:
    write_sample(rows[4995:9000], tmp_path / "second.csv")
    env = {"PUSHLINE_DATA": str(tmp_path)}
    before = load_lock(growing.data_lock)
    ran = run_pushline(growing, "data", "add", str(tmp_path / "second.csv"), "--json", env=env)
    assert ran.code == 0, ran.err
    added = msgspec.json.decode(ran.out, type=AddResult)
    assert [overlap.rows for overlap in added.overlaps] == [5]
    assert "5 rows of it" in (growing.build / "data-add" / "summary.md").read_text()

    again = run_pushline(growing, "data", "add", str(tmp_path / "second.csv"), env=env)
    assert (again.code, "already" in again.err) == (1, True)

    listed = msgspec.json.decode(run_pushline(growing, "data", "list", "--json").out, type=LockListing)
    assert ([file.name for file in listed.files], listed.rows) == (["first.csv", "second.csv"], 9005)

    moved = msgspec.json.decode(run_pushline(growing, "data", "diff", "--json", env=env).out, type=LockDiff)
    assert (moved.before, moved.after) == (before.version, added.after)
    assert [file.name for file in moved.added] == ["second.csv"]
    assert [drift.verdict for drift in moved.drift] == ["stable"]

    git(growing, "commit", "-qam", "Add the second rows")
    git(growing, "revert", "--no-edit", "HEAD")
    assert load_lock(growing.data_lock) == before
    back = msgspec.json.decode(run_pushline(growing, "data", "diff", "HEAD~1", "--json", env=env).out, type=LockDiff)
    assert [file.name for file in back.removed] == ["second.csv"]
