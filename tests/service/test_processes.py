"""Workers come and go; requests don't fail."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pushline.files import write_json
from pushline.serving.keys import EndpointKeys, make_keys, new_key
from pushline.serving.model_folder import GoldenRow
from release.hammer import Hammer
from service_made import Service, received_of, service_of, wait_ready
from signed import signed


@pytest.fixture
def own(model: Path, tmp_path: Path) -> Iterator[Service]:
    """A service that the test may hurt."""
    with service_of(model, tmp_path / "s", "--release", "r1", "--model-version", "1") as service:
        yield service


def body_of(row: dict[str, Any]) -> bytes:
    return json.dumps({"data": [row]}).encode()


def until(true: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
def test_a_worker_that_is_told_to_end_loses_no_request(own: Service, row: dict[str, Any]) -> None:
    with Hammer(own.url, body_of(row), own.key, rate=1000) as hammer:
        (before,) = own.ask(do="status")["workers"]
        os.kill(before, signal.SIGTERM)
        until(lambda: before not in own.ask(do="status")["workers"] and own.ask(do="status")["ready"])
        hammer.wait_for(100)
        until(lambda: not psutil.pid_exists(before))
    assert not hammer.failures


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_only_what_it_held_is_lost(own: Service, row: dict[str, Any]) -> None:
    with Hammer(own.url, body_of(row), own.key, kept=6, fresh=2) as hammer:
        (before,) = own.ask(do="status")["workers"]
        os.kill(before, signal.SIGKILL)
        until(lambda: before not in own.ask(do="status")["workers"] and own.ask(do="status")["ready"])
        hammer.wait_for(100)
    assert len(hammer.failures) <= 8
    assert [line["event"] for line in own.log() if line["level"] == "error"] == ["worker-died"]


@pytest.mark.slow
def test_a_killed_supervisor_leaves_no_worker_and_frees_the_port(own: Service, model: Path, tmp_path: Path) -> None:
    workers = own.ask(do="status")["workers"]
    own.process.kill()
    own.process.wait()
    until(lambda: not any(psutil.pid_exists(pid) for pid in workers))
    with service_of(model, tmp_path / "again", "--port", str(own.port)) as again:
        assert again.port == own.port


def test_a_stop_lets_a_request_under_way_finish(model: Path, tmp_path: Path, row: dict[str, Any]) -> None:
    body = body_of(row)
    with service_of(model, tmp_path) as own:
        head = f"POST /score HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {own.key}\r\ncontent-length: {len(body)}\r\n"
        with own.connect() as connection, own.connect() as idle:
            connection.sendall(f"{head}expect: 100-continue\r\n\r\n".encode() + body[:50])
            assert connection.recv(100).startswith(b"HTTP/1.1 100")  # the request is under way
            own.process.send_signal(signal.SIGTERM)
            assert idle.recv(1) == b""  # the service ends
            connection.sendall(body[50:])
            received = received_of(connection)
        assert received.startswith(b"HTTP/1.1 200 OK")
        assert own.process.wait(60) == 0
        assert not (tmp_path / "control").exists()


def test_ctrl_c_ends_the_service_with_its_workers(own: Service) -> None:
    workers = own.ask(do="status")["workers"]
    os.killpg(own.process.pid, signal.SIGINT)
    assert own.process.wait(60) == 0
    assert not any(psutil.pid_exists(pid) for pid in workers)


def test_stop_on_the_control_socket_ends_it(own: Service) -> None:
    assert own.ask(do="stop") == {"ok": True}
    assert own.process.wait(60) == 0


def test_the_control_socket_is_its_owners_and_survives_nonsense(own: Service) -> None:
    path = own.folder / "control"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for nonsense in (b"hello\n", b"[1]\n", b'{"do": "dance"}\n', b'{"do": 1}\n', b"", b"x" * 100_000):
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(60)
            control.connect(str(path))
            control.sendall(nonsense)
            control.shutdown(socket.SHUT_WR)
            assert json.loads(b"".join(iter(lambda: control.recv(65536), b"")))["ok"] is False
    assert own.ask(do="status")["ready"]


def test_a_model_that_answers_its_golden_rows_otherwise_never_becomes_ready(
    model: Path, tmp_path: Path, golden: tuple[GoldenRow, ...]
) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(model, folder)
    content = json.loads((folder / "golden.json").read_text())
    content[0]["probabilities"] = [0.0, 1.0]
    (folder / "golden.json").write_text(json.dumps(content))
    with service_of(signed(folder), tmp_path / "s", wait=False) as service:
        assert service.process.wait(60) == 4
        assert "golden row" in (service.folder / "said").read_text()


def test_a_taken_port_is_a_clear_error(own: Service, model: Path, tmp_path: Path) -> None:
    with service_of(model, tmp_path / "second", "--port", str(own.port), wait=False) as second:
        assert second.process.wait(60) == 4
        said = (second.folder / "said").read_text()
    assert f"127.0.0.1:{own.port} can't be listened on" in said
    assert "Traceback" not in said


def test_a_service_tied_to_a_process_ends_with_it(model: Path, tmp_path: Path) -> None:
    with (
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other,
        service_of(model, tmp_path, "--tied-to", str(other.pid)) as service,
    ):
        other.kill()
        other.wait()
        assert service.process.wait(60) == 0


@pytest.mark.slow
def test_keys_are_rotated_without_a_refused_request(own: Service, row: dict[str, Any]) -> None:
    """Clients use the primary key; at a rotation it becomes the secondary one and stays valid."""
    file, keys = own.folder / "keys.json", own.keys
    with Hammer(own.url, body_of(row), keys.primary, rate=1000) as hammer:
        fresh = EndpointKeys(primary=new_key(), secondary=keys.primary)
        write_json(file, fresh, mode=0o600)
        assert own.request(body_of(row), key=fresh.primary).status == 200
        hammer.wait_for(200)
    assert not hammer.failures
    until(lambda: own.request(body_of(row), key=keys.secondary).status == 401)


def test_keys_that_are_damaged_later_leave_the_old_ones_in_force(own: Service, row: dict[str, Any]) -> None:
    for number, damage in enumerate((b"{", b"\xff\xfe not UTF-8", b'{"primary": "\xff"}', b""), 1):
        (own.folder / "keys.json").write_bytes(damage)
        until(lambda: len([line for line in own.log() if line["event"] == "keys"]) >= number)  # noqa: B023 - within its turn
        assert own.score([row]).status == 200


def test_keys_that_others_can_read_are_refused_at_the_start(model: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    make_keys(keys)
    keys.chmod(0o644)
    arguments = [sys.executable, "-m", "pushline", "serve", "--model", str(model), "--port", "0", "--keys", str(keys)]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"chmod 600 {keys}" in done.stderr


@pytest.mark.slow
def test_several_workers_share_the_load_and_their_counters(model: Path, tmp_path: Path, row: dict[str, Any]) -> None:
    with service_of(model, tmp_path, "--workers", "3") as service:
        wait_ready(service)
        until(lambda: len(service.ask(do="status")["workers"]) == 3)
        for _ in range(60):
            assert service.score([row]).status == 200
        until(lambda: {rows_told(service) for _ in range(5)} == {"60"})  # whichever worker is asked


@pytest.mark.slow
def test_it_is_ready_once_all_workers_are_and_one_that_dies_before_is_replaced(model: Path, tmp_path: Path) -> None:
    with service_of(model, tmp_path, "--workers", "2", wait=False) as service:
        log = tmp_path / "log.jsonl"
        until(lambda: log.exists() and len([line for line in service.log() if line["event"] == "started"]) == 2)
        first, second = (line["fields"]["pid"] for line in service.log() if line["event"] == "started")
        os.kill(second, signal.SIGSTOP)
        until(lambda: psutil.Process(first).net_connections(kind="tcp") and answers(service))
        assert not service.ask(do="status")["ready"]
        os.kill(second, signal.SIGKILL)
        wait_ready(service)
        assert len(service.ask(do="status")["workers"]) == 2
        assert service.process.poll() is None


def rows_told(service: Service) -> str:
    return service.request(b"", method="GET", path="/metrics").body.decode().split("\npushline_rows_total ")[1].split()[0]


def answers(service: Service) -> bool:
    """Whether a worker answers already."""
    service.port = service.ask(do="status")["port"]
    try:
        return service.raw(b"GET /readyz HTTP/1.1\r\nhost: t\r\n\r\n", timeout_s=0.2).status == 200
    except TimeoutError:
        return False
