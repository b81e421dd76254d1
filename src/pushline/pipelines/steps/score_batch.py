"""Score every row of a file with a model."""

import argparse
from pathlib import Path

from pushline.pipelines.steps import run_step, say, truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--strict", type=truth, required=True)
    parser.add_argument("--model-version", required=True)
    parser.add_argument("--scores", type=Path, required=True)
    said = parser.parse_args()

    from pushline.batch.job import Options, score_batch
    from pushline.serving.model_folder import read_contract

    options = Options(delimiter=read_contract(said.model).delimiter, strict=said.strict)
    ended = score_batch(str(said.rows), said.scores / "scores.parquet", said.model, said.model_version, options=options, progress=say)
    say(f"{ended.scored:,} rows scored, {ended.rejected:,} set aside, {ended.rows_per_second:,.0f} rows/s")


if __name__ == "__main__":
    run_step(main)
