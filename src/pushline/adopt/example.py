"""The request with made-up rows that a repository has to try its service with."""

import json
from typing import Any

from pushline.data.contract import Column

WIDTH = 124


def example_text(rows: list[dict[str, Any]]) -> str:
    """A request with these rows, one column after the other, several to a line."""
    blocks = []
    for row in rows:
        lines, line = [], ""
        for key, value in row.items():
            pair = f"{json.dumps(key, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}"
            if line and len(line) + len(pair) > WIDTH:
                lines.append(line)
                line = ""
            line = f"{line}, {pair}" if line else pair
        lines.append(line)
        blocks.append("    {\n" + ",\n".join(f"      {each}" for each in lines) + "\n    }")
    return '{\n  "data": [\n' + ",\n".join(blocks) + "\n  ]\n}\n"


def example_rows(sample: dict[str, Any], columns: tuple[Column, ...]) -> list[dict[str, Any]]:
    """Generated rows as a request holds them: the columns of the contract but the label, empty ones as null."""
    kinds: dict[str, Any] = {"integer": int, "number": float, "boolean": bool}

    def plain(column: Column, value: Any) -> Any:
        return None if value is None or value != value else kinds.get(column.type, str)(value)

    return [
        {column.name: plain(column, value) for column, value in zip(columns, row, strict=True)}
        for row in zip(*(sample[column.name] for column in columns), strict=True)
    ]
