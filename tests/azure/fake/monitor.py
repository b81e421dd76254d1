"""Log Analytics: the few tables that Pushline asks for, filtered by what its queries say.

Source: learn.microsoft.com, "Query - Execute" of the Log Analytics query API, and the reference of each table.
"""

import gzip
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from fake.wire import Request, Response, route
from fake.world import REGION

if TYPE_CHECKING:
    from fake.world import World

TABLES = {"RequestData": "AppRequests", "ExceptionData": "AppExceptions", "MessageData": "AppTraces", "MetricData": "AppMetrics"}
INGESTION = f"{REGION}-1.in.applicationinsights.azure.com"
HOST = "api.loganalytics.io"


@route("POST", HOST, "/v1/workspaces/{customer}/query")
def query(world: "World", request: Request, customer: str) -> Response:
    """Rows of the tables that the query names. Only this much of KQL is understood: `union`, `ago`, two kinds of `where`, `take`."""
    text = request.json["query"]
    named = re.match(r"\s*(?:union\s+(?:isfuzzy=true\s+)?)?([\w, ]+)", text)
    wanted = {name.strip() for name in named[1].split(",")} if named else set()
    rows = sorted((row for row in world.telemetry if row["Table"] in wanted), key=lambda row: row["TimeGenerated"])
    for seconds in re.findall(r"TimeGenerated > ago\((\d+)s\)", text):
        since = (datetime.now(UTC) - timedelta(seconds=int(seconds))).isoformat()
        rows = [row for row in rows if row["TimeGenerated"] > since]
    for table, name, value in re.findall(r'Type != "(\w+)" or (\w+) == "([^"]*)"', text):
        rows = [row for row in rows if row["Table"] != table or str(row.get(name, "")) == value]
    most = re.search(r"\|\s*take (\d+)", text)
    rows = rows[: int(most[1])] if most else rows
    columns = ["TimeGenerated", *sorted({name for row in rows for name in row} - {"TimeGenerated"})]
    table_seen = {
        "name": "PrimaryResult",
        "columns": [
            {"name": name, "type": "datetime" if name == "TimeGenerated" else "dynamic" if name == "Properties" else "string"}
            for name in columns
        ],
        "rows": [[row.get(name) for name in columns] for row in rows],
    }
    return Response(200, {"tables": [table_seen]})


def add(world: "World", table: str, **values: Any) -> None:
    """Put a row in, as the service's exporter would."""
    world.telemetry.append({"Table": table, "Type": table, "TimeGenerated": datetime.now(UTC).isoformat(), **values})


@route("POST", INGESTION, "/v2.1/track", token=False)
def track(world: "World", request: Request) -> Response:
    """Take what a service reports: requests and exceptions become rows, the rest is counted."""
    body = gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body
    items = [json.loads(line) for line in body.splitlines()] if not body.startswith(b"[") else json.loads(body)
    for item in items:
        data = item["data"]["baseData"]
        kind = item["data"]["baseType"]
        table = TABLES.get(kind)
        if table is None:
            continue
        values = {"Name": data.get("name"), "Success": data.get("success"), "ResultCode": data.get("responseCode")}
        values["DurationMs"] = milliseconds(data.get("duration") or "")
        told = (data.get("exceptions") or [{}])[0]
        values |= {"ExceptionType": told.get("typeName"), "OuterMessage": told.get("message"), "Message": data.get("message")}
        at = item["time"].replace("Z", "+00:00")
        world.telemetry.append({"Table": table, "Type": table, "TimeGenerated": at, **values, "Properties": data.get("properties") or {}})
    return Response(200, {"itemsReceived": len(items), "itemsAccepted": len(items), "errors": []})


def milliseconds(duration: str) -> float | None:
    """Of `days.hours:minutes:seconds`."""
    found = re.fullmatch(r"(\d+)\.(\d+):(\d+):([\d.]+)", duration)
    if found is None:
        return None
    days, hours, minutes, seconds = (float(part) for part in found.groups())
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000


def keep_log(world: "World", group: str, container: str, lines: list[str]) -> None:
    """The lines of a container whose life has ended, as the diagnostics of its group send them."""
    for line in lines:
        add(world, "ContainerInstanceLog_CL", ContainerGroup_s=group, ContainerName_s=container, Message=line)
