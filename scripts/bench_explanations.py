"""How fast answers are explained on one core, and how far that is from LightGBM's own contributions and from the package shap.

The fixed model of the other benches, a vote of two, and a forest. shap runs in an environment of its own (`--shap PYTHON`: an interpreter
that can import it and lightgbm); without one its line is left out. `make bench-explanations` writes docs/bench/explanations.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from fixed_model import Fixed, fit_fixed

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "bench" / "explanations.md"
ROUNDS = 5
PEER = """
import json, sys, warnings; warnings.simplefilter("ignore")
import lightgbm, numpy, shap, time
model, rows, out = sys.argv[1:]
explain = shap.TreeExplainer(lightgbm.Booster(model_file=model))
matrix = numpy.load(rows)
explain(matrix[:100]); started = time.process_time()
found = explain(matrix); seconds = time.process_time() - started
numpy.savez(out, values=found.values, base=found.base_values)
print(json.dumps({"version": shap.__version__, "rows": len(matrix) / seconds}))
"""


def folders(fixed: Fixed, matrix: Any, labels: Any, place: Path) -> dict[str, Path]:
    """Model folders by what the table calls them."""
    from lightgbm import LGBMClassifier
    from sklearn.ensemble import ExtraTreesClassifier

    from pushline.serving.explanation import ORDERS
    from pushline.training.explanation import by_sample, of_trees
    from pushline.training.export import Origin, write_model_folder
    from pushline.training.graph import Calibration, matrix_graph
    from pushline.training.trees import trees_of

    single = trees_of(fixed.pipeline.named_steps["model"], 2)
    other = trees_of(LGBMClassifier(n_estimators=100, num_leaves=15, random_state=1, verbose=-1).fit(matrix, labels), 2)
    forest = trees_of(ExtraTreesClassifier(100, max_leaf_nodes=200, min_samples_leaf=5, random_state=1).fit(matrix, labels), 2)
    made, sampled = dict[str, Path](), by_sample(fixed.encoding, matrix[:ORDERS], "log-odds")
    for name, parts in {
        "100 boosted trees of 31 leaves": [single],
        "a forest of 100 trees of 200 leaves": [forest],
        "a vote of two boosted models": [single, other],
    }.items():
        weights = [1 / len(parts)] * len(parts)
        graph = matrix_graph(parts, weights, Calibration(), columns=matrix.shape[1], classes=2).SerializeToString()
        made[name] = place / str(len(made))
        write_model_folder(
            made[name],
            graph,
            fixed.contract,
            fixed.encoding,
            threshold=0.5,
            algorithm=name,
            golden=fixed.frame.head(0),
            origin=Origin(data_version="0" * 16, git_revision="unknown"),
            card="",
            explanation=of_trees(parts, weights, Calibration(), fixed.encoding) or sampled,
        )
    return made


def fastest(ask: Any, rows: int) -> float:
    """Rows a second of processor time, the best of some rounds: noise only slows."""
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        ask()
        times.append(time.process_time() - started)
    return rows / min(times)


def measured(folder: Path, bodies: list[bytes], rows: int) -> dict[str, float]:
    """Of requests of a hundred rows each: rows a second explained and only scored, the same for single rows, and what does not add up."""
    from pushline.serving.scorer import Scorer

    scorer = Scorer(folder, max_rows=1000, explain=True)
    one = json.dumps({"data": json.loads(bodies[0])["data"][:1]}).encode()
    found = [each for body in bodies for each in scorer.explained(body, 3)[1]["explanations"]]
    answers = np.array([each for body in bodies for each in scorer.score(body)])
    scores = np.array([each["score"] for each in found])
    told = 1 / (1 + np.exp(-scores)) if scorer.explainer and scorer.explainer.about.scale == "log-odds" else scores
    relative = [
        reason["error"] / max(abs(reason["contribution"]), 1e-12) for each in found for reason in each["reasons"][:1] if "error" in reason
    ]
    return {
        "explained": fastest(lambda: [scorer.explained(body, 3) for body in bodies], rows),
        "alone": fastest(lambda: [scorer.explained(one, 3) for _ in range(20)], 20),
        "scored": fastest(lambda: [scorer.score(body) for body in bodies], rows),
        "off": float(np.abs(told - answers).max()),
        "error": float(np.median(relative)) if relative else 0.0,
        "bytes": (folder / "explanation.npz").stat().st_size,
    }


def exact(fixed: Fixed, folder: Path, matrix: Any, shap: str | None) -> list[str]:
    """How far contributions are from LightGBM's, and from those of the package shap."""
    from pushline.serving.scorer import Scorer

    scorer = Scorer(folder, max_rows=1000, explain=True)
    assert scorer.explainer is not None
    _, added, _ = scorer.explainer.of(matrix, scorer.run(matrix))
    booster = fixed.pipeline.named_steps["model"].booster_
    own = booster.predict(matrix, pred_contrib=True)[:, :-1]
    lines = [f"From LightGBM's own (`pred_contrib`) they differ by {np.abs(added - own).max():.1e} at most, on {len(matrix):,} rows."]
    if shap:
        with tempfile.TemporaryDirectory() as place:
            booster.save_model(f"{place}/model.txt")
            np.save(f"{place}/rows.npy", matrix)
            files = [f"{place}/model.txt", f"{place}/rows.npy", f"{place}/out.npz"]
            said = json.loads(
                subprocess.run([shap, "-c", PEER, *files], check=True, capture_output=True, text=True).stdout.splitlines()[-1]
            )
            values = np.load(files[2])["values"]
        values = values[..., 1] if values.ndim == 3 else values
        lines.append(
            f"From the package shap {said['version']} (`TreeExplainer`, compiled) by {np.abs(added - values).max():.1e}; "
            f"that explains {said['rows']:,.0f} rows a second of processor time."
        )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--shap", metavar="PYTHON", help="an interpreter that can import shap and lightgbm")
    parser.add_argument("--print", action="store_true", help="print the page and write none")
    said = parser.parse_args()
    from pushline.data.contract.encoding import encode_frame

    fixed = fit_fixed(ROOT)
    matrix = encode_frame(fixed.encoding, fixed.frame)
    labels = fixed.pipeline.predict(fixed.frame)
    data = json.loads(fixed.frame.head(said.rows).to_json(orient="records"))
    bodies = [json.dumps({"data": data[start : start + 100]}).encode() for start in range(0, said.rows, 100)]
    lines = [
        "# Explanations, measured",
        "",
        f"`make bench-explanations` wrote this page: {said.rows:,} rows of {matrix.shape[1]} columns in requests of 100, three reasons "
        "a row, from the body of a request to its reasons, one core. Rows a second of processor time.",
        "",
        "| model | method | explained | a row alone | only scored | adds up to | error of the first reason | file |",
        "| --- | --- | --: | --: | --: | --: | --: | --: |",
    ]
    with tempfile.TemporaryDirectory() as place:
        made = folders(fixed, matrix, labels, Path(place))
        for name, folder in made.items():
            seen = measured(folder, bodies, said.rows)
            method = "sampled Shapley" if seen["error"] else "TreeSHAP"
            error = f"{seen['error']:.0%}" if seen["error"] else "none"
            lines.append(
                f"| {name} | {method} | {seen['explained']:,.0f} | {seen['alone']:,.0f} | {seen['scored']:,.0f} | {seen['off']:.0e} "
                f"| {error} | {seen['bytes'] / 1e6:.2f} MB |"
            )
        lines += ["", *exact(fixed, next(iter(made.values())), matrix[: said.rows], said.shap)]
    lines += ["", "The error is the standard error of the largest contribution, as a share of it, the median row."]
    text = "\n".join(lines) + "\n"
    if said.print:
        print(text)
    else:
        PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
