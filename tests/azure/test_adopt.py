"""A model of Azure's AutoML is served from its ONNX file alone."""

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pushline.adopt.settings import with_label
from pushline.azure.pipeline import document_of, load
from pushline.data.contract import load_contract
from pushline.data.contract.encoding import encode_frame
from pushline.data.profile import load_profile
from pushline.data.profile.sample import sample_rows
from pushline.errors import ModelUnreadable
from pushline.project import Project
from pushline.settings import Azure
from pushline.training.azure_model import import_model, is_foreign, rows_held_back
from pushline.training.best_model import read_best_model
from pushline.training.export import predict
from pushline.training.interval import fit_interval, with_interval
from training.quantities import quantity_contract, quantity_table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows(repo: Path) -> pd.DataFrame:
    project = Project(repo)
    return sample_rows(load_profile(project.profile), load_contract(project.contract), 1200, 5)


@pytest.fixture(scope="module")
def azures(repo: Path, rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What AutoML left, trained on the first thousand rows."""
    folder = tmp_path_factory.mktemp("automl")
    contract = load_contract(Project(repo).contract)
    features = [column.name for column in contract.features()]
    rows.head(1000)[[*features, contract.label.name]].to_parquet(folder / "train.parquet")
    (folder / "MLTable").write_text("paths:\n  - file: ./train.parquet\n")
    script = Path(__file__).parent / "fake" / "azures_automl.py"
    arguments = ["--training-data", str(folder), "--target", contract.label.name, "--positive", "yes", "--out", str(folder / "best_model")]
    subprocess.run([sys.executable, str(script), *arguments], check=True, capture_output=True, timeout=120)
    return folder / "best_model"


def test_the_adopted_graph_answers_as_the_fitted_model_does(repo: Path, rows: pd.DataFrame, azures: Path, tmp_path: Path) -> None:
    contract = load_contract(Project(repo).contract)
    unseen = rows.tail(200).reset_index(drop=True)
    assert is_foreign(azures)
    place = import_model(azures, unseen, contract, tmp_path / "best", metric="average_precision", use_known_after=False, seed=1)
    best, graph, labels, probabilities = read_best_model(place)
    fitted = pickle.loads((azures / "model.pkl").read_bytes())
    expected = fitted.predict_proba(unseen[list(best.encoding.names)])[:, [list(fitted.classes_).index(c) for c in contract.classes]]
    assert np.abs(predict(graph, encode_frame(best.encoding, unseen)) - expected).max() < 1e-4
    assert len(labels) == len(probabilities) == len(unseen), "the threshold is chosen on all rows that were held back"
    assert not is_foreign(place)


def test_a_search_without_rows_held_back_names_the_input(tmp_path: Path) -> None:
    with pytest.raises(ModelUnreadable, match="held_back"):
        rows_held_back(tmp_path)


def test_a_missing_onnx_model_names_the_settings(repo: Path, rows: pd.DataFrame, tmp_path: Path) -> None:
    contract = load_contract(Project(repo).contract)
    with pytest.raises(ModelUnreadable, match="enable_onnx_compatible_models"):
        import_model(tmp_path, rows, contract, tmp_path / "best", metric="average_precision", use_known_after=False, seed=1)


def test_an_input_that_is_no_feature_is_named(repo: Path, rows: pd.DataFrame, azures: Path, tmp_path: Path) -> None:
    import onnx

    folder = tmp_path / "renamed"
    folder.mkdir()
    model = onnx.load(str(azures / "model.onnx"))
    old = model.graph.input[0].name
    model.graph.input[0].name = "age_in_dog_years"
    for node in model.graph.node:
        node.input[:] = ["age_in_dog_years" if name == old else name for name in node.input]
    onnx.save(model, str(folder / "model.onnx"))
    contract = load_contract(Project(repo).contract)
    with pytest.raises(ModelUnreadable, match="age_in_dog_years"):
        import_model(folder, rows, contract, tmp_path / "best", metric="average_precision", use_known_after=False, seed=1)


def test_the_graph_of_a_quantity_gives_its_value_and_an_interval_from_rows_held_back(tmp_path: Path) -> None:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline

    contract, learn, held = quantity_contract(), quantity_table(800, 1, missing=0), quantity_table(400, 2, missing=0)
    columns = ["size", "count"]
    fitted = make_pipeline(ColumnTransformer([("all", "passthrough", columns)]), LinearRegression()).fit(learn[columns], learn["price"])
    kinds = [("size", FloatTensorType([None, 1])), ("count", Int64TensorType([None, 1]))]
    (tmp_path / "azures").mkdir()
    graph = to_onnx(fitted, initial_types=kinds, target_opset={"": 17, "ai.onnx.ml": 3})
    (tmp_path / "azures" / "model.onnx").write_bytes(graph.SerializeToString())
    place = import_model(tmp_path / "azures", held, contract, tmp_path / "best", metric="rmse", use_known_after=False, seed=1)
    best, made, labels, predictions = read_best_model(place)
    interval = fit_interval(labels, predictions, 0.9, contract.label)
    new = quantity_table(1000, 3, missing=0)
    value, low, high = predict(with_interval(made, interval), encode_frame(best.encoding, new)).T
    expected = np.maximum(0, fitted.predict(new[columns]))
    assert np.abs(value - expected).max() < 1e-4 * np.abs(expected).max()
    assert 0.85 < np.mean((new["price"] >= low) & (new["price"] <= high)) < 0.95


def test_the_node_of_a_quantity_is_one_that_the_sdk_takes(repo: Path, tmp_path: Path) -> None:
    shutil.copytree(repo / "pipelines", tmp_path / "pipelines")
    shutil.copytree(repo / "requirements", tmp_path / "requirements")
    (tmp_path / "src").mkdir()
    file = tmp_path / "pipelines" / "train.yml"
    settings = {"training.holdout": 0.2, "training.metric": "rmse"}
    file.write_text(with_label(file.read_text(encoding="utf-8"), quantity_contract(), settings), encoding="utf-8")
    places = {"data": tmp_path, "contract": file, "profile": file}
    document = document_of(file, Azure(engine="azure"), {"metric": "rmse", "budget": "15m", **places}, "a-job")
    node = next(node for node in document["jobs"].values() if node["type"] == "automl")
    assert (node["task"], node["primary_metric"]) == ("regression", "normalized_root_mean_squared_error")
    assert node["target_column_name"] == "price"
    assert "positive_label" not in node
    job = load(document, file, experiment="train", tags={})
    assert type(job.jobs["automl"]).__name__ == "RegressionJob"
