"""Where the machine fails and not the data."""

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushline.data.contract import Contract, load_contract
from pushline.data.files.reading import read_file
from pushline.data.profile import load_profile
from pushline.data.profile.sample import sample_rows
from pushline.errors import TargetError


@pytest.fixture(scope="module")
def contract(repo: Path) -> Contract:
    return load_contract(repo / "data_checks" / "contract.yml")


@pytest.fixture(scope="module")
def csv_file(repo: Path, contract: Contract, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "sound.csv"
    sample_rows(load_profile(repo / "data_checks" / "profile.json"), contract, 20_000, seed=4).to_csv(file, index=False)
    return file


@pytest.fixture
def small_files_only() -> Iterator[None]:
    """No file of this process may grow beyond 20 kB, as on a full disk."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_files_only")
def test_a_full_disk_is_no_finding(csv_file: Path, contract: Contract, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="could not be written") as error:
        read_file(csv_file, contract, tmp_path, tmp_path / "part.parquet")
    assert "Free some space" in error.value.do


def test_a_sound_file_is_read_in_one_pass(csv_file: Path, contract: Contract, tmp_path: Path) -> None:
    reading = read_file(csv_file, contract, tmp_path, tmp_path / "part.parquet")
    assert (reading.findings, reading.source.rows, reading.source.one_line_each) == ([], 20_000, True)
    assert {file.name for file in tmp_path.iterdir()} == {"part.parquet"}
