import os
import resource
import subprocess
from pathlib import Path

import pytest

from pushline.errors import TargetError
from pushline.files import copy_atomically, remove, tidy, whole_folder, write_atomically


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "f"
    write_atomically(file, b"old")
    write_atomically(file, b"new", mode=0o600)
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == ["f"]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "f"
    write_atomically(file, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        import signal

        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        with pytest.raises(TargetError) as caught:
            write_atomically(file, b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert "can't be written" in str(caught.value)
    assert file.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


def test_a_folder_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(TargetError):
        write_atomically(tmp_path / "f" / "g", b"x")


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "f"
    with pytest.raises(TargetError), whole_folder(place) as half:
        (half / "part").rename(half / "none" / "part")
    assert list(place.parent.iterdir()) == []
    with whole_folder(place) as half:
        (half / "a").write_text("old")
        assert not place.exists()
    with whole_folder(place) as half:
        (half / "a").write_text("new")
        assert (place / "a").read_text() == "old"
    assert (place / "a").read_text() == "new"
    assert [entry.name for entry in place.parent.iterdir()] == ["f"]


def test_a_folder_whose_replacement_was_cut_off_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "f"
    with whole_folder(place) as half:
        (half / "a").write_text("old")

    class Killed(BaseException):
        pass

    def die(self: Path, target: Path) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed), whole_folder(place) as half:
        patched.setattr(Path, "replace", die)
    with subprocess.Popen(["true"]) as ended:
        pass
    (tmp_path / f".half-f-{ended.pid}-cut").mkdir()
    (tmp_path / f".half-g-h-{ended.pid}-cut").touch()
    (tmp_path / f".half-g-{os.getpid()}-going").touch()
    assert not place.exists()
    tidy(tmp_path)
    assert (place / "a").read_text() == "old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [f".half-g-{os.getpid()}-going", "f"]


def test_a_folder_that_can_not_take_its_place_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "f"
    with whole_folder(place) as half:
        (half / "a").write_text("old")

    def fail(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(TargetError, match="No space left"), whole_folder(place) as half:
        (half / "a").write_text("new")
    assert (place / "a").read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


def test_a_copy_replaces_a_file_or_a_folder_whole(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "a").write_text("a")
    for to in (tmp_path / "to", tmp_path / "to"):
        copy_atomically(source, to)
        assert (to / "deep" / "a").read_text() == "a"
    copy_atomically(source / "deep" / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "a"
    remove(tmp_path / "to")
    remove(tmp_path / "b")
    remove(tmp_path / "never there")
    assert [entry.name for entry in tmp_path.iterdir()] == ["source"]
