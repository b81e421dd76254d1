import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushline.data.files import version
from pushline.data.files.version import by_bytes, by_rows, csv_rows, table_of, version_of_many
from pushline.errors import DataCorrupt

CELL = st.text(st.characters(codec="utf-8", exclude_characters='\r\n,"\x00'), max_size=6)


def written(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file


@pytest.mark.parametrize(
    "copy",
    [
        b"a,b\r\n1,x\r\n2,y\r\n",
        b"a,b\n1,x\n2,y",
        b"\xef\xbb\xbfa,b\n1,x\n2,y\n",
        b"a,b\r1,x\r2,y\r",
        b"a,b\n\n1,x\n\n2,y\n\n",
        b'a,b\n1,"x"\n"2",y\n',
    ],
    ids=["CRLF", "no end", "byte order mark", "CR", "empty lines", "quotes"],
)
def test_copies_that_differ_in_their_bytes_alone_are_one_version(tmp_path: Path, copy: bytes) -> None:
    plain = table_of(written(tmp_path / "plain.csv", b"a,b\n1,x\n2,y\n"))
    other = table_of(written(tmp_path / "copy.csv", copy))
    assert (other.version, other.rows, other.columns) == (plain.version, 2, ("a", "b"))
    assert other.sha256 != plain.sha256


@pytest.mark.parametrize("other", [b"a,b\n1,x\n2,z\n", b"a,b\n2,y\n1,x\n", b"a,c\n1,x\n2,y\n", b"a,b\n1,x\n", b'a,b\n"1,x",\n2,y\n'])
def test_another_table_is_another_version(tmp_path: Path, other: bytes) -> None:
    plain = table_of(written(tmp_path / "plain.csv", b"a,b\n1,x\n2,y\n"))
    assert table_of(written(tmp_path / "other.csv", other)).version != plain.version


def test_the_version_is_the_sha256_of_the_plain_form(tmp_path: Path) -> None:
    table = table_of(written(tmp_path / "plain.csv", b"a,b\n1,x\n"))
    assert table.version == table.sha256[:16]


@pytest.mark.example
def test_both_copies_of_the_example_are_one_version(tmp_path: Path, real_data: Path) -> None:
    content = real_data.read_bytes()
    unix = written(tmp_path / "unix.csv", content.replace(b"\r\n", b"\n"))
    dos = written(tmp_path / "dos.csv", content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    assert table_of(unix).version == table_of(dos).version == "8486deac85240013"


@given(rows=st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=30), end=st.sampled_from(["\n", "\r\n", "\r"]))
@settings(deadline=None, max_examples=200)
def test_the_fast_way_and_the_way_through_fields_agree(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], end: str) -> None:
    page = io.StringIO()
    csv.writer(page, lineterminator=end, quoting=csv.QUOTE_NONE, quotechar=None).writerows(rows)
    file = written(tmp_path_factory.mktemp("csv") / "f.csv", page.getvalue().encode())
    size = version.CHUNK
    version.CHUNK = 7  # pieces break in the middle of lines, of characters and of line ends
    try:
        fast = by_bytes(file)
    finally:
        version.CHUNK = size
    slow = by_rows(csv_rows(file))
    assert fast is not None
    assert (fast[0].hexdigest(), *fast[1:]) == (slow[0].hexdigest(), *slow[1:])


@pytest.mark.parametrize("content", [b'a,b\n"1,x\n', b'a,b\n"\xff",x\n'], ids=["open quote", "not UTF-8"])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataCorrupt, match=r"f\.csv"):
        table_of(written(tmp_path / "f.csv", content))


def test_one_file_has_its_own_version_and_the_order_of_several_counts() -> None:
    assert version_of_many(["a"]) == "a"
    assert len({version_of_many(["a", "b"]), version_of_many(["b", "a"]), version_of_many(["a"])}) == 3


def test_another_delimiter_is_the_same_table(tmp_path: Path) -> None:
    plain = table_of(written(tmp_path / "plain.csv", b'a,b\n1,"x, y"\n2,z;z\n'))
    other = table_of(written(tmp_path / "other.csv", b'a;b\n1;x, y\n2;"z;z"\n'), ";")
    assert (other.version, other.columns) == (plain.version, ("a", "b"))


def test_a_parquet_file_has_the_version_of_its_rows(tmp_path: Path) -> None:
    rows = pd.DataFrame({"n": [1, 2], "x": [0.1, None], "t": ["a,b", None], "f": [True, False]})
    rows.to_parquet(tmp_path / "t.parquet", index=False)
    plain = table_of(written(tmp_path / "t.csv", b'n,x,t,f\n1,0.1,"a,b",true\n2,,,false\n'))
    assert table_of(tmp_path / "t.parquet").version == plain.version
    assert table_of(tmp_path / "t.parquet").rows == 2


def test_a_parquet_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataCorrupt):
        table_of(written(tmp_path / "t.parquet", b"a,b\n"))
