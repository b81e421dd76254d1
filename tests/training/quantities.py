"""A table whose label is a quantity, with columns of every kind and missing values."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pushline.data.contract import Contract, parse_contract
from pushline.data.contract.encoding import encode_frame, encoding_of

SHAPES = ["flat", "round", "square"]


def quantity_contract(**more: Any) -> Contract:
    columns = [
        {"name": "size", "type": "number", "missing_at_most": 0.5},
        {"name": "count", "type": "integer", "minimum": 0, "maximum": 50},
        {"name": "shape", "type": "string", "allowed": SHAPES, "missing_at_most": 0.5, "sensitive": True},
        {"name": "new", "type": "boolean"},
        {"name": "price", "type": "number", "role": "label", "minimum": 0},
    ]
    return parse_contract({"name": "things", "task": "regression", "columns": columns, **more})


def quantity_table(rows: int, seed: int, *, missing: float = 0.1) -> pd.DataFrame:
    """Prices above 0 whose noise grows with them."""
    random = np.random.default_rng(seed)
    size, count, shape = random.normal(size=rows), random.integers(0, 30, rows), random.integers(0, 3, rows)
    new = random.random(rows) < 0.3
    middle = 20 + 8 * size + 0.9 * count + 6 * (shape == 2) + 4 * new
    price = np.maximum(0.5, middle) * random.lognormal(0, 0.15, rows)
    frame = pd.DataFrame({"size": size, "count": count, "shape": np.array(SHAPES, dtype=object)[shape], "new": new, "price": price})
    frame.loc[random.random(rows) < missing, "size"] = None
    frame.loc[random.random(rows) < missing, "shape"] = None
    return frame


def quantity_model(folder: Path, learn: pd.DataFrame) -> Path:
    """A model folder of a LightGBM fitted on `learn`, whose interval holds nine of ten rows of another sample."""
    from lightgbm import LGBMRegressor

    from pushline.training.export import Origin, write_model_folder
    from pushline.training.graph import Calibration, matrix_graph
    from pushline.training.interval import fit_interval, with_interval
    from pushline.training.trees import trees_of

    contract, held, level = quantity_contract(), quantity_table(900, 2), 0.9
    encoding = encoding_of(contract.features())
    trees = LGBMRegressor(n_estimators=20, num_leaves=7, random_state=1, n_jobs=1, verbose=-1).fit(
        encode_frame(encoding, learn), learn["price"]
    )
    graph = matrix_graph([trees_of(trees, 1)], [1.0], Calibration(), columns=len(encoding.columns), classes=1).SerializeToString()
    interval = fit_interval(held["price"].to_numpy(), trees.predict(encode_frame(encoding, held))[:, None], level, contract.label)
    origin = Origin(data_version="0" * 16, git_revision="unknown")
    said = {"threshold": None, "level": level, "algorithm": "LightGBM", "golden": held.head(20), "origin": origin, "card": "# Card\n"}
    write_model_folder(folder, with_interval(graph, interval), contract, encoding, **said)
    return folder
