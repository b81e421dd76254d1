"""One piece: read, scored, and written as bytes of CSV or a table. Everything heavy here runs without Python's lock."""

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from pushline.batch.rows import Reader, Rejects
from pushline.batch.source import Piece
from pushline.data.files.version import quoted
from pushline.serving.model_folder import QUANTITY

if TYPE_CHECKING:
    import pyarrow as pa

    from pushline.serving.scorer import Scorer

PROBABILITY, RESULT = "probability", "result"
BINS = 20


class ScoredPiece(Struct, kw_only=True):
    """A piece that is done."""

    piece: Piece
    rows: int
    csv: Any = b""  # a buffer of whole lines
    table: Any = None  # pa.Table, for Parquet
    rejects: Rejects
    histogram: Any  # of the probability that decides, BINS counts
    results: dict[str, int]
    sample: Any  # pa.Table: the columns of some rows that were sent, for drift


def score(reader: Reader, scorer: "Scorer", piece: Piece, *, delimiter: str, to_parquet: bool, sample_every: int) -> ScoredPiece:
    """Score one piece with the model that answers requests, so that a row gets the same answer here and there.

    Every `sample_every`-th row's columns are kept for the drift check, also where the row was rejected.
    """
    import pyarrow as pa

    read = reader.read(piece)
    answers = scorer.run(read.matrix) if len(read.matrix) else np.empty((0, scorer.scoring.outputs), dtype=np.float32)
    histogram, results, columns = quantity_answers(answers) if scorer.quantity else class_answers(scorer, answers)
    scored = ScoredPiece(
        piece=piece,
        rows=len(answers),
        rejects=read.rejects,
        histogram=histogram,
        results=results,
        sample=read.sent.take(pa.array(range(0, len(read.sent), sample_every), pa.int64())),
    )
    if to_parquet:
        scored.table = table_with(read.table, columns)
    elif read.texts is not None:
        scored.csv = lines_with(read.texts, columns, delimiter)
    else:
        scored.csv = lines_of_table(table_with(read.table, columns), delimiter)
    return scored


def quantity_answers(predictions: Any) -> tuple[Any, dict[str, int], dict[str, Any]]:
    """What is counted of a quantity's predictions, which is nothing, and the columns that are added."""
    import pyarrow as pa

    columns = {name: pa.array(predictions[:, place].astype(np.float64)) for place, name in enumerate(QUANTITY)}
    return np.zeros(BINS, dtype=np.int64), {}, columns


def class_answers(scorer: "Scorer", probabilities: Any) -> tuple[Any, dict[str, int], dict[str, Any]]:
    """The histogram of the probability that decides, the rows of each class, and the columns that are added."""
    if scorer.binary:
        deciding = probabilities[:, 1].astype(np.float64)
        chosen = (deciding >= float(scorer.threshold or 0)).astype(np.int32)
    else:
        deciding = probabilities.max(axis=1, initial=0).astype(np.float64)
        chosen = probabilities.argmax(axis=1).astype(np.int32)
    counts = np.bincount(chosen, minlength=len(scorer.classes))
    results = {name: int(count) for name, count in zip(scorer.classes, counts, strict=True)}
    return np.histogram(deciding, bins=BINS, range=(0, 1))[0], results, columns_of(scorer, probabilities, deciding, chosen)


def columns_of(scorer: "Scorer", probabilities: Any, deciding: Any, chosen: Any) -> dict[str, Any]:
    """The columns that are added: the probability (with more than two classes one for each) and the result."""
    import pyarrow as pa

    result = pa.DictionaryArray.from_arrays(pa.array(chosen), pa.array(list(scorer.classes)))
    if scorer.binary:
        return {PROBABILITY: pa.array(deciding), RESULT: result}
    each = {f"{PROBABILITY}_{name}": pa.array(probabilities[:, i].astype(np.float64)) for i, name in enumerate(scorer.classes)}
    return {**each, RESULT: result}


def names_added(scorer: "Scorer") -> list[str]:
    if scorer.quantity:
        return list(QUANTITY)
    if scorer.binary:
        return [PROBABILITY, RESULT]
    return [*(f"{PROBABILITY}_{name}" for name in scorer.classes), RESULT]


def table_with(table: "pa.Table", columns: dict[str, Any]) -> "pa.Table":
    import pyarrow as pa

    for name, values in columns.items():
        table = table.append_column(name, values.dictionary_decode() if pa.types.is_dictionary(values.type) else values)
    return table


def lines_with(texts: Any, columns: dict[str, Any], delimiter: str) -> Any:
    """The rows' own text with the new columns behind it: nothing that was read is written otherwise."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(texts) == 0:
        return b""
    cells = []
    for values in columns.values():
        if pa.types.is_dictionary(values.type):
            words = pa.array([quoted(word, delimiter) for word in values.dictionary.to_pylist()])
            cells.append(words.take(values.indices).cast(pa.binary()))
        else:
            cells.append(values.cast(pa.string()).cast(pa.binary()))
    joined = pc.binary_join_element_wise(texts, *cells, delimiter.encode())
    ended = pc.binary_join_element_wise(joined, b"\n", b"")
    offsets, data = ended.buffers()[1], ended.buffers()[2]
    bounds = np.frombuffer(offsets, dtype=np.int32, count=len(ended) + 1 + ended.offset)[ended.offset :]
    return data.slice(int(bounds[0]), int(bounds[-1] - bounds[0]))


def lines_of_table(table: "pa.Table", delimiter: str) -> bytes:
    """The rows of a Parquet file as CSV."""
    from pyarrow import csv

    sink = io.BytesIO()
    csv.write_csv(table, sink, csv.WriteOptions(include_header=False, delimiter=delimiter, quoting_style="needed"))
    return sink.getvalue()
