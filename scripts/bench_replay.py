"""How often replay stops an honest retraining, and how often a fault: the limits of `[tool.pushline.replay]` on three tables.

Two tables of generated rows, classes and a quantity, and the example's file where `--data` or PUSHLINE_DATA names a folder that holds it. A
champion and its challengers learn from resampled rows, with other seeds and thresholds of their own, a third more with another size. A
fault is planted in what the challenger learns from, or in its threshold. `make bench-replay` writes docs/bench/replay.md.
"""

import argparse
import json
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pushline.data.contract import Contract, load_contract, parse_contract
from pushline.data.contract.encoding import encode_frame, encoding_of, targets_of
from pushline.registry.replay import EVERY, HOLDOUT, replay
from pushline.results import Replay
from pushline.serving.model_folder import SCORING
from pushline.settings import ReplayLimits

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "bench" / "replay.md"
FILE = "bankmarketing_train.csv"
LEARNED, ASKED = 8000, 8000
LEVEL = 0.9

Spoil = Callable[[pd.DataFrame, "Table"], pd.DataFrame]


class Table:
    """Rows to learn from, rows that are asked, and a contract."""

    def __init__(self, name: str, contract: Contract, rows: pd.DataFrame, *, numbers: tuple[str, str], text: str) -> None:
        self.name = name
        self.contract = contract
        self.numbers = numbers  # two that matter
        self.text = text
        rows = rows.sample(frac=1.0, random_state=1, ignore_index=True)
        self.learned = rows.iloc[: len(rows) - ASKED]
        self.asked = rows.iloc[len(rows) - ASKED :].drop(columns=contract.label.name)
        self.label = contract.label.name

    def sample(self, seed: int) -> pd.DataFrame:
        return self.learned.sample(min(LEARNED, len(self.learned)), replace=True, random_state=seed)


def generated(rows: int) -> pd.DataFrame:
    random = np.random.default_rng(5)
    basket, visits = random.uniform(0, 1000, rows), random.integers(0, 100, rows)
    channel = random.choice(["web", "shop", "phone"], rows)
    frame = pd.DataFrame({"basket": basket, "visits": visits, "channel": channel})
    level = -4.5 + basket / 250 + visits / 60 + (channel == "shop") * 0.8
    bought = random.uniform(size=rows) < 1 / (1 + np.exp(-level))
    spent = np.exp(2 + level / 2 + random.normal(0, 0.4, rows))
    missing = random.random(rows) < np.where(bought, 0.3, 0.05)
    return frame.assign(basket=frame["basket"].mask(missing), outcome=np.where(bought, "bought", "left"), spent=spent)


def tables(data: Path | None) -> list[Table]:
    columns: list[dict[str, Any]] = [
        {"name": "basket", "type": "number", "missing_at_most": 0.5},
        {"name": "visits", "type": "integer"},
        {"name": "channel", "type": "string", "allowed": ["web", "shop", "phone"]},
    ]
    rows = generated(3 * ASKED)
    outcome = {"name": "outcome", "type": "string", "role": "label", "allowed": ["left", "bought"]}
    classes = parse_contract({"name": "shops", "positive": "bought", "columns": [*columns, outcome]})
    spent = {"name": "spent", "type": "number", "role": "label", "minimum": 0}
    quantity = parse_contract({"name": "spending", "task": "regression", "columns": [*columns, spent]})
    found = [
        Table("generated, two classes", classes, rows.drop(columns="spent"), numbers=("basket", "visits"), text="channel"),
        Table("generated, a quantity", quantity, rows.drop(columns="outcome"), numbers=("basket", "visits"), text="channel"),
    ]
    if data is not None and (data / FILE).is_file():
        contract = load_contract(ROOT / "data_checks" / "contract.yml")
        example = pd.read_csv(data / FILE, keep_default_na=False)
        columns_used = [*(column.name for column in contract.inputs), contract.label.name]
        found.append(Table("the example's file", contract, example[columns_used], numbers=("euribor3m", "age"), text="contact"))
    return found


def fitted(table: Table, folder: Path, rows: pd.DataFrame, seed: int, *, other_size: bool = False) -> Path:
    """A model folder as training leaves it, of one LightGBM, whose size the seed chooses where it is another."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    from pushline.training.export import Origin, write_model_folder
    from pushline.training.graph import Calibration, matrix_graph
    from pushline.training.interval import fit_interval, with_interval
    from pushline.training.threshold import choose_threshold, parse_objective
    from pushline.training.trees import trees_of

    contract, encoding = table.contract, encoding_of(table.contract.features())
    random = np.random.default_rng(seed)
    how = {"n_estimators": 100, "num_leaves": 15, "learning_rate": 0.06}
    if other_size:
        how |= {"n_estimators": int(random.integers(40, 160)), "num_leaves": int(random.choice([7, 31]))}
    kind = LGBMClassifier if contract.classes else LGBMRegressor
    model = kind(**how, min_child_samples=30, random_state=seed, n_jobs=1, verbose=-1)
    learn, kept = rows.iloc[: len(rows) * 3 // 4], rows.iloc[len(rows) * 3 // 4 :]
    model.fit(encode_frame(encoding, learn), targets_of(contract, learn[table.label]).astype(int if contract.classes else float))
    classes = len(contract.classes) or 1
    graph = matrix_graph([trees_of(model, classes)], [1.0], Calibration(), columns=len(encoding.columns), classes=classes)
    content, targets = graph.SerializeToString(), targets_of(contract, kept[table.label])
    said: dict[str, Any] = {"threshold": None}
    if contract.classes:
        chosen = choose_threshold(targets.astype(int), model.predict_proba(encode_frame(encoding, kept))[:, 1], parse_objective("f1"))
        said["threshold"] = chosen.threshold
    else:
        interval = fit_interval(targets.astype(float), model.predict(encode_frame(encoding, kept))[:, None], LEVEL, contract.label)
        content, said["level"] = with_interval(content, interval), LEVEL
    origin = Origin(data_version="0" * 16, git_revision="bench")
    golden = kept.head(3).drop(columns=table.label)
    write_model_folder(folder, content, contract, encoding, algorithm="LightGBM", golden=golden, origin=origin, card="# Card\n", **said)
    return folder


def inverted(rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    label = rows[table.label]
    if not table.contract.classes:
        return rows.assign(**{table.label: label.max() - label})
    return rows.assign(**{table.label: label.map(dict(zip(table.contract.classes, table.contract.classes[::-1], strict=True)))})


def rescaled(rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Two columns of numbers swapped, each in the range of the other, as by a join that took the wrong one."""
    one, other = (rows[name].astype(float) for name in table.numbers)
    into = [(a - a.mean()) / a.std() * b.std() + b.mean() for a, b in ((other, one), (one, other))]
    swapped = {}
    for name, values in zip(table.numbers, into, strict=True):
        whole = rows[name].dtype.kind == "i"
        swapped[name] = values.fillna(values.mean()).round().astype(rows[name].dtype) if whole else values
    return rows.assign(**swapped)


def relabelled(rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    values = sorted(rows[table.text].unique())[:2]
    return rows.assign(**{table.text: rows[table.text].replace(dict(zip(values, values[::-1], strict=True)))})


def constant(rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    return rows.assign(**{column.name: rows[column.name].mode()[0] for column in table.contract.features()})


def old(rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Of a time when the first number was a third of what it is now."""
    return rows.assign(**{table.numbers[0]: rows[table.numbers[0]] / 3})


def filled(rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Missing values filled where the model is trained, and not where it is asked."""
    return rows.assign(**{table.numbers[0]: rows[table.numbers[0]].fillna(rows[table.numbers[0]].mean())})


FAULTS: dict[str, Spoil] = {
    "columns swapped": rescaled,
    "a unit changed by 1,000": lambda rows, table: rows.assign(**{table.numbers[0]: rows[table.numbers[0]] / 1000}),
    "the label inverted": inverted,
    "one category read as another": relabelled,
    "constant answers": constant,
    "an old model": old,
    "the threshold ignored": lambda rows, table: rows,
    "missing values treated otherwise": filled,
}


def possible(fault: str, table: Table) -> bool:
    if fault == "the threshold ignored":
        return len(table.contract.classes) == 2
    return fault != "missing values treated otherwise" or bool(table.learned[table.numbers[0]].isna().any())


def asked(table: Table, challenger: Path, champion: Path) -> Replay:
    return replay(challenger, champion, table.asked, table.contract, ReplayLimits(), version="1", source=HOLDOUT)


Outcome = tuple[list[Replay], list[Replay], dict[str, list[Replay]], float]


def of_table(table: Table, place: Path, honest: int, faulty: int) -> Outcome:
    """Replays of honest challengers, of those of another size, those of each fault, and the seconds of 50,000 rows."""
    champion = fitted(table, place / "champion", table.sample(0), 0)
    kept: list[Replay] = []
    other: list[Replay] = []
    spoilt: dict[str, list[Replay]] = {}
    for seed in range(1, honest + 1):
        kept.append(asked(table, fitted(table, place / f"honest-{seed}", table.sample(seed), seed), champion))
        print(f"{table.name}: {seed} of {honest}, {sum(bool(seen.breaches) for seen in kept)} stopped", *kept[-1].breaches, flush=True)
    for seed in range(501, 501 + honest // 3):
        other.append(asked(table, fitted(table, place / f"other-{seed}", table.sample(seed), seed, other_size=True), champion))
        print(f"{table.name}: another size, {sum(bool(seen.breaches) for seen in other)} stopped", *other[-1].breaches, flush=True)
    for fault, spoil in FAULTS.items():
        for seed in range(1001, 1001 + faulty) if possible(fault, table) else ():
            model = fitted(table, place / f"{seed}-{fault.replace(' ', '-')}", spoil(table.sample(seed), table), seed)
            if fault == "the threshold ignored":
                scoring = json.loads((model / SCORING).read_bytes())
                (model / SCORING).write_text(json.dumps({**scoring, "threshold": scoring["threshold"] / 10}))
            spoilt.setdefault(fault, []).append(asked(table, model, champion))
    many = table.asked.sample(50_000, replace=True, random_state=1)
    started = time.perf_counter()
    replay(place / "honest-1", champion, many, table.contract, ReplayLimits(), version="1", source=HOLDOUT)
    return kept, other, spoilt, time.perf_counter() - started


def largest(seen: list[Replay]) -> list[str]:
    def odds(one: Replay, *, decisions: bool) -> float:
        return max((max(group.odds, 1 / group.odds) for group in one.groups if (group.name == EVERY) == decisions), default=1.0)

    of_groups, of_decisions = ([odds(one, decisions=kind) for one in seen] for kind in (False, True))
    columns = ([one.flipped for one in seen], [one.distance for one in seen], of_groups, of_decisions)
    return [f"{np.quantile(values, 0.95):.3f} / {max(values):.3f}" for values in columns]


def page(results: dict[str, Outcome]) -> str:
    limits = ReplayLimits()
    written = f"{datetime.now().astimezone():%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}"
    lines = [
        "# Replay, measured",
        "",
        f"Written by `make bench-replay` (scripts/bench_replay.py) on {written}. Challengers learn from {LEARNED:,} resampled",
        f"rows, with seeds and thresholds of their own, and are asked {ASKED:,} rows. The limits are the defaults: {limits.flips:g},",
        f"{limits.distance:g}, {limits.odds:g}, {limits.decisions:g}. A figure is that of 95 % of the honest retrainings, and the largest.",
        "",
        "| honest retrainings | stopped | answers that differ | distance of scores | odds of a group | odds of decisions | 50,000 rows |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, (honest, other, _, seconds) in results.items():
        for kind, seen_of in ((name, honest), (f"{name}, another size of model", other)):
            figures = [f"{sum(bool(seen.breaches) for seen in seen_of)} of {len(seen_of)}", *largest(seen_of), f"{seconds:.1f} s"]
            lines.append(f"| {kind} | {' | '.join(figures)} |")
    lines += ["", f"| fault | {' | '.join(results)} | what the first was told |", f"|---|{'---:|' * len(results)}---|"]
    for fault in FAULTS:
        of_fault = [spoilt.get(fault, []) for _, _, spoilt, _ in results.values()]
        cells = [f"{sum(bool(seen.breaches) for seen in seen_of)} of {len(seen_of)}" if seen_of else "" for seen_of in of_fault]
        told = next((seen.breaches[0] for seen_of in of_fault for seen in seen_of if seen.breaches), "nothing")
        lines.append(f"| {fault} | {' | '.join(cells)} | {told} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--honest", type=int, default=100, help="retrainings a table")
    parser.add_argument("--faulty", type=int, default=5, help="challengers a fault")
    parser.add_argument("--data", type=Path, default=Path(os.environ["PUSHLINE_DATA"]) if os.environ.get("PUSHLINE_DATA") else None)
    parser.add_argument("--print", action="store_true", help="print the page and write none")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as place:
        results = {}
        for number, table in enumerate(tables(given.data)):
            results[table.name] = of_table(table, Path(place) / str(number), given.honest, given.faulty)
            if given.print:
                print(page(results), flush=True)
            else:
                PAGE.write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
