"""Estimators that fail in every way a trial can."""

import os
import time
from typing import Any

import numpy as np


class Fault:
    """Does something else than learning."""

    def __init__(self, how: str) -> None:
        self.how = how

    def fit(self, matrix: Any, labels: Any, sample_weight: Any = None) -> "Fault":
        if self.how == "raises":
            raise ValueError("this table is not to my taste")
        if self.how == "hangs":
            time.sleep(3600)
        if self.how == "eats memory":
            hoard = []
            while True:
                hoard.append(np.empty(10_000_000))  # untouched: the limit is on what is asked for
        if self.how == "dies":
            os.abort()
        return self

    def predict_proba(self, matrix: Any) -> Any:
        return np.full((len(matrix), 2), np.nan)


def fault(parameters: dict[str, Any], *, seed: int, threads: int, kinds: tuple[str, ...]) -> Fault:
    return Fault(parameters["how"])
