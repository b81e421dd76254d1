"""Commands that end with who started them, and those that go on without."""

import os
import sys
import time
from pathlib import Path

import psutil

from pushline.guard import collect, detached, guarded, last_lines

DESCRIPTORS = """
import os

found = []
for number in range(3, 256):
    try:
        os.fstat(number)
        found.append(number)
    except OSError:
        pass
print(*found, os.getsid(0) == os.getpid(), flush=True)
"""


def said_in(file: Path) -> str:
    until = time.monotonic() + 60
    while not file.read_text().endswith("\n"):
        assert time.monotonic() < until
        time.sleep(0.02)
    return file.read_text()


def test_behind_the_block_nothing_of_a_guarded_command_runs(tmp_path: Path) -> None:
    code = "import subprocess, time; subprocess.Popen(['sleep', '60'], start_new_session=True); print('up', flush=True); time.sleep(60)"
    with (tmp_path / "said").open("wb") as said, guarded([sys.executable, "-c", code], stdout=said, stderr=said) as process:
        assert said_in(tmp_path / "said") == "up\n"
        started = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    assert not [each for each in started if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


def test_a_detached_command_is_its_own_session_and_gets_no_descriptor_but_those_it_is_given(tmp_path: Path) -> None:
    ours, given = os.pipe()
    os.set_inheritable(ours, True)
    with (tmp_path / "said").open("wb") as said:
        pid = detached([sys.executable, "-c", DESCRIPTORS], said, env=dict(os.environ), pass_fds=(given,))
    assert said_in(tmp_path / "said").split() == [str(given), "True"]
    os.close(ours)
    os.close(given)
    psutil.Process(pid).wait(60)
    collect()
    assert not psutil.pid_exists(pid)


def test_what_was_said_last_is_told_without_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("one\n\n  two  \n\n")
    assert last_lines(tmp_path / "log", 5) == ["one", "  two"]
    assert last_lines(tmp_path / "log", 1) == ["  two"]
    assert last_lines(tmp_path / "absent", 1) == []
