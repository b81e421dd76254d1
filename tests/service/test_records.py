"""Scored rows are kept only where the settings say so, and never with a key."""

import json
import time
from pathlib import Path
from typing import Any

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
        until = time.monotonic() + 5
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
