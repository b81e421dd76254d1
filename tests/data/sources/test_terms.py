"""What a source may be: a stranger's pull request must not make a runner ask addresses inside its network, or fill its disk."""

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from azure.fake.authority import Authority
from data.file_server import FileServer, file_server
from pushline.data.sources.download import TRUSTED, UNTRUSTED, Terms, download, permit
from pushline.errors import DataUnavailable, SettingsError


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/f.csv",
        "http://127.0.0.1:8000/f.csv",
        "file:///etc/passwd",
        "ftp://example.com/f.csv",
        "https://127.0.0.1/f.csv",
        "https://localhost/f.csv",
        "https://[::1]/f.csv",
        "https://10.1.2.3/f.csv",
        "https://192.168.0.1/f.csv",
        "https://169.254.169.254/metadata",
        "https://[fd00::1]/f.csv",
        "https://0.0.0.0/f.csv",
    ],
)
def test_a_strangers_lock_reaches_public_https_addresses_only(url: str) -> None:
    with pytest.raises(SettingsError):
        permit(url, UNTRUSTED)


def test_a_trusted_lock_may_name_this_machine() -> None:
    permit("http://127.0.0.1:8000/f.csv", TRUSTED)


def test_a_source_over_the_cap_is_not_kept(tmp_path: Path) -> None:
    with file_server() as server:
        server.files["f.csv"] = b"x" * 100_000
        with pytest.raises(DataUnavailable, match="more than 50,000 bytes"):
            download(server.url("f.csv"), "0" * 64, tmp_path, "f.csv", lambda line: None, Terms(max_bytes=50_000))
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) <= 50_000


NAME = "data.example"


@pytest.fixture
def named_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server over TLS with a certificate for NAME, which this process trusts and no proxy stands before."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "keys").mkdir()
    authority = Authority(tmp_path / "keys")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    with file_server() as server:
        server.socket = authority.context(NAME).wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.files["f.csv"] = b"a,b\n1,2\n"
        yield server


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Let NAME stand for each of these addresses in turn, and for the last one ever after; what was asked is listed."""
    asked: list[str] = []
    known = socket.getaddrinfo

    def resolve(host: Any, port: Any, *said: Any, **named: Any) -> Any:
        if host != NAME:
            return known(host, port, *said, **named)
        asked.append(host)
        return known(answers[min(len(asked), len(answers)) - 1], port, *said, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


def test_a_name_is_resolved_once_and_the_request_goes_to_that_address(
    named_server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolving(monkeypatch, "127.0.0.1", "192.0.2.1")
    url = f"https://{NAME}:{named_server.server_port}/f.csv"
    sha256 = hashlib.sha256(named_server.files["f.csv"]).hexdigest()
    assert download(url, sha256, tmp_path, "f.csv", lambda line: None).read_bytes() == named_server.files["f.csv"]
    assert asked == [NAME]


def test_a_certificate_for_another_name_is_refused(named_server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable):
        download(f"https://localhost:{named_server.server_port}/f.csv", "0" * 64, tmp_path, "f.csv", lambda line: None)


def test_a_strangers_name_that_turns_inside_after_it_was_judged_is_not_asked(
    named_server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def connect(address: tuple[str, int], *said: Any, **named: Any) -> Any:
        tried.append(address[0])
        raise OSError("no way there")

    monkeypatch.setattr(socket, "create_connection", connect)
    url = f"https://{NAME}:{named_server.server_port}/f.csv"
    resolving(monkeypatch, "127.0.0.1")
    with pytest.raises(SettingsError, match=r"127\.0\.0\.1"):
        download(url, "0" * 64, tmp_path, "f.csv", lambda line: None, UNTRUSTED)
    assert tried == []
    resolving(monkeypatch, "8.8.8.8", "127.0.0.1")
    with pytest.raises(DataUnavailable):
        download(url, "0" * 64, tmp_path, "f.csv", lambda line: None, UNTRUSTED)
    assert (tried, named_server.asked) == (["8.8.8.8"], [])
