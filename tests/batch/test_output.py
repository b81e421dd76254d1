"""What is published is whole, what is whole is published, and two jobs never write to one place."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pushline.batch import job
from pushline.batch.job import BatchResult, Options, score_batch
from pushline.batch.source import open_source
from pushline.data.contract import load_contract
from pushline.data.profile import load_profile
from pushline.data.profile.sample import sample_rows
from pushline.errors import Busy, SettingsError, TargetError
from pushline.locks import locked
from pushline.project import Project

ROWS = 400


@pytest.fixture(scope="module")
def content(repo: Path) -> bytes:
    """A table of which the row in line 5 has a field too many."""
    project = Project(repo)
    contract = load_contract(project.contract)
    frame = sample_rows(load_profile(project.profile), contract, ROWS, 5)
    lines = frame.to_csv(index=False, sep=contract.delimiter).splitlines()
    lines[4] += f"{contract.delimiter}more"
    return ("\n".join(lines) + "\n").encode()


@pytest.fixture
def rows(content: bytes, tmp_path: Path) -> Path:
    file = tmp_path / "rows.csv"
    file.write_bytes(content)
    return file


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of some thirty rows, each noted at once."""
    monkeypatch.setattr("pushline.batch.source.PIECE_BYTES", 4000)
    monkeypatch.setattr(job, "NOTE_S", 0.0)


def score(source: Path, out: Path, model: Path, **options: Any) -> BatchResult:
    return score_batch(str(source), out, model, "1", options=Options(**options), progress=lambda line: None)


def interrupted(source: Path, out: Path, model: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    """Score some pieces, and then fail as where the disk is full."""
    taken = job.BatchJob.take

    def take(self: job.BatchJob, scored: Any) -> None:
        if scored.piece.number == 5:
            raise TargetError("The disk is full.")
        taken(self, scored)

    with monkeypatch.context() as patch:
        patch.setattr(job.BatchJob, "take", take)
        with pytest.raises(TargetError):
            score(source, out, model, **options)


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("out", ["out.csv", "out.parquet"])
def test_an_interrupted_job_goes_on_with_any_number_of_workers(
    rows: Path, tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    interrupted(rows, tmp_path / out, model_folder, monkeypatch, workers=1)
    assert not (tmp_path / out).exists()
    ended = score(rows, tmp_path / out, model_folder, workers=2)
    assert ended.resumed
    (tmp_path / "whole").mkdir()
    whole = score(rows, tmp_path / "whole" / out, model_folder)
    assert (tmp_path / out).read_bytes() == (tmp_path / "whole" / out).read_bytes()
    told = ("rows", "scored", "rejected", "reasons", "results", "histogram")
    assert [getattr(ended, name) for name in told] == [getattr(whole, name) for name in told]
    assert pq.read_table(str(ended.sample)).equals(pq.read_table(str(whole.sample)))


@pytest.mark.usefixtures("pieces")
def test_a_corrected_input_of_the_same_length_is_scored_anew(
    rows: Path, content: bytes, tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(rows, tmp_path / "out.csv", model_folder, monkeypatch)
    when = rows.stat()
    lines = content.splitlines()
    rows.write_bytes(b"\n".join([lines[0], lines[2], lines[1], *lines[3:]]) + b"\n")
    os.utime(rows, ns=(when.st_atime_ns, when.st_mtime_ns))
    assert not score(rows, tmp_path / "out.csv", model_folder).resumed
    assert (tmp_path / "out.csv").read_bytes().splitlines()[1].startswith(lines[2])


def test_the_identity_of_a_file_is_all_of_it(tmp_path: Path, content: bytes) -> None:
    seen = set()
    for last in (b"1", b"2"):
        (tmp_path / "rows.csv").write_bytes(content + b"x" * (2 << 20) + last)
        seen.add(open_source(str(tmp_path / "rows.csv"), ",").identity)
    assert len(seen) == 2


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("lost", ["scores", "rejects", "sample/00000001.parquet", "journal.json"])
def test_what_an_earlier_attempt_lost_is_made_again(
    rows: Path, tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    interrupted(rows, tmp_path / "out.csv", model_folder, monkeypatch)
    file = tmp_path / ".out.csv.scoring" / lost
    file.write_bytes(file.read_bytes()[:40]) if lost in ("scores", "journal.json") else file.unlink()
    assert not score(rows, tmp_path / "out.csv", model_folder).resumed
    assert len((tmp_path / "out.csv").read_bytes().splitlines()) == ROWS


def test_a_second_job_is_refused_with_the_name_of_the_first_and_touches_nothing(rows: Path, tmp_path: Path, model_folder: Path) -> None:
    place = tmp_path / ".out.csv.scoring"
    place.mkdir()
    (place / "scores").write_bytes(b"half of it")
    with locked(tmp_path / ".out.csv.lock", "the first job"), pytest.raises(Busy, match="the first job"):
        score(rows, tmp_path / "out.csv", model_folder)
    assert [(file.name, file.read_bytes()) for file in place.iterdir()] == [("scores", b"half of it")]


def test_nothing_but_scores_and_rejects_is_left(rows: Path, tmp_path: Path, model_folder: Path) -> None:
    ended = score(rows, tmp_path / "out.csv", model_folder)
    Path(str(ended.sample)).unlink()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.csv", "out.rejects.csv", "rows.csv"]


def test_rejects_of_other_scores_do_not_stay_beside_new_ones(rows: Path, content: bytes, tmp_path: Path, model_folder: Path) -> None:
    score(rows, tmp_path / "out.csv", model_folder)
    assert (tmp_path / "out.rejects.csv").exists()
    rows.write_bytes(b"".join(content.splitlines(keepends=True)[:4]))
    score(rows, tmp_path / "out.csv", model_folder)
    assert not (tmp_path / "out.rejects.csv").exists()


@pytest.mark.parametrize(
    ("out", "told"),
    [
        ("out.xlsx", r"\.csv or \.parquet"),
        ("s3://bucket/out.csv", "no file on this machine"),
        ("rows.csv", "is the input"),
        ("rows.parquet", "is the input"),
    ],
)
def test_scores_go_to_a_file_of_their_own_on_this_machine(rows: Path, tmp_path: Path, model_folder: Path, out: str, told: str) -> None:
    source = rows if out == "rows.csv" else rows.rename(tmp_path / "rows.rejects.csv")
    before = source.read_bytes()
    with pytest.raises(SettingsError, match=told):
        score(source, Path(out) if ":" in out else tmp_path / out, model_folder)
    assert source.read_bytes() == before


HARNESS = """
import os, shutil, signal, sys
from pathlib import Path
import pyarrow.csv, pyarrow.parquet
import pushline.batch.source as source
import pushline.batch.job as job
import pushline.serving.scorer
job.NOTE_S = 0.0
source.PIECE_BYTES = 30_000

count = 0

def at_each(point):
    def watched(do):
        def doing(*said, **named):
            global count
            count += 1
            if count == point:
                os.kill(os.getpid(), signal.SIGKILL)
            return do(*said, **named)
        return doing
    for name in ("rename", "replace", "unlink", "rmdir", "fsync", "truncate", "mkdir"):
        setattr(os, name, watched(getattr(os, name)))

def child(out, point=0):
    if (pid := os.fork()) == 0:
        at_each(point)
        os.chdir(out)
        job.score_batch(sys.argv[1], Path(sys.argv[3]), Path(sys.argv[2]), "1", options=job.Options(workers=1), progress=lambda line: None)
        Path(".steps").write_text(str(count))
        os._exit(0)
    return os.waitpid(pid, 0)[1]

def files(folder):
    return {file.name: file.read_bytes() for file in folder.glob("*") if file.name[0] != "."}

whole = Path("whole")
whole.mkdir()
assert child(whole) == 0
steps = int(Path("whole/.steps").read_text())
for point in range(steps, 0, -int(sys.argv[4])):
    folder = Path(f"killed{point}")
    folder.mkdir()
    assert child(folder, point) == signal.SIGKILL
    assert set(files(folder)) <= set(files(whole))
    assert all(files(whole)[name] == content for name, content in files(folder).items())
    assert child(folder) == 0
    assert files(folder) == files(whole), point
    assert list(folder.glob(".*.scoring")) == []
    shutil.rmtree(folder)
print(steps)
"""


@pytest.mark.slow
@pytest.mark.parametrize("out", ["out.csv", "out.parquet"])
def test_killed_at_any_step_the_same_command_ends_in_the_same_bytes(rows: Path, tmp_path: Path, model_folder: Path, out: str) -> None:
    every = "8" if out == "out.csv" else "9"  # what they have in common need not be tried twice
    command = [sys.executable, "-c", HARNESS, str(rows), str(model_folder), out, every]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


def test_the_journal_of_another_version_begins_anew(rows: Path, tmp_path: Path, model_folder: Path) -> None:
    place = tmp_path / ".out.csv.scoring"
    place.mkdir()
    (place / "journal.json").write_text(json.dumps({"identity": "x", "a key of tomorrow": 1}), encoding="utf-8")
    assert not score(rows, tmp_path / "out.csv", model_folder).resumed
