"""The keys are in their file, and nowhere else."""

import json
from pathlib import Path
from typing import Any

import psutil

from service_made import service_of


def test_no_key_is_in_a_log_a_process_list_an_answer_or_a_file(model: Path, tmp_path: Path, row: dict[str, Any]) -> None:
    env = {"PUSHLINE_SERVING__ACCESS_LOG": "1", "PUSHLINE_SERVING__RECORD": "1"}
    with service_of(model, tmp_path, env=env) as service:
        body = json.dumps({"data": [row]}).encode()
        key = service.key
        answers = [
            service.request(body),
            service.request(body, key=key + "x"),
            service.request(body, f"x-request-id: {key[:10]}"),
            service.request(b"{", f"x-api-key: {key}"),
            service.request(body, path=f"/score?key={key}"),
            service.request(body, path=f"/{key}/nowhere"),
            service.request(b"", method="GET", path="/metrics"),
            service.raw(f"GET /{key} HTTP/1.1\r\n broken".encode(), shut=True),
            service.raw(f"authorization: Bearer {key}\r\n\r\n".encode()),
        ]
        processes = [psutil.Process(service.process.pid), *psutil.Process(service.process.pid).children(recursive=True)]
        lists = [" ".join(process.cmdline()) + json.dumps(process.environ()) for process in processes]
    said = "".join(answer.raw.decode("latin-1") for answer in answers) + "".join(lists)
    for one in (service.keys.primary, service.keys.secondary):
        assert one not in said
    files = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and file.name != "keys.json"}
    assert len(files) >= 3
    # A key in the address is the client's own leak; the log does not repeat addresses that are nowhere.
    assert not [file for file, content in files.items() if service.key.encode() in content or service.keys.secondary.encode() in content]
