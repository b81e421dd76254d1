"""One run of AutoGluon for bench_automl.py or bench_tables.py, in AutoGluon's own environment: it imports nothing of the project."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd


def main(place: Path, label: str, seconds: float, positive: str | None = None) -> None:
    from autogluon.tabular import TabularPredictor

    learn = pd.read_csv(place / "learn.csv", keep_default_na=False)
    judge = pd.read_csv(place / "judge.csv", keep_default_na=False).drop(columns=label)
    started = time.monotonic()
    task = {"eval_metric": "average_precision", "positive_class": positive} if positive else {"problem_type": "regression"}
    predictor = TabularPredictor(label=label, path=str(place / "model"), verbosity=0, **task)
    predictor.fit(learn, presets="medium_quality", time_limit=seconds, num_cpus=2)
    wall = time.monotonic() - started
    answer = predictor.predict_proba if positive else predictor.predict
    np.save(place / "answers.npy", (answer(judge)[positive] if positive else answer(judge)).to_numpy())
    times = []
    for number in range(30):
        began = time.perf_counter()
        answer(judge[number : number + 1])
        times.append(time.perf_counter() - began)
    size = sum(file.stat().st_size for file in (place / "model").rglob("*") if file.is_file())
    found = {
        "wall_s": round(wall, 2),
        "size_mb": round(size / 1e6, 3),
        "latency_ms": round(1000 * sorted(times)[len(times) // 2], 4),
        "note": str(predictor.model_best),
    }
    (place / "result.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), **json.loads(sys.argv[2]))
