"""One process that fits models, apart from the search: it may hang, run out of memory or die without taking the search along."""

import contextlib
import ctypes
import math
import os
import resource
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from pushline.data.contract.encoding import is_quantity, strata_of
from pushline.training.automl.algorithms import Candidate

PR_SET_PDEATHSIG = 1
READY = "ready"  # the first thing a worker says
WHOLE = -1  # instead of a fold: fit on all rows


class Job(Struct, frozen=True, kw_only=True):
    """One fit."""

    candidate: Candidate
    fold: int  # rows of this fold are predicted, the others learned from; WHOLE: all rows are learned from
    forward: bool = False  # learned from are folds before this one alone
    seed: int
    threads: int
    treatment: str = "none"  # of the rare class, applied to the learning rows alone
    share: float = 1.0  # of the learning rows that are used


class FitResult(Struct, frozen=True, kw_only=True):
    """What came of a job."""

    seconds: float
    probabilities: Any = None  # float32: of the fold's rows, or of the first rows of the table for a whole fit; a quantity's values too
    part: Any = None  # for a whole fit: what the ONNX graph is written from
    means: Any = None  # for a whole fit: the means of the label that stand behind the matrix, where columns have them
    error: str = ""
    out_of_memory: bool = False


def serve(connection: Connection, folder: str, kinds: tuple[str, ...], classes: int, memory: int) -> None:
    """Fit what comes over the connection until it closes. `memory`: bytes this process may add to what it starts with."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the search decides what becomes of us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent()
    limit_memory(memory)
    data = Path(folder)
    matrix = np.load(data / "matrix.npy", mmap_mode="r")
    labels = np.load(data / "labels.npy")
    folds = np.load(data / "folds.npy")
    with contextlib.suppress(EOFError, BrokenPipeError):
        connection.send(READY)
        while True:
            connection.send(fitted(connection.recv(), matrix, labels, folds, kinds, classes))


def fitted(job: Job, matrix: Any, labels: Any, folds: Any, kinds: tuple[str, ...], classes: int) -> FitResult:
    """Do one job; whatever it raises becomes an answer."""
    import warnings

    started = time.monotonic()
    try:
        from threadpoolctl import threadpool_limits

        # Some libraries take all cores for themselves unless they are told otherwise.
        with warnings.catch_warnings(), threadpool_limits(job.threads):
            warnings.simplefilter("ignore")  # libraries that warn of each other's next version, thousands of times
            return fit(job, matrix, labels, folds, kinds, classes, started)
    except MemoryError as error:
        return FitResult(seconds=time.monotonic() - started, error=f"{error}"[:300] or "out of memory", out_of_memory=True)
    except Exception as error:  # noqa: BLE001  a trial may fail in any way: it becomes a row of the leaderboard
        text = f"{type(error).__name__}: {error}"[:300]
        return FitResult(seconds=time.monotonic() - started, error=text, out_of_memory="bad_alloc" in text or "bad allocation" in text)


def fit(job: Job, matrix: Any, labels: Any, folds: Any, kinds: tuple[str, ...], classes: int, started: float) -> FitResult:
    from pushline.training.automl.libraries import build
    from pushline.training.automl.target_means import columns_of, with_means

    learn = np.ones(len(labels), dtype=bool) if job.fold == WHOLE else folds < job.fold if job.forward else folds != job.fold
    if job.share < 1:
        learn = some_of(learn, strata_of(labels), job.share, job.seed)
    known, rows = matrix[learn], matrix[:CHECKED_ROWS] if job.fold == WHOLE else matrix[folds == job.fold]
    columns, means = columns_of(matrix, kinds, classes), None
    if columns:
        known, rows, means = with_means(known, labels[learn], rows, columns, classes, job.seed)
        kinds = (*kinds, *("number" for _ in range(known.shape[1] - len(kinds))))
    estimator = build(job.candidate, seed=job.seed, threads=job.threads, kinds=kinds)
    answered = fit_quantity if is_quantity(labels) else fit_classes
    predictions = answered(job, estimator, known, labels[learn], rows, kinds, classes)
    part = part_of(estimator, classes) if job.fold == WHOLE else None
    return FitResult(seconds=time.monotonic() - started, probabilities=predictions, part=part, means=means)


def fit_classes(job: Job, estimator: Any, known: Any, labels: Any, rows: Any, kinds: tuple[str, ...], classes: int) -> Any:
    """Learn from `known` and its labels; the probabilities of `rows`."""
    from pushline.training.automl.imbalance import treated

    known, answers, weights = treated(job.treatment, known, labels, kinds, job.seed)
    present, answers = np.unique(answers, return_inverse=True)  # a class of very few rows may have none outside this fold
    estimator.fit(known, answers, **({} if weights is None else {"sample_weight": weights}))
    probabilities = np.zeros((len(rows), classes), dtype=np.float32)
    probabilities[:, present] = estimator.predict_proba(rows)
    return probabilities


def fit_quantity(job: Job, estimator: Any, known: Any, labels: Any, rows: Any, kinds: tuple[str, ...], classes: int) -> Any:
    estimator.fit(known, labels)
    return estimator.predict(rows).astype(np.float32)[:, None]


def some_of(learn: Any, labels: Any, share: float, seed: int) -> Any:
    """The share of the rows in the mask `learn`, of every class alike and at least one, as a mask."""
    drawn = np.random.default_rng(seed).random(len(labels))
    kept = np.zeros(len(labels), dtype=bool)
    for name in np.unique(labels[learn]):
        rows = np.flatnonzero(learn & (labels == name))
        kept[rows[np.argsort(drawn[rows], kind="stable")[: math.ceil(share * len(rows))]]] = True
    return kept


CHECKED_ROWS = 20_000  # of the training rows: on these the graph is held against the library


def part_of(estimator: Any, classes: int) -> Any:
    """What the ONNX graph is written from."""
    from pushline.training.trees import trees_of

    return estimator.part() if hasattr(estimator, "part") else trees_of(estimator, classes)


def limit_memory(more: int) -> None:
    """Let the process take `more` bytes beyond what it has; an allocation above that fails in this process alone."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return  # not Linux: the parent's watch on the resident size has to do
    limit = pages * os.sysconf("SC_PAGE_SIZE") + more
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def die_with_parent() -> None:
    """Where the system can do it, end this process when its parent ends, however that happened."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
