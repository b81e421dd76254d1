"""What the drift check says of resamples and of shifted copies of a labelled file: the table of docs/decisions.

    python scripts/drift_evidence.py FILE [--samples 200]

Samples come from the data of the profile, so any alarm is a false one. The shifts are of the example's columns.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from pushline.data.contract import Contract, load_contract
from pushline.data.profile import Profile, load_profile, profile_of
from pushline.data.profile.drift import Drift, drift_of_view

SIZES = (250, 500, 1000, 2500, 5000, 10_000, 30_000)
Change = Callable[[pd.DataFrame, np.random.Generator], Any]


def some(rows: pd.DataFrame, random: np.random.Generator, share: float) -> np.ndarray[Any, Any]:
    """A mask that holds for about `share` of the rows."""
    return random.random(len(rows)) < share


def set_some(column: str, value: str, share: float) -> Change:
    return lambda rows, random: {column: rows[column].mask(some(rows, random, share), value)}


def flip(rows: pd.DataFrame, random: np.random.Generator, share: float) -> Any:
    other = rows["contact"].map({"cellular": "telephone", "telephone": "cellular"})
    return {"contact": rows["contact"].mask(some(rows, random, share), other)}


def more_of(column: str, value: str, times: float) -> Change:
    """Rows with `value` become `times` as frequent: other rows give way to copies of them."""

    def change(rows: pd.DataFrame, random: np.random.Generator) -> Any:
        have = rows[column] == value
        wanted = min(round(times * have.sum()), len(rows))
        return pd.concat(
            [rows[have].sample(wanted, replace=True, random_state=random), rows[~have].sample(len(rows) - wanted, random_state=random)]
        )

    return change


# what must be caught at 5,000 rows: the change, and the column that must be named
CAUGHT: dict[str, tuple[Change, str]] = {
    "age + 5": (lambda rows, random: {"age": rows["age"] + 5}, "age"),
    "age x 1.2": (lambda rows, random: {"age": (rows["age"] * 1.2).round().astype("int64")}, "age"),
    "25 % of job to technician": (set_some("job", "technician", 0.25), "job"),
    "contact 30 % flipped": (lambda rows, random: flip(rows, random, 0.3), "contact"),
    "campaign x 2": (lambda rows, random: {"campaign": rows["campaign"] * 2}, "campaign"),
    "education unknown + 15 points": (set_some("education", "unknown", 0.15 / 0.958), "education"),
    "a new job at 5 %": (set_some("job", "astronaut", 0.05), "job"),
    "marital constant": (lambda rows, random: {"marital": "married"}, "marital"),
    "poutcome success x 3": (more_of("poutcome", "success", 3), "poutcome"),
    "share of yes doubled": (more_of("y", "yes", 2), "y"),
}
# smaller changes, told for comparison
TOLD: dict[str, tuple[Change, str]] = {
    "age + 2": (lambda rows, random: {"age": rows["age"] + 2}, "age"),
    "age + 1": (lambda rows, random: {"age": rows["age"] + 1}, "age"),
    "contact 15 % flipped": (lambda rows, random: flip(rows, random, 0.15), "contact"),
    "a new job at 1 %": (set_some("job", "astronaut", 0.01), "job"),
    "10 % of job to technician": (set_some("job", "technician", 0.1), "job"),
    "2 % of age missing": (lambda rows, random: {"age": rows["age"].astype("Int64").mask(some(rows, random, 0.02))}, "age"),
    "share of yes x 1.5": (more_of("y", "yes", 1.5), "y"),
}


def shifted(rows: pd.DataFrame, change: Change, random: np.random.Generator) -> pd.DataFrame:
    made = change(rows, random)
    return made if isinstance(made, pd.DataFrame) else rows.assign(**made)


def drift(rows: pd.DataFrame, contract: Contract, profile: Profile) -> Drift:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("data", rows)
        return drift_of_view(connection, contract, profile, "evidence")


def samples(rows: pd.DataFrame, contract: Contract, profile: Profile, count: int, *, halves: bool) -> None:
    """Print for each size: columns over their threshold in `count` samples, and the closest call (index / threshold, column).

    Samples are drawn with replacement from all rows; or, with `halves`, from one random half of the rows against the
    profile of the other half, ten from each pair of halves.
    """
    against = "profile of the other half" if halves else "profile of the same rows"
    head("rows", f"columns over their threshold in {count} samples, {against}", "closest call, index / threshold")
    for size in SIZES:
        if halves and size > len(rows) // 2:
            continue
        alarms, closest, column = 0, 0.0, ""
        pool = rows
        for seed in range(count):
            if halves and seed % 10 == 0:
                pool = rows.sample(frac=0.5, random_state=seed)
                profile = profile_of_rows(rows.drop(pool.index), contract)
            seen = drift(pool.sample(size, replace=not halves, random_state=seed), contract, profile)
            for each in seen.columns:
                ratio = (each.statistic or 0) / (each.threshold or 1)
                if each.verdict != "time":
                    alarms += ratio > 1
                    closest, column = max((closest, column), (ratio, each.column))
        print(f"| {size:,} | {alarms} | {closest:.2f} ({column}) |", flush=True)


def profile_of_rows(rows: pd.DataFrame, contract: Contract) -> Profile:
    with tempfile.TemporaryDirectory() as folder:
        rows.to_parquet(Path(folder) / "t.parquet", index=False)
        return profile_of(Path(folder) / "t.parquet", contract, "")


def head(*names: str) -> None:
    print(f"\n| {' | '.join(names)} |\n|{' --- |' * len(names)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--samples", type=int, default=200)
    asked = parser.parse_args()
    checks = Path(__file__).resolve().parent.parent / "data_checks"
    contract, profile = load_contract(checks / "contract.yml"), load_profile(checks / "profile.json")
    rows = pd.read_csv(asked.file)
    samples(rows, contract, profile, asked.samples, halves=False)
    samples(rows, contract, profile, asked.samples, halves=True)
    head("change at 5,000 rows", "index", "threshold", "verdict", "caught in 20 draws", "other columns named")
    for name, (change, column) in {**CAUGHT, **TOLD}.items():
        caught, others = 0, set()
        for seed in range(20):
            random = np.random.default_rng(seed)
            seen = drift(shifted(rows.sample(5000, random_state=seed), change, random), contract, profile)
            own = next(each for each in seen.columns if each.column == column)
            caught += own.verdict == "drift"
            others |= set(seen.drifted) - {column}
        print(f"| {name} | {own.statistic:.4f} | {own.threshold:.4f} | {own.verdict} | {caught} | {', '.join(sorted(others)) or 'none'} |")


if __name__ == "__main__":
    main()
