"""Real model folders in seconds, for tests of what comes after training."""

from pathlib import Path

import pandas as pd

from pushline.data.contract import load_contract
from pushline.data.files.reading import read_file
from pushline.project import Project
from pushline.settings import load_settings
from pushline.training.automl.limits import SearchSettings
from pushline.training.best_model import write_best_model
from pushline.training.conclude import conclude
from pushline.training.export import Origin
from pushline.training.find import find_model
from pushline.training.prepare import prepare


def make_model_folder(csv: Path, project: Project, out: Path, budget_s: float = 5.0, *, trials: int | None = 1) -> Path:
    """Train on the table in `csv` as `pushline train` does, without the pipeline, and return the model folder below `out`.

    Beside it lie `holdout.parquet` (rows the model never saw), `best_model/` and `evaluation/`. With a number of `trials`
    the result does not hang on the machine's speed.
    """
    contract = load_contract(project.contract)
    table = out / "table.parquet"
    assert read_file(csv, contract, out, table).parts == table
    prepared = prepare(table, contract, holdout=load_settings(project.root, {}).training.holdout)
    prepared.holdout.to_parquet(out / "holdout.parquet", index=False)
    settings = SearchSettings(seconds=budget_s, max_trials=trials)
    made = find_model(prepared.train, contract, settings, use_known_after=False, progress=lambda line: None)
    write_best_model(out / "best_model", *made)
    conclude(
        out / "best_model",
        prepared.holdout,
        contract,
        project.profile,
        Origin(data_version="0" * 16, git_revision=project.git_revision),
        objective="f1",
        model=out / "model",
        evaluation=out / "evaluation",
        seed=settings.seed,
        use_known_after=False,
    )
    return out / "model"


def table_csv_of(frame: pd.DataFrame, file: Path) -> Path:
    """The rows as the CSV file that check-data reads."""
    frame.to_csv(file, index=False)
    return file
