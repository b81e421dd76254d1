"""Model folders that the registry's tests share."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pushline.registry.mlflow_store import MlflowStore
from registry.models import make_model, shops


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """good: many rows. poor: few rows and one tree. shuffled: labels that say nothing."""
    place = tmp_path_factory.mktemp("models")
    rows = shops(6000, 1)
    shuffled = rows.assign(outcome=np.random.default_rng(0).permutation(rows["outcome"].to_numpy()))
    return {
        "good": make_model(place / "good", rows),
        "like-good": make_model(place / "like-good", shops(6000, 2)),
        "poor": make_model(place / "poor", rows.head(150), trees=1),
        "shuffled": make_model(place / "shuffled", shuffled),
    }


@pytest.fixture(scope="session")
def holdout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows that none of the models has seen."""
    file = tmp_path_factory.mktemp("holdout") / "holdout.parquet"
    shops(3000, 99).to_parquet(file, index=False)
    return file


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables, made once: it takes seconds."""
    place = tmp_path_factory.mktemp("database")
    store_in(place).open()
    return place / "mlflow.db"


def store_in(place: Path) -> MlflowStore:
    return MlflowStore(f"sqlite:///{place / 'mlflow.db'}", "shops", artifacts=place / "mlartifacts", downloads=place / "downloads")


@pytest.fixture
def store(empty_database: Path, tmp_path: Path) -> MlflowStore:
    """An empty registry on SQLite."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return store_in(tmp_path)
