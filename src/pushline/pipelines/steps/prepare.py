"""Clean the table and put every row for good on one side of the split."""

import argparse
from pathlib import Path

from pushline.pipelines.steps import run_step, say, truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--contract", type=Path, required=True)
    parser.add_argument("--holdout", type=float, required=True)
    parser.add_argument("--held-back", type=float, required=True)
    parser.add_argument("--use-known-after", type=truth, required=True)
    parser.add_argument("--out", type=Path, required=True)
    said = parser.parse_args()

    from pushline.data.contract import load_contract
    from pushline.training.prepare import prepare, write_prepared

    contract, shares = load_contract(said.contract), {"holdout": said.holdout, "held_back": said.held_back}
    prepared = prepare(said.data, contract, **shares, use_known_after=said.use_known_after)
    write_prepared(prepared, said.out)
    counts = prepared.counts
    say(f"{counts.rows:,} rows: {counts.train:,} to train on, {counts.holdout:,} held out, {sum(counts.rejected.values()):,} rejected")


if __name__ == "__main__":
    run_step(main)
