"""One piece of the input as the matrix the model takes, and what is wrong with the rows that have none."""

from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from pushline.batch.source import Piece, Source, line_ends
from pushline.data.contract import Column, Contract
from pushline.data.encoding import MISSING_CATEGORY, Encoding
from pushline.serving.payload import bounds_of

if TYPE_CHECKING:
    import pyarrow as pa

WHOLE = r"^\s*[+-]?[0-9]+([.]0*)?\s*$"
NUMBER = r"^\s*[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?\s*$"
TRUE, FALSE = ["true", "True", "TRUE", "t", "1", "yes"], ["false", "False", "FALSE", "f", "0", "no"]
Floats = np.ndarray[Any, np.dtype[np.float32]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


class Rejects(Struct, kw_only=True):
    """Rows that break the contract: where they stand, and why."""

    lines: list[int]
    reasons: list[str]
    texts: list[bytes]  # as in the file; empty for Parquet


class Rows(Struct, kw_only=True):
    """A piece, read: the rows that keep the contract, in their order, and the others."""

    matrix: Floats  # [rows, columns of the encoding]
    texts: Any  # pa.Array of the rows' own text; None for Parquet
    table: Any  # pa.Table: the rows' columns as they were read, of CSV only those that were asked for
    columns: Any  # pa.Table: the columns the model takes, typed
    rejects: Rejects


class Reader:
    """Reads pieces of one source for one model."""

    def __init__(self, source: Source, contract: Contract, encoding: Encoding, delimiter: str, *, whole_table: bool) -> None:
        """`whole_table`: give all columns too, as Parquet needs them; CSV is written from the rows' own text."""
        self.names = source.columns
        self.columns = tuple(contract.by_name[name] for name in encoding.names)
        self.tables = dict(zip(encoding.names, encoding.tables, strict=True))
        self.delimiter = delimiter
        self.whole_table = whole_table
        self.types = {column.name: arrow_type(column) for column in self.columns}

    def read(self, piece: Piece) -> Rows:
        """The rows of a piece."""
        if piece.batch is not None:
            return self.read_batch(piece)
        return self.read_text(piece)

    # CSV

    def read_text(self, piece: Piece) -> Rows:
        import pyarrow as pa

        ragged: dict[int, str] = {}
        texts = texts_of(piece.text)
        try:
            table = self.parse(piece.text, self.types, ragged)
            wrong: dict[str, Mask] = {}
        except pa.ArrowInvalid:  # a cell is not of its column's type: read the text and look for it
            ragged.clear()
            strings: dict[str, Any] = dict.fromkeys(self.types, pa.string())
            table, wrong = self.cast(self.parse(piece.text, strings, ragged))
        fits = np.ones(len(texts), dtype=bool)
        fits[list(ragged)] = False
        blank = [row for row in ragged if not texts[row].as_py().strip()]
        reasons = {row: reason for row, reason in ragged.items() if row not in blank}
        numbers = np.flatnonzero(fits)
        matrix, faults = self.encode(table, wrong)
        reasons |= {int(numbers[row]): reason for row, reason in faults.items()}
        good = np.ones(len(numbers), dtype=bool)
        good[list(faults)] = False
        starts = line_numbers(piece)
        order = sorted(reasons)
        rejects = Rejects(
            lines=[int(starts[row]) for row in order], reasons=[reasons[row] for row in order], texts=[texts[row].as_py() for row in order]
        )
        if not good.all() or len(numbers) != len(texts):
            texts = texts.take(pa.array(numbers[good]))
            table, matrix = table.filter(pa.array(good)), matrix[good]
        return Rows(matrix=matrix, texts=texts, table=table, columns=table.select(list(self.types)), rejects=rejects)

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

    def read_batch(self, piece: Piece) -> Rows:
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
            table, typed, matrix = table.filter(pa.array(good)), typed.filter(pa.array(good)), matrix[good]
        return Rows(matrix=matrix, texts=None, table=table, columns=typed.select(list(self.types)), rejects=rejects)

    # Both

    def encode(self, table: "pa.Table", wrong: dict[str, Mask]) -> tuple[Floats, dict[int, str]]:
        """The matrix of all rows, and the first fault of each row that has one. The rules are those of the service."""
        columns = np.empty((len(self.columns), table.num_rows), dtype=np.float32)  # written a column at a time
        faults: dict[int, str] = {}
        for column, into in zip(self.columns, columns, strict=True):
            cells = table[column.name].combine_chunks()
            codes = self.tables[column.name]
            found = encode_numbers(cells, column, into) if codes is None else encode_words(cells, codes, into)
            masks = [found, np.asarray(cells.is_null()) if cells.null_count and not column.optional else None, wrong.get(column.name)]
            for mask in masks:
                for row in np.flatnonzero(mask) if mask is not None else ():
                    faults.setdefault(int(row), self.fault(column, cells[int(row)].as_py(), wrong, int(row)))
        return np.ascontiguousarray(columns.T), faults

    def fault(self, column: Column, value: Any, wrong: dict[str, Mask], row: int) -> str:
        if column.name in wrong and wrong[column.name][row]:
            kind = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}[column.type]
            return f"{column.name} is not {kind}"
        if value is None:
            return f"{column.name} is missing"
        if column.is_text:
            return f"{column.name} is {value!r}, which is not allowed"
        low, high = bounds_of(column)
        return f"{column.name} is {value:g}; allowed is {low:g} to {high:g}"


def arrow_type(column: Column) -> Any:
    import pyarrow as pa

    if column.type == "string":
        return pa.dictionary(pa.int32(), pa.string())
    return {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}[column.type]


def encode_numbers(cells: Any, column: Column, into: Floats) -> Mask | None:
    """Put the values as float32 into a column of the matrix; true where one is outside its bounds, None where none is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = np.asarray(cells.cast(pa.float64()).fill_null(float("nan")) if cells.null_count else cells)
    into[:] = values
    low, high = bounds_of(column)
    least, most = pc.min_max(cells).values()
    if least.is_valid and least.as_py() >= low and most.as_py() <= high and not np.isnan(into.sum(dtype=np.float64)):
        return None
    outside = ~((values >= low) & (values <= high))
    if cells.null_count:
        outside &= ~np.asarray(cells.is_null())
    return outside


def encode_words(cells: Any, codes: Any, into: Floats) -> Mask | None:
    """Put the codes into a column of the matrix; true where a value is not allowed, None where all are."""
    import pyarrow as pa

    if not pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_encode()
    words = cells.dictionary.to_pylist()
    table = np.array([codes.get(word, MISSING_CATEGORY) for word in words] + [MISSING_CATEGORY], dtype=np.float32)
    indices = np.asarray(cells.indices.fill_null(len(words)) if cells.null_count else cells.indices)
    np.take(table, indices, out=into, mode="clip")
    strange = np.array([bool(codes) and word not in codes for word in words] + [False])
    return strange[indices] if strange.any() else None


def cast_cells(cells: Any, column: Column, kind: Any) -> tuple[Any, Any]:
    """For cells of text: which are of the column's type (null where empty), and all of them typed, null where not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.type == "string":
        return pc.is_valid(cells), cells.dictionary_encode()
    if column.type == "boolean":
        true, false = (pc.is_in(cells, value_set=pa.array(words)) for words in (TRUE, FALSE))
        fits = pc.or_(true, false)
        return fits, pc.if_else(fits, true, None)
    fits = pc.match_substring_regex(cells, WHOLE if column.type == "integer" else NUMBER)
    numbers = pc.cast(pc.utf8_trim_whitespace(pc.if_else(fits, cells, None)), pa.float64())
    if column.type == "integer":
        inside = pc.fill_null(pc.less(pc.abs(numbers), 2.0**62), False)
        return pc.and_(fits, inside), pc.cast(pc.if_else(inside, numbers, None), kind)
    return fits, numbers


def fit_cells(cells: Any, column: Column, kind: Any) -> tuple[Mask, Any]:
    """For typed cells of a Parquet file: which fit the column's type, and all of them as that type, null where not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    everything = np.ones(len(cells), dtype=bool)
    is_text = pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)
    if is_text:
        fits, typed = cast_cells(cells.cast(pa.string()), column, kind)
        return np.asarray(pc.fill_null(fits, True)), typed
    if column.type == "string" or pa.types.is_boolean(cells.type) != (column.type == "boolean"):
        return np.asarray(cells.is_null()), pa.nulls(len(cells), pa.string() if column.type == "string" else kind)
    if column.type == "boolean":
        return everything, cells
    numbers = cells.cast(pa.float64())
    if column.type == "integer" and not pa.types.is_integer(cells.type):
        whole = np.asarray(pc.fill_null(pc.equal(pc.floor(numbers), numbers), True))
        return whole, pc.cast(pc.if_else(pa.array(whole), numbers, None), kind)
    return everything, cells.cast(kind) if column.type == "integer" else numbers


def texts_of(text: bytes) -> Any:
    """The lines of a piece as an array of binary values, without their ends."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ends = line_ends(text)
    if len(ends) == 0 or ends[-1] != len(text) - 1:
        text, ends = text + b"\n", np.append(ends, len(text))
    offsets = np.concatenate([[0], ends + 1])
    returns = (np.frombuffer(text, dtype=np.uint8)[np.maximum(ends - 1, 0)] == 13) & (ends > offsets[:-1])
    if returns.any() and not returns.all():  # some lines end in CRLF and some in LF
        lengths = ends - returns
        return pa.array([text[start:end] for start, end in zip(offsets[:-1], lengths, strict=True)], pa.binary())
    whole = pa.Array.from_buffers(pa.binary(), len(ends), [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(text)])
    return pc.binary_slice(whole, 0, -2 if returns.any() else -1)


def line_numbers(piece: Piece) -> Any:
    """For each row of a piece the line of the file it begins in."""
    ends = line_ends(piece.text)
    starts = np.concatenate([[0], ends + 1])
    if b'"' not in piece.text:
        return piece.first + np.arange(len(starts))
    feeds = np.flatnonzero(np.frombuffer(piece.text, dtype=np.uint8) == 10)
    return piece.first + np.searchsorted(feeds, starts)
