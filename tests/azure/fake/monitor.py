"""Log Analytics: the few tables that Pushline asks for, filtered by what its queries say."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fake.wire import Request, Response, route

if TYPE_CHECKING:
    from fake.world import World

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
    world.telemetry.append({"Table": table, "TimeGenerated": datetime.now(UTC).isoformat(), **values})
