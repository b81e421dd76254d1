"""Tables of other kinds than the shipped example: two or three classes, missing values, booleans, odd names."""

from typing import Any

import numpy as np
import pandas as pd

from pushline.data.contract import Contract, parse_contract

COLORS = ["blue", "green", "red", "unknown"]


def odd_contract(*, classes: int = 2, derived: list[dict[str, str]] | None = None) -> Contract:
    """A number and an integer that may be missing, a required integer, a text that may be missing, two booleans."""
    names = ["bad", "good"] if classes == 2 else ["bad", "fair", "good"]
    content: dict[str, Any] = {
        "name": "odd",
        "title": "Odd things",
        "description": "One row is one thing.",
        "columns": [
            {"name": "matrix", "type": "number", "missing_at_most": 0.5},
            {"name": "size in cm", "type": "integer", "minimum": 0, "maximum": 500, "missing_at_most": 0.5},
            {"name": "count", "type": "integer", "minimum": 0, "maximum": 50, "sensitive": True},
            {"name": "label", "type": "string", "allowed": COLORS, "missing_at_most": 0.5, "sensitive": True},
            {"name": "is.new", "type": "boolean"},
            {"name": "seen", "type": "boolean", "missing_at_most": 0.5},
            {"name": "later", "type": "number", "known": "after", "reason": "Measured when all is over"},
            {"name": "outcome", "type": "string", "role": "label", "allowed": names},
        ],
        "derived": derived or [],
    }
    if classes == 2:
        content["positive"] = "good"
    return parse_contract(content)


def odd_table(rows: int, seed: int, *, classes: int = 2, missing: float = 0.15) -> pd.DataFrame:
    """Rows of `odd_contract` in which the columns say something about the label."""
    random = np.random.default_rng(seed)
    number, size = random.normal(size=rows), random.integers(0, 200, rows)
    count, color = random.integers(0, 30, rows), random.integers(0, 4, rows)
    new, seen = random.random(rows) < 0.3, random.random(rows) < 0.5
    strength = 1.2 * number + 0.02 * (size - 100) + 0.08 * (count - 15) + 0.8 * (color == 2) - 0.9 * new + random.normal(size=rows)
    edges = np.quantile(strength, [0.7] if classes == 2 else [0.4, 0.75])
    names = np.array(["bad", "good"] if classes == 2 else ["bad", "fair", "good"], dtype=object)
    frame = pd.DataFrame(
        {
            "matrix": number,
            "size in cm": size.astype(float),
            "count": count,
            "label": np.array(COLORS, dtype=object)[color],
            "is.new": new,
            "seen": seen.astype(object),
            "later": strength + random.normal(size=rows) / 10,
            "outcome": names[np.searchsorted(edges, strength)],
        }
    )
    for name in ("matrix", "size in cm", "label", "seen"):
        frame.loc[random.random(rows) < missing, name] = None
    return frame
