from pathlib import Path

import msgspec
import pytest

from pushline.data.files.version import table_of
from pushline.data.sources.lock import (
    HEADER,
    DataLock,
    FileSource,
    PinnedFile,
    append_to_lock,
    load_lock,
    lock_text,
    parse_lock,
    renew_lock,
)
from pushline.errors import SettingsError

PINNED = PinnedFile(
    name="first.csv",
    version="0" * 16,
    rows=2,
    columns=("a", 'with "quotes" and ü'),
    sources=(FileSource(url="https://example.com/first.csv", sha256="1" * 64), FileSource(sha256="2" * 64)),
)


def test_the_lock_of_the_example_says_what_the_real_file_holds(repo: Path, real_data: Path) -> None:
    lock, table = load_lock(repo / "data.lock"), table_of(real_data)
    (pinned,) = lock.files
    assert (lock.version, lock.rows, pinned.columns) == (table.version, table.rows, table.columns)
    assert table.sha256 in pinned.hashes


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    lock = DataLock(files=(PINNED, msgspec.structs.replace(PINNED, name="second.csv")))
    (tmp_path / "data.lock").write_text(lock_text(lock))
    assert load_lock(tmp_path / "data.lock") == lock


def test_an_added_file_leaves_the_rest_of_the_lock_as_people_wrote_it(tmp_path: Path) -> None:
    file = tmp_path / "data.lock"
    file.write_text(lock_text(DataLock(files=(PINNED,))))
    file.write_text(file.read_text().replace("schema = 1", "schema = 1  # a remark"))
    append_to_lock(file, msgspec.structs.replace(PINNED, name="second.csv"))
    assert "# a remark" in file.read_text()
    assert [pinned.name for pinned in load_lock(file).files] == ["first.csv", "second.csv"]


@pytest.mark.parametrize(
    "name",
    [
        "😀",
        "שלום",
        "x" * 300,
        "a.b",
        "=1+1",
        'say "so"',
        "back\\slash",
        "tab\tand\nfeed",
        "\x00",
        "\x1f",
        "\x7f",
        "\x85",
        "\u2028",
        "#no",
        "'",
    ],
)
def test_a_column_of_any_name_is_pinned(tmp_path: Path, name: str) -> None:
    lock = DataLock(files=(msgspec.structs.replace(PINNED, columns=("a", name)),))
    (tmp_path / "data.lock").write_text(lock_text(lock))
    assert load_lock(tmp_path / "data.lock") == lock


REMARKED = """\
# ours
schema = 1  # one

# of the branches
[[files]]
name = "first.csv"  # the first
version = "0000000000000000"
rows = 2   # few
columns = [
  # what they pay
  "a",  # in euros
  "gone",  # left in spring
]
[[files.sources]]
# asks for a key
url = "https://example.com/first.csv"
sha256 = "1111111111111111111111111111111111111111111111111111111111111111"
[[files.sources]]  # a mirror
sha256 = "2222222222222222222222222222222222222222222222222222222222222222"

# of the head office
[[files]]
name = "second.csv"
version = "3333333333333333"
rows = 2
columns = ["a", "gone"]
sources = [{sha256 = "1111111111111111111111111111111111111111111111111111111111111111"}]  # by hand
"""


def test_a_renewed_file_keeps_what_people_wrote_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "data.lock"
    file.write_text(REMARKED)
    source = FileSource(url="https://example.com/first.csv", sha256="4" * 64)
    moved = [
        msgspec.structs.replace(pinned, version="5" * 16, rows=3, columns=("a", "b#"), sources=(source,))
        for pinned in load_lock(file).files
    ]
    renew_lock(file, moved)
    assert load_lock(file).files == tuple(moved)
    remarks = [line.partition("#")[2].strip() for line in REMARKED.splitlines() if "#" in line]
    text = file.read_text()
    assert [remark for remark in remarks if f"# {remark}" not in text] == []
    assert "rows = 3  # few\n" in text
    assert '  # what they pay\n  "a",  # in euros\n' in text


def test_a_lock_that_can_not_be_edited_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "data.lock"
    file.write_text(REMARKED.replace("[[files]]", "[[ files ]]"))
    before = file.read_bytes()
    with pytest.raises(SettingsError, match="can't be edited"):
        renew_lock(file, [msgspec.structs.replace(load_lock(file).files[0], rows=3)])
    assert file.read_bytes() == before


def test_several_files_have_a_version_of_their_own() -> None:
    one = DataLock(files=(PINNED,))
    two = DataLock(files=(PINNED, msgspec.structs.replace(PINNED, name="second.csv", version="3" * 16)))
    assert one.version == PINNED.version
    assert two.version not in (one.version, "3" * 16)
    assert two.rows == 4


BLOCK = '\n[[files]]\nname = "f.csv"\nversion = "0000000000000000"\nrows = 1\ncolumns = ["a"]\nsources = [{sha256 = "%s"}]\n' % ("1" * 64)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (HEADER, "files"),
        (HEADER + BLOCK + BLOCK, r"f\.csv twice"),
        (HEADER + BLOCK + BLOCK.replace("f.csv", "g.csv").replace('"a"', '"b"'), "different columns"),
        (HEADER + BLOCK.replace("1" * 64, "1"), "sha256"),
        (HEADER + BLOCK.replace("f.csv", "../f.csv"), "name"),
        (HEADER + BLOCK.replace("rows = 1", "rows = -1"), "rows"),
        (HEADER + BLOCK.replace("rows", "lines"), "lines"),
        ("schema = ", r"data\.lock"),
    ],
)
def test_a_wrong_lock_is_refused_and_the_place_named(text: str, named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        parse_lock(text)


def test_a_missing_lock_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"data\.lock does not exist"):
        load_lock(tmp_path / "data.lock")
