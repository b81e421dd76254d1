"""A row is scored or set aside with its line and its reason, whatever its bytes are."""

import csv
import datetime
import decimal
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from pushline.batch.job import BatchResult, Options, score_batch
from pushline.data.contract import load_contract
from pushline.data.profile import load_profile
from pushline.data.profile.sample import sample_rows
from pushline.project import Project

pytestmark = pytest.mark.example  # it spoils columns that it knows

csv.field_size_limit(16 << 20)
ROWS = 6
OUTS = ["out.csv", "out.parquet"]


@pytest.fixture(scope="module")
def sound(repo: Path) -> bytes:
    """A header and rows that keep the contract, with a column of notes that nobody asks for before them."""
    project = Project(repo)
    frame = sample_rows(load_profile(project.profile), load_contract(project.contract), ROWS, 5)
    frame.insert(0, "note", [f"n{number}" for number in range(ROWS)])
    return frame.to_csv(index=False).encode()


def scored(content: bytes | pa.Table, folder: Path, model: Path, out: str) -> BatchResult:
    source = folder / ("rows.csv" if isinstance(content, bytes) else "rows.parquet")
    if isinstance(content, bytes):
        source.write_bytes(content)
    else:
        pq.write_table(content, source)
    return score_batch(str(source), folder / out, model, "1", options=Options(), progress=lambda line: None)


def rejects(folder: Path) -> list[list[str]]:
    """The place, the reason and what stands behind them, of each row that was set aside."""
    file = folder / "out.rejects.csv"
    return table_of(file)[1:] if file.exists() else []


def table_of(file: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(file.read_bytes().decode(), newline="")))


def scores(folder: Path, out: str) -> int:
    """How many rows have a probability."""
    if out.endswith(".parquet"):
        return int(pq.read_table(folder / out).num_rows)
    return len(table_of(folder / out)) - 1


@pytest.mark.parametrize("out", OUTS)
@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (b"caf\xe9", "holds bytes that are not UTF-8"),
        (b"a\rb", "holds a carriage return that ends no line"),
        (b"a\0b", "holds a byte of value 0"),
        (b'"stray', "holds a quote that is not closed where its cell ends"),
        (b'"a" b', "holds a quote that is not closed where its cell ends"),
        (b"x" * (3 << 20), "is longer than 2,097,152 bytes"),
        (b'"' + (b"x" * 999 + b"\n") * 2200 + b'"', "holds a quote that is not closed where its cell ends"),
        (b'5" pipe', ""),
        (b'"a\rb"', ""),
        (b'"two\nlines"', ""),
        ("שלום 😀 =1+1 \x85\u2028".encode(), ""),
        (b"0x20", ""),
    ],
    ids=["latin-1", "cr", "nul", "stray", "behind-quote", "long", "open", "inch", "quoted-cr", "lines", "text", "hex"],
)
def test_odd_bytes_cost_their_own_row_or_nothing(
    sound: bytes, tmp_path: Path, model_folder: Path, out: str, cell: bytes, reason: str
) -> None:
    ended = scored(sound.replace(b"n2,", cell + b",", 1), tmp_path, model_folder, out)
    told = rejects(tmp_path)
    if cell.count(b"\n") > 10:  # its lines are rows then, and none of them has all fields
        assert told[0][:2] == ["4", reason]
        assert (ended.scored, scores(tmp_path, out)) == (ROWS - 1, ROWS - 1)
        return
    assert [row[:2] for row in told] == ([["4", reason]] if reason else [])
    assert (ended.rows, ended.scored, scores(tmp_path, out)) == (ROWS, ROWS - bool(reason), ROWS - bool(reason))


@pytest.mark.parametrize(
    "value", ["2026-01-01 10:00:00", "9007199254740993", "9223372036854775808", "1e400", "0x20", "1_000", "٣", '"1,5"']
)
@pytest.mark.parametrize("kind", ["integer", "number"])
def test_a_number_that_is_none_or_too_large_is_a_rejected_row(
    sound: bytes, tmp_path: Path, model_folder: Path, repo: Path, value: str, kind: str
) -> None:
    column = next(column for column in load_contract(repo / "data_checks" / "contract.yml").features() if column.type == kind)
    table = list(csv.reader(io.StringIO(sound.decode())))
    table[3][table[0].index(column.name)] = value
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    assert scored(text.getvalue().encode(), tmp_path, model_folder, "out.csv").scored == ROWS - 1
    (told,) = rejects(tmp_path)
    assert told[0] == "4"
    assert told[1].startswith(f"{column.name} is ")


def test_a_line_without_anything_is_no_row(sound: bytes, tmp_path: Path, model_folder: Path) -> None:
    lines = sound.splitlines(keepends=True)
    ended = scored(b"".join([*lines[:3], b"\n", b"\r\n", b"  \n", *lines[3:], b"\n"]), tmp_path, model_folder, "out.csv")
    assert (ended.rows, ended.rejected, scores(tmp_path, "out.csv")) == (ROWS, 0, ROWS)


@pytest.mark.parametrize("out", OUTS)
def test_a_table_without_a_good_row_gives_a_table_without_rows(sound: bytes, tmp_path: Path, model_folder: Path, out: str) -> None:
    lines = sound.splitlines(keepends=True)
    for content, rejected in [(lines[0], 0), (lines[0] + lines[1].replace(b"\n", b",more\n"), 1)]:
        ended = scored(content, tmp_path, model_folder, out)
        assert (ended.scored, ended.rejected, len(rejects(tmp_path))) == (0, rejected, rejected)
        names = pq.read_schema(tmp_path / out).names if out.endswith(".parquet") else (tmp_path / out).read_text().strip().split(",")
        assert names == [*lines[0].decode().strip().split(","), "probability", "result"]


@pytest.mark.parametrize("out", OUTS)
def test_columns_of_any_name_go_with_their_rows(sound: bytes, tmp_path: Path, model_folder: Path, out: str) -> None:
    names = ["place", "n", "label", "row", "line", "reason", "select", "=1+1", 'a"b', "yes", "😀", "שלום", "x" * 300, "a.b", " "]
    lines = sound.splitlines()
    head = ",".join('"' + name.replace('"', '""') + '"' for name in names).encode()
    content = b"\n".join([head + b"," + lines[0], *(b"," * len(names) + line for line in lines[1:])]) + b"\n"
    assert scored(content, tmp_path, model_folder, out).scored == ROWS
    if out.endswith(".parquet"):
        assert pq.read_schema(tmp_path / out).names[: len(names)] == names
    else:
        assert table_of(tmp_path / out)[0][: len(names)] == names


Odd = Callable[[int], pa.Array]
BYTES = [b"admin.", b"caf\xe9"]
ODD: dict[str, tuple[str, Odd, int]] = {  # column type, values, rows that can't be scored
    "timestamp": ("integer", lambda n: pa.array([datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)] * n), ROWS),
    "above 2^53": ("integer", lambda n: pa.array([2**53 + 1, *[30] * (n - 1)]), 1),
    "above 2^53 beside none": ("integer", lambda n: pa.array([2**62 + 1, None, *[30] * (n - 2)]), 2),
    "above 2^63": ("integer", lambda n: pa.array([2**64 - 1, *[30] * (n - 1)], pa.uint64()), 1),
    "infinite": ("integer", lambda n: pa.array([float("inf"), float("nan"), *[30.0] * (n - 2)]), 2),
    "decimal": ("integer", lambda n: pa.array([decimal.Decimal("30.00")] * n), 0),
    "list": ("number", lambda n: pa.array([[1.0]] * n), ROWS),
    "text": ("integer", lambda n: pa.array(["30", "many", *["30"] * (n - 2)], pa.string_view()), 1),
    "date": ("string", lambda n: pa.array([datetime.date(2026, 1, 1)] * n), ROWS),
    "binary": ("string", lambda n: pa.array([b"admin."] * n), ROWS),
    "not UTF-8": ("string", lambda n: pa.Array.from_buffers(pa.string(), 2, pa.array(BYTES).buffers()).take([0, 1, *[0] * (n - 2)]), 1),
    "categories": ("string", lambda n: pa.array(["admin."] * n, pa.large_string()).dictionary_encode(), 0),
    "none": ("number", pa.nulls, ROWS),
}


@pytest.mark.parametrize("name", ODD)
def test_a_column_of_another_type_costs_the_rows_it_does_not_fit(
    sound: bytes, tmp_path: Path, model_folder: Path, repo: Path, name: str
) -> None:
    kind, values, bad = ODD[name]
    table: Any = pa.csv.read_csv(io.BytesIO(sound))
    features = [column for column in load_contract(repo / "data_checks" / "contract.yml").features() if column.type == kind]
    wanted = next(column.name for column in features if kind != "string" or "admin." in (column.allowed or ()))
    table = table.set_column(table.column_names.index(wanted), wanted, values(ROWS))
    ended = scored(table, tmp_path, model_folder, "out.parquet")
    assert (ended.scored, ended.rejected) == (ROWS - bad, bad)
    assert all(row[1].startswith(f"{wanted} is ") for row in rejects(tmp_path))
    assert pq.read_table(tmp_path / "out.parquet").num_rows == ROWS - bad


def test_what_is_held_against_the_profile_is_what_was_sent(sound: bytes, tmp_path: Path, model_folder: Path, repo: Path) -> None:
    feature = next(column.name for column in load_contract(repo / "data_checks" / "contract.yml").features() if column.type == "string")
    table = list(csv.reader(io.StringIO(sound.decode())))
    table[2][table[0].index(feature)] = "never seen"
    table[4][0] = "caf\udce9"
    text = "\n".join(",".join(row) for row in table) + "\n1,2\n"
    ended = scored(text.encode("utf-8", "surrogateescape"), tmp_path, model_folder, "out.csv")
    assert ended.rejected == 3
    sent = pq.read_table(str(ended.sample))[feature].to_pylist()
    assert len(sent) == ROWS  # the row with two fields has no columns
    assert sent[1] == "never seen"
