"""Log Analytics: the few tables that Pushline asks for, filtered by what its queries say."""

import gzip
import json
import re
from datetime import UTC, datetime
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
    """Rows of the table that the query begins with. Only this much of KQL is understood: table, `where X == "…"`, `take`."""
    text = request.json["query"]
    table = re.match(r"\s*(?:union\s+)?([\w, ]+)", text)
    wanted = {name.strip() for name in table[1].split(",")} if table else set()
    rows = [row for row in world.telemetry if row["Table"] in wanted]
    for name, value in re.findall(r'\|\s*where\s+(\w+)\s*==\s*"([^"]*)"', text):
        rows = [row for row in rows if str(row.get(name, "")) == value]
    columns = ["TimeGenerated", *sorted({name for row in rows for name in row} - {"TimeGenerated"})]
    table_seen = {
        "name": "PrimaryResult",
        "columns": [
            {"name": name, "type": "datetime" if name == "TimeGenerated" else "dynamic" if name == "Properties" else "string"}
            for name in columns
        ],
        "rows": [[row.get(name) for name in columns] for row in sorted(rows, key=lambda row: row["TimeGenerated"])],
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
        told = (data.get("exceptions") or [{}])[0]
        values |= {"ExceptionType": told.get("typeName"), "OuterMessage": told.get("message"), "Message": data.get("message")}
        world.telemetry.append(
            {"Table": table, "Type": table, "TimeGenerated": item["time"], **values, "Properties": data.get("properties") or {}}
        )
    return Response(200, {"itemsReceived": len(items), "itemsAccepted": len(items), "errors": []})
