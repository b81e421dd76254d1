"""Small real models for the registry's tests: a table of shops, a LightGBM, a whole model folder."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pushline.data.contract import Contract, parse_contract
from pushline.data.contract.encoding import encode_frame, encoding_of
from pushline.data.contract.split import split_id
from pushline.registry.mlflow_store import quietly
from pushline.results import Interval, TrainResult
from pushline.training.export import Origin, write_model_folder
from pushline.training.graph import Calibration, matrix_graph
from pushline.training.trees import trees_of
from signed import signed

CONTRACT = parse_contract(
    {
        "name": "shops",
        "positive": "bought",
        "columns": [
            {"name": "basket", "type": "number", "minimum": 0, "maximum": 1000},
            {"name": "visits", "type": "integer", "minimum": 0, "maximum": 100},
            {"name": "channel", "type": "string", "allowed": ["web", "shop", "phone"]},
            {"name": "outcome", "type": "string", "role": "label", "allowed": ["left", "bought"]},
        ],
    }
)


def shops(rows: int, seed: int) -> pd.DataFrame:
    """Rows in which the label follows from the others with noise: about 15 % bought."""
    random = np.random.default_rng(seed)
    basket, visits = random.uniform(0, 1000, rows), random.integers(0, 100, rows)
    channel = random.choice(["web", "shop", "phone"], rows)
    odds = -4.5 + basket / 250 + visits / 60 + (channel == "shop") * 0.8
    bought = random.uniform(size=rows) < 1 / (1 + np.exp(-odds))
    frame = pd.DataFrame({"basket": basket, "visits": visits, "channel": channel})
    return frame.assign(outcome=np.where(bought, "bought", "left"))


def make_model(folder: Path, train: pd.DataFrame, *, contract: Contract = CONTRACT, trees: int = 60, generated: bool = False) -> Path:
    """A model folder of a LightGBM fitted on `train`."""
    import lightgbm

    encoding = encoding_of(contract.features())
    codes = train[contract.label.name].map({name: code for code, name in enumerate(contract.classes)}).to_numpy()
    fitted = lightgbm.LGBMClassifier(n_estimators=trees, num_leaves=8, learning_rate=0.1, n_jobs=1, verbose=-1, random_state=1)
    fitted.fit(encode_frame(encoding, train), codes)
    graph: Any = matrix_graph([trees_of(fitted, 2)], [1.0], Calibration(), columns=len(encoding.columns), classes=2)
    with quietly():
        write_model_folder(
            folder,
            graph if isinstance(graph, bytes) else graph.SerializeToString(),
            contract,
            encoding,
            threshold=0.3,
            algorithm="lightgbm",
            golden=train.head(5),
            origin=Origin(data_version="d1", git_revision="abc", generated_sample=generated),
            card="# A model of shops\n",
        )
    return signed(folder)


def trained(model: Path, holdout: Path, run_id: str, *, metric: str = "average_precision", generated: bool = False) -> TrainResult:
    """What the train stage would leave of it."""
    return TrainResult(
        run_id=run_id,
        model=str(model),
        algorithm="lightgbm",
        metric=metric,
        metrics={metric: Interval(value=0.5, low=0.4, high=0.6)},
        threshold=0.3,
        objective="f1",
        leaderboard=(),
        train_rows=1000,
        holdout_rows=1000,
        holdout=str(holdout),
        evaluation="",
        card="",
        data_version="d1",
        contract_hash=CONTRACT.hash,
        git_revision="abc",
        generated_sample=generated,
        split=split_id(CONTRACT),
        held_out=0.1,
    )


def log(store: Any, model: Path, **tags: str) -> str:
    """Log a training run of the model, as the train stage does."""
    run: str = store.log_training(
        parameters={"seed": 7},
        metrics={"average_precision": 0.5},
        tags={"git_revision": "abc", **tags},
        dataset={"name": "shops", "version": "d1", "digest": "d1", "source": "shops.csv"},
        model=model,
        artifacts={"card": model / "card.md"},
    )
    return run
