"""The search: portfolio, then neighbours of the best in the time left, then a vote, then the fit on all rows."""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs

from pushline.arrays import Floats
from pushline.data.contract.encoding import Encoding, Targets, is_quantity, strata_of
from pushline.progress import Progress
from pushline.results import VOTE, Trial
from pushline.training.automl.algorithms import LARGEST, OF_MEDIANS, Algorithm, for_labels, for_table
from pushline.training.automl.calibrate import Vote, best_calibration, best_vote, calibrated, losses, voted
from pushline.training.automl.limits import SearchSettings, algorithms_of
from pushline.training.automl.pool import Pool, cores
from pushline.training.automl.proposals import Proposals, portfolio
from pushline.training.automl.treatments import compare
from pushline.training.automl.trials import (
    WHOLE_SECONDS,
    FoldPlan,
    Folds,
    TrialResult,
    Trials,
    folds_of,
    nothing_found,
    same_rows,
    thinned,
    without,
)
from pushline.training.automl.worker import CHECKED_ROWS
from pushline.training.best_model import INTERRUPTED, TIME_WAS_OVER, SearchOutcome
from pushline.training.explanation import of_trees
from pushline.training.features import Feature
from pushline.training.graph import Calibration, GraphPart, TargetMeans, matrix_graph, size_of
from pushline.training.metrics import natural, score

MEMBERS = 6  # of a vote at most: the served model stays small
PATIENCE = 8  # trials behind the portfolio after which the vote is held against what it was
NOTICEABLE = 0.002  # of the loss: what that many trials must gain to go on, beyond its noise
VOTED_BY = {"average_precision": "log_loss", "roc_auc": "log_loss"}  # ranks alone are noisier than what they rank
TOLERANCE = 1e-5  # between the library's probabilities and the graph's; of the largest value for a quantity
COUNTED_WIDTH = 2  # candidates at once where trials are counted, on any machine: what is proposed next hangs on it
PROBED_ROWS = 20_000  # of one small fit that says how long a large table takes
LARGE = 60_000  # rows from which that is worth asking


class SearchResult(SearchOutcome, frozen=True, kw_only=True):
    """What a search found."""

    model: bytes  # the numeric graph
    explanation: bytes  # of its answers; empty where they are no sum of trees
    rows: Any  # bool [rows]: those that were predicted out of fold
    probabilities: Any  # of the winner, out of fold, calibrated: float32 [those rows, classes]
    calibration: Calibration
    plan: FoldPlan


class Search:
    """One run of AutoML."""

    def __init__(
        self,
        matrix: Floats,
        labels: Targets,
        kinds: tuple[str, ...],
        classes: int,
        settings: SearchSettings,
        *,
        progress: Progress,
        features: Sequence[Feature] = (),
        encoding: Encoding | None = None,
        stop: Callable[[], bool] = lambda: False,
        folds: Folds | None = None,
    ) -> None:
        """It learns `labels` (positions of classes, or a quantity) from `matrix` (float32 [rows, columns]).

        `kinds`: number, category, boolean or date for each column; a date is not learned from, only its parts are. The last
        `len(features)` columns are derived; the graph computes them from the others, which `encoding` names. `stop` is asked now
        and then: once it says yes, the best so far is the result.
        """
        self.matrix, self.labels, self.classes = matrix, labels, classes
        self.settings, self.progress, self.features, self.encoding, self.stop = settings, progress, features, encoding, stop
        self.dealt = folds or Folds(of=folds_of(strata_of(labels), settings.folds, settings.seed, same_rows(matrix)))
        self.folds = self.dealt.of
        # A treatment of the rare class spoils probabilities, so that their log loss says little until they are calibrated.
        self.voted_by = VOTED_BY.get(settings.metric, settings.metric) if settings.imbalance == "none" else settings.metric
        self.tried: list[TrialResult] = []
        self.looked: tuple[int, Floats | None] = (0, None)  # trials, and the loss of each row under the vote of them
        self.means: TargetMeans | None = None
        self.curve: list[tuple[float, float]] = []
        self.shown = 0
        self.stopped = TIME_WAS_OVER
        self.dates = np.array([kind == "date" for kind in kinds])
        self.kinds = tuple("number" if kind == "date" else kind for kind in kinds)

    def run(self) -> SearchResult:
        """Find and fit the best model. Raises StepFailed where not one trial ended well."""
        algorithms = [for_table(algorithm, len(self.labels), self.classes) for algorithm in algorithms_of(self.settings)]
        if is_quantity(self.labels):
            algorithms = [for_labels(algorithm, self.labels, self.settings.metric) for algorithm in algorithms]
        workers = max(1, min(self.settings.threads or cores(), 2 * self.settings.folds))
        with tempfile.TemporaryDirectory(prefix="pushline-automl-") as place:
            learned = np.where(self.dates, np.float32(0), self.matrix) if self.dates.any() else self.matrix
            for name, values in (("matrix", learned), ("labels", self.labels), ("folds", self.folds)):
                np.save(Path(place) / f"{name}.npy", values)
            with Pool(Path(place), self.kinds, self.classes, workers=workers, memory=self.settings.memory) as pool:
                pool.wait_until_ready()
                # The budget is for the search: loading the libraries takes seconds that depend on the machine alone.
                self.started = time.monotonic()
                self.deadline = self.started + self.settings.seconds
                self.trials = Trials(pool, self.labels, self.dealt, self.classes, self.settings)
                if len(self.labels) > LARGE and self.settings.max_trials is None:
                    self.trials.make_plan(portfolio(algorithms)[0], PROBED_ROWS, self.deadline)
                self.explore(algorithms)
                return self.conclude()

    def explore(self, algorithms: Sequence[Algorithm]) -> None:
        """Try candidates until a limit is reached: the same ones for the same seed, whatever the clock says."""
        at_most = self.trials.pool.size if self.settings.max_trials is None else COUNTED_WIDTH
        width = min(self.settings.concurrent or at_most, at_most)
        proposals = Proposals(algorithms, self.settings.seed)
        while not self.over():
            best, searching = self.best, proposals.exploring
            if searching and best is not None and self.settings.early_stop and self.nothing_gained():
                return
            batch = proposals.next(width)
            if self.settings.max_trials is not None:
                batch = batch[: self.settings.max_trials - len(self.tried)]
            if not batch:
                self.stopped = "there was nothing left to try"
                return
            to_beat = best.first if best is not None and searching else None
            new = self.trials.evaluate(batch, until=self.until, to_beat=to_beat, seen=self.judged)
            proposals.learn([(tried.candidate, tried.worth) for tried in new])
            self.tried = thinned([*self.tried, *new])

    def until(self) -> float:
        """When trials end. The first model may be late, since late is better than none."""
        if self.stop():
            return -np.inf if self.curve else np.inf
        if not self.curve:
            return np.inf
        return self.deadline - self.reserve()

    def over(self) -> bool:
        """Whether a limit is reached; says which in `stopped`."""
        done, settings, best = len(self.tried), self.settings, self.best
        if settings.max_trials is not None and done >= settings.max_trials:
            self.stopped = f"{settings.max_trials} trial{'s were' if settings.max_trials > 1 else ' was'} made"
            return True
        if best is None:
            return False
        if self.stop():
            self.stopped = INTERRUPTED
            return True
        if settings.exit_score is not None and (best.worth or 0.0) >= score_of(settings.exit_score, settings.metric):
            self.stopped = f"the exit score {settings.exit_score:g} was reached"
            return True
        if time.monotonic() > self.deadline - self.reserve():
            self.stopped = TIME_WAS_OVER + (f" after {done} of {settings.max_trials} trials" if settings.max_trials else "")
            return True
        return False

    @property
    def good(self) -> list[TrialResult]:
        """Trials that ended well, best first."""
        return sorted((tried for tried in self.tried if tried.worth is not None), key=lambda tried: -(tried.worth or 0.0))

    @property
    def best(self) -> TrialResult | None:
        return next(iter(self.good), None)

    def reserve(self) -> float:
        """Seconds that the vote, the fits on all rows and the comparison of treatments will take."""
        folds = len(self.trials.plan.folds)
        fits = [tried.row.seconds / folds for tried in self.good[:MEMBERS]]
        again = self.good[0].row.seconds if self.settings.imbalance != "none" and self.good else 0.0
        return (1.3 * sum(fits) + again) / self.trials.pool.size + 2e-5 * len(self.labels) + 0.3

    def judged(self, candidate: Any, worth: float) -> None:
        """Live: the best so far, trials, time left."""
        now, value = time.monotonic() - self.started, natural(self.settings.metric, worth)
        self.shown += 1
        if not self.curve or worth > score_of(self.curve[-1][1], self.settings.metric):
            self.curve.append((round(now, 2), value))
        left = max(0.0, self.settings.seconds - now)
        self.progress(f"{candidate.name} {value:.4f}, best {self.curve[-1][1]:.4f}, {self.shown} trials, {left:.0f} s left")

    def nothing_gained(self) -> bool:
        """Whether the last trials made the vote no better than noise, row by row, or than anyone would notice."""
        done, before = self.looked
        if before is not None and len(self.tried) - done < PATIENCE:
            return False
        vote, good = self.vote()
        now = row_losses(self.settings.metric, self.labels[self.trials.judged], voted([one.probabilities for one in good], vote))
        self.looked = (len(self.tried), now)
        if before is None:
            return False
        gain = before - now
        if gain.mean() > max(2 * gain.std() / np.sqrt(len(gain)), NOTICEABLE * before.mean()):
            return False
        self.stopped = f"{PATIENCE} trials brought nothing better"
        return True

    def vote(self) -> tuple[Vote, list[TrialResult]]:
        """The vote of the best trials, which may be of one alone; and these trials."""
        good = [tried for tried in self.good if tried.probabilities is not None]
        if not good:
            raise nothing_found(self.tried)
        if not self.settings.vote or len(good) == 1:
            return Vote(members=(0,), weights=(1.0,), score=good[0].worth or 0.0), good
        labels = self.labels[self.trials.judged]
        return best_vote(self.voted_by, labels, [tried.probabilities for tried in good], at_most=MEMBERS), good

    def with_score(self, vote: Vote, good: list[TrialResult]) -> Vote:
        """The vote with its score by what votes are chosen by."""
        chances = voted([tried.probabilities for tried in good], vote)
        return structs.replace(vote, score=score(self.voted_by, self.labels[self.trials.judged], chances))

    def conclude(self) -> SearchResult:
        """Fit the members, hold each one's graph against its library, calibrate, and write the graph of the vote."""
        vote, good, parts = self.settled()
        rows = self.trials.judged
        labels = self.labels[rows]
        raw = voted([tried.probabilities for tried in good], vote).astype(np.float32)
        calibration = Calibration()
        if not is_quantity(labels):
            folds = self.folds[rows] if len(self.trials.plan.folds) > 1 else np.arange(len(labels)) % 5
            calibration = best_calibration(labels, raw, folds)
        probabilities = calibrated(raw, calibration).astype(np.float32)
        treatments = compare(self.trials, good[vote.members[0]], until=lambda: np.inf)
        graph = self.graph(parts, vote.weights, calibration)
        value = natural(self.settings.metric, score(self.settings.metric, labels, raw))
        seconds = round(time.monotonic() - self.started, 2)
        members = tuple(
            (good[place].candidate.name, good[place].candidate.algorithm, weight)
            for place, weight in zip(vote.members, vote.weights, strict=True)
        )
        if len(members) > 1 and score_of(value, self.settings.metric) > score_of(self.curve[-1][1], self.settings.metric):
            self.curve.append((seconds, value))
        return SearchResult(
            leaderboard=self.leaderboard(members, value),
            algorithm=members[0][1] if len(members) == 1 else f"Vote of {len(members)} models",
            members=members,
            model=graph.SerializeToString(),
            explanation=of_trees(parts, vote.weights, calibration, self.encoding, self.features, self.means) if self.encoding else b"",
            rows=rows,
            probabilities=probabilities,
            score=value,
            calibration=calibration,
            curve=tuple(self.curve),
            treatments=treatments,
            plan=self.trials.plan,
            seconds=seconds,
            stopped=self.stopped,
        )

    def settled(self) -> tuple[Vote, list[TrialResult], list[GraphPart]]:
        """The vote that can be served, the trials it is of, and its members' parts: where a member is left out, the others vote again."""
        parts: dict[str, GraphPart] = {}  # by the candidate's name
        while True:
            vote, good = self.vote()
            if not self.fit(vote, good, parts):
                continue
            light = self.light_enough(vote, good, parts)
            if light != vote:
                alone = [self.with_score(Vote(members=(place,), weights=(1.0,), score=0.0), good) for place in range(len(good))]
                light = max([light, *alone], key=lambda each: each.score)
            if self.fit(light, good, parts):
                return light, good, [parts[good[place].candidate.name] for place in light.members]

    def fit(self, vote: Vote, good: list[TrialResult], parts: dict[str, GraphPart]) -> bool:
        """Fit the members that are not among `parts` yet on all rows. Whether all can be used: one that can't is a good trial no more."""
        wanted = {place: good[place].candidate for place in vote.members if good[place].candidate.name not in parts}
        if wanted:
            share = self.trials.plan.share
            rows = "all rows" if share == 1 else f"{share:.1%} of the rows, which is what the time allows"
            self.progress(f"fit {len(wanted)} model{'s' * (len(wanted) > 1)} on {rows}")
        whole = True
        for place, outcome in self.trials.fit_whole(wanted, seconds=WHOLE_SECONDS).items():
            name = good[place].candidate.name
            self.means = outcome.fitted.means or self.means  # the same ones for every member: all learn from the same rows
            why = outcome.fitted.error or self.fault_of(outcome.fitted.part, outcome.fitted.probabilities)
            if not why:
                parts[name] = outcome.fitted.part
                continue
            self.progress(f"{name} is left out: {why}")
            self.tried[self.tried.index(good[place])] = without(good[place], why)
            whole = False
        return whole

    def light_enough(self, vote: Vote, good: list[TrialResult], parts: dict[str, GraphPart]) -> Vote:
        """The members by falling weight, as many as the served model has room for."""
        kept: list[int] = []
        room = LARGEST
        for place in sorted(vote.members, key=lambda one: -vote.weights[vote.members.index(one)]):
            size = size_of(parts[good[place].candidate.name])
            if size <= room:
                kept.append(place)
                room -= size
        if len(kept) == len(vote.members):
            return vote
        pairs = [(place, weight) for place, weight in zip(vote.members, vote.weights, strict=True) if place in kept]
        total = sum(weight for _, weight in pairs)
        light = Vote(members=tuple(place for place, _ in pairs), weights=tuple(weight / total for _, weight in pairs), score=0.0)
        return self.with_score(light, good)

    def graph(self, parts: Sequence[GraphPart], weights: Sequence[float], calibration: Calibration) -> Any:
        columns = self.matrix.shape[1] - len(self.features)
        return matrix_graph(
            parts,
            weights,
            calibration,
            columns=columns,
            classes=self.classes,
            features=self.features,
            encoding=self.encoding,
            means=self.means,
        )

    def fault_of(self, part: GraphPart, native: Floats) -> str:
        """Why a member can't be served; empty where it can."""
        if size_of(part) > LARGEST:
            return f"it would take {size_of(part) / 1e6:.1f} MB, and {LARGEST / 1e6:.1f} are served at most"
        return "" if self.alike(part, native) else "its ONNX form answers otherwise than the library"

    def alike(self, part: GraphPart, native: Floats) -> bool:
        """Whether the graph of one member answers as its library does."""
        from pushline.training.export import predict

        columns = self.matrix.shape[1] - len(self.features)
        answered = predict(self.graph([part], [1.0], Calibration()).SerializeToString(), self.matrix[:CHECKED_ROWS, :columns])
        size = max(1.0, float(np.abs(native).max())) if is_quantity(self.labels) else 1.0
        return bool(np.abs(answered - native).max() <= TOLERANCE * size)

    def leaderboard(self, members: Sequence[tuple[str, str, float]], value: float) -> tuple[Trial, ...]:
        rows = [tried.row for tried in self.good] + [tried.row for tried in self.tried if tried.worth is None]
        if len(members) > 1:
            detail = ", ".join(f"{weight:.2f} of {name}" for name, _, weight in members) + f"; chosen by {self.voted_by.replace('_', ' ')}"
            rows.insert(0, Trial(name=VOTE, algorithm="VotingEnsemble", score=value, seconds=0.0, detail=detail))
        return tuple(rows)


def row_losses(metric: str, labels: Targets, predictions: Floats) -> Floats:
    """What each row loses: its log loss, or for a quantity its error."""
    if not is_quantity(labels):
        return losses(labels, predictions)
    errors = np.abs(predictions[:, 0].astype(np.float64) - labels)
    return errors if metric in OF_MEDIANS else errors**2


def score_of(value: float, metric: str) -> float:
    """A figure as people know it as something to maximise; the sign turns both ways."""
    return natural(metric, value)
