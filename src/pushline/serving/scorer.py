"""A model folder as a function from rows to answers."""

from collections.abc import Sequence
from pathlib import Path
from struct import Struct as Packer
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from pushline.arrays import Matrix
from pushline.data.contract.encoding import encode_rows
from pushline.serving.model_folder import (
    EXPLAINED_AT_MOST,
    EXPLANATION,
    MATRIX,
    MATRIX_INPUT,
    QUANTITY,
    read_contract,
    read_golden,
    read_scoring,
    session_from,
    unusable,
    verified,
)
from pushline.serving.payload import Payload, Row
from pushline.serving.problems import Problem

if TYPE_CHECKING:
    from pushline.serving.explanation import Explainer

GOLDEN_WITHIN = 1e-4


class Scorer:
    """The model of one folder. One thread a session: a row costs microseconds, a hand-over between threads as much."""

    def __init__(self, folder: Path, *, max_rows: int, explain: bool = False) -> None:
        """Load and warm the model; with `explain` also what its answers are explained by, where the folder has it.

        Raises ModelUnreadable where a file is absent or damaged, or the model does not answer its golden rows as it must.
        """
        self.folder = folder
        self.contract = read_contract(folder)
        self.scoring = read_scoring(folder)
        self.classes = self.scoring.classes
        self.threshold = self.scoring.threshold
        self.binary = self.threshold is not None and len(self.classes) == 2
        self.quantity = self.scoring.level is not None
        self.payload = Payload(self.contract, self.scoring.encoding, max_rows=max_rows)
        self.session = session_of(folder, self.scoring.sha256.get(MATRIX, ""))
        self.width = len(self.payload.columns)
        self.output = self.session.get_outputs()[0].name
        self.one = OneRow(self.session, self.width, self.scoring.outputs)
        self.explainer = self.load_explainer() if explain and EXPLANATION in self.scoring.sha256 else None
        self.check_golden()

    def score(self, body: bytes) -> list[Any]:
        """For each row of a request the positive class's probability, with more classes the list of all, of a quantity value, low and high.

        Raises Problem.
        """
        rows = self.payload.quick(body)
        if rows is not None and len(rows) == 1 and self.payload.plain:
            probabilities = self.one.score(msgspec.structs.astuple(rows[0])[: self.width])
            return [probabilities[1]] if self.binary else [probabilities]
        return self.shown(self.run(self.matrix(rows, body)))

    def matrix(self, rows: list[Any] | None, body: bytes) -> Matrix:
        """The matrix of a request whose rows the quick pass decoded, or left to the careful one. Raises Problem."""
        if rows is None:
            return encode_rows(self.scoring.encoding, self.payload.careful(body))
        return np.frombuffer(packed(self.payload, rows), dtype=np.float32).reshape(len(rows), self.width)

    def load_explainer(self) -> "Explainer":
        from pushline.serving.explanation import Explainer

        units = {column.name: column.unit for column in self.contract.columns}
        return Explainer(self.folder, self.scoring.sha256[EXPLANATION], self.run, units)

    def explained(self, body: bytes, most: int) -> tuple[list[Any], dict[str, Any]]:
        """What `score` says, and the members of an answer that explain it by `most` features a row. Raises Problem."""
        if self.explainer is None:
            raise Problem("no-explanation")
        matrix = self.matrix(self.payload.quick(body), body)
        if len(matrix) > EXPLAINED_AT_MOST:
            raise Problem(
                "too-many-rows", f"data holds {len(matrix)} rows; {EXPLAINED_AT_MOST} are explained at a time. Send several requests."
            )
        output = self.run(matrix)
        about = self.explainer.about
        said = {"method": about.method, "scale": about.scale}
        return self.shown(output), {"explanations": self.explainer.reasons(matrix, output, most), "explained": said}

    def shown(self, probabilities: Matrix) -> list[Any]:
        """The graph's output as an answer shows it."""
        shown: list[Any] = (probabilities[:, 1] if self.binary else probabilities).tolist()
        return shown

    def fields(self, shown: list[Any]) -> dict[str, Any]:
        """The members of an answer that have an entry for each row."""
        if self.quantity:
            return dict(zip(QUANTITY, map(list, zip(*shown, strict=True)), strict=True))
        return {"result": self.results(shown), "probability": shown}

    @property
    def constants(self) -> dict[str, Any]:
        """The members of an answer that are the same in every one."""
        if self.quantity:
            return {"level": self.scoring.level}
        return {"threshold": self.threshold} if self.binary else {"classes": self.classes}

    def results(self, shown: list[Any]) -> list[Any]:
        """The class of each row: for two classes by the threshold, else the most probable one; the value of a quantity."""
        if self.quantity:
            return [row[0] for row in shown]
        if not self.binary:
            return [self.classes[max(range(len(row)), key=row.__getitem__)] for row in shown]
        no, yes, threshold = *self.classes, self.threshold
        return [yes if probability >= threshold else no for probability in shown]

    def run(self, matrix: Matrix) -> Matrix:
        probabilities: Matrix = self.session.run([self.output], {MATRIX_INPUT: matrix})[0]
        return probabilities

    def of_rows(self, rows: Sequence[Row]) -> Matrix:
        """The output for rows as dicts, already known to be valid: float32 [rows, classes], or a quantity's [rows, 3]."""
        return self.run(encode_rows(self.scoring.encoding, rows))

    def check_golden(self) -> None:
        """Score the golden rows: it warms the model, and a model that answers otherwise never becomes ready."""
        golden = read_golden(self.folder)
        if not golden:
            return
        try:
            matrix = encode_rows(self.scoring.encoding, [row.row for row in golden])
            seen = self.run(matrix)
            expected = np.array([row.probabilities for row in golden], dtype=np.float32)
            worst = float((np.abs(seen - expected) / np.maximum(1, np.abs(expected))).max())
        except Exception as error:
            raise unusable(self.folder, f"{MATRIX} can't score the golden rows: {error}") from error
        if self.explainer and not self.explainer.worst(matrix, seen) <= GOLDEN_WITHIN:
            raise unusable(self.folder, f"what {EXPLANATION} says does not add up to the answers to the golden rows")
        if not worst <= GOLDEN_WITHIN:
            raise unusable(self.folder, f"the answer to a golden row differs by {worst:.2g}, more than {GOLDEN_WITHIN:g}")


class OneRow:
    """A single row, the usual request: its input and output stay bound to the session, which saves a third of the run."""

    def __init__(self, session: Any, width: int, outputs: int) -> None:
        from onnxruntime import OrtValue

        matrix, probabilities = np.zeros((1, width), dtype=np.float32), np.zeros((1, outputs), dtype=np.float32)
        self.pack_into = Packer(f"={width}f").pack_into
        self.unpack = Packer(f"={outputs}f").unpack
        self.given = memoryview(matrix.data).cast("B")
        self.got = memoryview(probabilities.data).cast("B")
        # On the CPU these values are views: the session reads and writes the arrays themselves.
        self.held = (OrtValue.ortvalue_from_numpy(matrix), OrtValue.ortvalue_from_numpy(probabilities))
        self.binding = session.io_binding()
        self.binding.bind_ortvalue_input(MATRIX_INPUT, self.held[0])
        self.binding.bind_ortvalue_output(session.get_outputs()[0].name, self.held[1])
        self.run = session.run_with_iobinding

    def score(self, values: Sequence[float]) -> tuple[float, ...]:
        """The output for one row."""
        self.pack_into(self.given, 0, *values)
        self.run(self.binding)
        return self.unpack(self.got)


def packed(payload: Payload, rows: Sequence[Any]) -> bytes:
    """The matrix, as the bytes of float32, of rows that the quick pass decoded: the same that `encode_rows` makes of them."""
    width, values_of = len(payload.columns), msgspec.structs.astuple
    pack = Packer(f"={width}f").pack
    if payload.plain:
        return b"".join([pack(*values_of(row)[:width]) for row in rows])
    return b"".join([pack(*payload.settled(values_of(row))) for row in rows])


def session_of(folder: Path, sha256: str) -> Any:
    """The onnxruntime session of the folder's matrix model, whose bytes are the ones that training wrote."""
    content = verified(folder, MATRIX, sha256)
    try:
        return session_from(content)
    except Exception as error:
        raise unusable(folder, f"{MATRIX}: {error}") from error
