"""A batch scoring job: pieces go to all cores, come back in their order, and are written once each."""

import hashlib
import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from pushline.batch import score as scoring
from pushline.batch import source as sources
from pushline.batch.output import GrowingFile, Workplace, join_parquet, output, rejects_of, sample_of, write_part
from pushline.batch.rows import Reader
from pushline.batch.score import ScoredPiece
from pushline.batch.source import BatchInput, Piece, open_source, refuse_what_csv_cant_hold
from pushline.data.contract import Contract, load_contract
from pushline.data.files.version import quoted
from pushline.data.profile import load_profile
from pushline.data.profile.drift import Drift, drift_of
from pushline.errors import CriticalFindings, DataCorrupt, SettingsError
from pushline.files import content_hash
from pushline.progress import Progress
from pushline.project import Project
from pushline.results import Part
from pushline.serving.scorer import Scorer

AHEAD = 2  # pieces for each core that are read before they are needed
NOTE_S = 1.0  # how much work a kill costs at most
SAY_S = 2.0
SAMPLE_ROWS = 100_000  # kept of the input's columns, to hold them against the profile


class BatchResult(Part, frozen=True, kw_only=True):
    """What a job did."""

    input: str
    out: str
    model_version: str
    rows: int
    scored: int
    rejected: int
    rejects: str | None  # the file they are in
    reasons: dict[str, int]  # the most frequent ones
    results: dict[str, int]
    histogram: tuple[int, ...]  # of the deciding probability, equal bins from 0 to 1
    seconds: float
    rows_per_second: float
    resumed: bool
    sample: str | None  # Parquet with the columns of some rows as they were sent, for the drift of the input


class Options(Struct, frozen=True, kw_only=True):
    """How a job is done."""

    delimiter: str = ","
    strict: bool = False
    workers: int | None = None


def score_batch(source: str, out: Path, model: Path, version: str, *, options: Options, progress: Progress) -> BatchResult:
    """Score the rows at `source` (a path or an address, CSV or Parquet) into `out` (CSV, or Parquet by its name).

    Rows that break the contract go to a file beside `out`, with line and reason; with `strict` the first one stops the job.
    An interrupted job goes on where it was when the same command is run again. Raises DataUnavailable, DataCorrupt,
    ModelUnreadable, CriticalFindings (strict), SettingsError, or Busy where another one writes to `out`.
    """
    with output(source, out):
        rows = open_source(source, options.delimiter)
        scorer = Scorer(model, max_rows=1)
        check_columns(rows, scorer, source)
        if out.suffix != ".parquet":
            refuse_what_csv_cant_hold(rows, source)
        job = BatchJob(rows, scorer, Workplace(out, identity_of(rows, model, options)), options, progress)
        job.run()
        return finish(job, source, out, version)


def identity_of(rows: BatchInput, model: Path, options: Options) -> str:
    """What makes a job the same one: all that its output depends on, and not how many cores it uses."""
    cut = f"{sources.PIECE_BYTES} {sources.PIECE_ROWS}"
    return hashlib.sha256(f"{rows.identity} {content_hash(model)} {options.delimiter} {options.strict} {cut}".encode()).hexdigest()


class BatchJob:
    """The work between the first piece and the last."""

    def __init__(self, source: BatchInput, scorer: Scorer, place: Workplace, options: Options, progress: Progress) -> None:
        self.source, self.scorer, self.place, self.options, self.progress = source, scorer, place, options, progress
        self.to_parquet = place.out.suffix == ".parquet"
        self.sampling = sampling_step(source)
        contract: Contract = scorer.contract
        self.reader = Reader(source, contract, scorer.scoring.encoding, options.delimiter, whole_table=self.to_parquet)
        self.workers = options.workers or os.cpu_count() or 1
        self.started = time.monotonic()
        self.noted = self.said = self.started
        self.resumed = place.open()
        self.before = place.journal.rows + place.journal.rejected
        if self.resumed:
            progress(f"Going on after {self.before:,} rows of an earlier attempt.")

    def run(self) -> None:
        """Score what is left, and leave whole files of it."""
        if not self.place.journal.whole:
            self.score_rest()
            self.complete()
        self.place.publish()

    def score_rest(self) -> None:
        import pyarrow as pa

        pa.set_cpu_count(1)  # the pieces are what runs side by side
        self.rejects = GrowingFile(self.place.rejects)
        self.out = None if self.to_parquet else GrowingFile(self.place.partial)
        if self.out and self.place.journal.out_bytes == 0:
            self.place.journal.out_bytes += self.out.add(self.header())
        if self.place.journal.rejects_bytes == 0:
            self.place.journal.rejects_bytes += self.rejects.add(self.rejects_header())
        try:
            for scored in self.scored_in_order():
                self.take(scored)
            self.note()
        finally:
            self.rejects.close()
            if self.out:
                self.out.close()

    def complete(self) -> None:
        """Make every file whole that will be published, and say so in the journal."""
        if self.to_parquet:
            join_parquet(self.place.parts, self.place.partial)
        join_parquet(self.place.sample, self.place.sampled)
        self.place.journal.whole = True
        self.place.note()

    def scored_in_order(self) -> Iterator[ScoredPiece]:
        journal = self.place.journal
        pieces = self.source.pieces(number=journal.number, start=journal.start, first=journal.first)
        with ThreadPoolExecutor(self.workers) as pool:
            waiting: deque[Future[ScoredPiece]] = deque()
            try:
                for piece in pieces:
                    waiting.append(pool.submit(self.score, piece))
                    if len(waiting) >= self.workers * AHEAD:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def score(self, piece: Piece) -> ScoredPiece:
        return scoring.score(
            self.reader, self.scorer, piece, delimiter=self.options.delimiter, to_parquet=self.to_parquet, sample_every=self.sampling
        )

    def take(self, scored: ScoredPiece) -> None:
        """Write a piece; the journal follows when the files have it for good."""
        journal = self.place.journal
        rejects = scored.rejects
        if rejects.lines and self.options.strict:
            raise refused(str(rejects.lines[0]), rejects.reasons[0], f"{len(rejects.lines)} rows around it do")
        if self.out:
            self.out.add(scored.csv)
            journal.out_bytes += len(scored.csv)
        else:
            write_part(self.place.parts, scored.piece.number, scored.table)
        text = self.rejects_text(scored)
        self.rejects.add(text)
        journal.rejects_bytes += len(text)
        write_part(self.place.sample, scored.piece.number, scored.sample)
        journal.number, journal.start = scored.piece.number + 1, scored.piece.end
        journal.first = scored.piece.next_first
        journal.rows += scored.rows
        journal.rejected += len(scored.rejects.lines)
        journal.histogram = [a + int(b) for a, b in zip(journal.histogram, scored.histogram, strict=True)]
        for name, count in scored.results.items():
            journal.results[name] = journal.results.get(name, 0) + count
        for reason in scored.rejects.reasons:
            journal.reasons[reason] = journal.reasons.get(reason, 0) + 1
        journal.reasons = dict(sorted(journal.reasons.items(), key=lambda each: -each[1])[:50])
        now = time.monotonic()
        if now - self.noted >= NOTE_S:
            self.note()
        if now - self.said >= SAY_S:
            self.say(now)

    def note(self) -> None:
        self.noted = time.monotonic()
        self.rejects.flush()
        if self.out:
            self.out.flush()
        self.place.note()

    def say(self, now: float) -> None:
        self.said = now
        journal = self.place.journal
        done = journal.rows + journal.rejected
        rate = (done - self.before) / max(now - self.started, 1e-9)
        left = done / max(journal.start, 1) * (self.source.size - journal.start) / max(rate, 1e-9)
        self.progress(f"{done:,} rows, {rate:,.0f} rows/s, {left:,.0f} s left")

    def header(self) -> bytes:
        delimiter = self.options.delimiter
        added = delimiter.join(["", *(quoted(name, delimiter) for name in scoring.names_added(self.scorer))])
        return self.source.header + added.encode() + b"\n"

    def rejects_header(self) -> bytes:
        delimiter = self.options.delimiter
        place = "line" if self.source.kind == "csv" else "row"
        behind = delimiter.encode() + self.source.header if self.source.kind == "csv" else b""
        return f"{place}{delimiter}reason".encode() + behind + b"\n"

    def rejects_text(self, scored: ScoredPiece) -> bytes:
        """A line for each row that was refused: where it stands, why, and its own text."""
        delimiter = self.options.delimiter
        rejects = scored.rejects
        texts = rejects.texts or [b""] * len(rejects.lines)
        return b"".join(
            f"{line}{delimiter}{quoted(reason, delimiter)}".encode() + (delimiter.encode() + text if text else b"") + b"\n"
            for line, reason, text in zip(rejects.lines, rejects.reasons, texts, strict=True)
        )


def finish(job: BatchJob, source: str, out: Path, version: str) -> BatchResult:
    """What was done, for people."""
    journal = job.place.journal
    rows, seconds = journal.rows + journal.rejected, time.monotonic() - job.started
    return BatchResult(
        input=source,
        out=str(out),
        model_version=version,
        rows=rows,
        scored=journal.rows,
        rejected=journal.rejected,
        rejects=str(rejects_of(out)) if journal.rejected else None,
        reasons=dict(list(journal.reasons.items())[:10]),
        results=journal.results,
        histogram=tuple(journal.histogram),
        seconds=round(seconds, 3),
        rows_per_second=round((rows - job.before) / max(seconds, 1e-9), 1),
        resumed=job.resumed,
        sample=str(sample_of(out)),
    )


def check_columns(source: BatchInput, scorer: Scorer, name: str) -> None:
    """Raises DataCorrupt where the input lacks a column that the model needs, SettingsError where a new column is there already."""
    lacking = [column.name for column in scorer.payload.columns if column.name not in source.columns]
    if lacking:
        raise DataCorrupt(
            f"{name} can't be scored.",
            why=f"It lacks {', '.join(lacking)}; it has {', '.join(source.columns[:30])}.",
            do="Add the columns, or look whether the delimiter is the one of data_checks/contract.yml.",
        )
    twice = sorted({column for column in source.columns if source.columns.count(column) > 1})
    if twice:
        raise DataCorrupt(f"{name} can't be scored.", why=f"The column {twice[0]} stands there twice.", do="Rename one of them.")
    there = [column for column in scoring.names_added(scorer) if column in source.columns]
    if there:
        raise SettingsError(f"{name} has a column {there[0]} already.", why="The scores would come under that name.", do="Rename it first.")


def sampling_step(source: BatchInput) -> int:
    """Every how many rows one is kept for the drift check: all of a small file, about SAMPLE_ROWS of a large one."""
    about = source.size if source.kind == "parquet" else source.size // 40  # a CSV row is rarely shorter
    return max(1, about // SAMPLE_ROWS)


def refused(line: str, reason: str, others: str) -> CriticalFindings:
    return CriticalFindings(
        f"score-batch stopped at line {line}: {reason}.",
        why=f"With --strict no row may break the contract; {others}.",
        do="Correct the input, or leave out --strict: such rows then go to a file of their own.",
    )


def drift_of_sample(project: Project, ended: BatchResult) -> Drift | None:
    """The drift of the rows that the job kept for it, which are removed; None where it kept none or there is no profile."""
    if ended.sample is None:
        return None
    sample = Path(ended.sample)
    try:
        if not project.profile.is_file():
            return None
        return drift_of(sample, load_contract(project.contract), load_profile(project.profile), Path(ended.input).name)
    finally:
        sample.unlink(missing_ok=True)
