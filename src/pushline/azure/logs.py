"""The log of the live release: what its container says now, and what Log Analytics has kept, in the shape of the local one."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from pushline.azure.cloud import Cloud
from pushline.azure.definition import SCORING
from pushline.azure.failures import asking
from pushline.azure.groups import Groups
from pushline.errors import TargetError
from pushline.release.journal import FAILURES
from pushline.release.target import LogEntry

TAIL = 5000
LOOK_S = 3.0
SEVERITY = ("debug", "info", "warning", "error", "critical")
# One row a line of the container, a failed request or an exception that the service reported.
QUERY = """union isfuzzy=true ContainerInstanceLog_CL, AppRequests, AppExceptions
| where TimeGenerated > ago({seconds}s)
| where Type != "ContainerInstanceLog_CL" or ContainerGroup_s == "{group}"
| order by TimeGenerated asc
| take {rows}"""


def entries(cloud: Cloud, groups: Groups, group: str, *, since: float | None, errors: bool, follow: bool) -> Iterator[LogEntry]:
    """Entries oldest first. A container's own log ends with its life; with `since` Log Analytics is asked for what was before."""
    seen: set[bytes] = set()
    start = datetime.now(UTC) - timedelta(seconds=since) if since is not None else None
    kept, reported = from_analytics(cloud, group, since) if since is not None and cloud.facts.insights else ([], [])
    while True:
        fresh = [*kept, *from_container(groups, group)]
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


def from_container(groups: Groups, group: str) -> Iterator[LogEntry]:
    """What the scoring container has said in its present life."""
    yield from (entry for entry in map(entry_of, groups.log(group, SCORING, TAIL).splitlines()) if entry is not None)


def entry_of(line: str) -> LogEntry | None:
    try:
        return msgspec.json.decode(line, type=LogEntry)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None


def from_analytics(cloud: Cloud, group: str, since: float) -> tuple[list[LogEntry], list[LogEntry]]:
    """What Log Analytics has kept, some minutes behind: lines of the group's containers, and what the service reported itself.

    Raises TargetError where it answers in part only: half a log would be taken for the whole.
    """
    from azure.monitor.query import LogsQueryClient, LogsQueryStatus

    span = timedelta(seconds=since)
    query = QUERY.format(seconds=int(span.total_seconds()) + 1, group=re.sub(r"[^a-z0-9-]", "", group), rows=TAIL)
    with asking("reading the logs"):
        answer = LogsQueryClient(cloud.credential).query_workspace(cloud.analytics[0], query, timespan=span)
    if answer.status != LogsQueryStatus.SUCCESS:
        raise TargetError(
            "Log Analytics gave a part of the logs only.",
            why=str(answer.partial_error.message),
            do="Ask for a shorter time with --since.",
        )
    rows = [{name: row[name] for name in table.columns} for table in answer.tables for row in table.rows]
    lines = [entry_of(str(row["Message"])) for row in rows if row.get("Message")]
    reported = [entry_of_row(row) for row in rows if not row.get("Message")]
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
