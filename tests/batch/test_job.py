"""Batch scoring gives the service's answers, loses and doubles nothing, and takes little memory."""

import contextlib
import csv
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from msgspec.json import encode

from pushline.batch.job import SAMPLE_ROWS, BatchResult, Options, sampling_step, score_batch
from pushline.batch.source import open_source
from pushline.data.contract import load_contract
from pushline.errors import CriticalFindings, DataCorrupt, DataUnavailable, SettingsError
from pushline.serving.scorer import Scorer

pytestmark = pytest.mark.example  # it spoils columns that it knows

Lines = list[list[str]]


def score(source: Path | str, out: Path, model: Path, **options: Any) -> BatchResult:
    return score_batch(str(source), out, model, "1", options=Options(**options), progress=lambda line: None)


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def lines(table_csv: Path) -> list[str]:
    """The header and the rows of the table, without line ends."""
    return table_csv.read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def service(model_folder: Path) -> Scorer:
    """What answers requests."""
    return Scorer(model_folder, max_rows=100_000)


@pytest.fixture
def table(lines: list[str], tmp_path: Path) -> Path:
    file = tmp_path / "rows.csv"
    file.write_text("\n".join(lines[:2001]) + "\n", encoding="utf-8")
    return file


def asked(service: Scorer, rows: list[dict[str, str]]) -> tuple[list[float], list[str]]:
    """The probabilities and results that the service gives for rows of text."""
    contract = service.contract
    kinds = {column.name: {"integer": int, "number": float}.get(column.type, str) for column in contract.inputs}
    body = encode({"data": [{name: kinds[name](value) for name, value in row.items() if name in kinds} for row in rows]})
    shown = service.score(body)
    return shown, service.results(shown)


@pytest.mark.slow
def test_every_row_gets_the_answer_of_the_service(table: Path, tmp_path: Path, model_folder: Path, service: Scorer) -> None:
    ended = score(table, tmp_path / "out.csv", model_folder)
    scored = rows_of(tmp_path / "out.csv")
    probabilities, results = asked(service, rows_of(table))
    assert [float(row["probability"]) for row in scored] == probabilities
    assert [row["result"] for row in scored] == results
    assert (ended.rows, ended.scored, ended.rejected) == (2000, 2000, 0)
    assert sum(ended.histogram) == 2000
    assert ended.results == {name: results.count(name) for name in service.classes}


def test_all_columns_are_kept_as_they_stood(table: Path, tmp_path: Path, model_folder: Path) -> None:
    text = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join(["key," + text[0], *(f"k{i}," + line for i, line in enumerate(text[1:]))]) + "\n", encoding="utf-8")
    score(table, tmp_path / "out.csv", model_folder)
    before, after = rows_of(table), rows_of(tmp_path / "out.csv")
    assert [{name: row[name] for name in before[0]} for row in after] == before


@pytest.mark.parametrize("end", ["\n", "\r\n", "mixed"])
@pytest.mark.parametrize("last", [True, False], ids=["ended", "not-ended"])
def test_line_ends_make_no_difference(lines: list[str], tmp_path: Path, model_folder: Path, end: str, last: bool) -> None:
    ends = ["\n", "\r\n"] if end == "mixed" else [end]
    text = "".join(line + ends[i % len(ends)] for i, line in enumerate(lines[:301]))
    (tmp_path / "rows.csv").write_bytes((text if last else text.rstrip("\r\n")).encode())
    (tmp_path / "plain.csv").write_bytes(("\n".join(lines[:301]) + "\n").encode())
    score(tmp_path / "rows.csv", tmp_path / "out.csv", model_folder)
    score(tmp_path / "plain.csv", tmp_path / "expected.csv", model_folder)
    assert rows_of(tmp_path / "out.csv") == rows_of(tmp_path / "expected.csv")


def broken(line: list[str], names: list[str], name: str, value: str) -> list[str]:
    return [value if column == name else cell for column, cell in zip(names, line, strict=True)]


def features_by_type(repo: Path) -> dict[str, str]:
    """A feature of each type."""
    return {column.type: column.name for column in load_contract(repo / "data_checks" / "contract.yml").features()}


def test_rows_that_break_the_contract_go_to_the_rejects_with_line_and_reason(
    lines: list[str], tmp_path: Path, model_folder: Path, repo: Path
) -> None:
    names = lines[0].split(",")
    cells: Lines = [line.split(",") for line in lines[1:101]]
    one = features_by_type(repo)
    cells[9] = broken(cells[9], names, one["string"], "nonsense")
    cells[19] = broken(cells[19], names, one["integer"], "many")
    cells[29] = broken(cells[29], names, one["number"], "1e9")
    cells[39] = broken(cells[39], names, one["integer"], "")
    cells[49] = cells[49][:-3]
    cells[59] = [*cells[59], "more"]
    cells[69] = broken(cells[69], names, one["number"], "nan")
    cells[79] = broken(cells[79], names, one["integer"], "1.5")
    (tmp_path / "rows.csv").write_text("\n".join([lines[0], *(",".join(row) for row in cells)]) + "\n", encoding="utf-8")
    ended = score(tmp_path / "rows.csv", tmp_path / "out.csv", model_folder)
    assert (ended.scored, ended.rejected) == (92, 8)
    rejects = (tmp_path / "out.rejects.csv").read_text(encoding="utf-8").splitlines()
    told = [next(csv.reader(io.StringIO(line)))[:2] for line in rejects[1:]]
    assert [int(line) for line, _ in told] == [11, 21, 31, 41, 51, 61, 71, 81]
    reasons = [reason for _, reason in told]
    assert "'nonsense', which is not allowed" in reasons[0]
    assert reasons[1].endswith("is not a whole number")
    assert "allowed is" in reasons[2]
    assert reasons[3].endswith("is missing")
    assert reasons[4] == f"holds {len(names) - 3} of {len(names)} fields"
    assert reasons[5] == f"holds {len(names) + 1} of {len(names)} fields"
    assert reasons[7].endswith("is not a whole number")
    assert next(csv.reader([rejects[1]]))[2:] == cells[9]
    kept = [row for i, row in enumerate(cells) if i not in {9, 19, 29, 39, 49, 59, 69, 79}]
    assert [row[: len(names)] for row in csv.reader(io.StringIO((tmp_path / "out.csv").read_text(encoding="utf-8")))][1:] == kept


def test_a_job_tells_what_it_did_in_figures_that_add_up_over_its_pieces(
    lines: list[str], tmp_path: Path, model_folder: Path, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushline.batch.source.PIECE_BYTES", 10_000)
    monkeypatch.setattr("pushline.batch.job.SAY_S", 0.0)
    names, name = lines[0].split(","), features_by_type(repo)["string"]
    bad = [",".join(broken(line.split(","), names, name, "nonsense")) for line in lines[1:4]]
    text = "\n".join([lines[0], *bad[:2], *lines[4:500], bad[2], "1,2"]) + "\n"
    (tmp_path / "rows.csv").write_text(text.replace(",", ";"), encoding="utf-8")
    said: list[str] = []
    options = Options(delimiter=";", workers=2)
    ended = score_batch(str(tmp_path / "rows.csv"), tmp_path / "out.csv", model_folder, "7", options=options, progress=said.append)
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        results = [row["result"] for row in csv.DictReader(stream, delimiter=";")]
    assert ended.results == dict(Counter(results))
    assert (ended.rows, ended.scored, ended.rejected, sum(ended.histogram)) == (500, 496, 4, 496)
    assert (ended.model_version, ended.resumed, ended.rejects) == ("7", False, str(tmp_path / "out.rejects.csv"))
    nonsense = f"{name} is 'nonsense', which is not allowed"
    assert ended.reasons == {nonsense: 3, f"holds 2 of {len(names)} fields": 1}
    told = (tmp_path / "out.rejects.csv").read_text(encoding="utf-8").splitlines()
    assert told[0] == f"line;reason;{lines[0].replace(',', ';')}"
    assert told[1] == f"2;{nonsense};{bad[0].replace(',', ';')}"
    assert told[4] == f"501;holds 2 of {len(names)} fields;1;2"
    assert ended.seconds > 0
    assert ended.rows_per_second == pytest.approx(ended.rows / ended.seconds, rel=0.1)
    assert len(said) > 3
    assert all(re.fullmatch(r"[\d,]+ rows, [\d,]+ rows/s, [\d,]+ s left", line) for line in said)


def test_every_so_many_rows_one_is_kept_for_the_drift_of_the_input() -> None:
    def step(kind: str, size: int) -> int:
        return sampling_step(SimpleNamespace(kind=kind, size=size))  # type: ignore[arg-type]  # it looks at no more of a source

    assert [step("parquet", rows) for rows in (10, SAMPLE_ROWS, 10 * SAMPLE_ROWS)] == [1, 1, 10]
    assert [step("csv", 40 * rows) for rows in (10, SAMPLE_ROWS, 10 * SAMPLE_ROWS)] == [1, 1, 10]


def test_a_column_that_csv_can_not_hold_is_named_where_scores_go_to_csv(table: Path, tmp_path: Path, model_folder: Path) -> None:
    frame = pd.read_csv(table, keep_default_na=False).head(20).assign(tags=[["a", "b"]] * 20)
    frame.to_parquet(tmp_path / "rows.parquet", index=False)
    with pytest.raises(SettingsError) as caught:
        score(tmp_path / "rows.parquet", tmp_path / "out.csv", model_folder)
    assert str(tmp_path / "rows.parquet") in str(caught.value)
    assert "tags" in str(caught.value)
    assert score(tmp_path / "rows.parquet", tmp_path / "out.parquet", model_folder).scored == 20


def test_strict_stops_at_the_first_bad_row_and_leaves_no_output(lines: list[str], tmp_path: Path, model_folder: Path, repo: Path) -> None:
    names = lines[0].split(",")
    bad = ",".join(broken(lines[5].split(","), names, features_by_type(repo)["string"], "nonsense"))
    (tmp_path / "rows.csv").write_text("\n".join([*lines[:5], bad, *lines[6:50]]) + "\n", encoding="utf-8")
    with pytest.raises(CriticalFindings, match="line 6"):
        score(tmp_path / "rows.csv", tmp_path / "out.csv", model_folder, strict=True)
    assert not (tmp_path / "out.csv").exists()


def test_quoted_line_feeds_stay_within_their_row(lines: list[str], tmp_path: Path, model_folder: Path) -> None:
    rows = ["note," + lines[0], *('"two\nlines, and ""more"" ",' + line for line in lines[1:201])]
    bad = '"x\ny",' + lines[1].replace(lines[1].split(",")[0], "-5", 1)
    (tmp_path / "rows.csv").write_text("\n".join([*rows, bad]) + "\n", encoding="utf-8")
    ended = score(tmp_path / "rows.csv", tmp_path / "out.csv", model_folder)
    assert (ended.scored, ended.rejected) == (200, 1)
    assert rows_of(tmp_path / "out.csv")[7]["note"] == 'two\nlines, and "more" '
    assert (tmp_path / "out.rejects.csv").read_text(encoding="utf-8").splitlines()[1].startswith("402,")


def test_parquet_in_and_out_give_the_same_scores(table: Path, tmp_path: Path, model_folder: Path) -> None:
    frame = pd.read_csv(table, keep_default_na=False)
    frame.to_parquet(tmp_path / "rows.parquet", index=False)
    score(table, tmp_path / "a.csv", model_folder)
    score(tmp_path / "rows.parquet", tmp_path / "b.parquet", model_folder)
    score(tmp_path / "rows.parquet", tmp_path / "c.csv", model_folder)
    score(table, tmp_path / "d.parquet", model_folder)
    expected = [float(row["probability"]) for row in rows_of(tmp_path / "a.csv")]
    assert pd.read_parquet(tmp_path / "b.parquet")["probability"].tolist() == expected
    assert [float(row["probability"]) for row in rows_of(tmp_path / "c.csv")] == expected
    assert pd.read_parquet(tmp_path / "d.parquet")["probability"].tolist() == expected
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "b.parquet")[frame.columns.tolist()], frame)


def test_a_bad_row_of_a_parquet_file_is_rejected_by_its_number(table: Path, tmp_path: Path, model_folder: Path, repo: Path) -> None:
    frame = pd.read_csv(table, keep_default_na=False)
    frame.loc[4, features_by_type(repo)["string"]] = "nonsense"
    frame.to_parquet(tmp_path / "rows.parquet", index=False)
    ended = score(tmp_path / "rows.parquet", tmp_path / "out.parquet", model_folder)
    assert (ended.scored, ended.rejected) == (1999, 1)
    told = (tmp_path / "out.rejects.csv").read_text(encoding="utf-8").splitlines()
    assert (told[0], told[1][:2], len(told)) == ("row,reason", "5,", 2)


def test_an_address_that_fsspec_knows_is_read(table: Path, tmp_path: Path, model_folder: Path) -> None:
    import fsspec

    with fsspec.open("memory://rows.csv", "wb") as stream:
        stream.write(table.read_bytes())
    ended = score("memory://rows.csv", tmp_path / "out.csv", model_folder)
    assert ended.scored == 2000


@pytest.mark.parametrize(
    ("content", "error", "told"),
    [
        (b"", DataCorrupt, "is empty"),
        (b"a,b\n1,2\n", DataCorrupt, "lacks"),
        (b"PK\x03\x04\x00\x00", DataCorrupt, "neither CSV nor Parquet"),
        (b"PAR1 and no more", DataCorrupt, "damaged Parquet"),
        (b"\xff\xfea\n", DataCorrupt, "UTF-16"),
        (b"caf\xe9,b\n1,2\n", DataCorrupt, "not UTF-8"),
        (b"a,b\r1,2\r", DataCorrupt, "carriage return"),
        (b'"a,b\n1,2\n', DataCorrupt, "a quote that is not closed"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, model_folder: Path, content: bytes, error: type[Exception], told: str) -> None:
    (tmp_path / "rows.csv").write_bytes(content)
    with pytest.raises(error) as caught:
        score(tmp_path / "rows.csv", tmp_path / "out.csv", model_folder)
    assert told in str(caught.value)
    assert not (tmp_path / "out.csv").exists()


def test_a_missing_input_is_told(tmp_path: Path, model_folder: Path) -> None:
    with pytest.raises(DataUnavailable):
        score(tmp_path / "nowhere.csv", tmp_path / "out.csv", model_folder)


def test_the_output_never_takes_the_inputs_place(table: Path, model_folder: Path) -> None:
    before = table.read_bytes()
    with pytest.raises(SettingsError):
        score(table, table, model_folder)
    assert table.read_bytes() == before


def test_a_column_of_the_scores_name_is_refused(table: Path, tmp_path: Path, model_folder: Path) -> None:
    text = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join(["result," + text[0], *("x," + line for line in text[1:])]), encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        score(table, tmp_path / "out.csv", model_folder)
    assert caught.value.what == f"{table} has a column result already."
    assert caught.value.do == "Rename it first."


def test_pieces_hold_every_byte_once(tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushline.batch.source.PIECE_BYTES", 1000)
    rng = random.Random(7)
    text = "\n".join(line if rng.random() > 0.2 else f'"a\n{"x" * rng.randrange(3000)}",' + line for line in lines[:400])
    file = tmp_path / "rows.csv"
    file.write_text("\ufeff" + text, encoding="utf-8")
    source = open_source(str(file), ",")
    pieces = list(source.pieces())
    assert b"".join(piece.text for piece in pieces) == file.read_bytes()[source.body :]  # type: ignore[attr-defined]
    assert all(piece.text.count(b'"') % 2 == 0 for piece in pieces)


def test_the_pieces_are_cut_at_the_same_places_wherever_a_job_begins(
    tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushline.batch.source.PIECE_BYTES", 1000)
    rng = random.Random(8)
    text = "\n".join(line if rng.random() > 0.2 else f'"a\n{"x" * rng.randrange(3000)}",' + line for line in lines[:200])
    file = tmp_path / "rows.csv"
    file.write_text("\ufeff" + text, encoding="utf-8")
    source = open_source(str(file), ",")
    pieces = list(source.pieces())
    for number, piece in list(enumerate(pieces))[::7]:
        assert list(source.pieces(number=piece.number, start=piece.start, first=piece.first)) == pieces[number:]


WORKER = """
import sys
from pathlib import Path
import pushline.batch.job as job
import pushline.batch.source as source
job.NOTE_S = 0.0
source.PIECE_BYTES = 200_000
source.PIECE_ROWS = 2_000
job.score_batch(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), "1", options=job.Options(workers=2), progress=print)
"""


def size_of(folder: Path) -> int:
    """Bytes of what a job has written so far."""
    total = 0
    for file in folder.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # it took its place a moment ago
            total += file.stat().st_size
    return total


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_killed_at_random_and_resumed_it_is_byte_for_byte_the_uninterrupted_one(
    lines: list[str], tmp_path: Path, model_folder: Path, repo: Path, kind: str
) -> None:
    names = lines[0].split(",")
    bad = ",".join(broken(lines[1].split(","), names, features_by_type(repo)["string"], "nonsense"))
    body = [bad if i % 997 == 0 else line for i, line in enumerate(lines[1:])] * 3
    table = tmp_path / "rows.csv"
    table.write_text("\n".join([lines[0], *body]) + "\n", encoding="utf-8")
    if kind == "parquet":
        frame = pd.read_csv(table, keep_default_na=False)
        frame.to_parquet(tmp_path / "rows.parquet", index=False)
        table = tmp_path / "rows.parquet"
    script = tmp_path / "worker.py"
    script.write_text(WORKER, encoding="utf-8")
    whole, killed = tmp_path / f"whole.{kind}", tmp_path / f"killed.{kind}"
    subprocess.run([sys.executable, str(script), str(table), str(whole), str(model_folder)], check=True, capture_output=True)
    rng = random.Random(11)
    for share in sorted(rng.uniform(0.05, 0.8) for _ in range(3)):
        process = subprocess.Popen([sys.executable, str(script), str(table), str(killed), str(model_folder)], stdout=subprocess.DEVNULL)
        while size_of(tmp_path / f".killed.{kind}.scoring") < share * whole.stat().st_size:
            assert process.poll() is None  # it can't end before it has written its share
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run([sys.executable, str(script), str(table), str(killed), str(model_folder)], check=True, capture_output=True)
    assert killed.read_bytes() == whole.read_bytes()
    assert (tmp_path / "killed.rejects.csv").read_bytes() == (tmp_path / "whole.rejects.csv").read_bytes()
    assert not list(tmp_path.glob(".*.scoring"))


def test_the_same_output_for_another_model_or_input_begins_anew(table: Path, tmp_path: Path, model_folder: Path) -> None:
    out = tmp_path / "out.csv"
    folder = tmp_path / ".out.csv.scoring"
    folder.mkdir()
    (folder / "journal.json").write_text(json.dumps({"identity": "of another job", "number": 5, "start": 99}), encoding="utf-8")
    (folder / "scores").write_text("left over\n", encoding="utf-8")
    ended = score(table, out, model_folder)
    assert not ended.resumed
    assert ended.scored == 2000
    assert "left over" not in out.read_text(encoding="utf-8")


@pytest.mark.slow
def test_memory_stays_the_same_whatever_the_size(lines: list[str], tmp_path: Path, model_folder: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom pushline.batch.job import Options, score_batch\n"
        "score_batch(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), '1', options=Options(workers=2), progress=lambda line: None)\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )  # the peak since its start; getrusage has that of the process which forked it too
    peaks = []
    for times in (5, 20):
        table = tmp_path / f"rows{times}.csv"
        table.write_text("\n".join([lines[0], *(lines[1:] * times)]) + "\n", encoding="utf-8")
        command = [sys.executable, "-c", code, str(table), str(tmp_path / "out.csv"), str(model_folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) / 1024)
    assert max(peaks) < 1024
    assert peaks[1] - peaks[0] < 150


def test_the_matrix_is_the_one_that_training_makes(table: Path, model_folder: Path, service: Scorer) -> None:
    from pushline.batch.rows import Reader
    from pushline.data.contract.encoding import encode_frame

    source = open_source(str(table), ",")
    reader = Reader(source, service.contract, service.scoring.encoding, ",", whole_table=False)
    piece = next(iter(source.pieces()))
    frame = pd.read_csv(table, keep_default_na=False)
    assert np.array_equal(reader.read(piece).matrix, encode_frame(service.scoring.encoding, frame))


@pytest.mark.parametrize("name", ["scores.xlsx", "scores.json", "scores.csv.gz"])
def test_a_name_that_promises_another_format_is_refused_before_anything_is_read(tmp_path: Path, model_folder: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="is not written"):
        score(tmp_path / "absent.csv", tmp_path / name, model_folder)
    assert list(tmp_path.iterdir()) == []
