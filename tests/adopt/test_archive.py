"""Tables that come packed."""

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pushline.adopt.text_table import read_text_table
from pushline.errors import DataCorrupt

FRAME = pd.DataFrame({"a": range(40), "b": ["x", "y"] * 20})
TEXT = FRAME.to_csv(index=False).encode()


def zipped(file: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/", 1).replace("_", "."), content)
    return file


def gzipped(file: Path) -> Path:
    file.write_bytes(gzip.compress(TEXT))
    return file


def parquet_in_zip(folder: Path) -> Path:
    FRAME.to_parquet(folder / "t.parquet")
    return zipped(folder / "t.zip", t_parquet=(folder / "t.parquet").read_bytes())


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda folder: gzipped(folder / "orders.csv.gz"), "orders.csv"),
        (lambda folder: gzipped(folder / "orders.gz"), "orders.csv"),
        (lambda folder: zipped(folder / "t.zip", data__orders_csv=TEXT, readme_md=b"# Orders"), "orders.csv"),
        (parquet_in_zip, "t.parquet"),
    ],
    ids=["gzip", "gzip without a name", "zip", "parquet in zip"],
)
def test_the_one_table_of_an_archive_is_read_and_that_is_told(make: Callable[[Path], Path], name: str, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    file = make(tmp_path)
    source = read_text_table(file, scratch)
    assert (source.rows, source.names, source.file.name) == (40, ("a", "b"), name)
    assert source.changed == (f"{name} out of {file.name}",)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda folder: zipped(folder / "t.zip", a_csv=TEXT, b_csv=TEXT), "It holds 2 tables (a.csv, b.csv), and adopt reads one."),
        (lambda folder: zipped(folder / "t.zip", readme_md=b"#"), "It holds no tables (readme.md), and adopt reads one."),
        (lambda folder: zipped(folder / "t.zip"), "It holds no tables (nothing), and adopt reads one."),
    ],
    ids=["two tables", "no table", "nothing"],
)
def test_an_archive_without_exactly_one_table_is_refused(make: Callable[[Path], Path], why: str, tmp_path: Path) -> None:
    with pytest.raises(DataCorrupt) as told:
        read_text_table(make(tmp_path), tmp_path)
    assert told.value.why == why


@pytest.mark.parametrize(
    "content",
    [gzip.compress(TEXT)[:-20], gzip.compress(TEXT)[:12] + b"\xff" * 40, b"PK\x03\x04" + b"0" * 90],
    ids=["cut", "overwritten", "no ZIP"],  # the bytes of gzip hold the second at which they were made
)
def test_a_damaged_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(content)
    with pytest.raises(DataCorrupt) as told:
        read_text_table(tmp_path / "t.csv.gz", tmp_path)
    assert "damaged or incomplete" in told.value.why


def test_a_path_in_an_archive_leads_nowhere_else(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("../../evil.csv", TEXT)
    assert read_text_table(tmp_path / "t.zip", scratch).file == scratch / "evil.csv"
