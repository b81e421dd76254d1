"""What a source may be: a stranger's pull request must not make a runner ask addresses inside its network, or fill its disk."""

from pathlib import Path

import pytest

from pushline.data.download import TRUSTED, UNTRUSTED, Terms, download, permit
from pushline.errors import DataUnavailable, SettingsError

from .file_server import file_server


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
