"""What the automl step leaves for the evaluate step: the fitted model as a graph, how it was found, and its predictions out of fold.

matrix.onnx        the numeric graph
automl.json        `BestModel`
out_of_fold.npz    `labels` int64 [rows] and `probabilities` float32 [rows, classes], each row's made by models that had not seen it;
                   for a quantity `labels` are float64 and `probabilities` its predictions [rows, 1], or [rows, 3] with quantiles
explanation.npz    what its answers are explained by, where they are a sum of trees
leaderboard.json   the trials, for people
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from pushline.data.contract.encoding import Encoding, Targets
from pushline.errors import ModelUnreadable
from pushline.evaluation import Points, Suspect, Treatment
from pushline.files import cannot_write, write_atomically, write_json
from pushline.results import Trial
from pushline.serving.model_folder import EXPLANATION, MATRIX

AUTOML = "automl.json"
OUT_OF_FOLD = "out_of_fold.npz"
LEADERBOARD = "leaderboard.json"
TIME_WAS_OVER, INTERRUPTED = "the time was over", "it was interrupted"  # how `stopped` begins where the clock had a part in it


class SearchOutcome(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a search came to. Scores are of the metric as people know it."""

    algorithm: str  # of the winner, as a person reads it
    members: tuple[tuple[str, str, float], ...]  # name, algorithm, weight
    score: float  # of the metric, out of fold
    leaderboard: tuple[Trial, ...]  # best first, those without a score last
    curve: Points  # seconds since the search began, best score so far
    seconds: float
    stopped: str  # why the search ended
    treatments: tuple[Treatment, ...] = ()


class BestModel(SearchOutcome, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a model was found."""

    encoding: Encoding
    classes: tuple[str, ...]
    metric: str
    calibration: tuple[float, float] = (1.0, 0.0)  # slope and shift of the log-odds; 1 and 0 change nothing
    derived: tuple[str, ...] = ()  # features computed inside the graph
    imbalance: str = "none"
    suspects: tuple[Suspect, ...] = ()
    rows: int = 0
    learned_share: float = 1.0  # of the rows that each fit learned from: less on a table too large for the time
    folds: int = 0
    judged_folds: int = 0  # on how many of them models were judged
    forward: bool = False  # each fold was predicted from those before it in time
    seed: int = 0
    budget: float | None = None  # seconds that limited the search; None where its trials were counted, or it was not ours


def fitted_rows(best: BestModel) -> int:
    """How many rows each model of the winner was really fitted on."""
    return round(best.learned_share * best.rows)


def write_best_model(folder: Path, best: BestModel, model: bytes, labels: Targets, probabilities: Any, explanation: bytes = b"") -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / OUT_OF_FOLD).open("wb") as stream:
            np.savez(stream, labels=labels, probabilities=probabilities)
    except OSError as error:
        raise cannot_write(folder, error) from error
    write_atomically(folder / MATRIX, model)
    if explanation:
        write_atomically(folder / EXPLANATION, explanation)
    write_json(folder / LEADERBOARD, best.leaderboard)
    write_json(folder / AUTOML, best)


def read_best_model(folder: Path) -> tuple[BestModel, bytes, Targets, Any]:
    """The model's record, its graph, and labels and probabilities out of fold. Raises ModelUnreadable."""
    try:
        best = msgspec.json.decode((folder / AUTOML).read_bytes(), type=BestModel)
        model = (folder / MATRIX).read_bytes()
        with np.load(folder / OUT_OF_FOLD, allow_pickle=False) as data:
            return best, model, data["labels"], data["probabilities"]
    except (OSError, ValueError, KeyError, msgspec.DecodeError) as error:
        raise ModelUnreadable(
            f"The output of the automl step in {folder} can't be used.", why=f"{error}.", do="Run `pushline train` again."
        ) from error
