"""Search for the best model within a budget of time."""

import argparse
from pathlib import Path

from pushline.pipelines.steps import run_step, say, truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--training-data", type=Path, required=True)
    parser.add_argument("--contract", type=Path, required=True)
    parser.add_argument("--use-known-after", type=truth, required=True)
    parser.add_argument("--metric", required=True)
    parser.add_argument("--imbalance", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--budget", required=True)
    parser.add_argument("--out", type=Path, required=True)
    said = parser.parse_args()

    from pushline.settings import seconds
    from pushline.training.automl.limits import SearchSettings
    from pushline.training.automl.pool import warm_up

    settings = SearchSettings(metric=said.metric, imbalance=said.imbalance, seed=said.seed, seconds=seconds(said.budget))
    warm_up()

    import pandas as pd

    from pushline.data.contract import load_contract
    from pushline.training.best_model import write_best_model
    from pushline.training.find import find_model
    from pushline.training.prepare import TRAIN

    frame = pd.read_parquet(said.training_data / TRAIN)
    best, model, labels, probabilities = find_model(
        frame, load_contract(said.contract), settings, use_known_after=said.use_known_after, tell=say
    )
    write_best_model(said.out, best, model, labels, probabilities)
    say(f"{best.algorithm}: {best.metric} {abs(best.score):.4f} out of fold")


if __name__ == "__main__":
    run_step(main)
