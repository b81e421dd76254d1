import subprocess
from collections.abc import Callable

import msgspec
import pytest

from command import Ran
from pushline.data.contract import load_contract
from pushline.data.sources.lock import DataLock, load_lock, lock_text
from pushline.data.sources.lock_history import listed, lock_of, moved
from pushline.errors import SettingsError
from pushline.project import Project

Run = Callable[..., Ran]


def quiet(line: str) -> None:
    """Nobody listens."""


@pytest.mark.example
def test_the_list_says_which_files_are_here(project: Project) -> None:
    (pinned,) = load_lock(project.data_lock).files
    assert listed(project).cached == ()
    place = project.state / "cache" / pinned.hashes[1][:16] / pinned.name
    place.parent.mkdir(parents=True)
    place.touch()
    assert listed(project).cached == (pinned.name,)


@pytest.mark.example
def test_a_file_that_was_replaced_is_told_apart_from_new_ones(project: Project) -> None:
    lock = load_lock(project.data_lock)
    changed = msgspec.structs.replace(
        lock.files[0], version="0" * 16, rows=7, sources=(msgspec.structs.replace(lock.files[0].sources[0], url=""),)
    )
    project.data_lock.write_text(lock_text(DataLock(files=(changed,))))
    said: list[str] = []
    seen = moved(project, load_contract(project.contract), "HEAD", local=None, progress=said.append)
    assert ([file.rows for file in seen.replaced], seen.added, seen.removed) == ([7], (), ())
    assert seen.drift == ()
    assert any("no drift" in line for line in said)


def test_a_lock_that_did_not_move_has_no_difference(project: Project) -> None:
    seen = moved(project, load_contract(project.contract), "HEAD", local=None, progress=quiet)
    assert (seen.before, seen.added, seen.removed, seen.replaced) == (seen.after, (), (), ())


@pytest.mark.parametrize("revision", ["nowhere", "--output=x", "HEAD:data.lock"])
def test_a_revision_that_there_is_not_is_named(project: Project, revision: str) -> None:
    with pytest.raises(SettingsError, match=revision):
        lock_of(project, revision)


def test_a_revision_without_a_lock_is_named(project: Project) -> None:
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.invalid"]
    subprocess.run([*git, "rm", "-q", "--cached", "data.lock"], cwd=project.root, check=True)
    subprocess.run([*git, "commit", "-qm", "No lock"], cwd=project.root, check=True)
    with pytest.raises(SettingsError, match="git has no"):
        lock_of(project, "HEAD")


@pytest.mark.example
def test_the_command_lists_the_data(project: Project, run_pushline: Run) -> None:
    ran = run_pushline(project, "data", "list")
    assert (ran.code, "32,950 rows" in ran.out, "2 addresses" in ran.out) == (0, True, True)


def test_the_command_says_that_nothing_moved(project: Project, run_pushline: Run) -> None:
    ran = run_pushline(project, "data", "diff")
    assert (ran.code, ran.out.startswith("data.lock is that of HEAD")) == (0, True)


def test_the_command_refuses_a_revision_that_there_is_not(project: Project, run_pushline: Run) -> None:
    ran = run_pushline(project, "data", "diff", "nowhere")
    assert (ran.code, "nowhere" in ran.err) == (2, True)
