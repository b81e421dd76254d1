"""The shape of `evaluation.json`: what a model did on the hold-out, as aggregates that hold no real row.

Training writes it, the model card and the report read it. Curves are thinned to a few hundred points before they get here.
A quantity has ranges and residuals in the place of curves. For more than two classes the binary parts (curves, calibration,
gain, threshold) are of "one class against the rest", one `ClassCurves` per class; for two there is one, of the positive class.
"""

from pathlib import Path

import msgspec
from msgspec import Struct, field

from pushline.errors import SettingsError
from pushline.results import Interval, Part, Scalar

COPY = 0.99  # ROC AUC, or R² of a quantity, of one column alone, from which it decides the label

Points = tuple[tuple[float, float], ...]  # x, y in drawing order


class Bin(Part, frozen=True, kw_only=True):
    """Rows whose predicted probability is alike."""

    predicted: float  # mean predicted probability
    observed: float  # share that is of the class
    rows: int


class ClassCurves(Part, frozen=True, kw_only=True):
    """One class against the rest."""

    name: str
    rows: int  # of the class, in the hold-out
    precision_recall: Points  # recall, precision
    roc: Points  # false positive rate, true positive rate
    calibration: tuple[Bin, ...]
    gain: Points  # share of rows taken by falling score, share of the class found among them
    thresholds: tuple[tuple[float, float, float], ...] = ()  # falling: threshold, true positive rate, false positive rate


class PredictedRange(Part, frozen=True, kw_only=True):
    """Rows for which alike quantities are predicted, and what was observed of them."""

    predicted: float  # mean
    observed: float  # mean
    low: float  # a tenth of the observed values is below
    middle: float
    high: float  # a tenth is above
    rows: int
    coverage: float  # share of the rows that lie in their interval


class Residuals(Part, frozen=True, kw_only=True):
    """Observed minus predicted, in bars of equal width; the first and the last hold what is beyond too."""

    low: float
    high: float
    rows: tuple[int, ...]


class Group(Part, frozen=True, kw_only=True):
    """The rows of one value (or range) of a column the contract marks sensitive."""

    column: str
    value: str
    rows: int
    positives: int | None  # None where there are not two classes
    metrics: dict[str, float | None]  # None: too few rows to say


class Importance(Part, frozen=True, kw_only=True):
    """How much the metric falls when a column is shuffled."""

    column: str
    fall: float
    spread: float = 0.0  # standard deviation over the shuffles


class Treatment(Part, frozen=True, kw_only=True):
    """What a treatment of the rare class did on the same folds."""

    name: str
    metrics: dict[str, float]


class Suspect(Part, frozen=True, kw_only=True):
    """A column that may give the label away."""

    column: str
    reason: str
    evidence: dict[str, Scalar] = field(default_factory=dict)


class Evaluation(Struct, frozen=True, kw_only=True):
    """One model on one labelled table. Unknown keys are let be, so that training may keep more beside it."""

    classes: tuple[str, ...]  # of two, the positive one is last; none for a quantity
    rows: int
    metric: str  # what was optimised
    metrics: dict[str, Interval]
    baseline: dict[str, float] = field(default_factory=dict)  # the same metrics of a score that knows nothing
    positive: str | None = None
    threshold: float | None = None
    at_threshold: dict[str, float] = field(default_factory=dict)  # precision, recall, f1, ...
    level: float | None = None  # of a quantity: the share of rows that its intervals promise to hold
    ranges: tuple[PredictedRange, ...] = ()
    residuals: Residuals | None = None
    confusion: tuple[tuple[int, ...], ...] = ()  # one row per true class, one column per predicted one, in the order of `classes`
    curves: tuple[ClassCurves, ...] = ()
    groups: tuple[Group, ...] = ()
    importance: tuple[Importance, ...] = ()
    search: Points = ()  # seconds since the search began, best score out of fold so far
    treatments: tuple[Treatment, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    warnings: tuple[str, ...] = ()  # what a person must know before believing the figures


def load_evaluation(file: Path) -> Evaluation:
    """Read what training left. Raises SettingsError where it is absent or of another shape."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Evaluation)
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError("The evaluation can't be read.", why=f"{file}: {error}.", do="Run `pushline train` again.") from error
