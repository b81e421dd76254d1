"""What a release has done so far, counted by each worker and added up by whichever is asked.

A worker counts in plain lists, which costs nanoseconds, and copies them to its slot of a shared memory at every tick.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate
from mmap import mmap
from typing import Any

import numpy as np

from pushline.serving.problems import TITLES
from pushline.serving.running import SLOT_BYTES

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
SCORE_BINS = 20
LAST_BIN = SCORE_BINS - 1e-9  # so that 1.0 falls into the last bin
ROUTES = ("score", "other")
STATUSES = (200, 302, 304, *sorted({status for status, _ in TITLES.values()}))


class Metrics:
    """The counters of one worker and the view over all workers of its release."""

    def __init__(self, classes: Sequence[str], *, binary: bool, shared: mmap | None = None, slot: int = 0, slots: int = 1) -> None:
        self.binary = binary
        self.cell_of = {key: i for i, key in enumerate((route, status) for route in ROUTES for status in STATUSES)}
        start = len(self.cell_of)
        self.kind_of = {kind: start + i for i, kind in enumerate(TITLES)}
        start += len(TITLES)
        self.rows = start
        self.log_lost = start + 1
        self.handed_back, self.compared, self.flipped = start + 2, start + 3, start + 4
        self.memory = start + 5  # of the process, now
        self.time = start + 6  # one cell a bucket, one above all, then the sum
        self.time_sum = self.time + len(SECONDS) + 1
        self.score = self.time_sum + 1
        start = self.score + SCORE_BINS
        self.answer_of = {name: start + i for i, name in enumerate(classes)}
        size = start + len(classes)
        # A model of hundreds of classes keeps its counters to its worker.
        self.table: Any = None
        if shared is not None and size * 8 <= SLOT_BYTES:
            self.table = np.frombuffer(shared, dtype=np.float64).reshape(slots, SLOT_BYTES // 8)[:, :size]
        self.slot = slot
        # A restarted worker goes on counting where the one before stopped: a counter never falls.
        self.cells: list[float] = [0.0] * size if self.table is None else self.table[slot].tolist()

    def count(self, route: str, status: int, elapsed_s: float) -> None:
        cells = self.cells
        cells[self.cell_of[route, status]] += 1
        if route == "score":
            cells[self.time + bisect_left(SECONDS, elapsed_s)] += 1
            cells[self.time_sum] += elapsed_s

    def scored(self, results: Sequence[Any], shown: Sequence[Any]) -> None:
        """Count the classes of an answer, and where there are two the probabilities of the positive one; of a quantity the rows alone."""
        cells, answer, score = self.cells, self.answer_of, self.score
        cells[self.rows] += len(results)
        if not answer:
            return
        for result in results:
            cells[answer[result]] += 1
        if self.binary:
            for probability in shown:
                cells[score + int(probability * LAST_BIN)] += 1

    def publish(self) -> None:
        """Copy this worker's counters to where the others see them."""
        if self.table is not None:
            self.table[self.slot] = self.cells

    def leave(self) -> None:
        """This worker ends: its memory is free again, and what it counted stays."""
        self.cells[self.memory] = 0
        self.publish()

    def total(self) -> list[float]:
        """The counters of all workers."""
        summed: list[float] = self.cells if self.table is None else self.table.sum(axis=0).tolist()
        return summed

    def text(self, release: str, version: str) -> bytes:
        """The exposition format of Prometheus."""
        self.publish()
        cells = self.total()
        info = {f'release="{escaped(release)}",model_version="{escaped(version)}"': 1.0}
        requests = {f'route="{route}",status="{status}"': cells[cell] for (route, status), cell in self.cell_of.items() if cells[cell]}
        problems = {f'kind="{kind}"': cells[cell] for kind, cell in self.kind_of.items() if cells[cell]}
        answers = {f'class="{escaped(name)}"': cells[cell] for name, cell in self.answer_of.items()}
        bounds = [round((i + 1) / SCORE_BINS, 4) for i in range(SCORE_BINS - 1)]

        def of(cell: int) -> dict[str, float]:
            return {"": cells[cell]}

        lost = "Log lines that were not written: too many, or the disk too slow."
        lines = [
            *family("pushline_release_info", "The release that answers.", "gauge", info),
            *family("pushline_requests_total", "Requests answered.", "counter", requests),
            *family("pushline_problems_total", "Requests refused, by kind.", "counter", problems),
            *family("pushline_rows_total", "Rows scored.", "counter", of(self.rows)),
            *family("pushline_log_lines_lost_total", lost, "counter", of(self.log_lost)),
            *family(
                "pushline_handed_back_total", "Requests that a candidate was sent, and did not answer.", "counter", of(self.handed_back)
            ),
            *family("pushline_compared_total", "Requests whose copy a candidate answered too.", "counter", of(self.compared)),
            *family("pushline_flipped_total", "Of these, those it answered clearly otherwise.", "counter", of(self.flipped)),
            *family("process_resident_memory_bytes", "Memory of the workers.", "gauge", of(self.memory)),
            *histogram("pushline_score_seconds", "Time from a request's head to its answer.", SECONDS, cells[self.time :]),
            f"pushline_score_seconds_sum {cells[self.time_sum]:.6f}",
        ]
        if self.binary:
            lines += histogram("pushline_probability", "Probability of the positive class.", bounds, cells[self.score :])
        if answers:
            lines += family("pushline_answers_total", "Rows by the class answered.", "counter", answers)
        return ("\n".join(lines) + "\n").encode()


def histogram(name: str, text: str, bounds: Sequence[float], cells: Sequence[float]) -> list[str]:
    below = list(accumulate(cells[: len(bounds) + 1]))
    buckets = {f'le="{bound}"': count for bound, count in zip([*(f"{bound:g}" for bound in bounds), "+Inf"], below, strict=True)}
    return [*family(name, text, "histogram", buckets, of="_bucket"), f"{name}_count {int(below[-1])}"]


def family(name: str, text: str, kind: str, samples: Mapping[str, float], of: str = "") -> list[str]:
    """A metric and its samples by their labels."""
    lines = [f"{name}{of}{{{labels}}} {int(value)}" if labels else f"{name}{of} {int(value)}" for labels, value in samples.items()]
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *lines]


def escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
