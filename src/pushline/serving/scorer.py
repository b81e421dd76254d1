"""A model folder as a function from rows to answers."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from struct import Struct as Packer
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET

from pushline.data.encoding import MISSING_CATEGORY, encode_rows
from pushline.errors import ModelUnreadable
from pushline.serving.model_folder import MATRIX, MATRIX_INPUT, PROBABILITIES, read_contract, read_golden, read_scoring
from pushline.serving.payload import Payload, Row

Matrix = np.ndarray[Any, np.dtype[np.float32]]
GOLDEN_WITHIN = 1e-4


class Scorer:
    """The model of one folder. One thread a session: a row costs microseconds, a hand-over between threads as much."""

    def __init__(self, folder: Path, *, max_rows: int) -> None:
        """Load and warm the model.

        Raises ModelUnreadable where a file is absent or damaged, or the model does not answer its golden rows as it must.
        """
        self.folder = folder
        self.contract = read_contract(folder)
        self.scoring = read_scoring(folder)
        self.classes = self.scoring.classes
        self.threshold = self.scoring.threshold
        self.binary = self.threshold is not None and len(self.classes) == 2
        self.payload = Payload(self.contract, self.scoring.encoding, max_rows=max_rows)
        self.run = session_of(folder, self.scoring.sha256.get(MATRIX, "")).run
        self.width = len(self.scoring.encoding.columns)
        columns = self.payload.columns
        text = [column.is_text or column.type == "boolean" for column in columns]
        self.open = [i for i, column in enumerate(columns) if column.is_text and not column.allowed]
        self.missing = [(i, MISSING_CATEGORY if text[i] else np.nan) for i, column in enumerate(columns) if column.optional]
        self.pack = Packer(f"={self.width}f").pack
        self.one = np.zeros((1, self.width), dtype=np.float32)
        self.one_feed = {MATRIX_INPUT: self.one}
        self.one_into = Packer(f"={self.width}f").pack_into
        self.one_buffer = memoryview(self.one.data).cast("B")
        self.check_golden()

    def score(self, body: bytes) -> tuple[Matrix, int]:
        """The probabilities of a request's rows: float32 [rows, classes], and how many rows there were. Raises Problem."""
        rows = self.payload.quick(body)
        if rows is None:
            careful = self.payload.careful(body)
            return self.of_rows(careful), len(careful)
        if len(rows) == 1 and not self.missing and not self.open:
            self.one_into(self.one_buffer, 0, *msgspec.structs.astuple(rows[0])[: self.width])
            return self.run(OUTPUTS, self.one_feed)[0], 1
        return self.run(OUTPUTS, {MATRIX_INPUT: self.matrix_of(rows)})[0], len(rows)

    def matrix_of(self, rows: Sequence[Any]) -> Matrix:
        """The matrix of rows that the quick pass decoded: the same that `encode_rows` makes of them."""
        width, pack, values_of = self.width, self.pack, msgspec.structs.astuple
        if not self.missing and not self.open:
            packed = [pack(*values_of(row)[:width]) for row in rows]
        else:
            packed = [pack(*self.settled(values_of(row))) for row in rows]
        return np.frombuffer(b"".join(packed), dtype=np.float32).reshape(len(rows), width)

    def settled(self, values: tuple[Any, ...]) -> list[float]:
        """The values of a row with those that are missing, or of an open set, as the encoding writes them."""
        settled = list(values[: self.width])
        for position, value in self.missing:
            if settled[position] is None or settled[position] is UNSET:
                settled[position] = value
        for position in self.open:
            settled[position] = MISSING_CATEGORY
        return settled

    def of_rows(self, rows: Sequence[Row]) -> Matrix:
        """The probabilities of rows as dicts, already known to be valid: float32 [rows, classes]."""
        result: Matrix = self.run(OUTPUTS, {MATRIX_INPUT: encode_rows(self.scoring.encoding, rows)})[0]
        return result

    def answers(self, probabilities: Matrix) -> tuple[list[str], list[Any]]:
        """What the client gets of the probabilities: the class of each row, and the positive class's (or all) probabilities."""
        classes = self.classes
        if not self.binary:
            return [classes[i] for i in probabilities.argmax(axis=1).tolist()], probabilities.tolist()
        scores = probabilities[:, 1].tolist()
        no, yes, threshold = *classes, self.threshold
        return [yes if score >= threshold else no for score in scores], scores

    def check_golden(self) -> None:
        """Score the golden rows: it warms the model, and a model that answers otherwise never becomes ready."""
        golden = read_golden(self.folder)
        if not golden:
            return
        try:
            seen = self.of_rows([row.row for row in golden])
            worst = float(np.abs(seen - np.array([row.probabilities for row in golden], dtype=np.float32)).max())
        except Exception as error:
            raise unusable(self.folder, f"{MATRIX} can't score the golden rows: {error}") from error
        if not worst <= GOLDEN_WITHIN:
            raise unusable(self.folder, f"a golden row's probability differs by {worst:.2g}, more than {GOLDEN_WITHIN:g}")


OUTPUTS = [PROBABILITIES]


def session_of(folder: Path, sha256: str) -> Any:
    """The onnxruntime session of the folder's matrix model, whose bytes are the ones that training wrote."""
    import onnxruntime

    try:
        content = (folder / MATRIX).read_bytes()
    except OSError as error:
        raise unusable(folder, f"{MATRIX}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise unusable(folder, f"the sha256 of {MATRIX} is not the one in scoring.json")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise unusable(folder, f"{MATRIX}: {error}") from error


def unusable(folder: Path, why: str) -> ModelUnreadable:
    return ModelUnreadable(
        f"The model folder {folder} can't be used.",
        why=f"{why}.",
        do="Register the model again, or roll back to a version that is whole.",
    )
