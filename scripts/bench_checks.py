"""What check-data costs, beside Great Expectations on pandas and beside one hand-written DuckDB query.

Each contender is a process of its own that reads the same CSV file: wall clock, CPU of all its threads, and peak memory are
the system's figures for the whole process, imports included. `make bench-checks` writes docs/bench/checks.md; it needs about
10 GB of disk and some minutes. `--rows N` (repeatable) takes other sizes, `--print` writes no page.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = 33_000  # generated rows; larger tables repeat them with one number made distinct per repetition
SIZES = (33_000, 3_300_000, 33_000_000)
FITS_PANDAS = 5_000_000  # above, pandas would need over 20 GB
PAGE = ROOT / "docs" / "bench" / "checks.md"


@dataclass(frozen=True)
class Cost:
    """Of one process: seconds and megabytes."""

    contender: str
    rows: int
    wall: float
    cpu: float
    memory: float


def measure(contender: str, rows: int, command: list[str]) -> Cost:
    """Run a command to its end. Raises RuntimeError where it fails: a cost of not finishing is no cost."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - started
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{contender} at {rows:,} rows ended with {process.returncode}:\n{said.read().decode()[-2000:]}")
    return Cost(contender, rows, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def make_csv(file: Path, rows: int) -> None:
    """A sound table of generated rows, none of them equal."""
    from pushline.data.contract import load_contract
    from pushline.data.profile import load_profile
    from pushline.data.profile.sample import sample_rows

    contract = load_contract(ROOT / "data_checks" / "contract.yml")
    block = sample_rows(load_profile(ROOT / "data_checks" / "profile.json"), contract, BLOCK, seed=1).drop_duplicates()
    distinct = next(column.name for column in reversed(contract.columns) if column.type == "number")
    place = list(block.columns).index(distinct)
    parts = [
        (",".join(map(str, row[:place])), float(row[place]), ",".join(map(str, row[place + 1 :]))) for row in block.itertuples(index=False)
    ]
    with file.open("w", encoding="utf-8") as stream:
        stream.write(",".join(block.columns) + "\n")
        for repeat in range(-(-rows // len(parts))):
            shift = (repeat * 1_000_003 % 999_983) / 1e7
            some = parts[: rows - repeat * len(parts)]
            stream.write("".join([f"{before},{value + shift:.7f},{after}\n" for before, value, after in some]))


def project_without_duplicates(folder: Path) -> None:
    """A project whose contract tolerates any share of repeated rows, which leaves the check out."""
    project_with_duplicates(folder)
    contract = folder / "data_checks" / "contract.yml"
    lines = [line for line in contract.read_text().splitlines() if not line.startswith("duplicates_at_most")]
    place = next(number for number, line in enumerate(lines) if line.startswith("name:"))
    contract.write_text("\n".join([*lines[:place], "duplicates_at_most: 1.0", *lines[place:]]) + "\n")


def project_with_duplicates(folder: Path) -> None:
    """The project's checks as they are."""
    shutil.copytree(ROOT / "data_checks", folder / "data_checks")
    shutil.copy(ROOT / "pyproject.toml", folder)


def gx_on_pandas(file: str) -> int:
    """The same expectations on pandas, as most people run Great Expectations; rules as pandas row conditions are left out."""
    import pandas as pd

    from pushline.data.checks.suite import checks_of
    from pushline.data.checks.validate import great_expectations, quiet_context
    from pushline.data.contract import load_contract

    gx = great_expectations()
    contract = load_contract(ROOT / "data_checks" / "contract.yml")
    checks = [check for check in checks_of(contract, (), [column.name for column in contract.columns]) if not check.is_query]
    suite = gx.ExpectationSuite("contract", expectations=[getattr(gx.expectations, c.expectation)(**c.options) for c in checks])
    source = quiet_context(gx).data_sources.add_pandas("table")
    batch = source.add_dataframe_asset("data").add_batch_definition_whole_dataframe("all")
    return int(not batch.get_batch({"dataframe": pd.read_csv(file)}).validate(suite, result_format="BOOLEAN_ONLY").success)


def by_hand(file: str) -> int:
    """The same checks as one query that a person would write for this table: counts only, no lines, no root causes."""
    import duckdb

    from pushline.data.contract import load_contract
    from pushline.data.files.table import TYPES, literal, name_of
    from pushline.data.rules import broken, load_rules, valid_values

    contract = load_contract(ROOT / "data_checks" / "contract.yml")
    wrong = [f"sum(CASE WHEN {name_of(c.name)} IS NULL THEN 1 ELSE 0 END)" for c in contract.columns]
    wrong += [f"sum(CASE WHEN NOT ({valid_values(c)}) THEN 1 ELSE 0 END)" for c in contract.columns if valid_values(c)]
    wrong += [
        f"sum(CASE WHEN {broken(rule, contract)} THEN 1 ELSE 0 END)" for rule in load_rules(ROOT / "data_checks" / "rules.py", contract)
    ]
    columns = ", ".join(f"{literal(c.name)}: '{TYPES[c.type]}'" for c in contract.columns)
    with duckdb.connect(config={"threads": 2, "memory_limit": "300MB"}) as connection:
        connection.execute("SET enable_progress_bar = false")
        relation = f"read_csv({literal(file)}, columns={{{columns}}}, header=true)"
        answer = connection.execute(f"SELECT {', '.join(wrong)} FROM {relation}")  # noqa: S608  names of the contract, quoted
        return int(any(answer.fetchone() or (1,)))


def contenders(file: Path, rows: int, scratch: Path) -> list[Cost]:
    me = [sys.executable, str(Path(__file__).resolve())]
    without, whole = scratch / "without", scratch / "with"
    check = [sys.executable, "-m", "pushline", "--project"]
    costs = [
        measure("pushline check-data, without the duplicate check", rows, [*check, str(without), "check-data", "--json", str(file)]),
        measure("pushline check-data", rows, [*check, str(whole), "check-data", "--json", str(file)]),
    ]
    if rows <= FITS_PANDAS:
        costs.append(measure("Great Expectations on pandas", rows, [*me, "--as", "pandas", str(file)]))
    costs.append(measure("one DuckDB query by hand", rows, [*me, "--as", "query", str(file)]))
    return costs


def page(costs: list[Cost]) -> str:
    rows = [f"| {c.rows:,} | {c.contender} | {c.wall:.1f} | {c.cpu:.1f} | {c.memory:,.0f} |" for c in costs]
    return "\n".join(
        [
            "# What check-data costs",
            "",
            "Made by `make bench-checks`. Each line is one process on the same CSV file, imports included; CPU is of all its threads.",
            "check-data reads the file for its bytes, for the typed table and for the data version, and runs the",
            "whole suite with rules, classes and constants. Great Expectations on pandas has the columns' expectations only, its verdict",
            "only; at 33 million rows it would need over 20 GB by extrapolation and was not tried. The query counts the same faults,",
            "tells no line and no cause. Of the smallest size nearly all is the import of Great Expectations.",
            "",
            "| rows | who | wall, s | CPU, s | peak memory, MB |",
            "| --: | --- | --: | --: | --: |",
            *rows,
            "",
            f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
            f"load average at the end {os.getloadavg()[0]:.1f}. "
            "On a busy machine the wall clock grows, CPU and memory hardly do.",
            "",
        ]
    )


def run(sizes: list[int], place: Path, *, write: bool) -> int:
    place.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="bench-checks-", dir=place))
    costs: list[Cost] = []
    try:
        project_without_duplicates(scratch / "without")
        project_with_duplicates(scratch / "with")
        for rows in sizes:
            file = scratch / f"{rows}.csv"
            subprocess.run([sys.executable, str(Path(__file__).resolve()), "--as", f"rows:{rows}", str(file)], check=True)
            print(f"{rows:,} rows, {file.stat().st_size / 1e6:,.0f} MB")
            for cost in contenders(file, rows, scratch):
                costs.append(cost)
                print(f"  {cost.contender}: {cost.wall:.1f} s, {cost.cpu:.1f} s CPU, {cost.memory:,.0f} MB", flush=True)
            file.unlink()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if write:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page(costs))
        print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, action="append", help="a size instead of the usual ones")
    parser.add_argument("--print", action="store_true", dest="only_print", help="write no page")
    parser.add_argument("--scratch", type=Path, default=ROOT / "build", help="where the files are made; removed afterwards")
    parser.add_argument("--as", dest="part", help=argparse.SUPPRESS)
    parser.add_argument("file", nargs="?", help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.part and said.part.startswith("rows:"):
        make_csv(Path(said.file), int(said.part.removeprefix("rows:")))
        return 0
    if said.part:
        return {"pandas": gx_on_pandas, "query": by_hand}[said.part](said.file)
    return run(said.rows or list(SIZES), said.scratch.resolve(), write=not said.only_print)


if __name__ == "__main__":
    sys.exit(main())
