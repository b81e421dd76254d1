"""What stands for Azure's AutoML on the loopback cluster: it knows a table and a label, and leaves scikit-learn models as ONNX.

One input a raw column, as [rows, 1]; the classes' probabilities as a map for each row. It shares no code with Pushline.
"""

import argparse
import json
import pickle
import time
import warnings
from pathlib import Path

import pandas as pd
import yaml
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

TRIALS = {
    "LogisticRegression": LogisticRegression(max_iter=300),
    "RandomForest": RandomForestClassifier(n_estimators=20, max_depth=8, random_state=1),
    "GradientBoosting": HistGradientBoostingClassifier(max_iter=20, random_state=1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--training-data", type=Path, required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--positive", required=True)
    parser.add_argument("--out", type=Path, required=True)
    said = parser.parse_args()
    warnings.simplefilter("ignore")
    described = yaml.safe_load((said.training_data / "MLTable").read_text())
    frame = pd.concat([pd.read_parquet(said.training_data / Path(each["file"]).name) for each in described["paths"]])
    label, columns = frame[said.target].astype(str), frame.drop(columns=said.target)
    seen, unseen, truth, held = train_test_split(columns, label, test_size=0.3, random_state=1, stratify=label)
    text = [name for name in columns if not pd.api.types.is_numeric_dtype(columns[name])]
    numbers = [name for name in columns if name not in text]
    board, best, first = [], None, -1.0
    for algorithm, model in TRIALS.items():
        started = time.time()
        codes = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        shape = ColumnTransformer([("text", codes, text), ("numbers", StandardScaler(), numbers)])
        fitted = Pipeline([("shape", shape), ("model", model)]).fit(seen, truth)
        position = list(fitted.classes_).index(said.positive)
        score = float(average_precision_score(held == said.positive, fitted.predict_proba(unseen)[:, position]))
        board.append({"name": f"AutoML_{len(board)}", "algorithm": algorithm, "score": score, "seconds": time.time() - started})
        if score > first:
            best, first = fitted, score
    kinds = {name: StringTensorType([None, 1]) if name in text else number_of(columns[name]) for name in columns}
    graph = to_onnx(best, initial_types=list(kinds.items()), target_opset={"": 17, "ai.onnx.ml": 3})
    said.out.mkdir(parents=True, exist_ok=True)
    (said.out / "model.onnx").write_bytes(graph.SerializeToString())
    (said.out / "model.pkl").write_bytes(pickle.dumps(best))
    (said.out / "MLmodel").write_text("flavors:\n  sklearn:\n    pickled_model: model.pkl\n")
    (said.out.parent / "trials.json").write_text(json.dumps(board))


def number_of(column: "pd.Series[float]") -> object:
    return Int64TensorType([None, 1]) if pd.api.types.is_integer_dtype(column) else FloatTensorType([None, 1])


if __name__ == "__main__":
    main()
