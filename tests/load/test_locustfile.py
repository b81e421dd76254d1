import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from pushline.data.contract import load_contract
from pushline.errors import TargetError
from pushline.progress import silent
from pushline.project import Project
from pushline.release.load import LoadResult, breaches, put_load
from pushline.results import Release
from pushline.serving.model_folder import read_scoring
from pushline.serving.payload import Payload
from pushline.settings import Load

from .conftest import BUSY, OTHER, SCORE, Serve

pytestmark = pytest.mark.slow  # Locust takes a second to start, and its load two

KEY = "a-key-that-nobody-must-see-0123456789"
SLO = Load(rate=40, seconds=2, users=4, p95_ms=100, p99_ms=200)


def load_on(project: Project, release: Release, url: str, slo: Load = SLO) -> tuple[LoadResult, set[str]]:
    seen = put_load(project, url, release, KEY, slo, silent)
    return seen, {breach.name for breach in breaches(seen, slo)}


def test_a_quick_server_gets_the_offered_rate_and_passes(project: Project, release: Release, serve: Serve) -> None:
    seen, broken = load_on(project, release, serve(lambda request: (0.0, SCORE)))
    assert broken == set()
    assert 76 <= seen.requests <= 84
    assert len(seen.timeline) == 2
    assert 0 < seen.p50_ms <= seen.p95_ms <= seen.p99_ms <= seen.max_ms


def test_nothing_that_listens_fails(project: Project, release: Release) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        seen, broken = load_on(project, release, f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert broken == {"share of failed requests", "achieved share of the offered rate"}
    assert seen.failures == seen.requests


def test_a_server_that_never_answers_fails(project: Project, release: Release, serve: Serve) -> None:
    seen, broken = load_on(project, release, serve(lambda request: (0.0, None)))
    assert broken == {"share of failed requests", "achieved share of the offered rate"}
    assert seen.achieved_rps == 0


def test_a_burst_is_offered_in_the_last_of_five_seconds_and_long_requests_are_among_the_others(
    project: Project, release: Release, serve: Serve
) -> None:
    lengths: list[int] = []

    def answer(request: bytes) -> tuple[float, bytes]:
        lengths.append(len(request))
        return 0.0, SCORE

    seen, _ = load_on(project, release, serve(answer), msgspec.structs.replace(SLO, seconds=5, burst=4, long=0.1))
    assert seen.offered_rps == pytest.approx(40 * 8 / 5)
    quiet, burst = [piece.requests for piece in seen.timeline[:4]], seen.timeline[4].requests
    assert 2.5 * max(quiet) < burst < 160 + 40
    assert 0.02 < sum(length > 5000 for length in lengths) / len(lengths) < 0.25


def test_a_slow_server_breaks_the_percentiles(project: Project, release: Release, serve: Serve) -> None:
    slo = msgspec.structs.replace(SLO, rate=10)
    _, broken = load_on(project, release, serve(lambda request: (0.3, SCORE)), slo)
    assert broken == {"p95 in ms", "p99 in ms"}


def test_a_server_that_stalls_for_a_while_shows_in_the_percentiles(project: Project, release: Release, serve: Serve) -> None:
    """Four clients wait for one slow answer each: four of eighty requests. A closed loop would see p95 and p90 as quick."""
    slow: list[float] = []

    def stalled(request: bytes) -> tuple[float, bytes]:
        """Answers that fall into half a second come at its end."""
        slow.append(time.monotonic())
        return (max(0.0, 1.0 - (slow[-1] - slow[0])) if slow[-1] - slow[0] > 0.5 else 0.0), SCORE

    seen, broken = load_on(project, release, serve(stalled))
    assert broken == {"p95 in ms", "p99 in ms"}
    assert 76 <= seen.requests <= 84
    assert seen.failures == 0
    assert seen.p95_ms > 200


def test_what_could_not_be_asked_any_more_has_failed(project: Project, release: Release, serve: Serve) -> None:
    """From the middle on nothing is answered in time."""
    first: list[float] = []

    def ending(request: bytes) -> tuple[float, bytes | None]:
        first.append(time.monotonic())
        return 0.0, SCORE if first[-1] - first[0] < 1.0 else None

    seen, broken = load_on(project, release, serve(ending))
    assert "share of failed requests" in broken
    assert 76 <= seen.requests <= 84
    assert 30 <= seen.failures <= 50
    assert any(kind.startswith("not asked") for kind in seen.errors)


@pytest.mark.parametrize(("answer", "kind"), [(BUSY, "status 503"), (OTHER, "not a score")], ids=["busy", "other"])
def test_an_answer_that_is_no_score_is_a_failure_of_its_kind(
    project: Project, release: Release, serve: Serve, answer: bytes, kind: str
) -> None:
    seen, broken = load_on(project, release, serve(lambda request: (0.0, answer)))
    assert "share of failed requests" in broken
    assert set(seen.errors) == {kind}


def test_payloads_are_generated_rows_that_the_contract_allows(project: Project, release: Release, serve: Serve) -> None:
    bodies: list[bytes] = []

    def note(request: bytes) -> tuple[float, bytes]:
        bodies.append(request.partition(b"\r\n\r\n")[2])
        return 0.0, SCORE

    load_on(project, release, serve(note))
    payload = Payload(load_contract(project.contract), read_scoring(Path(release.model)).encoding, max_rows=10)
    assert len(bodies) > 50
    assert len(set(bodies)) > 30
    assert all(payload.quick(body) or payload.careful(body) for body in bodies)


def test_the_key_reaches_the_server_and_no_process_list_or_file(project: Project, release: Release, serve: Serve) -> None:
    heads: list[bytes] = []
    arguments: set[str] = set()

    def note(request: bytes) -> tuple[float, bytes]:
        heads.append(request)
        if not arguments:
            arguments.update(" ".join(child.cmdline()) for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE)
        return 0.0, SCORE

    load_on(project, release, serve(note))
    assert all(f"Bearer {KEY}".encode() in head for head in heads)
    assert arguments
    assert not [line for line in arguments if KEY in line]
    assert not [file for file in project.build.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]


def test_a_load_file_that_is_broken_is_told_with_its_last_words(project: Project, release: Release, serve: Serve) -> None:
    (project.root / "load" / "locustfile.py").write_text("raise ValueError('no such payload')\n")
    with pytest.raises(TargetError) as told:
        load_on(project, release, serve(lambda request: (0.0, SCORE)))
    assert "no such payload" in told.value.why


LOADING = """
import sys, msgspec
from pathlib import Path
from pushline.cli import terminated
import signal
signal.signal(signal.SIGTERM, terminated)
from pushline.project import Project
from pushline.release.load import put_load
from pushline.results import Release
from pushline.settings import Load
release = msgspec.json.decode(sys.argv[3].encode(), type=Release)
put_load(Project(Path(sys.argv[1])), sys.argv[2], release, "k" * 43, Load(rate=40, seconds=60, users=4), print)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_no_load_outlives_its_load_test(project: Project, release: Release, serve: Serve, number: signal.Signals) -> None:
    url = serve(lambda request: (0.0, SCORE))
    arguments = [sys.executable, "-c", LOADING, str(project.root), url, msgspec.json.encode(release).decode()]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ)) as running:
        parent = psutil.Process(running.pid)
        children: list[psutil.Process] = []
        until = time.monotonic() + 60
        while not any(child.net_connections() for child in children):
            assert time.monotonic() < until
            children = parent.children(recursive=True)
            time.sleep(0.1)
        running.send_signal(number)
        assert running.wait(timeout=60) != 0
    assert psutil.wait_procs(children, timeout=60)[1] == []
