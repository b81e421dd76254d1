"""The search: portfolio, then neighbours of the best in the time left, then a vote, then the fit on all rows."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from pushline.data.labels import Codes
from pushline.errors import StepFailed
from pushline.results import Trial
from pushline.training.automl.algorithms import Algorithm, Candidate
from pushline.training.automl.ensemble import Vote, best_vote, voted
from pushline.training.automl.limits import SearchSettings, algorithms_of
from pushline.training.automl.pool import Pool, State, cores
from pushline.training.automl.proposals import Proposals
from pushline.training.automl.worker import CHECKED_ROWS, WHOLE, Job
from pushline.training.graph import Calibration, Part, matrix_graph
from pushline.training.metrics import score

Floats = np.ndarray[Any, Any]
Tell = Callable[[str], None]
MEMBERS = 6  # of a vote at most: the served model stays small
KEPT = 16  # trials whose predictions are kept for the vote
PATIENCE = 40  # trials without a better one before an early stop
TOLERANCE = 1e-5  # between the library's probabilities and the graph's


class Tried(Struct, frozen=True, kw_only=True):
    """A trial and what it predicted for rows it had not learned from."""

    candidate: Candidate
    row: Trial
    probabilities: Any = None  # float32 [rows, classes]


class Found(Struct, frozen=True, kw_only=True):
    """What a search found."""

    leaderboard: tuple[Trial, ...]  # best first, failed ones last
    algorithm: str  # of the winner, as a person reads it
    members: tuple[tuple[str, str, float], ...]  # name, algorithm, weight
    model: bytes  # the numeric graph
    probabilities: Any  # of the winner, out of fold: float32 [rows, classes]
    score: float
    curve: tuple[tuple[float, float], ...]  # seconds since the start, best score out of fold so far
    seconds: float
    stopped: str  # why the search ended


def search(matrix: Floats, labels: Codes, kinds: tuple[str, ...], classes: int, settings: SearchSettings, *, tell: Tell) -> Found:
    """Find and fit the best model of `labels` (positions of classes) from `matrix` (float32 [rows, columns]).

    Raises StepFailed where not one trial ended well.
    """
    with tempfile.TemporaryDirectory(prefix="pushline-automl-") as folder:
        return Search(Path(folder), matrix, labels, kinds, classes, settings, tell).run()


def folds_of(labels: Codes, folds: int, seed: int) -> Codes:
    """The fold of each row: random, with the classes' shares alike in every fold."""
    random = np.random.default_rng(seed)
    fold = np.empty(len(labels), dtype=np.int64)
    for name in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == name))
        fold[rows] = (np.arange(len(rows)) + random.integers(folds)) % folds
    return fold


class Search:
    """One run of AutoML."""

    def __init__(
        self, folder: Path, matrix: Floats, labels: Codes, kinds: tuple[str, ...], classes: int, settings: SearchSettings, tell: Tell
    ) -> None:
        self.folder, self.matrix, self.labels, self.kinds, self.classes = folder, matrix, labels, kinds, classes
        self.settings, self.tell = settings, tell
        self.folds = folds_of(labels, settings.folds, settings.seed)
        self.tried: list[Tried] = []
        self.curve: list[tuple[float, float]] = []
        self.stopped = "the time was over"
        for name, values in (("matrix", matrix), ("labels", labels), ("folds", self.folds)):
            np.save(folder / f"{name}.npy", values)

    def run(self) -> Found:
        algorithms = algorithms_of(self.settings)
        workers = min(self.settings.threads or cores(), max(2, self.settings.folds))
        with Pool(self.folder, self.kinds, self.classes, workers=workers, memory=self.settings.memory) as pool:
            self.pool = pool
            pool.wait_until_ready()
            # The budget is for the search: loading the libraries takes seconds that depend on the machine alone.
            self.started = time.monotonic()
            self.deadline = self.started + self.settings.seconds
            for batch in self.batches(algorithms):
                self.tried += self.evaluate(batch)
                self.thin()
            vote, members = self.vote()
            return self.fit_all(vote, members)

    def batches(self, algorithms: Sequence[Algorithm]) -> Iterator[list[Candidate]]:
        """Candidates to try at once, until a limit is reached: the same ones for the same seed, whatever the clock says."""
        width = max(1, min(self.settings.concurrent or self.pool.size, self.pool.size))
        proposals = Proposals(algorithms, self.settings.seed)
        waiting: list[Candidate] = []
        told = 0
        while not self.over():
            proposals.learn([(tried.candidate, tried.row.score) for tried in self.tried[told:]])
            told = len(self.tried)
            waiting = proposals.next(width)
            if self.settings.max_trials is not None:
                waiting = waiting[: self.settings.max_trials - len(self.tried)]
            if not waiting:
                self.stopped = "there was nothing left to try"
                return
            yield waiting

    def over(self) -> bool:
        """Whether a limit is reached; says which in `stopped`."""
        done, settings = len(self.tried), self.settings
        if settings.max_trials is not None and done >= settings.max_trials:
            self.stopped = f"{settings.max_trials} trials were made"
            return True
        best = self.best
        if best is not None and settings.exit_score is not None and (best.row.score or 0.0) >= settings.exit_score:
            self.stopped = f"the exit score {settings.exit_score:g} was reached"
            return True
        if best is not None and settings.early_stop and done - self.tried.index(best) > PATIENCE:
            self.stopped = f"{PATIENCE} trials brought nothing better"
            return True
        return best is not None and time.monotonic() > self.deadline - self.reserve()

    @property
    def good(self) -> list[Tried]:
        """Trials that ended well, best first."""
        good = [tried for tried in self.tried if tried.row.score is not None]
        return sorted(good, key=lambda tried: -(tried.row.score or 0.0))

    @property
    def best(self) -> Tried | None:
        return next(iter(self.good), None)

    def reserve(self) -> float:
        """Seconds that the vote and the fits on all rows will take."""
        fits = [tried.row.seconds / self.settings.folds for tried in self.good[:MEMBERS]]
        return 1.5 * sum(fits) / self.pool.size + 2e-5 * len(self.labels) + 0.3

    def evaluate(self, candidates: list[Candidate]) -> list[Tried]:
        """Try candidates on all folds; one that fails, hangs or takes too much memory is a row like any other."""
        limit = self.settings.trial_seconds or max(1.0, self.deadline - time.monotonic())
        # The first model may be late: late is better than none.
        end = self.deadline - self.reserve() if self.best and self.settings.max_trials is None else np.inf
        parts: list[dict[int, Any]] = [{} for _ in candidates]
        seconds = [0.0 for _ in candidates]
        faults: dict[int, tuple[State, str]] = {}
        for number, candidate in enumerate(candidates):
            for fold in range(self.settings.folds):
                job = Job(candidate=candidate, fold=fold, seed=self.settings.seed, threads=self.threads, treatment=self.settings.imbalance)
                self.pool.submit((number, fold), job, limit)
        for outcome in self.pool.outcomes(end):
            number, fold = outcome.key
            seconds[number] += outcome.fitted.seconds
            if outcome.state == "ok":
                parts[number][fold] = outcome.fitted.probabilities
            else:
                faults[number] = (outcome.state, outcome.fitted.error)
                self.pool.drop(lambda key, number=number: key[0] == number)
            if len(parts[number]) == self.settings.folds:
                self.say(candidates[number], parts[number])
                if self.settings.max_trials is None and time.monotonic() > self.deadline:
                    break
        self.pool.drop(lambda key: True)
        return [
            self.result(candidate, part, spent, faults.get(number))
            for number, (candidate, part, spent) in enumerate(zip(candidates, parts, seconds, strict=True))
        ]

    @property
    def threads(self) -> int:
        return max(1, (self.settings.threads or cores()) // self.pool.size)

    def result(self, candidate: Candidate, parts: dict[int, Any], seconds: float, fault: tuple[State, str] | None) -> Tried:
        def row(value: float | None, state: State = "ok", detail: str = "") -> Trial:
            return Trial(
                name=candidate.name, algorithm=candidate.algorithm, score=value, seconds=round(seconds, 3), state=state, detail=detail
            )

        if fault is not None:
            return Tried(candidate=candidate, row=row(None, *fault))
        if len(parts) < self.settings.folds:
            return Tried(candidate=candidate, row=row(None, "timeout", "the time of the search was over"))
        probabilities = self.together(parts)
        if not np.isfinite(probabilities).all():
            return Tried(candidate=candidate, row=row(None, "failed", "probabilities that are no numbers"))
        value = score(self.settings.metric, self.labels, probabilities)
        return Tried(candidate=candidate, row=row(value, detail=described(candidate)), probabilities=probabilities)

    def together(self, parts: dict[int, Any]) -> Floats:
        whole = np.empty((len(self.labels), self.classes), dtype=np.float32)
        for fold, probabilities in parts.items():
            whole[self.folds == fold] = probabilities
        return whole

    def say(self, candidate: Candidate, parts: dict[int, Any]) -> None:
        """Live progress: the best so far, trials, time left."""
        now = time.monotonic() - self.started
        value = score(self.settings.metric, self.labels, self.together(parts))
        if not self.curve or value > self.curve[-1][1]:
            self.curve.append((round(now, 2), value))
        left = max(0.0, self.settings.seconds - now)
        self.tell(f"{candidate.name} {value:.4f}, best {self.curve[-1][1]:.4f}, {len(self.tried) + 1} trials, {left:.0f} s left")

    def thin(self) -> None:
        """Keep the predictions of the best trials alone."""
        keep = {id(tried) for tried in self.good[:KEPT]}
        self.tried = [
            tried
            if tried.probabilities is None or id(tried) in keep
            else Tried(candidate=tried.candidate, row=tried.row, probabilities=None)
            for tried in self.tried
        ]

    def vote(self) -> tuple[Vote, list[Tried]]:
        """The vote of the best trials, or the single best where no vote beats it out of fold."""
        good = [tried for tried in self.good if tried.probabilities is not None]
        if not good:
            raise nothing_found(self.tried)
        single = Vote(members=(0,), weights=(1.0,), score=good[0].row.score or 0.0)
        if not self.settings.vote or len(good) == 1:
            return single, good
        vote = best_vote(self.settings.metric, self.labels, [tried.probabilities for tried in good], at_most=MEMBERS)
        return (vote if vote.score > single.score else single), good

    def fit_all(self, vote: Vote, good: list[Tried]) -> Found:
        """Fit the members on all rows, hold each one's graph against its library, and write the graph of the vote."""
        for place in vote.members:
            job = Job(
                candidate=good[place].candidate,
                fold=WHOLE,
                seed=self.settings.seed,
                threads=self.threads,
                treatment=self.settings.imbalance,
            )
            self.pool.submit(place, job, max(60.0, 10 * good[place].row.seconds))
        parts: dict[int, Part] = {}
        for outcome in self.pool.outcomes(np.inf):
            if outcome.state == "ok" and self.alike(outcome.fitted.part, outcome.fitted.probabilities):
                parts[outcome.key] = outcome.fitted.part
        if not parts:
            raise nothing_found(self.tried)
        places = sorted(parts)
        total = sum(weight for member, weight in zip(vote.members, vote.weights, strict=True) if member in parts)
        weights = [vote.weights[vote.members.index(place)] / total for place in places]
        kept = Vote(members=tuple(places), weights=tuple(weights), score=vote.score)
        probabilities = voted([tried.probabilities for tried in good], kept).astype(np.float32)
        value = score(self.settings.metric, self.labels, probabilities)
        members = tuple(
            (good[place].candidate.name, good[place].candidate.algorithm, weight) for place, weight in zip(places, weights, strict=True)
        )
        graph = matrix_graph([parts[place] for place in places], weights, Calibration(), columns=self.matrix.shape[1], classes=self.classes)
        now = time.monotonic() - self.started
        rows = [tried.row for tried in self.good] + [tried.row for tried in self.tried if tried.row.score is None]
        name = members[0][1]
        if len(members) > 1:
            name = f"Vote of {len(members)} models"
            detail = ", ".join(f"{weight:.2f} {one}" for one, _, weight in members)
            rows.insert(0, Trial(name="vote", algorithm="VotingEnsemble", score=value, seconds=0.0, detail=detail))
            self.curve.append((round(now, 2), value))
        return Found(
            leaderboard=tuple(rows),
            algorithm=name,
            members=members,
            model=graph.SerializeToString(),
            probabilities=probabilities,
            score=value,
            curve=tuple(self.curve),
            seconds=round(now, 2),
            stopped=self.stopped,
        )

    def alike(self, part: Part, native: Floats) -> bool:
        """Whether the graph of one member answers as its library does."""
        from pushline.training.export import predict

        graph = matrix_graph([part], [1.0], Calibration(), columns=self.matrix.shape[1], classes=self.classes)
        answered = predict(graph.SerializeToString(), self.matrix[:CHECKED_ROWS])
        return bool(np.abs(answered - native).max() <= TOLERANCE)


def described(candidate: Candidate) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in candidate.parameters.items()
    )


def nothing_found(tried: list[Tried]) -> StepFailed:
    seen = "; ".join(f"{one.row.name}: {one.row.state}, {one.row.detail}" for one in tried[:3]) or "no trial ended within the time"
    return StepFailed("AutoML found no model.", why=f"{seen}.", do="Give it more time with `pushline train --budget`, or look at the data.")
