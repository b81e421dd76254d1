"""What the tests of training share."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pushline.data.contract import Contract, load_contract
from pushline.data.contract.encoding import Codes, Encoding, class_codes, encode_frame, encoding_of
from pushline.data.files.reading import read_file
from pushline.settings import load_settings
from pushline.training.prepare import Prepared, prepare


@pytest.fixture(autouse=True)
def libraries_may_warn() -> Iterator[None]:
    """Warnings that mlflow and the boosting libraries give about each other's versions at their first import."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="mlflow|lightgbm|catboost|xgboost|flaml|sklearn")
        yield


class ExampleSplit:
    """The pinned data, cleaned, split and encoded."""

    def __init__(self, contract: Contract, prepared: Prepared) -> None:
        self.contract = contract
        self.prepared = prepared
        self.encoding: Encoding = encoding_of(contract.features())
        self.kinds = tuple(column.kind for column in self.encoding.columns)
        self.matrix, self.labels = self.encoded(prepared.train)
        self.held_matrix, self.held_labels = self.encoded(prepared.holdout)

    def encoded(self, frame: pd.DataFrame) -> tuple[np.ndarray, Codes]:
        return encode_frame(self.encoding, frame), class_codes(self.contract, frame[self.contract.label.name])


@pytest.fixture(scope="session")
def example_split(table_csv: Path, repo: Path, tmp_path_factory: pytest.TempPathFactory) -> ExampleSplit:
    contract = load_contract(repo / "data_checks" / "contract.yml")
    table = tmp_path_factory.mktemp("table") / "table.parquet"
    assert read_file(table_csv, contract, table.parent, table).parts == table
    return ExampleSplit(contract, prepare(table, contract, holdout=load_settings(repo, {}).training.holdout))
