"""Queries observe: a command that inspects leaves every byte of the tree, of the results and of the live release as it was."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from command import QUICK, Ran
from pushline.cli import pushline
from pushline.project import Project
from pushline.release.local import LocalTarget
from pushline.results import PromoteResult, load
from pushline.serving.client import Client
from pushline.settings import load_settings

Run = Callable[..., Ran]

# What a look may leave: nothing of it is read by a stage, a release or a decision. The service itself logs what it was asked,
# and a command how long it took.
SCRATCH = ("build/other/", "build/evaluate/", "build/drift/", ".pushline/logs/live.", ".pushline/took/")

INSPECTING = [
    ("status", "--json"),
    ("doctor",),
    ("check-data", "SOUND"),
    ("check-data", "FAULTY", "--markdown"),
    ("evaluate", "SOUND"),
    ("evidence",),
    ("evidence", "--version", "1", "--json"),
    ("drift", "SOUND"),
    ("drift", "--logs"),
    ("data", "list"),
    ("data", "diff"),
    ("logs", "--since", "1h"),
    ("keys", "show-path"),
    ("openapi",),
    ("score", "examples/two-rows.json"),
    ("watch",),
    ("rollback", "--plan"),
    ("schedule", "retrain"),
    ("sample", "--rows", "5"),
    ("score", "examples/two-rows.json", "--curl"),
    ("releases",),
    ("open", "--json"),
    ("completion", "zsh"),
    ("pipelines", "list"),
    ("pipelines", "runs"),
    ("pipelines", "describe", "train"),
    ("pipelines", "logs", "none"),
    ("costs",),
    ("docs",),
    ("keys", "show"),
    ("performance",),
    ("replay",),
    ("registry", "check-run", "1"),
    ("adopt", "SOUND", "--label", "y"),
    ("bootstrap", "github"),
    ("bootstrap", "azure"),
    ("consume", "http://127.0.0.1:9", "train"),
    ("train", "--budget", "banana"),
    ("deploy", "--version", "99"),
]

# These change something by what they are for; that they change nothing where they refuse is held by tests of their own.
ACTING = {
    "data add", "data propose", "data refresh", "discard", "fetch", "keys rotate", "load-test", "new", "outcomes add", "pipelines cancel",
    "pipelines default", "pipelines retire", "pipelines run", "pipelines serve", "pipelines work", "profile", "promote", "publish",
    "records delete", "records export", "register", "registry pack", "registry restore", "registry sign", "report", "retrain", "run",
    "score-batch", "serve", "smoke", "start", "stop", "upgrade",
}  # fmt: skip


def names_of(group: click.Group, before: str = "") -> set[str]:
    """Every command, those of groups with the group's name before theirs."""
    with click.Context(group) as context:
        found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    inner = {name for start, one in found.items() if isinstance(one, click.Group) for name in names_of(one, f"{before}{start} ")}
    return inner | {before + name for name, one in found.items() if not isinstance(one, click.Group)}


def test_every_command_acts_or_is_seen_to_leave_all_as_it_was() -> None:
    looked = {name for words in INSPECTING for name in (words[0], " ".join(words[:2]))}
    assert names_of(pushline) <= ACTING | looked
    assert names_of(pushline) >= ACTING


def contents_of(root: Path) -> dict[str, str]:
    """Every file below a folder but git's, by the hash of its bytes, and where links lead to."""
    found = {}
    for file in root.rglob("*"):
        name = file.relative_to(root).as_posix()
        if name.startswith((".git/", *SCRATCH)) or "__pycache__" in name:
            continue
        if file.is_symlink():
            found[name] = str(file.readlink())
        elif file.is_file() and file.suffix != ".lock":
            found[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def live_of(project: Project) -> tuple[str, int, int]:
    target = LocalTarget(project, load_settings(project.root, {}))
    state = target.record.read()
    assert state.live is not None
    assert state.live.process is not None
    return state.live.release.id, state.live.process.pid, Client(state.live.url).get("/readyz").status


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_inspecting_command_changes_no_byte_and_no_release(delivered: Project, tmp_path: Path, run_pushline: Run) -> None:
    rows = run_pushline(delivered, "sample", "--rows", "400", "--seed", "3").out
    (tmp_path / "sound.csv").write_text(rows)
    (tmp_path / "faulty.csv").write_text(rows.replace("\n", "\nx", 9))
    named = {"SOUND": str(tmp_path / "sound.csv"), "FAULTY": str(tmp_path / "faulty.csv")}
    before, live = contents_of(delivered.root), live_of(delivered)
    assert live[2] == 200
    changed = {}
    for arguments in INSPECTING:
        ran = run_pushline(delivered, *(named.get(word, word) for word in arguments), env=QUICK)
        assert "Traceback" not in ran.err, (arguments, ran.err)
        now = contents_of(delivered.root)
        changed[arguments] = sorted({name for name in {*before, *now} if before.get(name) != now.get(name)})
        assert live_of(delivered) == live, arguments
        before = now
    assert {arguments: names for arguments, names in changed.items() if names} == {}


@pytest.mark.slow
def test_what_was_delivered_is_listed_and_can_be_opened(delivered: Project, run_pushline: Run) -> None:
    [first] = json.loads(run_pushline(delivered, "releases", "--json", env=QUICK).out)
    assert (first["version"], first["decision"], first["state"]) == ("1", "accepted", "live")
    assert run_pushline(delivered, "releases", env=QUICK).out.splitlines()[1].split()[0] == "1"
    assert json.loads(run_pushline(delivered, "open", "--json").out) == {"place": str(delivered.build / "report.html")}
    docs = json.loads(run_pushline(delivered, "open", "docs", "--json", env=QUICK).out)
    assert docs["place"] == load(delivered.build, PromoteResult).url + "/docs"
