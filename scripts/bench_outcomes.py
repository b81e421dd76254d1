"""How long `outcomes add` and `performance` take on a prediction log of millions of rows, and how much memory.

A small project whose champion tells buyers of shops (that of tests/performance), a log of 30 days, an outcome for every other row. Each
command runs twice: the first finds a log that nobody has read, the second one whose days were read before, as every day but the first
does. Run it with the number of rows: `.venv/bin/python scripts/bench_outcomes.py --rows 10000000`; the log takes some 300 bytes a row.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pushline.data.profile.recorded import LIVE

ROOT = Path(__file__).resolve().parent.parent
DAYS = 30
LINE = (
    '{"at":"2026-11-%02dT%02d:%02d:00Z","release":"v1","model_version":"1","request_id":"d%d-%d","position":0,'
    '"row":{"basket":%.2f,"visits":%d,"channel":"web"},"result":"left","probability":%.4f}'
)
LOG = """
COPY (SELECT printf($line, $day + 1, i % 24, i % 60, $day, i, CAST(i % 1000 AS DOUBLE), i % 100, CAST(i % 997 AS DOUBLE) / 1000)
      FROM range($rows) t(i)) TO '{file}' (FORMAT csv, HEADER false, QUOTE '', DELIMITER '\x01')
"""
OUTCOMES = """
COPY (SELECT 'd' || day || '-' || i AS request_id, 0 AS position, '2026-12-20T00:00:00Z' AS known_at,
             CASE WHEN i * 7919 % 997 < i % 997 THEN 'bought' ELSE 'left' END AS outcome
      FROM range($rows) t(i), range($days) d(day) WHERE i % 2 = 0) TO '{file}' (FORMAT parquet)
"""


def write_log(live: Path, outcomes: Path, rows: int) -> None:
    """The log of as many days, and a file of outcomes."""
    import duckdb

    live.mkdir(parents=True)
    with duckdb.connect(config={"threads": 2}) as connection:
        for day in range(DAYS):
            copy = LOG.format(file=live / f"2026-11-{day + 1:02}.jsonl")
            connection.execute(copy, {"line": LINE, "day": day, "rows": rows // DAYS})
        connection.execute(OUTCOMES.format(file=outcomes), {"days": DAYS, "rows": rows // DAYS})


def timed(root: Path, *words: str) -> str:
    """A command's seconds, of the clock and of the processor, and its memory at most."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "pushline", *words], cwd=root, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    code = os.waitstatus_to_exitcode(status)
    return f"{seconds:6.1f} s, {used.ru_utime + used.ru_stime:6.1f} s of processor, {used.ru_maxrss / 1024:5.0f} MB, exit {code}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    said = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests"))
    from working_copy import copy_project

    with tempfile.TemporaryDirectory() as place:
        from performance.released import release

        folder, outcomes = Path(place) / "project", Path(place) / "outcomes.parquet"
        folder.mkdir()
        project = copy_project(ROOT, folder)
        release(project, Path(place))
        write_log(project.state / LIVE, outcomes, said.rows)
        for name, words in {
            "outcomes add, first": ("outcomes", "add", str(outcomes)),
            "outcomes add, again": ("outcomes", "add", str(outcomes)),
            "performance": ("performance", "--window", "1d", "--json"),
        }.items():
            print(f"{said.rows:,} rows, {name:20}: {timed(project.root, *words)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
