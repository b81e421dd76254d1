"""check-data through the real command: faulty files, sound files, several files, and what it leaves."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.faults import FAULTS, Fault
from data.faults.sound import Sound
from pushline.cli import main
from pushline.data.contract import load_contract
from pushline.data.profile import load_profile
from pushline.data.sample import sample_rows
from pushline.project import Project

ROWS = 2000
Check = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def sound(repo: Path) -> Sound:
    """A generated table without a fault."""
    contract = load_contract(repo / "data_checks" / "contract.yml")
    frame = sample_rows(load_profile(repo / "data_checks" / "profile.json"), contract, ROWS, seed=5)
    return Sound.of(frame.drop_duplicates())


@pytest.fixture
def check(project: Project, capfd: pytest.CaptureFixture[str]) -> Check:
    """Run `pushline check-data --json` and give its exit code and what it printed on standard output, as JSON."""

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        with pytest.raises(SystemExit) as ended:
            main(["--project", str(project.root), "check-data", "--json", *arguments])
        said = capfd.readouterr().out
        return int(ended.value.code or 0), json.loads(said) if said else {}

    return run


def cases() -> list[Any]:
    return [pytest.param(fault, id=fault.file, marks=[pytest.mark.slow] if fault.reads_rows else []) for fault in FAULTS]


def test_there_are_enough_faults() -> None:
    assert len(FAULTS) >= 30
    assert len({fault.file for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", cases())
def test_a_faulty_file_is_told_by_its_root_cause(fault: Fault, sound: Sound, check: Check, tmp_path: Path) -> None:
    file = tmp_path / fault.file
    file.write_bytes(fault.make(sound.copy()))
    code, result = check(str(file))
    findings = result["findings"]
    first = findings[0] if findings else None
    assert first is not None
    assert (first["id"], first["severity"], first["column"]) == (fault.root, fault.severity, fault.column)
    assert len(findings) <= fault.most, [finding["message"] for finding in findings]
    if fault.lines:
        assert tuple(first["lines"]) == fault.lines
    assert first["message"].endswith(".")
    assert code == (1 if fault.severity == "critical" else 0)
