"""Rows end where one rule says, whatever stands in them, and however much of the text is seen at once."""

import csv
import io
import random

import pytest

from pushline.batch import row_ends
from pushline.batch.row_ends import LONG, STRAY, end_of_header, end_of_rows, rows_in


def lines_of(text: bytes, delimiter: str = ",") -> list[bytes]:
    ends = rows_in(text, delimiter, whole=True).ends.tolist()
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\nb\n", [b"a\n", b"b\n"]),
        (b"a\r\nb", [b"a\r\n", b"b"]),
        (b'"a\nb",c\nd\n', [b'"a\nb",c\n', b"d\n"]),
        (b'"a""\n""b",c\nd\n', [b'"a""\n""b",c\n', b"d\n"]),
        (b'"",c\nd\n', [b'"",c\n', b"d\n"]),
        (b'5" pipe,c\nd"\ne\n', [b'5" pipe,c\n', b'd"\n', b"e\n"]),
        (b'x,"a\n1"\r\ny\n', [b'x,"a\n1"\r\n', b"y\n"]),
        (b'\n\n"a"\n', [b"\n", b"\n", b'"a"\n']),
    ],
)
def test_a_row_ends_at_the_line_end_that_no_quoted_cell_holds(text: bytes, rows: list[bytes]) -> None:
    assert lines_of(text) == rows
    assert rows_in(text, ",", whole=True).faults == {}


@pytest.mark.parametrize(
    ("text", "rows", "wrong"),
    [
        (b'1,"a\n2,b\n3,c\n', [b'1,"a\n', b"2,b\n", b"3,c\n"], [0]),
        (b'1,"a\n2,b\n3,"c d"\n', [b'1,"a\n', b"2,b\n", b'3,"c d"\n'], [0]),
        (b'1,"a"b\n2,c\n', [b'1,"a"b\n', b"2,c\n"], [0]),
        (b'1,"a" \n2,"c\nd"\n', [b'1,"a" \n', b'2,"c\nd"\n'], [0]),
        (b'1,"a"\rb\n2,c', [b'1,"a"\rb\n', b"2,c"], [0]),
        (b'1,c\n2,"', [b"1,c\n", b'2,"'], [1]),
    ],
)
def test_a_quote_out_of_place_costs_the_line_it_is_on_and_no_other(text: bytes, rows: list[bytes], wrong: list[int]) -> None:
    assert lines_of(text) == rows
    assert rows_in(text, ",", whole=True).faults == dict.fromkeys(wrong, STRAY)


def test_a_quote_that_never_closes_is_given_up_after_the_longest_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_ends, "LONGEST", 50)
    text = b'1,"a\n' + b"2,b\n" * 30
    assert end_of_rows(text[:40], ",") == 0  # it may close yet
    assert end_of_rows(text, ",") == len(text)
    assert rows_in(text, ",", whole=False).faults == {0: STRAY}


def test_a_line_that_is_too_long_is_one_row_with_that_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_ends, "LONGEST", 50)
    text = b"a\n" + b"x" * 60 + b"\nb\n"
    assert rows_in(text, ",", whole=True).ends.tolist() == [2, 63, 65]
    assert rows_in(text, ",", whole=True).faults == {1: LONG}


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_sound_text_has_the_rows_that_pythons_own_reader_finds(delimiter: str) -> None:
    rng = random.Random(3)
    parts = ["a", "5", "é", '"', '""', "\n", "\r\n", delimiter, "", " ", "x" * 20]
    for _ in range(300):
        rows = [["".join(rng.choices(parts, k=rng.randrange(4))) for _ in range(3)] for _ in range(rng.randrange(1, 6))]
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=delimiter, lineterminator=rng.choice(["\n", "\r\n"])).writerows(rows)
        found = rows_in(text.getvalue().encode(), delimiter, whole=True)
        assert found.faults == {}
        read = [
            next(csv.reader(io.StringIO(line.decode(), newline=""), delimiter=delimiter))
            for line in lines_of(text.getvalue().encode(), delimiter)
        ]
        assert read == rows


def noise(rng: random.Random) -> bytes:
    """Anything at all, of the bytes that matter."""
    return b"".join(rng.choices([b"a", b",", b'"', b"\n", b"\r", b"\r\n", b'""', b"\xe9", b"\0", b"bcd"], k=rng.randrange(60)))


def test_every_byte_of_any_text_is_in_one_row() -> None:
    rng = random.Random(4)
    for _ in range(3000):
        text = noise(rng)
        assert b"".join(lines_of(text)) == text


def test_rows_are_the_same_however_much_is_seen_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_ends, "LONGEST", 25)
    rng = random.Random(5)
    for _ in range(3000):
        text = noise(rng)
        known, faults = rows_in(text, ",", whole=True).ends.tolist(), rows_in(text, ",", whole=True).faults
        cut = end_of_rows(text[: rng.randrange(len(text) + 1)], ",")
        before, behind = rows_in(text[:cut], ",", whole=True), rows_in(text[cut:], ",", whole=True)
        assert [*before.ends.tolist(), *(behind.ends + cut).tolist()] == known
        assert before.faults | {row + len(before.ends): why for row, why in behind.faults.items()} == faults


def test_a_header_ends_like_any_row_or_not_at_all() -> None:
    assert end_of_header(b'a,"b\nc"\n1,2\n', ",") == 8
    assert end_of_header(b'a,"b\n1,2\n', ",") == 0
    assert end_of_header(b"a,b", ",") == 0
