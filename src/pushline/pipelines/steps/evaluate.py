"""Measure the best model on the hold-out, and write the model folder that everything after training uses."""

import argparse
from pathlib import Path

from pushline.pipelines.steps import run_step, say, truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prepared", type=Path, required=True)
    parser.add_argument("--best-model", type=Path, required=True)
    parser.add_argument("--contract", type=Path, required=True)
    parser.add_argument("--profile", type=Path, required=True)
    parser.add_argument("--use-known-after", type=truth, required=True)
    parser.add_argument("--metric", required=True)
    parser.add_argument("--objective", required=True)
    parser.add_argument("--coverage", type=float, required=True)
    parser.add_argument("--imbalance", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--data-version", required=True)
    parser.add_argument("--git-revision", required=True)
    parser.add_argument("--generated-sample", type=truth, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--evaluation", type=Path, required=True)
    said = parser.parse_args()

    import pandas as pd

    from pushline.background import meanwhile
    from pushline.data.contract import load_contract
    from pushline.training.azure_model import import_model, is_foreign, rows_held_back
    from pushline.training.conclude import conclude
    from pushline.training.export import Origin, load_mlflow
    from pushline.training.prepare import HOLDOUT, read_counts

    holdout, contract, best_model = pd.read_parquet(said.prepared / HOLDOUT), load_contract(said.contract), said.best_model
    if is_foreign(best_model):
        place = said.evaluation / "best_model"
        rows, learned = rows_held_back(said.prepared)
        options = {"metric": said.metric, "use_known_after": said.use_known_after, "seed": said.seed, "learned": learned}
        best_model = import_model(best_model, rows, contract, place, **options)
    with meanwhile(load_mlflow):
        concluded = conclude(
            best_model,
            holdout,
            contract,
            said.profile,
            Origin(data_version=said.data_version, git_revision=said.git_revision, generated_sample=said.generated_sample),
            objective=said.objective,
            coverage=said.coverage,
            model=said.model,
            evaluation=said.evaluation,
            seed=said.seed,
            use_known_after=said.use_known_after,
            counts=read_counts(said.prepared),
        )
    seen = concluded.evaluation.metrics[concluded.evaluation.metric]
    say(
        f"{concluded.evaluation.metric} {seen.value:.4f} ({seen.low:.4f} to {seen.high:.4f}) on {concluded.evaluation.rows:,} rows held out"
    )


if __name__ == "__main__":
    run_step(main)
