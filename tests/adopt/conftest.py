"""Projects that another table was adopted in."""

import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def libraries_may_warn() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="mlflow|lightgbm|sklearn")
        yield
