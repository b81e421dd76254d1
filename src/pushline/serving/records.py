"""A sample of the scored rows, kept for what comes after the release: off unless the setting serving.record says otherwise.

One file a day, one JSON line a row: `{"at", "release", "model_version", "request_id", "position", "row"}` (position: of the row
in its request) and what was answered: `result` and `probability`, or of a quantity `result`, `low` and `high`.
Files older than serving.record_days are removed. Only the columns of the contract are kept; no header is, so no key.
"""

import contextlib
import json
import math
import os
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

WAITING_AT_MOST = 2_000  # requests


class Records:
    """The kept rows of one worker. `add` queues; the log's thread writes."""

    def __init__(self, folder: Path, release: str, version: str, *, days: int) -> None:
        self.folder = folder
        self.release = release
        self.version = version
        self.days = days
        self.lost = 0
        self.waiting: deque[tuple[datetime, bytes, dict[str, list[Any]], str]] = deque()
        self.tidied = ""

    def add(self, body: bytes, fields: dict[str, list[Any]], request_id: str) -> None:
        """Keep a scored request; `fields` are the members of its answer with an entry for each row."""
        if len(self.waiting) >= WAITING_AT_MOST:
            self.lost += 1
            return
        self.waiting.append((datetime.now(UTC), body, fields, request_id))

    def write(self) -> None:
        """Append what is waiting to the day's file; a full disk costs the rows, never an answer."""
        lines: dict[str, list[bytes]] = {}
        while self.waiting:
            at, body, fields, request_id = self.waiting.popleft()
            said = {"at": at, "release": self.release, "model_version": self.version, "request_id": request_id}
            try:
                of_request = [
                    msgspec.json.encode({**said, "position": position, "row": row, **dict(zip(fields, answer, strict=True))}) + b"\n"
                    for position, (row, *answer) in enumerate(zip(rows_of(body), *fields.values(), strict=True))
                ]
            except (ValueError, OverflowError, RecursionError):  # a text in a column that is not used need not be one of Unicode
                self.lost += len(fields["result"])
                continue
            lines.setdefault(at.date().isoformat(), []).extend(of_request)
        for day, of_day in lines.items():
            try:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                out = os.open(self.folder / f"{day}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    os.write(out, b"".join(of_day))
                finally:
                    os.close(out)
            except OSError:
                self.lost += len(of_day)
            if day != self.tidied:
                self.tidied = day
                self.tidy()

    def tidy(self) -> None:
        """Remove the files that are too old."""
        oldest = (datetime.now(UTC).date() - timedelta(days=self.days)).isoformat()
        for file in self.folder.glob("????-??-??.jsonl"):
            if file.stem < oldest:
                with contextlib.suppress(OSError):
                    file.unlink()


def rows_of(body: bytes) -> Any:
    """The rows of a request that was scored. A column that is not used may hold what no reader of JSON would take: null then."""
    try:
        return msgspec.json.decode(body)["data"]
    except msgspec.DecodeError:  # such as 1e999
        return json.loads(body, parse_float=finite)["data"]


def finite(text: str) -> float | None:
    return number if math.isfinite(number := float(text)) else None
