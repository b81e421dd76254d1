"""Where the rows of CSV end: one rule, by which a file is cut into pieces and by which the pieces are read.

A quote opens a quoted cell only where a cell begins, and closes it only where one ends; within it two quotes stand for one. Text
that breaks the rule costs the line on which it begins: that line is a row of its own, with a reason, and the next line begins
another. So a stray quote never swallows the rows behind it, and no row needs more memory than LONGEST.
"""

import re
from functools import lru_cache
from typing import Any

import numpy as np
from msgspec import Struct

from pushline.data.files.scan import LONGEST_LINE, is_utf8

LONGEST = LONGEST_LINE  # bytes of a row: what check-data reads, too
FEED, RETURN, QUOTE = 10, 13, 34
STRAY = "holds a quote that is not closed where its cell ends"
NOT_UTF8 = "holds bytes that are not UTF-8"
LONG = f"is longer than {LONGEST:,} bytes"
Positions = np.ndarray[Any, np.dtype[np.int64]]


class RowSpan(Struct, frozen=True, kw_only=True):
    """The rows of a text: the position behind each, line end included, and what is wrong with those that are no rows."""

    ends: Positions
    faults: dict[int, str]


def rows_in(text: bytes, delimiter: str, *, whole: bool) -> RowSpan:
    """The rows of a text that begins with one. Where it is not `whole`, what may go on behind it is left out."""
    bytes_ = np.frombuffer(text, dtype=np.uint8)
    ends = np.flatnonzero(bytes_ == FEED)
    is_open = False
    if b'"' in text:
        quotes = np.flatnonzero(bytes_ == QUOTE)
        if not in_their_places(bytes_, quotes, ord(delimiter)):
            return walked(text, delimiter, whole=whole)
        ends, is_open = ends[np.searchsorted(quotes, ends) % 2 == 0], len(quotes) % 2 == 1
    ends = ends + 1
    left = len(text) - (int(ends[-1]) if len(ends) else 0)
    if (whole and is_open) or left + whole > LONGEST or (len(ends) and np.diff(ends, prepend=0).max() > LONGEST):
        return walked(text, delimiter, whole=whole)
    return RowSpan(ends=np.append(ends, len(text)) if whole and left else ends, faults={})


def in_their_places(text: Any, quotes: Positions, delimiter: int) -> bool:
    """Whether every other quote stands where a cell begins, and the others where one ends."""
    padded = np.concatenate([[FEED], text, [FEED, FEED]]).astype(np.uint8)  # a position is one more here
    opening, closing = quotes[::2] + 1, quotes[1::2] + 1
    before, behind = padded[opening - 1], padded[closing + 1]
    begins = (before == delimiter) | (before == FEED) | (before == QUOTE)  # the last: two quotes that stand for one
    ends = (behind == delimiter) | (behind == FEED) | (behind == QUOTE) | ((behind == RETURN) & (padded[closing + 2] == FEED))
    return bool(begins.all() and ends.all())


@lru_cache
def patterns(delimiter: str) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """A row with its line end, and one that may go on behind the text's end."""
    between = re.escape(delimiter).encode()
    plain = rb'[^"%b\n][^%b\n]*+' % (between, between)
    cell = rb'(?:"(?:[^"]++|"")*+"|%b|)' % plain
    row = rb"%b(?:%b%b)*+\r?\n" % (cell, between, cell)
    begun = rb'(?:%b%b)*+(?:"(?:[^"]++|"")*+(?:"\r?)?|%b)?\Z' % (cell, between, plain)
    return re.compile(row), re.compile(begun)


def walked(text: bytes, delimiter: str, *, whole: bool) -> RowSpan:
    """The same, row by row: for text that breaks the rule somewhere."""
    row, begun = patterns(delimiter)
    closed = text + b"\n" if whole and not text.endswith(b"\n") else text
    ends: list[int] = []
    faults: dict[int, str] = {}
    at = 0
    while at < len(text):
        found = row.match(closed, at, at + LONGEST)
        end = found.end() if found else closed.find(b"\n", at) + 1
        goes_on = not found and not whole and (end == 0 or (len(text) - at <= LONGEST and begun.match(text, at)))
        if goes_on:
            break
        if not found:
            faults[len(ends)] = LONG if end - at > LONGEST else STRAY
        ends.append(min(end, len(text)))
        at = end
    return RowSpan(ends=np.array(ends, dtype=np.int64), faults=faults)


def end_of_rows(text: bytes, delimiter: str) -> int:
    """Where the last row ends that is whole, whatever comes behind; 0 where none is."""
    if b'"' not in text:
        return text.rfind(b"\n") + 1
    ends = rows_in(text, delimiter, whole=False).ends
    return int(ends[-1]) if len(ends) else 0


def end_of_header(text: bytes, delimiter: str) -> int:
    """Where the first row ends, its line end included; 0 where it does not, or is none."""
    row, _ = patterns(delimiter)
    found = row.match(text)
    return found.end() if found else 0


def is_strange(text: bytes) -> bool:
    """Whether any row may hold what no row of CSV in UTF-8 holds."""
    return b"\0" in text or text.count(b"\r") != text.count(b"\r\n") or not (text.isascii() or is_utf8(text))


def fault_of_text(line: bytes, delimiter: str) -> str:
    """What the bytes of a row hold that no row may; empty where nothing."""
    if b"\r" in line and b"\r" in re.sub(rb'(^|[%b])"(?:[^"]++|"")*+"' % delimiter.encode(), b"", line):
        return "holds a carriage return that ends no line"
    if b"\0" in line:
        return "holds a byte of value 0"
    return "" if line.isascii() or is_utf8(line) else NOT_UTF8


def one_cell(line: bytes) -> bytes:
    """A row that is no CSV, as one quoted cell that can be read; bytes that are no text are written as escapes."""
    text = line.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
    return b'"' + text.replace('"', '""').encode() + b'"'
