"""Trials: a candidate fitted on all folds but one, judged on that one, for each fold; whatever goes wrong is a row too."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from pushline.arrays import Floats
from pushline.data.contract.encoding import Codes
from pushline.errors import StepFailed
from pushline.results import Trial
from pushline.training.automl.algorithms import Candidate
from pushline.training.automl.limits import SearchSettings
from pushline.training.automl.pool import Outcome, Pool, TrialState, cores
from pushline.training.automl.worker import WHOLE, Job
from pushline.training.metrics import natural, score

BEHIND = 0.02  # of the best's score: how far behind on the first fold a proposal is abandoned
NEVER = float("inf")
WHOLE_SECONDS = 3600.0  # that any fit may take
PATIENT_FIT = 60.0  # seconds that a fit may take however short the search is: a slow first model is better than none
KEPT = 16  # trials whose predictions are kept for the vote


class TrialResult(Struct, frozen=True, kw_only=True):
    """A trial and what it predicted for rows it had not learned from."""

    candidate: Candidate
    row: Trial
    worth: float | None = None  # the score as something to maximise; None where the trial has none
    first: float | None = None  # the same on the first fold alone
    probabilities: Any = None  # float32 [judged rows, classes]


class Folds(Struct, frozen=True, kw_only=True):
    """The fold of each row."""

    of: Codes
    forward: bool = False  # folds are in time: each is predicted by a model of those before it, and fold 0 never is

    @property
    def judged(self) -> tuple[int, ...]:
        return tuple(range(1 if self.forward else 0, int(self.of.max()) + 1))


class FoldPlan(Struct, frozen=True, kw_only=True):
    """Which folds are tried and what share of the rows is learned from: all, unless the table is too large for the time."""

    folds: tuple[int, ...]
    share: float = 1.0


def folds_of(labels: Codes, folds: int, seed: int, together: Codes | None = None) -> Codes:
    """The fold of each row: random, with the classes' shares alike in every fold.

    Rows of one number in `together` share a fold. They are dealt out by the rarest class among them, those with most rows of
    it first, so that large groups don't pile up in one fold.
    """
    random = np.random.default_rng(seed)
    _, first, group, size = np.unique(
        np.arange(len(labels)) if together is None else together, return_index=True, return_inverse=True, return_counts=True
    )
    names, codes, rows = np.unique(labels, return_inverse=True, return_counts=True)
    rank = np.argsort(np.argsort(rows, kind="stable"), kind="stable")  # of each class, the rarest is 0
    rarest = np.full(len(size), len(names))
    np.minimum.at(rarest, group, rank[codes])
    of_it = np.bincount(group, weights=rank[codes] == rarest[group], minlength=len(size))
    fold = np.empty(len(size), dtype=np.int64)
    for name in range(len(names)):
        members = np.flatnonzero(rarest == rank[name])
        members = random.permutation(members[np.argsort(first[members], kind="stable")])
        members = members[np.lexsort((-size[members], -of_it[members]))]
        fold[members] = (np.arange(len(members)) + random.integers(folds)) % folds
    return np.asarray(fold[group])


def folds_in_time(moments: Codes, folds: int) -> Folds:
    """Blocks of rising time with about as many rows each, one more than `folds`; rows of one moment share a block."""
    rows = np.bincount(moments)
    middle = np.cumsum(rows) - rows / 2
    block = np.minimum((middle * (folds + 1) / len(moments)).astype(np.int64), folds)
    return Folds(of=np.unique(block[moments], return_inverse=True)[1], forward=True)


def same_rows(matrix: Floats) -> Codes:
    """A number for each row that rows of the same values share, whatever bits their zeros and missing values have."""
    import pandas as pd

    plain = np.where(np.isnan(matrix), np.float32(np.nan), matrix + np.float32(0))
    return np.asarray(pd.util.hash_pandas_object(pd.DataFrame(plain), index=False)).view(np.int64)


class Trials:
    """Runs trials in the pool."""

    def __init__(self, pool: Pool, labels: Codes, folds: Folds, classes: int, settings: SearchSettings) -> None:
        self.pool, self.labels, self.folds, self.classes, self.settings = pool, labels, folds.of, classes, settings
        self.forward = folds.forward
        self.plan = FoldPlan(folds=folds.judged)

    @property
    def judged(self) -> Floats:
        """The rows that trials are judged on, as a mask."""
        return np.isin(self.folds, self.plan.folds)

    @property
    def threads(self) -> int:
        if self.settings.max_trials is not None:
            return 1  # some libraries add up in another order on more
        return max(1, (self.settings.threads or cores()) // self.pool.size)

    def job(self, candidate: Candidate, fold: int, *, treatment: str | None = None, share: float | None = None) -> Job:
        return Job(
            candidate=candidate,
            fold=fold,
            forward=self.forward,
            seed=self.settings.seed,
            threads=self.threads,
            treatment=self.settings.imbalance if treatment is None else treatment,
            share=self.plan.share if share is None else share,
        )

    def make_plan(self, probe: Candidate, rows: int, deadline: float) -> None:
        """On a large table, time one small fit, and try fewer folds or rows where all of them would eat the time."""
        seconds = deadline - time.monotonic()
        small = min(1.0, rows / len(self.labels))
        self.pool.submit("probe", self.job(probe, self.plan.folds[-1], share=small), seconds)
        outcome = next(self.pool.outcomes(lambda: NEVER))
        one = outcome.fitted.seconds / small if outcome.state == "ok" else NEVER
        if one * len(self.plan.folds) / self.pool.size > seconds / 4:
            self.plan = FoldPlan(folds=self.plan.folds[-1:] if self.forward else (0,), share=float(np.clip(seconds / 4 / one, small, 1.0)))

    def evaluate(
        self,
        candidates: Sequence[Candidate],
        *,
        until: Callable[[], float],
        to_beat: float | None = None,
        treatment: str | None = None,
        seen: Callable[[Candidate, float], None] = lambda candidate, worth: None,
    ) -> list[TrialResult]:
        """Try candidates at once. `to_beat`: what the best so far reached on the first fold; far behind it the rest is left out.

        `seen` is told of each candidate that has ended well, with its score.
        """
        # A fit that hangs ends after a part of the search, and the others have their turn.
        limit = min(self.settings.trial_seconds or NEVER, max(PATIENT_FIT, self.settings.seconds / 4), WHOLE_SECONDS)
        parts: list[dict[int, Any]] = [{} for _ in candidates]
        seconds = [0.0 for _ in candidates]
        faults: dict[int, tuple[TrialState, str]] = {}
        for number, candidate in enumerate(candidates):
            for fold in self.plan.folds:
                self.pool.submit((number, fold), self.job(candidate, fold, treatment=treatment), limit)
        for outcome in self.pool.outcomes(until):
            number, fold = outcome.key
            seconds[number] += outcome.fitted.seconds
            fault = self.fault_of(outcome, to_beat, seconds[number])
            if fault is not None:
                faults[number] = fault
                self.pool.drop(lambda key, number=number: key[0] == number)
                continue
            parts[number][fold] = outcome.fitted.probabilities
            if len(parts[number]) == len(self.plan.folds):
                seen(candidates[number], self.worth(parts[number]))
        self.pool.drop(lambda key: True)
        return [
            self.tried(candidate, part, spent, faults.get(number))
            for number, (candidate, part, spent) in enumerate(zip(candidates, parts, seconds, strict=True))
        ]

    def fault_of(self, outcome: Outcome, to_beat: float | None, seconds: float) -> tuple[TrialState, str] | None:
        """Why the trial of a fit is over, where it is."""
        if outcome.state != "ok":
            return outcome.state, outcome.fitted.error
        if not np.isfinite(outcome.fitted.probabilities).all():
            return "failed", "probabilities that are no numbers"
        if self.settings.trial_seconds is not None and seconds > self.settings.trial_seconds:
            return "timeout", f"stopped after {seconds:.1f} s, its limit is {self.settings.trial_seconds:g}"
        _, fold = outcome.key
        if to_beat is not None and fold == self.plan.folds[0] and len(self.plan.folds) > 1:
            reached = score(self.settings.metric, self.labels[self.folds == fold], outcome.fitted.probabilities)
            if reached < to_beat - BEHIND * abs(to_beat):
                figures = (natural(self.settings.metric, reached), natural(self.settings.metric, to_beat))
                return "abandoned", "{:.4f} on the first fold, the best has {:.4f}".format(*figures)
        return None

    def tried(self, candidate: Candidate, parts: dict[int, Any], seconds: float, fault: tuple[TrialState, str] | None) -> TrialResult:
        complete = fault is None and len(parts) == len(self.plan.folds)
        if not complete:
            state, detail = fault or ("unfinished", "the search ended first")
            return TrialResult(candidate=candidate, row=row_of(candidate, None, seconds, state, detail))
        worth, first = self.worth(parts), self.worth({self.plan.folds[0]: parts[self.plan.folds[0]]})
        row = row_of(candidate, natural(self.settings.metric, worth), seconds, "ok", described(candidate))
        return TrialResult(candidate=candidate, row=row, worth=worth, first=first, probabilities=self.together(parts))

    def worth(self, parts: dict[int, Any]) -> float:
        """The score, to be maximised, of predictions of some folds."""
        rows = np.isin(self.folds, list(parts))
        return score(self.settings.metric, self.labels[rows], self.together(parts, rows))

    def together(self, parts: dict[int, Any], rows: Floats | None = None) -> Floats:
        whole = np.empty((len(self.labels), self.classes), dtype=np.float32)
        for fold, probabilities in parts.items():
            whole[self.folds == fold] = probabilities
        return whole[self.judged if rows is None else rows]

    def fit_whole(self, candidates: dict[int, Candidate], *, seconds: float) -> dict[int, Outcome]:
        """Each candidate fitted on all rows, by its key."""
        for key, candidate in candidates.items():
            self.pool.submit(key, self.job(candidate, WHOLE), seconds)
        return {outcome.key: outcome for outcome in self.pool.outcomes(lambda: NEVER)}


def row_of(candidate: Candidate, value: float | None, seconds: float, state: TrialState, detail: str) -> Trial:
    return Trial(name=candidate.name, algorithm=candidate.algorithm, score=value, seconds=round(seconds, 3), state=state, detail=detail)


def described(candidate: Candidate) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in candidate.parameters.items()
    )


def thinned(tried: list[TrialResult]) -> list[TrialResult]:
    """The same trials; those that are not among the best let their predictions go."""
    ranking = sorted((one.worth for one in tried if one.probabilities is not None and one.worth is not None), reverse=True)
    if len(ranking) <= KEPT:
        return tried
    least = ranking[KEPT - 1]
    return [
        one if one.worth is None or one.worth >= least else TrialResult(candidate=one.candidate, row=one.row, worth=one.worth)
        for one in tried
    ]


def without(tried: TrialResult, why: str) -> TrialResult:
    """A trial that can't be used after all."""
    row = Trial(name=tried.row.name, algorithm=tried.row.algorithm, score=None, seconds=tried.row.seconds, state="failed", detail=why)
    return TrialResult(candidate=tried.candidate, row=row, probabilities=tried.probabilities)


def nothing_found(tried: list[TrialResult]) -> StepFailed:
    seen = "; ".join(f"{one.row.name}: {one.row.state}, {one.row.detail}" for one in tried[:3]) or "no trial ended within the time"
    limited = any(one.row.state == "timeout" for one in tried)
    raised = "Raise `trial_timeout_minutes` in pipelines/train.yml, give" if limited else "Give"
    do = f"{raised} it more time with `pushline train --budget`, or look at the data."
    return StepFailed("AutoML found no model.", why=f"{seen}.", do=do)
