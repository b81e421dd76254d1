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
KEPT_DAYS = 30
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
    kept = list(from_analytics(cloud, group, since)) if since is not None and cloud.facts.insights else []
    while True:
        fresh = [*kept, *from_container(groups, group)]
        kept = []
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


def from_analytics(cloud: Cloud, group: str, since: float | None) -> Iterator[LogEntry]:
    """What Log Analytics has kept; it lags some minutes behind.

    Raises TargetError where it answers in part only: half a log would be taken for the whole.
    """
    from azure.monitor.query import LogsQueryClient, LogsQueryStatus

    span = timedelta(seconds=since) if since is not None else timedelta(days=KEPT_DAYS)
    query = QUERY.format(seconds=int(span.total_seconds()) + 1, group=re.sub(r"[^a-z0-9-]", "", group), rows=TAIL)
    with asking("reading the logs"):
        answer = LogsQueryClient(cloud.credential).query_workspace(cloud.analytics[0], query, timespan=span)
    if answer.status != LogsQueryStatus.SUCCESS:
        raise TargetError(
            "Log Analytics gave a part of the logs only.",
            why=str(answer.partial_error.message),
            do="Ask for a shorter time with --since.",
        )
    for table in answer.tables:
        for row in table.rows:
            entry = entry_of_row({name: row[name] for name in table.columns})
            if entry is not None:
                yield entry


def entry_of_row(row: dict[str, Any]) -> LogEntry | None:
    """A row of any of the three tables as an entry."""
    if row.get("Message"):  # a line of the container
        return entry_of(str(row["Message"]))
    at = row.get("TimeGenerated")
    if not isinstance(at, datetime):
        return None
    properties = row.get("Properties") or {}
    fields = {name: row[name] for name in ("Name", "Url", "ResultCode", "DurationMs", "OuterMessage") if row.get(name) not in (None, "")}
    if row.get("ExceptionType"):
        level = SEVERITY[min(int(row.get("SeverityLevel") or 3), 4)]
        return LogEntry(at=at, level=level, event=str(row["ExceptionType"]), fields=fields)
    level = "info" if str(row.get("Success")).lower() == "true" else "error"
    release = str(properties.get("release", "")) if isinstance(properties, dict) else ""
    return LogEntry(at=at, level=level, event="request", release=release, fields=fields)
