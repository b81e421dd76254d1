"""What a person should look at before trusting a delivery that went through: on the first screen of the report, in the evidence and in
the terminal's last lines. A stage that stopped is told as such; here stands what no gate refuses.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pushline.errors import PushlineError
from pushline.evaluation import COPY, Evaluation, load_evaluation
from pushline.report.figures import counted, percent, share_of, visible
from pushline.report.states import StageState
from pushline.results import CheckDataResult, LoadTestResult, Result, TrainResult

LOST = 0.001  # a smaller share of rows is told beside the count of rows, not as a caution
HOLDOUT = 1 / 3  # above it most tables would be better off training on more
FITTED = 0.5  # of the training rows; below it a longer search is likely to find a better model
NAMED = 5  # classes or columns that a sentence lists


class Caution(NamedTuple):
    """What is odd, what to do about it, and the part of the report that shows it."""

    what: str
    do: str
    anchor: str


def cautions_of(states: tuple[StageState, ...], build: Path) -> tuple[Caution, ...]:
    """The most serious first. What a stage of another run left is not spoken of."""
    results: dict[type, Result] = {type(state.result): state.result for state in states if state.result and state.state != "stale"}
    checked, trained, tested = results.get(CheckDataResult), results.get(TrainResult), results.get(LoadTestResult)
    known = evaluation_of(trained, build) if isinstance(trained, TrainResult) else None
    found: list[Caution] = []
    if known:
        found += of_model(known)
    if isinstance(trained, TrainResult):
        found += of_rows(trained, checked if isinstance(checked, CheckDataResult) else None)
    if isinstance(checked, CheckDataResult) and checked.warning and not checked.critical:
        first = next((finding for finding in checked.findings if finding.severity == "warning"), None)
        said = f", first: {visible(first.message).rstrip('.')}" if first else ""
        found.append(Caution(f"The data has {counted(checked.warning, 'warning')}{said}.", "Read the findings.", "data"))
    if isinstance(tested, LoadTestResult) and tested.passed:
        found += of_load(tested)
    return tuple(found)


def evaluation_of(trained: TrainResult, build: Path) -> Evaluation | None:
    """What training measured; the path in the result is of the machine that trained."""
    for place in (Path(trained.evaluation), build / "train" / "evaluation.json"):
        try:
            return load_evaluation(place)
        except PushlineError:
            continue
    return None


def of_model(known: Evaluation) -> Iterator[Caution]:
    for warning in known.warnings:
        yield Caution(warning, "", "quality")
    if leaks := [suspect.column for suspect in known.suspects if gives_away(suspect.reason, suspect.evidence)]:
        is_one = len(leaks) == 1
        yield Caution(
            f"{named(leaks)} may give the label away: figures on the hold-out would not come true.",
            f"If {'it is' if is_one else 'they are'} known only after the event, say `known: after` in data_checks/contract.yml.",
            "groups",
        )


def gives_away(reason: str, evidence: object) -> bool:
    """Whether a suspect is one for its knowledge of the label, rather than of the time, and is not told among the warnings already."""
    known = evidence if isinstance(evidence, dict) else {}
    if max(known.get("roc_auc_alone", 0), known.get("r2_alone", 0)) >= COPY:
        return False
    return bool({"roc_auc_alone", "r2_alone", "of_the_class"} & set(known)) or reason.startswith("it is known only after")


def of_rows(trained: TrainResult, checked: CheckDataResult | None) -> Iterator[Caution]:
    used = trained.train_rows + trained.holdout_rows
    if checked and checked.data_version == trained.data_version:
        unlabelled = checked.rows - sum(checked.class_counts.values()) if checked.class_counts else 0
        if unlabelled > LOST * checked.rows:
            yield Caution(
                f"{counted(unlabelled, 'row')} of {checked.rows:,} ({share_of(unlabelled, checked.rows)}) have no label that counts.",
                "They were neither learned from nor measured on. Look where the label is missing.",
                "data",
            )
        lost = checked.rows - used - unlabelled
        if lost > LOST * checked.rows:
            yield Caution(
                f"{counted(lost, 'row')} of {checked.rows:,} ({share_of(lost, checked.rows)}) were left out of training and hold-out.",
                f"{reasons_of(trained)} Correct the file, or data_checks/contract.yml.".strip(),
                "data",
            )
    if 0 < trained.fitted_rows < FITTED * trained.train_rows:
        yield Caution(
            f"The model was trained on {trained.fitted_rows:,} of {trained.train_rows:,} rows, which is what the time allowed.",
            "A longer --budget lets it learn from more of them.",
            "search",
        )
    if trained.holdout_rows > HOLDOUT * used:
        yield Caution(
            f"{percent(trained.holdout_rows / used, 0)} of the rows are held out and not learned from.",
            "The rarest class is so rare that fewer rows would not measure it: more rows of it leave more to learn from.",
            "quality",
        )


def reasons_of(trained: TrainResult) -> str:
    """The most frequent reasons why rows were left out."""
    most = sorted(trained.rejected.items(), key=lambda item: -item[1])[:3]
    return "; ".join(f"{counted(rows, 'row')}: {visible(reason, 120)}" for reason, rows in most) + "." * bool(most)


def of_load(tested: LoadTestResult) -> Iterator[Caution]:
    silent = sum(not piece.requests for piece in tested.timeline)
    if silent:
        yield Caution(
            f"Nothing was answered in {counted(silent, 'second')} of {len(tested.timeline)} under load.",
            "The SLO is kept on the whole; `pushline logs --errors` may say what the release did meanwhile.",
            "load",
        )


def named(names: list[str]) -> str:
    shown = ", ".join(visible(name, 40) for name in names[:NAMED])
    return shown + (f" and {counted(len(names) - NAMED, 'other')}" if len(names) > NAMED else "")
