"""How long people wait for the commands they use most: until the first word, and until the end.

`make bench-commands` clones the checkout, adopts and delivers a table of 5,000 rows there, and times each command as a process of its
own whose output goes to a pipe, as in a log. `--project FOLDER --program PUSHLINE` takes a clone that is there, such as one of an
earlier commit; `--only WORD` the commands that have this word in them.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
TABLES = {"rows": (5_000, 14), "wide": (5_000, 400), "long": (2_000_000, 10)}  # rows and columns beside the label
SMALL = {"PUSHLINE_TRAINING__LOCAL_BUDGET": "5s", "PUSHLINE_LOAD__SECONDS": "3", "PUSHLINE_PROMOTION__SKILL": "0.001"}


def table(rows: int, columns: int) -> pd.DataFrame:
    """Amounts, kinds and counts, of which three tell something of the label."""
    random = np.random.default_rng(3)
    made: dict[str, np.ndarray] = {}
    for place in range(columns):
        if place % 3 == 0:
            made[f"amount_{place}"] = np.round(random.gamma(3, 60, rows), 2)
        elif place % 3 == 1:
            made[f"kind_{place}"] = random.choice(["north", "south", "east", "west"], rows)
        else:
            made[f"count_{place}"] = random.poisson(20 + place, rows)
    odds = (made["amount_0"] - 180) / 100 + (made["kind_1"] == "north") - 2.2
    return pd.DataFrame({**made, "bought": np.where(random.random(rows) < 1 / (1 + np.exp(-odds)), "yes", "no")})


def timed(program: Path, command: Sequence[str], project: Path, environment: dict[str, str]) -> tuple[float, float, float, int]:
    """Seconds to the first byte on either stream, to the end, and of processors; and the exit code."""
    begun = time.monotonic()
    process = subprocess.Popen(
        [program, *command], cwd=project, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    process.stdout.read(1)
    first = time.monotonic() - begun
    process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return first, time.monotonic() - begun, usage.ru_utime + usage.ru_stime, process.returncode


def deliver(project: Path, scratch: Path, environment: dict[str, str], program: Path) -> None:
    """Adopt the small table, and deliver it."""
    for command in (["adopt", str(scratch / "rows.csv"), "--label", "bought", "--apply"], ["run"]):
        subprocess.run([program, *command], cwd=project, env=environment, check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, help="a project that delivered, in place of a fresh copy")
    parser.add_argument("--program", type=Path, default=Path(sys.prefix) / "bin" / "pushline", help="the pushline to time")
    parser.add_argument("--only", default="", help="a word of the commands to time")
    asked = parser.parse_args()
    environment = {**os.environ, **SMALL}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for name, (rows, columns) in TABLES.items():
            table(rows, columns).to_csv(scratch / f"{name}.csv", index=False)
        project = asked.project or scratch / "project"
        if asked.project is None:
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(project)], check=True)
            (project / ".venv").symlink_to(Path(sys.prefix), target_is_directory=True)

        def show(*command: str) -> None:
            said = " ".join(Path(word).name if "/" in word else word for word in command)
            if asked.only in said:
                first, end, cpu, code = timed(asked.program, command, project, environment)
                sys.stdout.write(f"| {said} | {first:.2f} | {end:.2f} | {cpu:.2f} | {code} |\n")
                sys.stdout.flush()

        sys.stdout.write("| command | first word, s | end, s | CPU, s | exit code |\n|---|--:|--:|--:|--:|\n")
        try:
            for name in TABLES:
                show("adopt", str(scratch / f"{name}.csv"), "--label", "bought")
            if asked.only.startswith("adopt"):
                return
            deliver(project, scratch, environment, asked.program)
            small = str(scratch / "rows.csv")
            for command in (["check-data", small], ["status"], ["evaluate", small], ["doctor"], ["releases"], ["keys", "show"]):
                show(*command)
            for command in (["score", small], ["open", "--json"], ["stop"], ["start"], ["run"]):
                show(*command)
        finally:
            with contextlib.suppress(OSError):
                subprocess.run([asked.program, "stop"], cwd=project, env=environment, capture_output=True, check=False)


if __name__ == "__main__":
    main()
