"""What the bytes of a file say before anything parses them: one pass, flat memory."""

from pathlib import Path

from msgspec import Struct

from pushline.data.checks.findings import MOST_LINES
from pushline.errors import DataUnavailable
from pushline.results import Finding
from pushline.wording import counted

CHUNK = 4 << 20
HEAD = 1 << 20
LONGEST_LINE = 2 << 20  # what the reader accepts

# The first bytes of files that are often saved under another name, and how to get a table out of them.
MAGIC = (
    (b"PK\x03\x04", "a ZIP archive", "Unpack it, and check the file inside"),
    (b"\x1f\x8b", "compressed with gzip", "Unpack it with `gunzip`"),
    (b"BZh", "compressed with bzip2", "Unpack it with `bunzip2`"),
    (b"\xfd7zXZ\x00", "compressed with xz", "Unpack it with `unxz`"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard", "Unpack it with `unzstd`"),
    (b"PAR1", "a Parquet file", "Give it the ending .parquet"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls)", "Save it as CSV UTF-8"),
    (b"%PDF", "a PDF document", "Export the table as CSV"),
    (b"SQLite format 3\x00", "an SQLite database", "Export the table as CSV"),
    (b"ARROW1", "an Arrow (Feather) file", "Write it as Parquet or CSV"),
    (b"\x89HDF", "an HDF5 file", "Write it as Parquet or CSV"),
    (b"\x80\x04\x95", "a pickled Python object", "Write it as Parquet or CSV"),
    (b"\x80\x05\x95", "a pickled Python object", "Write it as Parquet or CSV"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "Run `git lfs pull`"),
)


class LineEnds(Struct, kw_only=True):
    """How many of each kind."""

    lf: int = 0  # line feeds without a carriage return before them
    crlf: int = 0
    cr: int = 0  # carriage returns without a line feed behind them

    def add(self, piece: bytes) -> None:
        feeds, pairs, returns = piece.count(b"\n"), piece.count(b"\r\n"), piece.count(b"\r")
        self.lf += feeds - pairs
        self.crlf += pairs
        self.cr += returns - pairs

    @property
    def all(self) -> int:
        return self.lf + self.crlf + self.cr

    @property
    def kinds(self) -> int:
        return (self.lf > 0) + (self.crlf > 0) + (self.cr > 0)


class Scan(Struct, kw_only=True):
    """What one pass over the bytes of a text file found."""

    size: int
    head: bytes = b""
    byte_order_mark: bool = False
    ends: LineEnds  # all
    row_ends: LineEnds  # those outside of quotes
    ends_open: bool = False  # no line end after the last line
    longest_open: int = 0  # bytes without any line end
    nul_lines: list[int] = []
    nul_bytes: int = 0
    invalid_lines: list[int] = []
    invalid: int = 0
    in_quotes: bool = False

    @property
    def lines(self) -> int:
        return self.ends.all + self.ends_open

    @property
    def is_mixed(self) -> bool:
        return self.row_ends.kinds > 1

    @property
    def only_cr(self) -> bool:
        return self.ends.cr > 0 and self.ends.kinds == 1


def first_bytes(file: Path) -> bytes:
    """The beginning of `file`. Raises DataUnavailable where it can't be opened."""
    try:
        with file.open("rb") as stream:
            return stream.read(HEAD)
    except FileNotFoundError as error:
        raise DataUnavailable(f"{file} does not exist.", why="No file has that name.", do="Name a CSV or Parquet file.") from error
    except IsADirectoryError as error:
        raise DataUnavailable(f"{file} is a folder.", why="check-data reads one file.", do="Name a file inside it.") from error
    except OSError as error:
        raise DataUnavailable(
            f"{file} can't be read.", why=f"The system says: {error.strerror or error}.", do="Check its owner and rights (`ls -l`)."
        ) from error


def kind_of(head: bytes, name: str) -> Finding | None:
    """The finding for bytes that are no table under this name, whatever they are; None for text and rightly named Parquet."""
    if not head:
        return Finding("empty-file", "The file is empty (0 bytes).", expected="a header line and rows")
    is_parquet = name.endswith(".parquet")
    if is_parquet and head.startswith(b"PAR1"):
        return None
    if is_parquet:
        return _not_a_table("something else than its ending .parquet says", "Give it the ending .csv if it is one")
    for magic, what, remedy in MAGIC:
        if head.startswith(magic):
            workbook = what == "a ZIP archive" and (b"xl/" in head or b"[Content_Types].xml" in head)
            return _not_a_table("an Excel workbook (.xlsx)", "Save it as CSV UTF-8") if workbook else _not_a_table(what, remedy)
    if encoding := _wide_encoding(head):
        message = f"The file is encoded as {encoding}, not as UTF-8. Save it as UTF-8 (for example `iconv -f {encoding} -t UTF-8`)."
        return Finding("encoding", message, encoding, "UTF-8", count=1, lines=(1,))
    start = head[:2000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml", b"<body", b"<script")):
        what = "an XML document" if start.startswith(b"<?xml") and b"<html" not in start else "an HTML page"
        return _not_a_table(what, "Often a sign-in or error page that was saved in place of the data: download it again")
    if start.startswith((b'{"', b"[{", b'["', b"[[")) or (start[:1] in (b"{", b"[") and start[1:].lstrip()[:1] in (b'"', b"{", b"[")):
        return _not_a_table("JSON", "Export the table as CSV")
    if start.startswith((b"insert into ", b"create table ")):
        return _not_a_table("a list of SQL statements", "Export the table as CSV")
    if start.startswith(b"sep="):
        message = "The first line says which sign parts fields, for a spreadsheet; it is no header. Delete it."
        return Finding("header", message, "sep=", "the columns' names", count=1, lines=(1,))
    return None


def _not_a_table(what: str, remedy: str) -> Finding:
    expected = "a CSV file in UTF-8, or a Parquet file that ends in .parquet"
    return Finding("not-a-table", f"The file is {what}. {remedy}.", what, expected, count=1)


def _wide_encoding(head: bytes) -> str:
    """UTF-16 or UTF-32, told by the byte order mark or by where the zero bytes stand."""
    for mark, name in ((b"\xff\xfe\x00\x00", "UTF-32"), (b"\x00\x00\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")):
        if head.startswith(mark):
            return name
    sample = head[:4096]
    even, odd = sample[::2], sample[1::2]
    if len(sample) >= 8:
        if odd.count(0) > 0.8 * len(odd) and even.count(0) < 0.1 * len(even):
            return "UTF-16LE"
        if even.count(0) > 0.8 * len(even) and odd.count(0) < 0.1 * len(odd):
            return "UTF-16BE"
    return ""


def scan(file: Path) -> Scan:
    """Line ends, encoding and zero bytes of a text file, read in pieces of a few megabytes that end at a line's end."""
    seen = Scan(size=file.stat().st_size, ends=LineEnds(), row_ends=LineEnds())
    rest = b""
    with file.open("rb") as stream:
        while piece := stream.read(CHUNK):
            if not seen.head:
                seen.head = piece[:HEAD]
                seen.byte_order_mark = piece.startswith(b"\xef\xbb\xbf")
            piece = rest + piece
            cut = piece.rfind(b"\n") + 1 or piece.rfind(b"\r", 0, -1) + 1
            if not cut:
                seen.longest_open = max(seen.longest_open, len(piece))
                cut = len(piece) - 4 if len(piece) > LONGEST_LINE else 0
                while cut and piece[cut] & 0xC0 == 0x80:  # not within a character
                    cut -= 1
            _take(seen, piece[:cut])
            rest = piece[cut:]
    _take(seen, rest)
    seen.ends_open = bool(rest) and not rest.endswith((b"\n", b"\r"))
    return seen


def _take(seen: Scan, piece: bytes) -> None:
    """Count one piece; line numbers are worked out only where something is wrong in it."""
    if not piece:
        return
    before, feeds = seen.ends.all, b"\n" in piece
    seen.ends.add(piece)
    if b'"' in piece or seen.in_quotes:
        parts = piece.split(b'"')
        seen.row_ends.add(b'"'.join(parts[seen.in_quotes :: 2]))
        seen.in_quotes ^= len(parts) % 2 == 0
    else:
        seen.row_ends.add(piece)
    zeros = piece.count(0)
    seen.nul_bytes += zeros
    valid = piece.isascii() or is_utf8(piece)
    if zeros or not valid:
        ends = b"\n" if feeds else b"\r"
        for number, line in enumerate(piece.split(ends), before + 1):
            if 0 in line and len(seen.nul_lines) < MOST_LINES:
                seen.nul_lines.append(number)
            if not valid and not line.isascii() and not is_utf8(line):
                seen.invalid += 1
                if len(seen.invalid_lines) < MOST_LINES:
                    seen.invalid_lines.append(number)


def is_utf8(piece: bytes) -> bool:
    try:
        piece.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def scan_findings(seen: Scan) -> list[Finding]:
    """Findings about the bytes; a critical one means that parsing them makes no sense."""
    found = []
    if seen.nul_bytes:
        message = f"The file holds {counted(seen.nul_bytes, 'zero byte')}, often a sign of a damaged or binary file. Write it again."
        found.append(Finding("nul-bytes", message, "bytes of value 0", "text", count=seen.nul_bytes, lines=tuple(seen.nul_lines)))
    if seen.invalid:
        lines = f"{counted(seen.invalid, 'line')} {'is' if seen.invalid == 1 else 'are'}"
        message = f"{lines} not UTF-8 but perhaps Latin-1. Save the file as UTF-8 (for example `iconv -f WINDOWS-1252 -t UTF-8`)."
        where = tuple(seen.invalid_lines)
        found.append(Finding("encoding", message, "bytes that are not UTF-8", "UTF-8", count=seen.invalid, lines=where))
    if seen.longest_open > LONGEST_LINE and not seen.nul_bytes:
        message = f"A line is longer than {LONGEST_LINE >> 20} MB: the file has no line ends there, or it is no table."
        without, line = f"{seen.longest_open:,} bytes without a line end", seen.lines or 1
        found.append(Finding("line-ends", message, without, "one row per line", count=1, lines=(line,)))
    if seen.only_cr or seen.is_mixed:
        what = "are single carriage returns" if seen.only_cr else "are of several kinds"
        message = f"The line ends {what}; many programs misread such a file. Write LF or CRLF."
        crlf, lf, cr = seen.row_ends.crlf, seen.row_ends.lf, seen.row_ends.cr
        fewest = min((n for n in (crlf, lf, cr) if n), default=0)
        kinds = f"{crlf:,} CRLF, {lf:,} LF, {cr:,} CR"
        found.append(Finding("line-ends", message, kinds, "LF or CRLF throughout", "warning", count=fewest))
    if seen.byte_order_mark:
        message = "The file begins with a byte order mark. It was skipped; some programs take it for a part of the first name."
        found.append(Finding("byte-order-mark", message, "EF BB BF", "no byte order mark", "info", count=1, lines=(1,)))
    return found
