"""Scored rows are kept only where the settings say so, and never with a key."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from service_made import Service, service_of


def lines_in(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]


def test_nothing_is_kept_by_default(service: Service, row: dict[str, Any]) -> None:
    assert service.score([row]).status == 200
    assert not list(service.folder.glob("*scored*"))


def test_scored_rows_are_kept_with_their_answers_and_old_files_go(model: Path, tmp_path: Path, row: dict[str, Any]) -> None:
    folder = tmp_path / "log-scored"
    folder.mkdir()
    (folder / "2020-01-01.jsonl").write_text("{}\n")
    with service_of(model, tmp_path, "--model-version", "5", env={"PUSHLINE_SERVING__RECORD": "1"}) as service:
        answer = service.score([row, row])
        assert service.score([{}]).status == 422
        until = time.monotonic() + 60
        while len(lines_in(folder)) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        kept = lines_in(folder)
        assert [line["row"] for line in kept] == [row, row]
        assert [line["probability"] for line in kept] == answer.json["probability"]
        assert {line["model_version"] for line in kept} == {"5"}
        assert {line["request_id"] for line in kept} == {answer.headers["x-request-id"]}
        assert not (folder / "2020-01-01.jsonl").exists()
        content = "".join(file.read_text() for file in folder.iterdir())
        assert service.key not in content
        assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


@pytest.mark.example
def test_what_no_reader_of_json_takes_is_kept_as_null_and_silences_nothing(model: Path, tmp_path: Path, row: dict[str, Any]) -> None:
    folder = tmp_path / "log-scored"
    with service_of(model, tmp_path, env={"PUSHLINE_SERVING__RECORD": "1"}) as service:
        body = json.dumps({"data": [{**row, "duration": 12345}]}).encode()
        for strange in (b"1e999", b"-1e999", b"[1e999]", b"9" * 400, b'"\\ud800"', b"1"):
            assert service.request(body.replace(b"12345", strange)).status == 200
        assert service.score([{}]).status == 422
        until = time.monotonic() + 60
        while time.monotonic() < until and not any(line["event"] == "refused" for line in service.log()):
            time.sleep(0.05)  # the log is written after the rows
        kept = [line["row"]["duration"] for line in lines_in(folder)]
        assert kept[:3] == [None, None, [None]]
        assert kept[-1] == 1
        assert [line["fields"]["status"] for line in service.log() if line["event"] == "refused"] == [422]


def test_a_service_without_a_log_file_keeps_them_where_it_says(model: Path, tmp_path: Path, row: dict[str, Any]) -> None:
    """As in a container."""
    env = {"PUSHLINE_SERVING__RECORD": "1", "TMPDIR": str(tmp_path)}
    with service_of(model, tmp_path / "s", env=env, log=False) as service:
        assert service.score([row]).status == 200
        said = (service.folder / "said").read_text()
        (folder,) = tmp_path.glob("pushline-scored-*")
        assert f"Keeping a sample of the scored rows in {folder}." in said
    assert [line["row"] for line in lines_in(folder)] == [row]
