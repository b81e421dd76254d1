"""Prediction intervals beside MAPIE's, on the same boosted trees: what share of new rows they hold, and how wide they are.

    python scripts/bench_intervals.py --seeds 200      writes docs/bench/intervals.md; some minutes
    python scripts/bench_intervals.py --seeds 5 --print

MAPIE runs in an environment of its own, build/bench/mapie, which is made where it is missing.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "build" / "bench" / "mapie"
PAGE = ROOT / "docs" / "bench" / "intervals.md"
LEVEL, LEARNED, ASKED = 0.9, 1500, 1000
MODEL: dict[str, Any] = {"n_estimators": 60, "num_leaves": 15, "learning_rate": 0.1, "min_child_samples": 20, "n_jobs": 1, "verbosity": -1}
WORLDS = ("errors alike", "errors grow with the value", "errors follow a feature", "a long tail")
METHODS = ("Pushline", "MAPIE CV+", "MAPIE CQR")
HEAD = """\
# Prediction intervals

Made by `make bench-intervals`, on {seeds} tables a world of {learned:,} rows with eight columns, at {level:.0%}. All methods have the
same boosted trees for the value (LightGBM). *Pushline* takes its residuals out of five folds, apart for ranges of the value, or two
quantile models of its own where that is narrower. *CV+* is MAPIE's cross-conformal regressor with five folds, *CQR* its conformalised
quantile regression with a fifth of the rows set aside. *holds* is the share of {asked:,} new rows a table within the interval, *width*
the mean width as a multiple of Pushline's.

| world | {names} |
| --- | {dashes} |
"""


def world(name: str, rows: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    matrix = random.normal(size=(rows, 8)).astype(np.float32)
    value = 10 + 3 * matrix[:, 0] + 2 * np.sin(2 * matrix[:, 1]) + matrix[:, 2] * matrix[:, 3]
    noise = random.normal(size=rows)
    if name == "a long tail":
        return matrix, np.exp(value / 6 + 0.5 * noise)
    spread = {
        "errors alike": np.ones(rows),
        "errors grow with the value": 0.3 * np.maximum(value, 1),
        "errors follow a feature": 0.3 + 1.5 * np.abs(matrix[:, 4]),
    }
    return matrix, value + noise * spread[name]


def tables(seed: int) -> dict[str, np.ndarray]:
    made = {}
    for name in WORLDS:
        random = np.random.default_rng(seed)
        made[f"x {name}"], made[f"y {name}"] = world(name, LEARNED, random)
        made[f"new {name}"], made[f"true {name}"] = world(name, ASKED, random)
    return made


def ours(matrix: np.ndarray, labels: np.ndarray, new: np.ndarray, seed: int) -> np.ndarray:
    """Low and high, through the graph that would be served."""
    from lightgbm import LGBMRegressor

    from pushline.data.contract import Column
    from pushline.data.contract.encoding import strata_of
    from pushline.training.automl.trials import Folds, folds_of
    from pushline.training.export import predict
    from pushline.training.graph import Calibration, matrix_graph
    from pushline.training.interval import fit_interval, with_interval, with_quantiles
    from pushline.training.trees import trees_of

    folds, value = folds_of(strata_of(labels), 5, seed), np.empty(len(labels))
    for fold in range(5):
        value[folds == fold] = LGBMRegressor(**MODEL).fit(matrix[folds != fold], labels[folds != fold]).predict(matrix[folds == fold])
    trees = trees_of(LGBMRegressor(**MODEL).fit(matrix, labels), 1)
    graph = matrix_graph([trees], [1.0], Calibration(), columns=matrix.shape[1], classes=1).SerializeToString()
    made = with_quantiles(graph, matrix, labels, Folds(of=folds), np.ones(len(labels), dtype=bool), seed=seed, threads=1)
    assert made is not None
    interval = fit_interval(labels, np.column_stack([value, made[1]]), LEVEL, Column(name="y", type="number", role="label"))
    return predict(with_interval(made[0], interval), new)[:, 1:]


def peers(file: Path) -> None:
    """The bounds of MAPIE's methods for the tables in `file`, written back there."""
    from lightgbm import LGBMRegressor
    from mapie.regression import ConformalizedQuantileRegressor, CrossConformalRegressor

    known = dict(np.load(file))
    for name in WORLDS:
        matrix, labels, new = (known[f"{part} {name}"] for part in ("x", "y", "new"))
        plus = CrossConformalRegressor(LGBMRegressor(**MODEL), confidence_level=LEVEL, cv=5, random_state=0)
        known[f"MAPIE CV+ {name}"] = plus.fit_conformalize(matrix, labels).predict_interval(new)[1][:, :, 0]
        cut = LEARNED * 4 // 5
        quantile = ConformalizedQuantileRegressor(LGBMRegressor(objective="quantile", alpha=0.5, **MODEL), confidence_level=LEVEL)
        quantile.fit(matrix[:cut], labels[:cut]).conformalize(matrix[cut:], labels[cut:])
        known[f"MAPIE CQR {name}"] = quantile.predict_interval(new, symmetric_correction=True)[1][:, :, 0]
    np.savez(file, **known)  # type: ignore[arg-type]


def python_of_mapie() -> Path:
    python = PLACE / "bin" / "python"
    if not python.is_file():
        import lightgbm

        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, PLACE], check=True)
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", python, "mapie>=1.2,<2", f"lightgbm=={lightgbm.__version__}"], check=True
        )
    return python


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--print", action="store_true", help="write no page")
    parser.add_argument("--peer", type=Path, help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.peer:
        for file in sorted(said.peer.glob("*.npz")):
            peers(file)
        return 0
    folder = ROOT / "build" / "bench" / "intervals"
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(said.seeds):
        made = tables(seed)
        made |= {f"Pushline {name}": ours(made[f"x {name}"], made[f"y {name}"], made[f"new {name}"], seed) for name in WORLDS}
        np.savez(folder / f"{seed}.npz", **made)  # type: ignore[arg-type]
    subprocess.run([python_of_mapie(), "-W", "ignore", Path(__file__), "--peer", folder], check=True)
    text = page([dict(np.load(folder / f"{seed}.npz")) for seed in range(said.seeds)])
    sys.stdout.write(text)
    if not said.print:
        PAGE.write_text(text, encoding="utf-8")
    return 0


def page(results: list[dict[str, np.ndarray]]) -> str:
    names = " | ".join(f"{name} holds | width" for name in METHODS)
    shape = {"seeds": len(results), "learned": LEARNED, "asked": ASKED, "level": LEVEL}
    lines = [HEAD.format(names=names, dashes=" | ".join(["--: | --:"] * len(METHODS)), **shape)]
    for name in WORLDS:
        cells = []
        for method in METHODS:
            low, high = (np.stack([seen[f"{method} {name}"][:, side] for seen in results]) for side in (0, 1))
            truth = np.stack([seen[f"true {name}"] for seen in results])
            cells.append((float(np.mean((truth >= low) & (truth <= high))), float(np.mean(high - low))))
        own = cells[0][1]
        lines.append(f"| {name} | {' | '.join(f'{held:.1%} | {width / own:.3f}' for held, width in cells)} |\n")
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(main())
