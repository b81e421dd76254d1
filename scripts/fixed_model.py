"""The fixed model of the serving and batch benches: an OrdinalEncoder and LightGBM's defaults, the same fit for both sides.

One side is a scikit-learn pipeline saved with mlflow.sklearn, as most teams have it; the other is the model folder that the service and
score-batch read. Rows come from PUSHLINE_DATA where it is set, else from the profile.
"""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Fixed:
    """A fitted pipeline and what it was fitted on."""

    pipeline: Any
    contract: Any
    encoding: Any
    frame: Any  # the raw columns the model takes, in the encoding's order


def fit_fixed(root: Path) -> Fixed:
    """Fit on the whole table: what is measured is speed."""
    from lightgbm import LGBMClassifier
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OrdinalEncoder

    from pushline.data.contract import load_contract
    from pushline.data.contract.encoding import encoding_of

    contract = load_contract(root / "data_checks" / "contract.yml")
    words = [column for column in contract.features() if column.type == "string"]
    numbers = [column for column in contract.features() if column.type != "string"]
    rows = table(root, contract)
    frame = rows[[column.name for column in (*words, *numbers)]]
    labels = (rows[contract.label.name] == contract.positive).astype(int)
    encoder = OrdinalEncoder(
        categories=[list(column.allowed or ()) for column in words], handle_unknown="use_encoded_value", unknown_value=-1
    )
    columns = ColumnTransformer([("words", encoder, [column.name for column in words])], remainder="passthrough")
    pipeline = Pipeline([("columns", columns), ("model", LGBMClassifier(random_state=7, verbose=-1))])
    pipeline.fit(frame, labels)
    return Fixed(pipeline, contract, encoding_of((*words, *numbers)), frame)


def table(root: Path, contract: Any) -> Any:
    """The real table where it is, else generated rows."""
    import pandas as pd

    from pushline.data.profile import load_profile
    from pushline.data.profile.sample import sample_rows

    said = os.environ.get("PUSHLINE_DATA")
    files = sorted(Path(said).glob("*.csv")) if said and Path(said).is_dir() else [Path(said)] if said else []
    if files:
        return pd.read_csv(files[0], keep_default_na=False)
    return sample_rows(load_profile(root / "data_checks" / "profile.json"), contract, 32_950, seed=7)


def save_as_folder(fixed: Fixed, folder: Path) -> None:
    """The model folder of the fit."""
    from pushline.training.export import Origin, write_model_folder
    from pushline.training.graph import Calibration, matrix_graph
    from pushline.training.trees import trees_of

    trees = trees_of(fixed.pipeline.named_steps["model"], 2)
    graph = matrix_graph([trees], [1.0], Calibration(), columns=len(fixed.encoding.columns), classes=2)
    with warnings.catch_warnings(action="ignore"):
        write_model_folder(
            folder,
            graph.SerializeToString(),
            fixed.contract,
            fixed.encoding,
            threshold=0.5,
            algorithm="OrdinalEncoder + LightGBM",
            golden=fixed.frame.head(0),
            origin=Origin(data_version="0" * 16, git_revision="unknown"),
            card="# The fixed model of the benches\n",
        )


def save_as_mlflow(fixed: Fixed, folder: Path) -> None:
    """The fit as an mlflow.sklearn model whose python function gives probabilities."""
    with warnings.catch_warnings(action="ignore"):
        import mlflow.sklearn
        from mlflow.models import infer_signature

        mlflow.sklearn.save_model(
            fixed.pipeline,
            str(folder),
            signature=infer_signature(fixed.frame.head(100), fixed.pipeline.predict_proba(fixed.frame.head(100))),
            serialization_format="cloudpickle",
            pyfunc_predict_fn="predict_proba",
            pip_requirements=["mlflow", "scikit-learn", "lightgbm", "pandas", "cloudpickle"],
        )
