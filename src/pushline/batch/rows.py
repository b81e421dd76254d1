"""One piece of the input as the matrix the model takes, and what is wrong with the rows that have none."""

from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from pushline.arrays import Floats, Mask
from pushline.batch.row_ends import FEED, NOT_UTF8, RETURN, Positions, fault_of_text, is_strange, one_cell, rows_in
from pushline.batch.source import BatchInput, Piece
from pushline.data.checks.findings import shown
from pushline.data.contract import Column, Contract
from pushline.data.contract.dates import DATE_EXAMPLES, hours_or_none
from pushline.data.contract.encoding import MISSING_CATEGORY, Encoding
from pushline.data.files.scan import is_utf8
from pushline.serving.payload import bounds_of

if TYPE_CHECKING:
    import pyarrow as pa

WHOLE = r"^\s*[+-]?[0-9]+([.]0*)?\s*$"
NUMBER = r"^\s*[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?\s*$"
LARGE = 2.0**62  # whole numbers below fit 64 bits
TRUE, FALSE = ["true", "True", "TRUE", "t", "1", "yes"], ["false", "False", "FALSE", "f", "0", "no"]


class Rejects(Struct, kw_only=True):
    """Rows that break the contract: where they stand, and why."""

    lines: list[int]
    reasons: list[str]
    texts: list[bytes]  # as in the file, or all of it one cell where that is no CSV in UTF-8; empty for Parquet


class EncodedRows(Struct, kw_only=True):
    """A piece, read: the rows that keep the contract, in their order, and the others."""

    matrix: Floats  # [rows, columns of the encoding]
    texts: Any  # pa.Array of the rows' own text; None for Parquet
    table: Any  # pa.Table: the rows' columns as they were read, of CSV only those that were asked for
    sent: Any  # pa.Table: the columns the model takes, typed, of the rejected rows too; a cell that can't be read is empty
    rejects: Rejects


class Reader:
    """Reads pieces of one source for one model."""

    def __init__(self, source: BatchInput, contract: Contract, encoding: Encoding, delimiter: str, *, whole_table: bool) -> None:
        """`whole_table`: give all columns too, as Parquet needs them; CSV is written from the rows' own text."""
        self.names = source.columns
        self.columns = tuple(contract.by_name[name] for name in encoding.names)
        self.tables = dict(zip(encoding.names, encoding.tables, strict=True))
        self.delimiter = delimiter
        self.whole_table = whole_table
        self.types = {column.name: arrow_type(column) for column in self.columns}

    def read(self, piece: Piece) -> EncodedRows:
        """The rows of a piece."""
        if piece.batch is not None:
            return self.read_batch(piece)
        return self.read_text(piece)

    # CSV

    def read_text(self, piece: Piece) -> EncodedRows:
        import pyarrow as pa

        found = rows_in(piece.text, self.delimiter, whole=True)
        texts = texts_of(piece.text, found.ends)
        faults = dict(found.faults)
        text, rows, unwritable = self.sound(piece.text, texts, faults)
        table, wrong, ragged = self.parsed(text)
        for row, reason in ragged.items():
            if texts[int(rows[row])].as_py().strip():  # a line of blanks is no row
                faults.setdefault(int(rows[row]), reason)
        rows = np.delete(rows, list(ragged))
        matrix, in_cells = self.encode(table, wrong)
        for row, reason in in_cells.items():
            faults.setdefault(int(rows[row]), reason)
        starts, order = line_numbers(piece, found.ends), sorted(faults)
        rejects = Rejects(
            lines=[int(starts[row]) for row in order],
            reasons=[faults[row] for row in order],
            texts=[one_cell(texts[row].as_py()) if row in unwritable else texts[row].as_py() for row in order],
        )
        sent = table.select(list(self.types))
        good = ~np.isin(rows, order)
        if not good.all() or len(rows) != len(texts):
            texts, table, matrix = texts.take(pa.array(rows[good])), table.filter(pa.array(good)), matrix[good]
        return EncodedRows(matrix=matrix, texts=texts, table=table, sent=sent, rejects=rejects)

    def sound(self, text: bytes, texts: Any, faults: dict[int, str]) -> tuple[bytes, Positions, set[int]]:
        """The text that can be parsed, the rows it holds, and those that can't be written as they stand; adds to the faults."""
        import pyarrow.compute as pc

        unwritable = set(faults)
        held = np.ones(len(texts), dtype=bool)
        if len(self.names) > 1:
            held = np.asarray(pc.greater(pc.binary_length(texts), 0))
        strange = {}
        if is_strange(text):
            for row, line in enumerate(texts.to_pylist()):
                if reason := fault_of_text(line, self.delimiter):
                    faults.setdefault(row, reason)
                    unwritable.add(row)
                    strange[row] = line.decode("utf-8", "replace").encode()
        held[[row for row in faults if faults[row] != NOT_UTF8]] = False
        rows = np.flatnonzero(held)
        if len(rows) == len(texts) and not strange:
            return text, rows, unwritable
        return b"".join(strange.get(int(row), texts[int(row)].as_py()) + b"\n" for row in rows), rows, unwritable

    def parsed(self, text: bytes) -> tuple["pa.Table", dict[str, Mask], dict[int, str]]:
        """The rows of a text, for each column which cells are not of its type, and the rows of another number of fields."""
        import pyarrow as pa

        ragged: dict[int, str] = {}
        if not text:
            names = self.names if self.whole_table else tuple(self.types)
            return pa.table({name: pa.array([], self.types.get(name, pa.string())) for name in names}), {}, ragged
        if b"0x" not in text and b"0X" not in text:  # Arrow takes 0x20 for a whole number
            try:
                return self.parse(text, self.types, ragged), {}, ragged
            except pa.ArrowInvalid:  # a cell is not of its column's type: read the text and look for it
                ragged.clear()
        strings: dict[str, Any] = dict.fromkeys(self.types, pa.string())
        return *self.cast(self.parse(text, strings, ragged)), ragged

    def parse(self, text: bytes, types: dict[str, Any], ragged: dict[int, str]) -> "pa.Table":
        """The columns the model takes (or all), typed. Rows with too few or too many fields are left out and told."""
        import pyarrow as pa
        from pyarrow import csv

        def skip(row: Any) -> str:
            ragged[row.number - 1] = f"holds {row.actual_columns} of {row.expected_columns} fields"
            return "skip"

        named = {} if self.whole_table else {"include_columns": list(types)}
        others = dict.fromkeys(self.names, pa.string()) if self.whole_table else {}
        return csv.read_csv(
            pa.BufferReader(text),
            read_options=csv.ReadOptions(use_threads=False, column_names=list(self.names), block_size=max(len(text) + 1, 1024)),
            parse_options=csv.ParseOptions(
                delimiter=self.delimiter, newlines_in_values=b'"' in text, ignore_empty_lines=False, invalid_row_handler=skip
            ),
            convert_options=csv.ConvertOptions(
                column_types={**others, **types},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                true_values=TRUE,
                false_values=FALSE,
                check_utf8=True,
                **named,
            ),
        )

    def cast(self, table: "pa.Table") -> tuple["pa.Table", dict[str, Mask]]:
        """A table of text, typed where it can be, and for each column which cells can't."""
        import pyarrow as pa
        import pyarrow.compute as pc

        wrong = {}
        for column in self.columns:
            cells = table[column.name].combine_chunks()
            fits, typed = cast_cells(cells, column, self.types[column.name])
            misses = pc.and_(pc.is_valid(cells), pc.invert(fits))
            wrong[column.name] = np.asarray(pc.fill_null(misses, False))
            table = table.set_column(table.column_names.index(column.name), pa.field(column.name, typed.type), typed)
        return table, wrong

    # Parquet

    def read_batch(self, piece: Piece) -> EncodedRows:
        import pyarrow as pa

        table = pa.Table.from_batches([piece.batch])
        typed, wrong = table, {}
        for column in self.columns:
            cells = table[column.name].combine_chunks()
            if pa.types.is_dictionary(cells.type):
                cells = cells.dictionary_decode()
            fits, values = fit_cells(cells, column, self.types[column.name])
            wrong[column.name] = ~fits
            typed = typed.set_column(typed.column_names.index(column.name), column.name, values)
        matrix, faults = self.encode(typed, wrong)
        good = np.ones(table.num_rows, dtype=bool)
        good[list(faults)] = False
        order = sorted(faults)
        rejects = Rejects(lines=[piece.first + row for row in order], reasons=[faults[row] for row in order], texts=[])
        if order:
            table, matrix = table.filter(pa.array(good)), matrix[good]
        return EncodedRows(matrix=matrix, texts=None, table=table, sent=typed.select(list(self.types)), rejects=rejects)

    # Both

    def encode(self, table: "pa.Table", wrong: dict[str, Mask]) -> tuple[Floats, dict[int, str]]:
        """The matrix of all rows, and the first fault of each row that has one. The rules are those of the service."""
        columns = np.empty((len(self.columns), table.num_rows), dtype=np.float32)  # written a column at a time
        faults: dict[int, str] = {}
        for column, into in zip(self.columns, columns, strict=True):
            cells = table[column.name].combine_chunks()
            codes = self.tables[column.name]
            if column.is_date:
                found = encode_dates(cells, column, into)
            else:
                found = encode_numbers(cells, column, into) if codes is None else encode_words(cells, codes, into)
            masks = [found, np.asarray(cells.is_null()) if cells.null_count and not column.optional else None, wrong.get(column.name)]
            for mask in masks:
                for row in np.flatnonzero(mask) if mask is not None else ():
                    faults.setdefault(int(row), self.fault(column, cells[int(row)].as_py(), wrong, int(row)))
        return np.ascontiguousarray(columns.T), faults

    def fault(self, column: Column, value: Any, wrong: dict[str, Mask], row: int) -> str:
        if column.name in wrong and wrong[column.name][row]:
            kind = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}.get(column.type, "text")
            return f"{column.name} is not {kind}"
        if value is None:
            return f"{column.name} is missing"
        if column.is_date:
            return f"{column.name} is {shown([value])}; a {column.type} such as {DATE_EXAMPLES[column.type]} is expected"
        if column.is_text:
            return f"{column.name} is {shown([value])}, which is not allowed"
        low, high = bounds_of(column)
        return f"{column.name} is {value:g}; allowed is {low:g} to {high:g}"


def encode_numbers(cells: Any, column: Column, into: Floats) -> Mask | None:
    """Put the values as float32 into a column of the matrix; true where one is outside its bounds, None where none is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = np.asarray(cells.cast(pa.float64(), safe=False).fill_null(float("nan")) if cells.null_count else cells)
    with np.errstate(over="ignore"):  # what float32 does not hold is outside the bounds
        into[:] = values
    low, high = bounds_of(column)
    least, most = pc.min_max(cells).values()
    if least.is_valid and least.as_py() >= low and most.as_py() <= high and not np.isnan(into.sum(dtype=np.float64)):
        return None
    outside = ~((values >= low) & (values <= high))
    if cells.null_count:
        outside &= ~np.asarray(cells.is_null())
    return outside


def encode_dates(cells: Any, column: Column, into: Floats) -> Mask | None:
    """Put the hours since 1970 into a column of the matrix; true where a text is no date, None where all are."""
    import pyarrow as pa

    cells = cells if pa.types.is_dictionary(cells.type) else cells.dictionary_encode()
    codes = {text: hours for text in cells.dictionary.to_pylist() if (hours := hours_or_none(text, column.type)) is not None}
    return encode_words(cells, codes or {"": np.nan}, into, missing=np.nan)


def encode_words(cells: Any, codes: Any, into: Floats, missing: float = MISSING_CATEGORY) -> Mask | None:
    """Put the codes into a column of the matrix; true where a value is not allowed, None where all are."""
    import pyarrow as pa

    if not pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_encode()
    words = cells.dictionary.to_pylist()
    table = np.array([codes.get(word, missing) for word in words] + [missing], dtype=np.float32)
    indices = np.asarray(cells.indices.fill_null(len(words)) if cells.null_count else cells.indices)
    np.take(table, indices, out=into, mode="clip")
    strange = np.array([bool(codes) and word not in codes for word in words] + [False])
    return strange[indices] if strange.any() else None


def texts_of(text: bytes, behind: Positions) -> Any:
    """The rows of a piece as an array of binary values, without their line ends; `behind`: where each ends."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if text and not text.endswith(b"\n"):
        text, behind = text + b"\n", np.append(behind[:-1], len(text) + 1)
    offsets, ends = np.concatenate([[0], behind]), behind - 1
    returns = (np.frombuffer(text, dtype=np.uint8)[np.maximum(ends - 1, 0)] == RETURN) & (ends > offsets[:-1])
    if returns.any() and not returns.all():  # some lines end in CRLF and some in LF
        lengths = ends - returns
        return pa.array([text[start:end] for start, end in zip(offsets[:-1], lengths, strict=True)], pa.binary())
    whole = pa.Array.from_buffers(pa.binary(), len(ends), [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(text)])
    return pc.binary_slice(whole, 0, -2 if returns.any() else -1)


def line_numbers(piece: Piece, behind: Positions) -> Positions:
    """For each row of a piece the line of the file it begins in."""
    starts = np.concatenate([[0], behind[:-1]])
    if b'"' not in piece.text:
        return np.asarray(piece.first + np.arange(len(starts)))
    feeds = np.flatnonzero(np.frombuffer(piece.text, dtype=np.uint8) == FEED)
    return np.asarray(piece.first + np.searchsorted(feeds, starts))


def arrow_type(column: Column) -> Any:
    import pyarrow as pa

    if column.is_text:
        return pa.dictionary(pa.int32(), pa.string())
    return {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}[column.type]


def cast_cells(cells: Any, column: Column, kind: Any) -> tuple[Any, Any]:
    """For cells of text: which are of the column's type (null where empty), and all of them typed, null where not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.is_text:
        return pc.is_valid(cells), cells.dictionary_encode()
    if column.type == "boolean":
        true, false = (pc.is_in(cells, value_set=pa.array(words)) for words in (TRUE, FALSE))
        fits = pc.or_(true, false)
        return fits, pc.if_else(fits, true, None)
    fits = pc.match_substring_regex(cells, WHOLE if column.type == "integer" else NUMBER)
    numbers = pc.cast(pc.utf8_trim_whitespace(pc.if_else(fits, cells, None)), pa.float64())
    if column.type == "integer":
        inside = pc.fill_null(pc.less(pc.abs(numbers), LARGE), False)
        return pc.and_(fits, inside), pc.cast(pc.if_else(inside, numbers, None), kind)
    return fits, numbers


def fit_cells(cells: Any, column: Column, kind: Any) -> tuple[Mask, Any]:
    """For typed cells of a Parquet file: which fit the column's type, and all of them as that type, null where not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    everything = np.ones(len(cells), dtype=bool)
    kinds = pa.types
    if column.is_date and (kinds.is_date(cells.type) or kinds.is_timestamp(cells.type)):
        cells = cells.cast(pa.string())
    if kinds.is_string(cells.type) or kinds.is_large_string(cells.type) or kinds.is_string_view(cells.type):
        readable = valid_text(cells)
        fits, typed = cast_cells(pc.if_else(pa.array(readable), cells.cast(pa.string()), None), column, kind)
        return np.asarray(pc.fill_null(fits, True)) & readable, typed
    if column.type == "boolean" and kinds.is_boolean(cells.type):
        return everything, cells
    is_number = kinds.is_integer(cells.type) or kinds.is_floating(cells.type) or kinds.is_decimal(cells.type)
    if not is_number or column.type not in ("integer", "number"):
        return np.asarray(cells.is_null()), pa.nulls(len(cells), pa.string() if column.is_text else kind)
    numbers = cells.cast(pa.float64(), safe=False)  # exact is what float32 is at the end
    if column.type == "number":
        return everything, numbers
    whole = np.asarray(pc.fill_null(pc.and_(pc.equal(pc.floor(numbers), numbers), pc.less(pc.abs(numbers), LARGE)), True))
    return whole, pc.cast(pc.if_else(pa.array(whole), numbers, None), kind, safe=False)


def valid_text(cells: Any) -> Mask:
    """Which cells of a text column of a Parquet file are UTF-8."""
    import pyarrow as pa

    try:
        cells.validate(full=True)
    except pa.ArrowInvalid:
        values = cells.cast(pa.large_binary()).to_pylist()
        return np.array([value is None or is_utf8(value) for value in values], dtype=bool)
    return np.ones(len(cells), dtype=bool)
