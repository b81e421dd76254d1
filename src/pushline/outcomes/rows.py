"""Logged rows with what became of them: as a file, as training data, and gone where a person asks for it."""

import json
import mmap
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pushline.data.contract import Contract
from pushline.data.files.table import database, literal, name_of
from pushline.data.profile.recorded import BEGINNING, LIVE, SAID
from pushline.data.sources.lock import load_lock
from pushline.errors import DataUnavailable, SettingsError
from pushline.files import whole_file
from pushline.outcomes.file import key_columns, key_of
from pushline.outcomes.store import DAYS, logged_rows, newest_outcomes, parts_of
from pushline.project import Project
from pushline.results import Part
from pushline.settings import long_seconds

BIAS = (
    "\n> [!WARNING]\n> These are the {rows} of {logged} logged rows whose outcome is known. Where a decision makes the outcome (only a "
    "loan that was granted can default), a model that learns from them knows nothing of the others: keep a share of decisions at random.\n"
)


class ExportResult(Part, frozen=True, kw_only=True):
    """Rows of the prediction log in a file."""

    file: str
    rows: int
    with_outcome: int


class DeleteResult(Part, frozen=True, kw_only=True):
    """What held a request, and holds it no longer."""

    request_id: str
    rows: int
    outcomes: int


def moment_of(text: str | None) -> datetime:
    """The moment that a date, or a duration before now, says; without one, the beginning. Raises SettingsError."""
    if text is None:
        return BEGINNING
    try:
        return datetime.combine(date.fromisoformat(text), datetime.min.time())
    except ValueError:
        return datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=long_seconds(text))


def joined(project: Project, contract: Contract, keys: tuple[str, ...]) -> str:
    """SQL for the rows of the log, with `outcome`, `known_at` and `after` where they are known."""
    rows = f"SELECT *, {key_of(keys, 'row.')} AS key FROM {logged_rows(project, contract)}"
    return f"SELECT * FROM ({rows}) LEFT JOIN ({newest_outcomes(project)}) USING (key)"


def export(project: Project, contract: Contract, keys: tuple[str, ...], out: Path, since: str | None = None) -> ExportResult:
    """Write the log's rows, newest outcomes beside them, as a typed table to `out` (Parquet).

    Raises DataUnavailable where the log is empty.
    """
    taken = {column.name.casefold() for column in contract.columns}
    said = [f"{name_of(name)} AS {name_of(f'log.{name}' if name in taken else name)}" for name in (*SAID, "probability", "known_at")]
    columns = ", ".join(
        [*said, *(f'"row".{name_of(column.name)}' for column in contract.inputs), f"outcome AS {name_of(contract.label.name)}"]
    )
    chosen = f'SELECT {columns} FROM ({joined(project, contract, keys)}) WHERE "at" >= $since ORDER BY "at"'
    with whole_file(out) as half, database() as connection:
        connection.execute(f"COPY ({chosen}) TO {literal(str(half))} (FORMAT parquet, COMPRESSION zstd)", {"since": moment_of(since)})
        counts = f"SELECT count(*), count({name_of(contract.label.name)}) FROM read_parquet({literal(str(half))})"
        rows, known = connection.execute(counts).fetchone() or (0, 0)
    return ExportResult(file=str(out), rows=rows, with_outcome=known)


def training_rows(project: Project, contract: Contract, keys: tuple[str, ...], folder: Path, since: str | None = None) -> tuple[str, str]:
    """Write the logged rows whose outcome is known as a file with the columns of the pinned data; the file, and its bias as Markdown.

    Raises DataUnavailable where there is none, or where the pinned data has a column that neither requests nor outcomes hold.
    """
    key_columns(contract, keys)
    wanted = load_lock(project.data_lock).files[0].columns
    after = [column for column in contract.inputs if column.known == "after"]
    cells = {column.name: f'"row".{name_of(column.name)}' for column in contract.inputs}
    cells |= {column.name: f"coalesce(CAST({cells[column.name]} AS VARCHAR), after ->> {literal(column.name)})" for column in after}
    cells[contract.label.name] = "outcome"
    columns = ", ".join(f"{cells[name]} AS {name_of(name)}" for name in wanted if name in cells)
    known = f'SELECT {columns} FROM ({joined(project, contract, keys)}) WHERE outcome IS NOT NULL AND "at" >= $since ORDER BY "at"'
    with database() as connection:
        connection.execute(f"CREATE TEMP TABLE known AS {known}", {"since": moment_of(since)})
        rows = (connection.execute("SELECT count(*) FROM known").fetchone() or (0,))[0]
        if not rows:
            raise DataUnavailable("No logged row has an outcome.", do="Add outcomes first: `pushline outcomes add FILE`.")
        required = [column.name for column in after if not column.optional and column.name in wanted]
        counts = (
            connection.execute(f"SELECT 0, {', '.join(f'count({name_of(name)})' for name in required) or 0} FROM known").fetchone() or ()
        )
        if lacking := [name for name, count in zip(required, counts[1:], strict=False) if count < rows]:
            raise DataUnavailable(
                f"The rows with outcomes lack {', '.join(lacking)}.",
                why="The pinned data has it; it is known only after the event, so no request holds it.",
                do=f"Add the outcomes again with the column{'s' * (len(lacking) > 1)} {', '.join(lacking)} and a later known_at.",
            )
        logged = (connection.execute(f"SELECT count(*) FROM {logged_rows(project, contract)}").fetchone() or (0,))[0]
        out = folder / f"outcomes-{datetime.now(UTC):%Y-%m-%d-%H%M%S}.csv"
        with whole_file(out) as half:
            connection.execute(f"COPY known TO {literal(str(half))} (FORMAT csv, HEADER, DELIMITER {literal(contract.delimiter)})")
    return str(out), BIAS.format(rows=f"{rows:,}", logged=f"{logged:,}")


def delete(project: Project, contract: Contract, keys: tuple[str, ...], request_id: str) -> DeleteResult:
    """Remove a request's rows from the prediction log, and its outcomes. Raises SettingsError where the log holds no such request.

    A line is blanked where it stands: the service goes on appending behind it, and nothing is moved.
    """
    with database() as connection:
        chosen = f"SELECT {key_of(keys, 'row.')} AS key FROM {logged_rows(project, contract)} WHERE request_id = $id"
        connection.execute(f"CREATE TEMP TABLE gone AS {chosen}", {"id": request_id})
        outcomes = 0
        for part in parts_of(project):
            held = f"read_parquet({literal(str(part))})"
            found = (connection.execute(f"SELECT count(*) FROM {held} WHERE key IN (FROM gone)").fetchone() or (0,))[0]
            if found:
                outcomes += found
                with whole_file(part, mode=0o600) as half:
                    left = f"SELECT * FROM {held} WHERE key NOT IN (FROM gone)"
                    connection.execute(f"COPY ({left}) TO {literal(str(half))} (FORMAT parquet, COMPRESSION zstd)")
    rows = 0
    for file in (project.state / LIVE).glob("*.jsonl"):
        if found := blank(file, request_id):
            rows += found
            for table in (project.state / DAYS).glob(f"{file.stem}-*.parquet"):
                table.unlink()
    if not rows:
        raise SettingsError(
            f"The prediction log holds no request {request_id}.",
            why="It holds the share `record` of requests, for `record_days`.",
            do="Give the value of x-request-id that the answer carried.",
        )
    return DeleteResult(request_id=request_id, rows=rows, outcomes=outcomes)


def blank(file: Path, request_id: str) -> int:
    """Overwrite the lines of a request with spaces; how many there were."""
    if not file.stat().st_size:
        return 0
    wanted, found = json.dumps(request_id).encode(), 0
    with file.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as content:
        at = content.find(wanted)
        while at >= 0:
            start, end = content.rfind(b"\n", 0, at) + 1, content.find(b"\n", at)
            end = len(content) if end < 0 else end
            if request_of(content[start:end]) == request_id:
                content[start:end] = b" " * (end - start)
                found += 1
            at = content.find(wanted, end)
        content.flush()
    return found


def request_of(line: bytes) -> str:
    try:
        return str(json.loads(line).get("request_id", ""))
    except ValueError:
        return ""
