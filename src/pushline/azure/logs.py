"""The log of the live release: what its containers say now, and what Log Analytics has kept, in the shape of the local one."""

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from pushline.azure.cloud import Cloud
from pushline.azure.failures import asking
from pushline.errors import TargetError
from pushline.release.journal import FAILURES
from pushline.release.target import LogEntry

TAIL = 5000
LOOK_S = 3.0
SEVERITY = ("debug", "info", "warning", "error", "critical")
# One row a line of a container, a failed request or an exception that the service reported.
QUERY = """union isfuzzy=true {table}, AppRequests, AppExceptions
| where TimeGenerated > ago({seconds}s)
| where Type != "{table}" or {owner} == "{name}"
| order by TimeGenerated asc
| take {rows}"""


class LogTable(Struct, frozen=True, kw_only=True):
    """Where Log Analytics keeps the lines of containers: the table, its column with their owner's name, and that with the text."""

    table: str
    owner: str
    text: str


def entries(
    cloud: Cloud, kept_in: LogTable, name: str, now: Callable[[], str], *, since: float | None, errors: bool, follow: bool
) -> Iterator[LogEntry]:
    """Entries oldest first. A container's own log, which `now` gives, ends with its life; with `since` Log Analytics is asked for
    what was before.
    """
    seen: set[bytes] = set()
    start = datetime.now(UTC) - timedelta(seconds=since) if since is not None else None
    kept, reported = from_analytics(cloud, kept_in, name, since) if since is not None and cloud.facts.insights else ([], [])
    while True:
        fresh = [*kept, *(entry for entry in map(entry_of, now().splitlines()) if entry is not None)]
        logged = {entry.fields.get("request_id") for entry in fresh}  # a request that a line tells of is told once
        fresh += [entry for entry in reported if entry.fields.get("request_id", "") not in logged]
        kept = reported = []
        for entry in sorted(fresh, key=lambda each: each.at):
            mark = msgspec.json.encode(entry)
            if mark in seen:
                continue
            seen.add(mark)
            if (start is None or entry.at >= start) and (not errors or entry.level in FAILURES):
                yield entry
        if not follow:
            return
        time.sleep(LOOK_S)


def entry_of(line: str) -> LogEntry | None:
    """The entry in a line, behind whatever the platform puts before it."""
    try:
        return msgspec.json.decode(line[max(line.find("{"), 0) :], type=LogEntry)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None


def from_analytics(cloud: Cloud, kept_in: LogTable, name: str, since: float) -> tuple[list[LogEntry], list[LogEntry]]:
    """What Log Analytics has kept, some minutes behind: lines of the containers, and what the service reported itself.

    Raises TargetError where it answers in part only: half a log would be taken for the whole.
    """
    from azure.monitor.query import LogsQueryClient, LogsQueryStatus

    span = timedelta(seconds=since)
    asked = {"table": kept_in.table, "owner": kept_in.owner, "name": re.sub(r"[^a-z0-9-]", "", name)}
    query = QUERY.format(seconds=int(span.total_seconds()) + 1, rows=TAIL, **asked)
    with asking("reading the logs"):
        answer = LogsQueryClient(cloud.credential).query_workspace(cloud.analytics[0], query, timespan=span)
    if answer.status != LogsQueryStatus.SUCCESS:
        raise TargetError(
            "Log Analytics gave a part of the logs only.",
            why=str(answer.partial_error.message),
            do="Ask for a shorter time with --since.",
        )
    rows = [{name: row[name] for name in table.columns} for table in answer.tables for row in table.rows]
    lines = [entry_of(str(row[kept_in.text])) for row in rows if row.get(kept_in.text)]
    reported = [entry_of_row(row) for row in rows if not row.get(kept_in.text)]
    return [entry for entry in lines if entry is not None], [entry for entry in reported if entry is not None]


def entry_of_row(row: dict[str, Any]) -> LogEntry | None:
    """An exception or a request that the service reported, as an entry."""
    at = row.get("TimeGenerated")
    if not isinstance(at, datetime):
        return None
    if row.get("ExceptionType"):
        fields = {name: row[name] for name in ("OuterMessage", "Name") if row.get(name) not in (None, "")}
        level = SEVERITY[min(int(row.get("SeverityLevel") or 3), 4)]
        return LogEntry(at=at, level=level, event=str(row["ExceptionType"]), fields=fields)
    return request_of(at, row)


def request_of(at: datetime, row: dict[str, Any]) -> LogEntry:
    """A request that the service reported, as its own log would tell it."""
    said = row.get("Properties") or {}
    properties: dict[str, Any] = msgspec.json.decode(said) if isinstance(said, str) else dict(said)
    method, _, path = str(row.get("Name") or "").partition(" ")
    code = str(row.get("ResultCode") or "")
    status = int(code) if code.isdigit() else 0
    known = {"method": method, "path": path or str(row.get("Url") or ""), "status": status, "ms": row.get("DurationMs")}
    for name, key in (("request_id", "request_id"), ("rows", "rows"), ("kind", "problem")):
        known[name] = properties.get(f"pushline.{key}")
    known["rows"] = int(known["rows"] or 0)
    fields = {name: value for name, value in known.items() if value not in (None, "", 0)}
    level, event = ("error", "refused") if status >= 500 else ("warning", "refused") if status >= 400 else ("info", "request")
    return LogEntry(at=at, level=level, event=event, release=str(properties.get("pushline.release", "")), fields=fields)
