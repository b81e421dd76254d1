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
    parser.add_argument("--timeout-minutes", type=float)
    parser.add_argument("--trial-timeout-minutes", type=float)
    parser.add_argument("--max-trials", type=int)
    parser.add_argument("--max-concurrent-trials", type=int)
    parser.add_argument("--enable-early-termination", type=truth, default=True)
    parser.add_argument("--exit-score", type=float)
    parser.add_argument("--n-cross-validations", type=int, default=5)
    parser.add_argument("--allowed-training-algorithms", default="")
    parser.add_argument("--blocked-training-algorithms", default="")
    parser.add_argument("--enable-vote-ensemble", type=truth, default=True)
    parser.add_argument("--out", type=Path, required=True)
    said = parser.parse_args()

    from pushline.training.automl.limits import settings_of
    from pushline.training.automl.pool import warm_up

    settings = settings_of(said)
    warm_up()

    import numpy as np
    import pandas as pd

    from pushline.data.contract import load_contract
    from pushline.stopping import asked_to_stop
    from pushline.training.best_model import write_best_model
    from pushline.training.find import find_model
    from pushline.training.prepare import BELONGS, TRAIN

    frame = pd.read_parquet(said.training_data / TRAIN)
    belongs = np.load(said.training_data / BELONGS) if (said.training_data / BELONGS).is_file() else None
    options = {"use_known_after": said.use_known_after, "progress": say, "stop": asked_to_stop, "belongs": belongs}
    best, *made = find_model(frame, load_contract(said.contract), settings, **options)
    write_best_model(said.out, best, *made)
    say(f"{best.algorithm}: {best.metric} {abs(best.score):.4f} out of fold, after {best.seconds:.0f} s: {best.stopped}")


if __name__ == "__main__":
    run_step(main)
