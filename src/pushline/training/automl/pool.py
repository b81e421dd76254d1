"""Worker processes with limits of time and memory: a fit that breaks them costs its worker, never the search."""

import contextlib
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from msgspec import Struct

from pushline.errors import StepFailed
from pushline.training.automl.worker import READY, FitResult, Job, serve

TrialState = Literal["ok", "failed", "timeout", "out of memory", "abandoned", "unfinished"]
GIGABYTE = 1 << 30
LOOK = 0.2  # seconds between two looks at the memory of the workers
# Loaded once, before the first fork: a new worker then starts in milliseconds. None of them has run a parallel region by
# then, which is what makes forking them safe.
PRELOAD = [
    "lightgbm",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "xgboost",
    "catboost",
    "pushline.training.automl.worker",
    "pushline.training.trees",
]


def warm_up() -> None:
    """Begin to load what the workers need, in a process of its own: a few seconds that other work can use."""
    from multiprocessing import forkserver

    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOAD)
    forkserver.ensure_running()


class Outcome(Struct, frozen=True, kw_only=True):
    """How a job ended."""

    key: Any
    state: TrialState
    fitted: FitResult


class Worker:
    """A process and the job it has."""

    def __init__(self, context: Any, arguments: tuple[Any, ...]) -> None:
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, *arguments), daemon=True)
        self.process.start()
        theirs.close()
        self.ready = False
        self.key: Hashable = None
        self.started = 0.0
        self.until = 0.0

    @property
    def busy(self) -> bool:
        return self.key is not None

    def give(self, key: Hashable, job: Job, until: float) -> None:
        self.key, self.started, self.until = key, time.monotonic(), until
        self.connection.send(job)

    def end(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.process.kill()
            self.process.join(5)
        self.connection.close()


class Pool:
    """`workers` processes over the data in `folder` (matrix.npy, labels.npy, folds.npy)."""

    def __init__(self, folder: Path, kinds: tuple[str, ...], classes: int, *, workers: int, memory: int | None = None) -> None:
        warm_up()
        self.memory = memory or memory_share(workers)
        self._arguments = (str(folder), kinds, classes, self.memory)
        self._context = multiprocessing.get_context("forkserver")
        self._waiting: deque[tuple[Hashable, Job, float]] = deque()
        self._workers = [Worker(self._context, self._arguments) for _ in range(workers)]
        self._looked = 0.0

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for worker in self._workers:
            worker.end()

    def wait_until_ready(self) -> None:
        """Wait until the workers have loaded their libraries. Raises StepFailed where one can't."""
        for worker in self._workers:
            self._greet(worker)

    @staticmethod
    def _greet(worker: Worker) -> None:
        try:
            worker.ready = worker.connection.recv() == READY
        except (EOFError, OSError) as error:
            worker.process.join(5)
            raise StepFailed(
                "A worker of AutoML could not start.",
                why=f"Its process ended with {ending(worker.process.exitcode)}.",
                do="Install the locked requirements again with `make setup`, and see that the machine has a few gigabytes of free memory.",
            ) from error

    @property
    def size(self) -> int:
        return len(self._workers)

    @property
    def idle(self) -> bool:
        return not self._waiting and not any(worker.busy for worker in self._workers)

    def submit(self, key: Hashable, job: Job, seconds: float) -> None:
        """Queue a job that may take `seconds` from its start. `key` comes back with its outcome."""
        self._waiting.append((key, job, seconds))

    def drop(self, belongs: Any) -> None:
        """Forget the jobs whose key `belongs` accepts, running ones too; they have no outcome."""
        self._waiting = deque(item for item in self._waiting if not belongs(item[0]))
        for place, worker in enumerate(self._workers):
            if worker.busy and belongs(worker.key):
                self._replace(place)

    def outcomes(self, until: Callable[[], float]) -> Iterator[Outcome]:
        """Outcomes as they come, until nothing is left or the clock (time.monotonic) reaches what `until` says by then."""
        while not self.idle and time.monotonic() < (end := until()):
            self._hand_out()
            heard = [worker for worker in self._workers if worker.busy or not worker.ready]
            nearest = min([end, *(worker.until for worker in heard if worker.busy)]) - time.monotonic()
            speaking = wait([worker.connection for worker in heard], timeout=max(0.0, min(LOOK, nearest)))
            for worker in heard:
                if worker.connection not in speaking or worker not in self._workers:  # replaced by now: its trial was dropped
                    continue
                if worker.ready:
                    yield self._received(worker)
                else:
                    self._greet(worker)
            yield from self._broken_limits()

    def _hand_out(self) -> None:
        for place, worker in enumerate(self._workers):
            if worker.ready and not worker.busy and self._waiting:
                key, job, seconds = self._waiting[0]
                try:
                    worker.give(key, job, time.monotonic() + seconds)
                except OSError:  # it has died since its last job, of which nobody heard
                    self._replace(place)
                else:
                    self._waiting.popleft()

    def _received(self, worker: Worker) -> Outcome:
        key, seconds = worker.key, time.monotonic() - worker.started
        try:
            fitted = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join(5)
            code = worker.process.exitcode
            self._replace(self._workers.index(worker))
            # Nobody but the system's memory guard kills with SIGKILL, and C++ ends with SIGABRT when it gets no memory.
            state: TrialState = "out of memory" if code in (-signal.SIGKILL, -signal.SIGABRT) else "failed"
            return Outcome(key=key, state=state, fitted=FitResult(seconds=seconds, error=f"its process ended with {ending(code)}"))
        worker.key = None
        return Outcome(key=key, state=state_of(fitted), fitted=fitted)

    def _broken_limits(self) -> Iterator[Outcome]:
        now = time.monotonic()
        look = now - self._looked > LOOK
        for place, worker in enumerate(self._workers):
            if not worker.busy or worker.connection.poll():
                continue
            if now >= worker.until:
                text = f"stopped after {now - worker.started:.1f} s, its limit"
                outcome = Outcome(key=worker.key, state="timeout", fitted=FitResult(seconds=now - worker.started, error=text))
            elif look and resident(worker.process.pid) > self.memory:
                text = f"stopped at {self.memory / GIGABYTE:.1f} GB of memory, its limit"
                outcome = Outcome(key=worker.key, state="out of memory", fitted=FitResult(seconds=now - worker.started, error=text))
            else:
                continue
            self._replace(place)
            yield outcome
        if look:
            self._looked = now

    def _replace(self, place: int) -> None:
        self._workers[place].end()
        self._workers[place] = Worker(self._context, self._arguments)


def state_of(fitted: FitResult) -> TrialState:
    if fitted.out_of_memory:
        return "out of memory"
    return "failed" if fitted.error else "ok"


def ending(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"


def resident(pid: int | None) -> int:
    """Bytes of memory a process holds; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def memory_share(workers: int) -> int:
    """What each worker may take: its part of two thirds of the memory that is free now, at least one gigabyte."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        free = 4 * GIGABYTE
    return max(GIGABYTE, free * 2 // 3 // workers)


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
