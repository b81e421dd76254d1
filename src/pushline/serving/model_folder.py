"""The model folder: what leaves training and all that the service needs.

MLmodel, requirements.txt, …   an MLflow model (flavors onnx and python_function)
model.onnx       portable: one input per raw column, named as the column, of shape [rows]; outputs `label` and, for each class,
                 `probability_<class>`, of shape [rows] too
matrix.onnx      the same fit for the service: input `matrix` float32 [rows, columns], output `probabilities` float32 [rows, classes],
                 or for a quantity `predictions` float32 [rows, 3]: value, low and high, which model.onnx calls `result`, `low`, `high`
contract.json    the contract it was trained under
scoring.json     `Scoring` below
golden.json      a list of `GoldenRow`: generated from the profile, never real rows
explanation.npz  what `POST /score?explain=K` needs, see explanation.py; older models have none
card.md          the model card
"""

import hashlib
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from pushline.data.contract import Contract, parse_contract
from pushline.data.contract.encoding import Encoding
from pushline.errors import ContractError, ModelUnreadable
from pushline.results import Scalar

PORTABLE = "model.onnx"
MATRIX = "matrix.onnx"
CONTRACT = "contract.json"
SCORING = "scoring.json"
GOLDEN = "golden.json"
CARD = "card.md"
EXPLANATION = "explanation.npz"
EXPLAINED_AT_MOST = 100  # rows of a request: they hold the loop for as long as several thousand that are only scored
MATRIX_INPUT = "matrix"
PROBABILITIES = "probabilities"
PREDICTIONS = "predictions"
LABEL = "label"
QUANTITY = ("result", "low", "high")  # the columns of predictions
CLEAR = 0.1  # a decision that differs counts where the probability of what was decided moved by more

T = TypeVar("T")


class Scoring(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the graph's output becomes answers, and where the model comes from."""

    encoding: Encoding
    classes: tuple[str, ...]  # in the order of the probabilities; of two, the positive one is last; none for a quantity
    positive: str | None
    threshold: float | None  # on the positive class's probability; None: the most probable class wins
    algorithm: str
    sha256: dict[str, str]  # of model.onnx, matrix.onnx and explanation.npz
    data_version: str
    git_revision: str
    generated_sample: bool
    level: float | None = None  # of a quantity: the share of rows that lie between low and high

    @property
    def outputs(self) -> int:
        """Columns of the graph's output."""
        return len(self.classes) or len(QUANTITY)


class GoldenRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row and what the model must answer: a probability within 1e-4, a quantity within 1e-4 of its size where that is above 1."""

    row: dict[str, Scalar]
    probabilities: tuple[float, ...]  # in the order of the classes; for a quantity value, low and high
    result: str | float


def probability_of(name: str) -> str:
    """The output of the portable graph that holds the probability of the class `name`."""
    return f"probability_{name}"


def read_scoring(folder: Path) -> Scoring:
    return _read(folder / SCORING, Scoring)


def read_golden(folder: Path) -> tuple[GoldenRow, ...]:
    return _read(folder / GOLDEN, tuple[GoldenRow, ...])


def read_contract(folder: Path) -> Contract:
    try:
        return parse_contract(msgspec.json.decode((folder / CONTRACT).read_bytes()), CONTRACT)
    except (OSError, msgspec.DecodeError, ContractError) as error:
        raise unusable(folder, f"{CONTRACT}: {' '.join(str(error).split())}") from error


def _read(file: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        raise unusable(file.parent, f"{file.name}: {error}") from error


def verified(folder: Path, name: str, sha256: str) -> bytes:
    """The content of a file, whose bytes are the ones that training wrote. Raises ModelUnreadable."""
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise unusable(folder, f"{name}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise unusable(folder, f"the sha256 of {name} is not the one in scoring.json")
    return content


def session_from(content: bytes) -> Any:
    """An onnxruntime session of one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def unusable(folder: Path, why: str) -> ModelUnreadable:
    """The error for a model folder that is not whole, or not what training wrote."""
    return ModelUnreadable(
        f"The model folder {folder} can't be used.",
        why=f"{why.rstrip('.')}.",
        do="Register the model again, or roll back to a version that is whole.",
    )
