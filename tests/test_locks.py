"""Locks: one holder at a time, named to whoever comes second, and gone with its process."""

import subprocess
import sys
from pathlib import Path

import pytest

from pushline.errors import Busy, TargetError
from pushline.locks import holder_of, locked

HOLDS = """
import sys
from pathlib import Path
from pushline.locks import locked
with locked(Path(sys.argv[1]), "`pushline train`"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_who_comes_second_is_told_who_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLDS, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        told: list[str] = []
        with pytest.raises(Busy) as refused, locked(file, "`pushline publish`", waiting=told.append, also="It may take minutes."):
            pytest.fail("two hold it")
        assert f"`pushline train` (process {holder.pid}, since 20" in refused.value.what
        assert str(file) in refused.value.why
        assert refused.value.do.endswith("It may take minutes.")
        assert len(told) == 1
        assert "`pushline train`" in told[0]
        assert "`pushline train`" in holder_of(file)
        holder.kill()
    with locked(file, "`pushline publish`"):
        assert "`pushline publish`" in holder_of(file)
    assert holder_of(file) == ""


def test_to_ask_who_holds_a_lock_leaves_no_file(tmp_path: Path) -> None:
    assert holder_of(tmp_path / "none") == ""
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_can_not_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TargetError, match="can't be written"), locked(tmp_path / "file" / "lock", "x"):
        pytest.fail("held")
