"""What score-batch costs, beside the usual way with the same fit: read_csv, mlflow.pyfunc predict, to_csv.

Both sides read the same CSV of generated rows and write a CSV with all its columns and the score. The fit is an OrdinalEncoder
with LightGBM's defaults; the peer loads it as an mlflow.sklearn pyfunc, ours as the graph made of it, with validation on. Each
run is a process of its own, imports included. `make bench-batch` writes docs/bench/batch.md; `--rows N` (repeatable) takes other
sizes, `--print` writes no page.
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
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BLOCK = 50_000
SIZES = (100_000, 1_000_000, 10_000_000)
PEER_HOLDS = 1_000_000
RUNS = 3  # of which the median counts; one for the largest size
PAGE = ROOT / "docs" / "bench" / "batch.md"


@dataclass(frozen=True)
class Cost:
    """Of one process."""

    wall: float
    cpu: float
    memory: float  # MB


def measure(command: list[str]) -> Cost:
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[2:5]} ended with {process.returncode}")
    return Cost(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def make_rows(file: Path, rows: int) -> None:
    """Generated rows, BLOCK of them distinct, repeated to the size."""
    from pushline.data.contract import load_contract
    from pushline.data.profile import load_profile
    from pushline.data.profile.sample import sample_rows

    contract = load_contract(ROOT / "data_checks" / "contract.yml")
    block = sample_rows(load_profile(ROOT / "data_checks" / "profile.json"), contract, min(rows, BLOCK), seed=11)
    text = block.to_csv(index=False, lineterminator="\n").encode()
    header, body = text.split(b"\n", 1)
    with file.open("wb") as stream:
        stream.write(header + b"\n")
        for _ in range(max(1, rows // BLOCK)):
            stream.write(body)


def make_models(folder: Path) -> None:
    """The same fit twice: an mlflow.sklearn model with probabilities, and a model folder."""
    from fixed_model import fit_fixed, save_as_folder, save_as_mlflow

    fixed = fit_fixed(ROOT)
    save_as_folder(fixed, folder / "ours")
    save_as_mlflow(fixed, folder / "peer")


def as_ours(model: str, rows: str, out: str) -> None:
    from pushline.batch.job import Options, score_batch

    score_batch(rows, Path(out), Path(model), "1", options=Options(), progress=lambda line: None)


def as_peer(model: str, rows: str, out: str) -> None:
    import mlflow.pyfunc
    import pandas as pd

    frame = pd.read_csv(rows, keep_default_na=False)
    loaded = mlflow.pyfunc.load_model(model)
    frame["probability"] = loaded.predict(frame)[:, 1]
    frame.to_csv(out, index=False)


def apart(ours: Path, peer: Path) -> float:
    """The share of rows whose scores differ between the two files. A value that no training row has can lie on the very
    threshold of a tree, where single precision (ours) and double (this peer's fit) part: that is one row in ten thousand at most.
    """
    import pandas as pd

    columns = [pd.read_csv(file, usecols=["probability"])["probability"] for file in (ours, peer)]
    return float(((columns[0] - columns[1]).abs() > 1e-5).mean())


def median(costs: list[Cost]) -> Cost:
    return sorted(costs, key=lambda cost: cost.wall)[len(costs) // 2]


def bench(sizes: list[int], folder: Path) -> list[str]:
    make_models(folder)
    lines = [
        "| rows | | wall s | rows/s | CPU s | peak MB | peer's wall / ours |",
        "|--:|---|--:|--:|--:|--:|--:|",
    ]
    for rows in sizes:
        table = folder / "rows.csv"
        make_rows(table, rows)
        sides: dict[str, list[Cost]] = {"score-batch": []}
        if rows <= PEER_HOLDS:
            sides["read_csv, pyfunc, to_csv"] = []
        for _ in range(RUNS if rows <= PEER_HOLDS else 1):  # in turns, so that noise meets both
            for side, costs in sides.items():
                kind, model = ("ours", "ours") if side == "score-batch" else ("peer", "peer")
                costs.append(
                    measure([sys.executable, __file__, "--as", kind, str(folder / model), str(table), str(folder / f"{kind}.csv")])
                )
        if rows <= PEER_HOLDS and (share := apart(folder / "ours.csv", folder / "peer.csv")) > 1e-4:
            raise RuntimeError(f"the two sides' scores differ in {share:.2%} of the rows")
        ours = median(sides["score-batch"])
        for side, costs in sides.items():
            cost = median(costs)
            ratio = f"{cost.wall / ours.wall:.1f}" if side != "score-batch" else ""
            lines.append(
                f"| {rows:,} | {side} | {cost.wall:.2f} | {rows / cost.wall:,.0f} | {cost.cpu:.1f} | {cost.memory:,.0f} | {ratio} |"
            )
        print(*lines[-len(sides) :], sep="\n", flush=True)
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--print", action="store_true", dest="only_print")
    parser.add_argument("--as", nargs=4, metavar=("KIND", "MODEL", "ROWS", "OUT"), dest="worker")
    said = parser.parse_args()
    if said.worker:
        kind, *paths = said.worker
        {"ours": as_ours, "peer": as_peer}[kind](*paths)
        return 0
    folder = Path(tempfile.mkdtemp(prefix="bench-batch-", dir=os.environ.get("TMPDIR")))
    try:
        lines = bench(said.rows or list(SIZES), folder)
    finally:
        shutil.rmtree(folder)
    if not said.only_print:
        write_page(lines)
    return 0


def write_page(lines: list[str]) -> None:
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    text: Any = [
        "# Batch scoring, measured",
        "",
        f"Made by `make bench-batch` on {machine}; CSV in, CSV with all columns and the score out, validation on.",
        "Each figure is of a whole process, imports included.",
        "The fit is the same on both sides (OrdinalEncoder and LightGBM's defaults); their scores agree",
        "within 1e-5 in all but at most one row in ten thousand, where a value lies on a tree's threshold.",
        "",
        *lines,
        "",
    ]
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
