"""`pushline data refresh` and `data propose`: a source that moved becomes one pull request."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from command import Ran
from data.file_server import FileServer, file_server
from pushline.project import Project

FAKE = Path(__file__).resolve().parent / "fake_gh.py"


class Repository:
    """A project whose data has one source, a bare origin to push to, and a stand-in `gh`."""

    def __init__(self, folder: Path, run: Callable[..., Ran], project: Project, server: FileServer) -> None:
        self.run, self.project, self.server = run, project, server
        self.origin, self.file = folder / "origin.git", folder / "gh.json"
        subprocess.run(["git", "init", "-q", "--bare", str(self.origin)], check=True)
        self.git("remote", "add", "origin", str(self.origin))
        (folder / "bin").mkdir()
        script = folder / "bin" / "gh"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{FAKE}" "$@"\n', encoding="utf-8")
        script.chmod(0o755)
        self.env = {
            "PATH": f"{script.parent}:{os.environ['PATH']}",
            "FAKE_GH": str(self.file),
            "GITHUB_REPOSITORY": "example/bank",
            "GITHUB_OUTPUT": str(folder / "output"),
        }
        self.output = folder / "output"
        self.file.write_text(json.dumps({"repository": "example/bank", "private": False, "calls": []}), encoding="utf-8")

    def git(self, *arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=self.project.root, check=True, capture_output=True, text=True).stdout.strip()

    def command(self, *arguments: str) -> Ran:
        return self.run(self.project, *arguments, env=self.env)

    def serve(self, seed: int, rows: int = 1500) -> bytes:
        """Let the source hold generated rows."""
        ran = self.run(self.project, "sample", "--rows", str(rows), "--seed", str(seed))
        assert ran.code == 0, ran.err
        self.server.files["rows.csv"] = ran.out.encode()
        return ran.out.encode()

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.file.read_text(encoding="utf-8"))
        return state


@pytest.fixture
def repository(tmp_path: Path, run_pushline: Callable[..., Ran], project: Project) -> Iterator[Repository]:
    from pushline.data.files.version import table_of
    from pushline.data.sources.lock import DataLock, FileSource, PinnedFile, lock_text

    with file_server() as server:
        made = Repository(tmp_path, run_pushline, project, server)
        (tmp_path / "rows.csv").write_bytes(made.serve(1))
        seen = table_of(tmp_path / "rows.csv")
        sources = (FileSource(url=server.url("rows.csv"), sha256=seen.sha256),)
        pinned = PinnedFile(name="rows.csv", version=seen.version, rows=seen.rows, columns=seen.columns, sources=sources)
        project.data_lock.write_text(lock_text(DataLock(files=(pinned,))))
        made.git("-c", "user.name=T", "-c", "user.email=t@example.invalid", "commit", "-q", "-am", "Pin")
        yield made


def test_an_unchanged_source_proposes_nothing(repository: Repository) -> None:
    ran = repository.command("data", "refresh")
    assert ran.code == 0, ran.err
    assert repository.output.read_text(encoding="utf-8") == "changed=false\n"
    assert repository.git("status", "--porcelain") == ""
    assert repository.command("data", "propose").code == 2


@pytest.mark.slow
def test_a_source_that_moved_becomes_one_pull_request(repository: Repository) -> None:
    before = repository.git("rev-parse", "HEAD")
    repository.serve(2, rows=1600)
    ran = repository.command("data", "refresh")
    assert ran.code == 0, ran.err
    assert repository.output.read_text(encoding="utf-8") == "changed=true\n"
    ran = repository.command("data", "propose")
    assert ran.code == 0, ran.err
    (pull,) = repository.state["pulls"]
    assert pull["base"] == "main"
    assert "merging is the decision to retrain" in pull["body"]
    assert "Approve and run" in pull["body"]
    assert "Drift against the profile" in pull["body"]
    pushed = subprocess.run(
        ["git", "diff", "--name-only", before, pull["head"]], cwd=repository.origin, check=True, capture_output=True, text=True
    ).stdout
    assert pushed == "data.lock\n"
    assert repository.git("rev-parse", "HEAD") == before
    repository.git("checkout", "-q", "--", "data.lock")
    repository.command("data", "refresh")
    again = repository.command("data", "propose")
    assert "brought up to date" in again.out
    assert len(repository.state["pulls"]) == 1


def test_where_workflows_may_open_no_pull_request_the_branch_is_pushed_and_the_address_to_open_it_is_told(repository: Repository) -> None:
    repository.file.write_text(json.dumps({**repository.state, "no_pull_requests": True}), encoding="utf-8")
    repository.serve(3)
    repository.command("data", "refresh")
    ran = repository.command("data", "propose")
    assert ran.code == 4
    assert "/compare/main...data/" in ran.err
    assert "data/" in repository.git("ls-remote", "--heads", "origin")


@pytest.mark.slow
def test_a_source_that_broke_moves_nothing(repository: Repository) -> None:
    repository.server.files["rows.csv"] = repository.serve(3).replace(b",", b";")
    before = repository.project.data_lock.read_bytes()
    ran = repository.command("data", "refresh")
    assert ran.code == 1
    assert repository.project.data_lock.read_bytes() == before


def test_a_source_that_is_gone_is_told(repository: Repository) -> None:
    del repository.server.files["rows.csv"]
    ran = repository.command("data", "refresh")
    assert ran.code == 3
    assert "No source of rows.csv answers" in ran.err


def test_a_cause_has_one_issue_opened_updated_left_where_nothing_was_seen_and_closed_where_all_is_well(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pushline.github.issue import keep

    for name, value in repository.env.items():
        monkeypatch.setenv(name, value)
    bad, well, unseen = {"wrong": True, "well": False}, {"wrong": False, "well": True}, {"wrong": False, "well": False}
    told = [("Bad", "a", bad), ("Worse", "b", bad), ("Not seen", "-", unseen), ("Well", "c", well), ("Well", "d", well)]
    assert keep("log", "Ended", "e", **bad) == "opened"  # another cause has an issue of its own
    said = [keep("release", title, body, **seen) for title, body, seen in told]
    assert said == ["opened", "updated", "left", "closed", "none"]
    assert [(issue["title"], issue["state"]) for issue in repository.state["issues"]] == [("Ended", "open"), ("Worse", "closed")]
    assert [comment["body"] for comment in repository.state["comments"]] == ["c"]


def test_a_decay_starts_the_retraining_of_the_default_branch_and_says_why(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    from pushline.github.runs import start_retraining

    for name, value in repository.env.items():
        monkeypatch.setenv(name, value)
    start_retraining("outcomes say so")
    [started] = repository.state["dispatched"]
    assert started == {"workflow": "retrain.yml", "ref": "main", "inputs": {"now": "true", "because": "outcomes say so"}}


@pytest.mark.slow
def test_a_file_that_alone_gained_a_column_is_refused_and_the_lock_stays_as_people_wrote_it(repository: Repository) -> None:
    import msgspec

    from pushline.data.files.version import table_of
    from pushline.data.sources.lock import DataLock, FileSource, load_lock, lock_text

    lock, (one,) = repository.project.data_lock, load_lock(repository.project.data_lock).files
    repository.server.files["second.csv"] = repository.serve(2)
    other = repository.project.root.parent / "second.csv"
    other.write_bytes(repository.server.files["second.csv"])
    seen, url = table_of(other), repository.server.url("second.csv")
    two = msgspec.structs.replace(one, name="second.csv", version=seen.version, sources=(FileSource(url=url, sha256=seen.sha256),))
    lock.write_text(lock_text(DataLock(files=(one, two))))
    lock.write_text(lock.read_text(encoding="utf-8").replace("[[files]]", "# a remark\n[[files]]"), encoding="utf-8")
    before, rows = lock.read_bytes(), repository.serve(3).splitlines()
    repository.server.files["rows.csv"] = b"\n".join([rows[0] + b",new", *(row + b",1" for row in rows[1:])]) + b"\n"
    ran = repository.command("data", "refresh")
    assert (ran.code, "Traceback" in ran.err) == (1, False)
    assert "They differ in new." in ran.err
    assert lock.read_bytes() == before
    repository.serve(3)
    assert repository.command("data", "refresh").code == 0
    assert lock.read_text(encoding="utf-8").count("# a remark") == 2
    assert repository.command("data", "list").code == 0
