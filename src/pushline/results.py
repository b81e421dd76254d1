"""What each stage leaves in `build/<stage>/result.json`: typed, versioned, written atomically."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from pushline import __version__
from pushline.errors import SettingsError
from pushline.files import read_json, write_json

Scalar = str | int | float | bool | None
Severity = Literal["critical", "warning", "info"]


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A piece of a result."""


class Result(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every result says of itself."""

    stage: ClassVar[str]
    schema: Literal[1] = 1
    pushline: str = __version__
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    elapsed_s: float = 0.0


R = TypeVar("R", bound=Result)

# A file or folder of this machine; in a result that is saved it stands below the project's folder.
FilePath = Annotated[str, Meta(description="path")]


class DataFile(Part, frozen=True, kw_only=True):
    """One pinned file as it lies on this machine."""

    name: str
    path: FilePath
    sha256: str
    version: str
    rows: int
    origin: str  # where it came from: cache, PUSHLINE_DATA, an address, generated sample


class FetchResult(Result, frozen=True, kw_only=True):
    """The data of this run."""

    stage: ClassVar[str] = "fetch"
    data_version: str
    files: tuple[DataFile, ...]
    rows: int
    columns: int
    generated_sample: bool = False


class Finding(Part, frozen=True):
    """One result of a data check."""

    id: str
    message: str
    seen: str = ""
    expected: str = ""
    severity: Severity = "critical"
    column: str | None = None
    count: int = 0
    lines: tuple[int, ...] = ()
    file: FilePath = ""  # that the lines are in, where the table is of several files


class CheckDataResult(Result, frozen=True, kw_only=True):
    """What the data checks found, worst and most basic first, and the typed table they read."""

    stage: ClassVar[str] = "check-data"
    data_version: str
    file: FilePath
    table: FilePath  # typed Parquet; empty when the file could not be read into one
    rows: int
    columns: int
    findings: tuple[Finding, ...]
    critical: int
    warning: int
    info: int
    class_counts: dict[str, int] = field(default_factory=dict)
    generated_sample: bool = False


class Interval(Part, frozen=True, kw_only=True):
    """A figure with its bootstrap interval."""

    value: float
    low: float
    high: float


VOTE = "Vote"  # the name of the row that is no trial but the vote of some


class Trial(Part, frozen=True, kw_only=True):
    """A row of the leaderboard."""

    name: str
    algorithm: str
    score: float | None  # of the metric, out of fold; None where the trial failed
    seconds: float
    # abandoned: so far behind the best on the first fold that the others were not tried; unfinished: the search ended first
    state: Literal["ok", "failed", "timeout", "out of memory", "abandoned", "unfinished"] = "ok"
    detail: str = ""


class TrainResult(Result, frozen=True, kw_only=True):
    """A finished training run and the model it made."""

    stage: ClassVar[str] = "train"
    run_id: str  # MLflow
    model: FilePath  # the model folder
    algorithm: str
    metric: str
    metrics: dict[str, Interval]  # on the hold-out
    threshold: float | None  # None for more than two classes
    objective: str
    leaderboard: tuple[Trial, ...]  # best first, those without a score last
    train_rows: int
    holdout_rows: int
    holdout: FilePath  # Parquet of the hold-out, local only
    evaluation: FilePath  # JSON, pushline.evaluation.Evaluation: curves, groups and importances for the card and the report
    card: FilePath  # Markdown
    data_version: str
    contract_hash: str
    git_revision: str
    generated_sample: bool = False
    split: str = ""  # pushline.data.contract.split.split_id: how the hold-out was chosen
    held_out: float = 0.0  # its share of the rows
    held_from: str = ""  # where the newest rows are held out: the moment of the oldest of them
    estimates: str = ""  # what figures on it are figures for
    fitted_rows: int = 0  # of the training rows, those that each model was really fitted on; 0: nobody said
    rejected: dict[str, int] = field(default_factory=dict)  # rows of the table that could not be used, by reason
    warnings: tuple[str, ...] = ()  # what a person must know before believing the figures
    training: str = ""  # pipelines.runner.fingerprint.training_fingerprint: what the outcome depends on; empty: of a search cut short
    taken_from: str = ""  # the model version whose training this is, where nothing that it depends on has changed since
    manifest: str = ""  # the digest of the model folder, as it was signed


class Decision(Part, frozen=True, kw_only=True):
    """What the gate decided, why, and on which figures."""

    accept: bool
    reason: str
    evidence: dict[str, Scalar]


class GroupShift(Part, frozen=True, kw_only=True):
    """Rows that one column tells apart, and how far the challenger moved there from the champion."""

    name: str
    rows: int
    label: str  # the class whose odds moved most
    odds: float  # of the mean probability, challenger's over champion's
    flipped: float  # share of its decisions that differ
    sensitive: bool = False


class Replay(Part, frozen=True, kw_only=True):
    """What a challenger answers otherwise than the champion, on the same rows."""

    champion: str
    source: str  # requests, or held-out rows
    rows: int
    flipped: float  # share of decisions that differ clearly
    flips: dict[str, float]  # by direction, shares of all rows
    distance: float  # Kolmogorov-Smirnov, of the scores
    groups: tuple[GroupShift, ...] = ()  # that moved most
    breaches: tuple[str, ...] = ()  # of the limits, in words


class RegisterResult(Result, frozen=True, kw_only=True):
    """The model version of this run and what became of it against the champion."""

    stage: ClassVar[str] = "register"
    model_name: str
    version: str
    champion: str | None  # the version it was compared with
    decision: Decision
    generated_sample: bool = False
    warnings: tuple[str, ...] = ()  # of the training: what a person must know before saying yes
    replay: Replay | None = None  # None: there was no champion, or it can't be asked the same rows
    manifest: str = ""  # the digest of the model folder that was signed


class Release(Part, frozen=True, kw_only=True, forbid_unknown_fields=False, omit_defaults=True):
    """A model version plus the scoring code's git revision."""

    id: str
    model_name: str
    model_version: str
    git_revision: str
    model: FilePath  # the model folder this release serves
    manifest: str | None = None  # the digest that was signed and approved; none for one from before models were signed


class DeployResult(Result, frozen=True, kw_only=True):
    """The candidate beside the live release."""

    stage: ClassVar[str] = "deploy"
    target: str
    url: str
    release: Release


class Assertion(Part, frozen=True, kw_only=True):
    """One thing a release must answer."""

    name: str
    expected: str
    seen: str
    passed: bool


class SmokeResult(Result, frozen=True, kw_only=True):
    """What the candidate answered."""

    stage: ClassVar[str] = "smoke"
    url: str
    release: str
    assertions: tuple[Assertion, ...]
    passed: bool


class Slice(Part, frozen=True, kw_only=True):
    """One second of load."""

    second: int
    requests: int
    failures: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Breach(Part, frozen=True, kw_only=True):
    """One promise of the SLO that was not kept."""

    name: str
    setting: str  # its key in [tool.pushline.load], and in the result's limits
    limit: float
    seen: float


class LoadTestResult(Result, frozen=True, kw_only=True):
    """How the candidate withstood its load."""

    stage: ClassVar[str] = "load-test"
    url: str
    release: str
    offered_rps: float
    achieved_rps: float
    seconds: float
    requests: int
    failures: int
    errors: dict[str, int]
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    timeline: tuple[Slice, ...]
    breaches: tuple[Breach, ...]
    passed: bool
    # The SLO it was held to, by the names of the settings: p95_ms, p99_ms, failures (share), achieved (share).
    limits: dict[str, float] = field(default_factory=dict)


class PromotionStep(Part, frozen=True, kw_only=True):
    """What live requests showed while the candidate answered a share of them."""

    share: float
    seconds: float
    requests: int  # that the candidate was asked, copies among them
    live_requests: int
    failures: int  # the candidate's: the live release answered them
    compared: int
    flipped: float
    cause: str = ""  # why it was stopped


class PromoteResult(Result, frozen=True, kw_only=True):
    """The release that is live now."""

    stage: ClassVar[str] = "promote"
    target: str
    url: str
    release: Release
    previous: str | None
    assertions: tuple[Assertion, ...]
    steps: tuple[PromotionStep, ...] = ()  # none: one switch


class Failure(Part, frozen=True, kw_only=True):
    """Why a stage has no result: what the person at the terminal was told, in `build/<stage>/failure.json`."""

    stage: str
    what: str
    why: str = ""
    do: str = ""
    exit_code: int
    interrupted: bool = False
    expected: bool = True  # False: a fault of the program, told with its traceback
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    elapsed_s: float = 0.0


KINDS: dict[str, type[Result]] = {
    kind.stage: kind
    for kind in (FetchResult, CheckDataResult, TrainResult, RegisterResult, DeployResult, SmokeResult, LoadTestResult, PromoteResult)
}


def folder(build: Path, stage: str) -> Path:
    """Where `stage` leaves its files."""
    return build / stage


def save(build: Path, result: Result) -> Path:
    """Write a result to its stage's folder and return the file."""
    file = folder(build, type(result).stage) / "result.json"
    write_json(file, with_paths(result, lambda path: near(path, build.parent)))
    return file


def load(build: Path, kind: type[R]) -> R:
    """Read what the stage of `kind` left.

    Raises SettingsError where the stage has not run, or its result is of another version of Pushline.
    """
    file = folder(build, kind.stage) / "result.json"
    again = f"Run `pushline {kind.stage}` first, or `pushline run` for all stages."
    if os.environ.get("GITHUB_ACTIONS") == "true":
        again = f"In the input `run`, name a run of deliver.yml that got past {kind.stage}, or start with `from: {kind.stage}`."
    try:
        result = msgspec.json.decode(file.read_bytes(), type=kind)
        return with_paths(result, lambda path: str(build.parent / path) if path else "")
    except FileNotFoundError as error:
        raise SettingsError(f"There is no result of {kind.stage} yet.", why=f"{file} does not exist.", do=again) from error
    except (msgspec.DecodeError, OSError) as error:
        raise SettingsError(f"The result of {kind.stage} can't be read.", why=f"{file}: {error}.", do=again) from error


def near(path: str, root: Path) -> str:
    """A path as its result keeps it: below the project's folder, so that the folder may travel to another machine."""
    return str(Path(path).relative_to(root)) if path and Path(path).is_relative_to(root) else path


P = TypeVar("P", bound=Part | Result)


def with_paths(part: P, change: Callable[[str], str]) -> P:
    """The same result, every path in it changed."""
    changed: dict[str, Any] = {}
    for member in msgspec.structs.fields(part):
        value = getattr(part, member.name)
        if member.type == FilePath:
            changed[member.name] = change(value)
        elif isinstance(value, Part):
            changed[member.name] = with_paths(value, change)
        elif isinstance(value, tuple) and value and isinstance(value[0], Part):
            changed[member.name] = tuple(with_paths(each, change) for each in value)
    return msgspec.structs.replace(part, **changed) if changed else part


def failure_of(build: Path, stage: str) -> Failure | None:
    """Why the newest attempt at `stage` ended badly; None where it did not, or left nothing that can be read."""
    return read_json(folder(build, stage) / "failure.json", Failure)


def as_json(value: Any) -> str:
    """A result as the text `--json` prints."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
