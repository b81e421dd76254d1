import hashlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.file_server import FileServer, file_server
from pushline.data.sources.download import Bar, download
from pushline.errors import DataCorrupt, DataUnavailable, SettingsError

CONTENT = b"a,b\n" + b"1,2\n" * 200_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with file_server() as running:
        running.files["f.csv"] = CONTENT
        yield running


def quiet(line: str) -> None:
    """Nobody listens."""


def test_a_file_is_received_whole(server: FileServer, tmp_path: Path) -> None:
    file = download(server.url("f.csv"), SHA256, tmp_path, "f.csv", quiet)
    assert file.read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["f.csv"]


def test_a_broken_connection_is_continued_where_it_broke(server: FileServer, tmp_path: Path) -> None:
    server.breaks = [300_000, 100_000]
    assert download(server.url("f.csv"), SHA256, tmp_path, "f.csv", quiet).read_bytes() == CONTENT
    starts = [int(said.removeprefix("bytes=").removesuffix("-")) for _, said in server.asked if said]
    assert len(server.asked) == 3
    assert starts[0] > 0
    assert starts[1] > starts[0]


def test_an_interrupted_download_is_continued_by_the_next_one(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / f"{SHA256[:16]}.part").write_bytes(CONTENT[:400_000])
    assert download(server.url("f.csv"), SHA256, tmp_path, "f.csv", quiet).read_bytes() == CONTENT
    assert server.asked == [("f.csv", "bytes=400000-")]


def test_a_download_that_was_complete_is_not_received_again(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / f"{SHA256[:16]}.part").write_bytes(CONTENT)
    assert download(server.url("f.csv"), SHA256, tmp_path, "f.csv", quiet).read_bytes() == CONTENT
    assert len(server.asked) == 1


@pytest.mark.parametrize("earlier", [b"x" * 400_000, b"x" * (len(CONTENT) + 9)], ids=["other bytes", "too long"])
def test_a_piece_of_another_file_is_dropped(server: FileServer, tmp_path: Path, earlier: bytes) -> None:
    (tmp_path / f"{SHA256[:16]}.part").write_bytes(earlier)
    assert download(server.url("f.csv"), SHA256, tmp_path, "f.csv", quiet).read_bytes() == CONTENT


def test_a_server_without_ranges_is_asked_for_the_whole_file(server: FileServer, tmp_path: Path) -> None:
    server.ranges = False
    server.breaks = [300_000]
    assert download(server.url("f.csv"), SHA256, tmp_path, "f.csv", quiet).read_bytes() == CONTENT


def test_wrong_bytes_are_refused_and_kept_aside(server: FileServer, tmp_path: Path) -> None:
    server.files["f.csv"] = b"something else"
    with pytest.raises(DataCorrupt, match="other bytes") as caught:
        download(server.url("f.csv"), SHA256, tmp_path, "f.csv", quiet)
    (aside,) = (tmp_path / "refused").iterdir()
    assert aside.read_bytes() == b"something else"
    assert str(aside) in caught.value.why
    assert not (tmp_path / "f.csv").exists()


def test_a_connection_that_keeps_breaking_is_given_up(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushline.data.sources.download.time.sleep", lambda seconds: None)
    server.breaks = [40_000] * 20
    with pytest.raises(DataUnavailable, match="whole file"):
        download(server.url("f.csv"), SHA256, tmp_path, "f.csv", quiet)
    assert (tmp_path / f"{SHA256[:16]}.part").stat().st_size > 0


def test_a_missing_file_is_said_to_be_missing(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable) as caught:
        download(server.url("gone.csv"), SHA256, tmp_path, "gone.csv", quiet)
    assert "404" in caught.value.why


def test_a_redirect_is_followed(server: FileServer, tmp_path: Path) -> None:
    server.redirects["old.csv"] = "/f.csv"
    assert download(server.url("old.csv"), SHA256, tmp_path, "f.csv", quiet).read_bytes() == CONTENT


def test_redirects_without_an_end_are_given_up(server: FileServer, tmp_path: Path) -> None:
    server.redirects["loop.csv"] = "/loop.csv"
    with pytest.raises(DataUnavailable):
        download(server.url("loop.csv"), SHA256, tmp_path, "f.csv", quiet)


@pytest.mark.parametrize(
    "url", ["http://example.com/f.csv", "ftp://127.0.0.1/f.csv", "file:///etc/passwd", "http://127.0.0.1.example.com/f.csv"]
)
def test_data_travels_over_https_or_not_at_all(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="not a source"):
        download(url, SHA256, tmp_path, "f.csv", quiet)


def test_a_redirect_does_not_lead_away_from_https(server: FileServer, tmp_path: Path) -> None:
    server.redirects["f.csv"] = "http://example.com/f.csv"
    with pytest.raises(SettingsError, match=r"example\.com"):
        download(server.url("f.csv"), SHA256, tmp_path, "f.csv", quiet)


def test_a_host_that_refuses_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    waited: list[float] = []
    monkeypatch.setattr("pushline.data.sources.download.time.sleep", waited.append)
    with pytest.raises(DataUnavailable, match="can't be reached"):
        download(f"http://127.0.0.1:{port}/f.csv", SHA256, tmp_path, "f.csv", quiet)
    assert not waited  # it is not asked again


def test_a_resolver_that_thinks_for_long_does_not_hold_up_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers, answered = threading.Event(), threading.Event()

    def slow(*arguments: object, **options: object) -> object:
        answers.wait()
        answered.set()
        raise OSError("late")

    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pushline.data.sources.download.CONNECT_S", 0.2)
    monkeypatch.setattr("pushline.data.sources.download.socket.create_connection", slow)
    monkeypatch.setattr("pushline.data.sources.download.addresses_of", lambda host, port: ["192.0.2.1"])
    with pytest.raises(DataUnavailable, match="can't be reached"):
        download("https://data.invalid/f.csv", SHA256, tmp_path, "f.csv", quiet)
    assert not answered.is_set()
    answers.set()
    assert answered.wait(60)


def test_progress_is_told_in_tenths() -> None:
    said: list[str] = []
    bar = Bar(1000, said.append)
    for have in range(0, 1001, 10):
        bar.show(have)
    assert len(said) == 11
    assert said[-1].startswith("[##########]")
