import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from command import Ran
from data.file_server import FileServer, file_server
from pushline.data.files.version import table_of
from pushline.data.sources.fetch import fetch
from pushline.data.sources.lock import DataLock, FileSource, PinnedFile, load_lock, lock_text
from pushline.errors import DataCorrupt, DataUnavailable
from pushline.project import Project
from pushline.results import FetchResult

CONTENT = b"a,b\r\n" + b"1,2\r\n" * 1000
UNIX = CONTENT.replace(b"\r\n", b"\n")
NOWHERE = "http://127.0.0.1:9/gone.csv"  # the port of the discard service, where nothing listens

Run = Callable[..., Ran]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with file_server() as running:
        running.files = {"dos.csv": CONTENT, "unix.csv": UNIX}
        yield running


@pytest.fixture
def place(tmp_path: Path) -> Project:
    """A folder that fetch can work in."""
    columns = [{"name": "a", "type": "integer"}, {"name": "b", "type": "string", "role": "label", "allowed": ["2", "3"]}]
    project = Project(tmp_path)
    project.contract.parent.mkdir()
    project.contract.write_text(json.dumps({"name": "t", "positive": "3", "columns": columns}))
    return project


def pin(project: Project, *urls: str, name: str = "f.csv") -> PinnedFile:
    """Write a lock for CONTENT at these addresses, each with the hash of what it ought to give."""
    table = project.root / "table.csv"
    table.write_bytes(CONTENT)
    seen = table_of(table)
    table.unlink()
    sources = tuple(FileSource(url=url, sha256=hashlib.sha256(UNIX if "unix" in url else CONTENT).hexdigest()) for url in urls)
    pinned = PinnedFile(name=name, version=seen.version, rows=seen.rows, columns=seen.columns, sources=sources)
    project.data_lock.write_text(lock_text(DataLock(files=(pinned,))))
    return pinned


def quiet(line: str) -> None:
    """Nobody listens."""


def get(project: Project, local: Path | None = None) -> FetchResult:
    return fetch(project, local=local, sample_if_offline=False, progress=quiet)


def test_the_first_source_that_answers_is_taken(server: FileServer, place: Project) -> None:
    pin(place, server.url("gone.csv"), server.url("unix.csv"), server.url("dos.csv"))
    fetched = get(place)
    assert fetched.files[0].origin == server.url("unix.csv")
    assert Path(fetched.files[0].path).read_bytes() == UNIX
    assert [name for name, _ in server.asked] == ["gone.csv", "unix.csv"]
    assert (fetched.rows, fetched.columns, fetched.generated_sample) == (1000, 2, False)


def test_every_copy_gives_the_same_data_version(server: FileServer, place: Project) -> None:
    pin(place, server.url("unix.csv"))
    first = get(place).data_version
    pin(place, server.url("dos.csv"))
    assert get(place).data_version == first


def test_a_second_fetch_reads_the_cache(server: FileServer, place: Project) -> None:
    pin(place, server.url("dos.csv"))
    get(place)
    assert get(place).files[0].origin == "cache"
    assert len(server.asked) == 1


def test_a_damaged_cache_is_replaced(server: FileServer, place: Project) -> None:
    pin(place, server.url("dos.csv"))
    file = Path(get(place).files[0].path)
    file.write_bytes(b"damaged")
    assert get(place).files[0].origin == server.url("dos.csv")
    assert file.read_bytes() == CONTENT


def test_wrong_bytes_are_kept_aside_and_the_next_source_is_asked(server: FileServer, place: Project) -> None:
    server.files["dos.csv"] = b"moved\n"
    pin(place, server.url("dos.csv"), server.url("unix.csv"))
    assert get(place).files[0].origin == server.url("unix.csv")
    assert [file.read_bytes() for file in place.state.rglob("refused/*")] == [b"moved\n"]


def test_wrong_bytes_everywhere_are_an_error_even_where_a_sample_would_do(server: FileServer, place: Project) -> None:
    server.files["dos.csv"] = b"moved\n"
    pin(place, server.url("dos.csv"), NOWHERE)
    with pytest.raises(DataCorrupt, match="other bytes"):
        fetch(place, local=None, sample_if_offline=True, progress=quiet)


@pytest.mark.parametrize("content", [CONTENT, UNIX], ids=["pinned bytes", "same table"])
def test_a_file_at_hand_is_taken_before_any_download(server: FileServer, place: Project, content: bytes) -> None:
    pin(place, server.url("dos.csv"))
    (place.root / "folder").mkdir()
    (place.root / "folder" / "f.csv").write_bytes(content)
    for local in (place.root / "folder", place.root / "folder" / "f.csv"):
        assert get(place, local).files[0].origin == "PUSHLINE_DATA"
    assert server.asked == []


def test_another_table_at_hand_is_refused(server: FileServer, place: Project) -> None:
    pin(place, server.url("dos.csv"))
    (place.root / "f.csv").write_bytes(CONTENT.replace(b"1,2", b"1,3", 1))
    with pytest.raises(DataCorrupt, match=r"not the f\.csv that data\.lock pins"):
        get(place, place.root)


def test_where_the_file_is_not_at_hand_it_is_downloaded(server: FileServer, place: Project) -> None:
    pin(place, server.url("dos.csv"))
    for local in (place.root / "missing", place.root):
        assert get(place, local).files[0].origin in (server.url("dos.csv"), "cache")


def test_several_files_are_fetched_in_the_order_of_the_lock(server: FileServer, place: Project) -> None:
    first = pin(place, server.url("dos.csv"))
    second = msgspec.structs.replace(first, name="second.csv")
    lock = DataLock(files=(first, second))
    place.data_lock.write_text(lock_text(lock))
    fetched = get(place)
    assert [file.name for file in fetched.files] == ["f.csv", "second.csv"]
    assert (fetched.rows, fetched.data_version) == (2000, lock.version)


def test_a_lock_that_contradicts_the_bytes_it_pins_is_refused(server: FileServer, place: Project) -> None:
    pinned = pin(place, server.url("dos.csv"))
    place.data_lock.write_text(lock_text(DataLock(files=(msgspec.structs.replace(pinned, rows=999),))))
    with pytest.raises(DataCorrupt, match="contradicts itself"):
        get(place)


@pytest.mark.parametrize("wrong", [{"rows": 999}, {"version": "0" * 16}, {"columns": ("a", "c")}])
@pytest.mark.parametrize("where", ["cache", "at hand", "own folder", "at hand with other line ends"])
def test_what_the_lock_says_is_held_against_the_bytes_wherever_they_are(
    server: FileServer, place: Project, tmp_path: Path, wrong: dict[str, object], where: str
) -> None:
    pinned = pin(place, server.url("dos.csv"))
    local = None
    if where == "cache":
        get(place)
    else:
        folder = place.root / "data" if where == "own folder" else tmp_path / "hand"
        folder.mkdir()
        (folder / "f.csv").write_bytes(UNIX if "line ends" in where else CONTENT)
        local = None if where == "own folder" else folder
    place.data_lock.write_text(lock_text(DataLock(files=(msgspec.structs.replace(pinned, **wrong),))))
    for _ in range(2):
        with pytest.raises(DataCorrupt):
            get(place, local)
    place.data_lock.write_text(lock_text(DataLock(files=(pinned,))))
    assert get(place, local).rows == 1000


def test_a_large_table_in_the_cache_is_hashed_and_not_read_again(
    server: FileServer, place: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(place, server.url("dos.csv"))
    get(place)
    monkeypatch.setattr("pushline.data.sources.fetch.table_of", None)
    assert get(place).files[0].origin == "cache"


def test_without_a_source_the_error_names_both_ways_out(place: Project) -> None:
    pin(place, NOWHERE)
    with pytest.raises(DataUnavailable) as caught:
        get(place)
    assert "PUSHLINE_DATA" in caught.value.do
    assert "--sample-if-offline" in caught.value.do


def offline(project: Project) -> None:
    """Leave the project's lock with an address where nothing answers."""
    lock = load_lock(project.data_lock)
    source = FileSource(url=NOWHERE, sha256="0" * 64)
    project.data_lock.write_text(lock_text(DataLock(files=(msgspec.structs.replace(lock.files[0], sources=(source,)),))))


@pytest.mark.example
def test_the_command_takes_the_real_file(project: Project, run_pushline: Run, real_data: Path) -> None:
    ran = run_pushline(project, "fetch", "--json", env={"PUSHLINE_DATA": str(real_data.parent)})
    assert ran.code == 0, ran.err
    fetched = msgspec.json.decode(ran.out, type=FetchResult)
    assert (fetched.rows, fetched.data_version, fetched.files[0].origin) == (32950, "8486deac85240013", "PUSHLINE_DATA")


@pytest.mark.example
def test_the_command_stops_offline_with_exit_code_3_and_both_ways_out(project: Project, run_pushline: Run) -> None:
    offline(project)
    ran = run_pushline(project, "fetch")
    assert ran.code == 3
    assert "PUSHLINE_DATA" in ran.err
    assert "--sample-if-offline" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.example
def test_the_command_goes_on_with_generated_rows_when_told_to_and_says_so(project: Project, run_pushline: Run) -> None:
    offline(project)
    ran = run_pushline(project, "fetch", "--sample-if-offline", "--json")
    assert ran.code == 0, ran.err
    fetched = msgspec.json.decode(ran.out, type=FetchResult)
    assert "GENERATED SAMPLE" in ran.err
    assert fetched.generated_sample
    assert fetched.files[0].origin == "generated sample"
    assert fetched.rows == table_of(Path(fetched.files[0].path)).rows == load_lock(project.data_lock).rows
    assert fetched.data_version != load_lock(project.data_lock).version


@pytest.mark.example
def test_the_command_refuses_another_file_and_names_it(project: Project, run_pushline: Run, tmp_path: Path) -> None:
    other = tmp_path / "bankmarketing_train.csv"
    other.write_text("a,b\n1,2\n")
    ran = run_pushline(project, "fetch", "--sample-if-offline", env={"PUSHLINE_DATA": str(other)})
    assert ran.code == 3
    assert str(other) in ran.err


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("nowhere.csv", None, "which does not exist"),
        ("other.csv", b"a,b\n1,2\n", "which is another table"),
        ("empty", None, "does not exist"),
    ],
)
def test_a_place_that_leads_nowhere_is_named_rather_than_asked_for(place: Project, name: str, content: bytes | None, told: str) -> None:
    pin(place, NOWHERE)
    local = place.root / name
    if content is not None:
        local.write_bytes(content)
    with pytest.raises(DataUnavailable) as refused:
        get(place, local)
    assert f"PUSHLINE_DATA names {local}, {told}" in refused.value.why or told in refused.value.why
    assert refused.value.do.startswith("Let PUSHLINE_DATA name the file or its folder")


def test_generated_rows_are_refused_at_once_where_nothing_could_come_of_them(place: Project) -> None:
    pin(place, NOWHERE)
    with pytest.raises(DataUnavailable, match="in vain: version 3 learned from real rows") as refused:
        fetch(place, local=None, sample_if_offline=True, progress=quiet, in_vain=lambda: "version 3 learned from real rows")
    assert "`--sample-if-offline`" not in refused.value.do
