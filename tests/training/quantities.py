"""A table whose label is a quantity, with columns of every kind and missing values."""

from typing import Any

import numpy as np
import pandas as pd

from pushline.data.contract import Contract, parse_contract

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
