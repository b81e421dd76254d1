"""How far estimates are from what turned out, on chunks whose truth is known, beside NannyML's CBPE and beside "assume the card".

Five tables of generated rows, three sizes, a hold-out of its own for each window, four worlds: nothing changed, other rows (covariate
shift), other labels of the same rows (concept shift), another share of the class (label shift). One LightGBM a table, calibrated by
nothing. NannyML runs in an environment of its own (`--nannyml PYTHON`: an interpreter that can import it); without one its column is
left out. Then quiet releases: how often a window raises an alarm, and after how many windows five kinds of decay do.
`make bench-performance` writes docs/bench/performance.md.
"""

import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "bench" / "performance.md"
SIZES = (500, 2000, 8000)
WORLDS = ("none", "covariate", "concept", "label")
METRICS = ("roc_auc", "average_precision")
TABLES, REFERENCE, TRAINED, WHOLE = 5, 4000, 6000, 100_000
PEER = """
import json, sys, warnings; warnings.simplefilter("ignore")
import nannyml, numpy, pandas
for line in sys.stdin:
    place = json.loads(line)
    read = lambda name: pandas.DataFrame(numpy.load(place[name]), columns=["p", "y"]).assign(d=lambda frame: (frame.p >= .5) * 1)
    reference, window = read("reference"), read("window")
    cbpe = nannyml.CBPE(metrics=["roc_auc", "average_precision"], y_pred_proba="p", y_pred="d", y_true="y",
                        problem_type="classification_binary", chunk_size=len(window))
    found = cbpe.fit(reference).estimate(window).filter(period="analysis").to_df()
    print(json.dumps({name: float(found[(name, "value")].iloc[0]) for name in ("roc_auc", "average_precision")}), flush=True)
"""


class Table:
    """Rows of six columns, and labels that follow from them in a way of its own."""

    def __init__(self, number: int) -> None:
        random = np.random.default_rng(1000 + number)
        self.weights = random.normal(size=(6, 6)) * 0.7
        self.level = random.uniform(-2.0, -0.5)
        self.axis = random.normal(size=6)
        self.axis /= np.linalg.norm(self.axis)

    def rows(self, count: int, world: str, random: Any) -> tuple[Any, Any]:
        """Rows and labels of a world."""
        x = random.normal(size=(count * 4, 6)).astype(np.float32)
        if world == "covariate":  # rows on one side are likelier
            x = x[random.uniform(size=len(x)) < 1 / (1 + np.exp(-2.2 * x @ self.axis))]
        weights, level = self.weights, self.level
        if world == "concept":
            weights = weights * 0.4
        chance = 1 / (1 + np.exp(-(level + np.tanh(x @ weights).sum(axis=1) + 0.6 * x[:, 0] * x[:, 1])))
        y = (random.uniform(size=len(x)) < chance).astype(np.int64)
        if world == "label":  # half of the class stays away
            kept = (y == 0) | (random.uniform(size=len(y)) < 0.5)
            x, y = x[kept], y[kept]
        return x[:count], y[:count]


def scored(model: Any, x: Any, y: Any) -> Any:
    from pushline.performance.estimate import Rows

    said = model.predict(x)
    return Rows(matrix=x, answers=np.stack([1 - said, said], axis=1), labels=y)


def models() -> list[tuple[Table, Any]]:
    """Each table with its model."""
    import lightgbm

    made = []
    for number in range(TABLES):
        table, random = Table(number), np.random.default_rng(number)
        x, y = table.rows(TRAINED, "none", random)
        settings = {"objective": "binary", "num_leaves": 15, "learning_rate": 0.08, "verbosity": -1, "num_threads": 1, "seed": 1}
        model = lightgbm.train(settings, lightgbm.Dataset(x, y), num_boost_round=80)
        made.append((table, model))
    return made


def estimates(repeats: int, peer: str | None) -> tuple[dict[tuple[str, str, str], list[float]], dict[str, list[bool]]]:
    """Absolute errors by metric, world and who says it; whether the interval held what turned out, by world."""
    from pushline.performance.estimate import density_ratio, estimate
    from pushline.registry.measures import figure

    errors: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    held: dict[str, list[bool]] = defaultdict(list)
    asked = Peer(peer) if peer else None
    for number, (table, model) in enumerate(models()):
        whole = {world: scored(model, *table.rows(WHOLE, world, np.random.default_rng([number, 99]))) for world in WORLDS}
        for world, size, repeat in itertools.product(WORLDS, SIZES, range(repeats)):
            random = np.random.default_rng([number, size, repeat, WORLDS.index(world)])
            reference = scored(model, *table.rows(REFERENCE, "none", random))
            card = {metric: figure(metric, reference.labels, reference.answers) for metric in METRICS}
            window = scored(model, *table.rows(size, world, random))
            density = density_ratio(reference.matrix, window.matrix)
            others = asked.of(reference, window) if asked else {}
            for metric in METRICS:
                truth = figure(metric, window.labels, window.answers)
                seen = estimate(metric, reference, window, density=density)
                told = {"Pushline": seen.interval.value, "the card": card[metric]} | ({"NannyML's CBPE": others[metric]} if others else {})
                own = figure(metric, whole[world].labels, whole[world].answers)
                for who, value in told.items():
                    errors[metric, world, who].append(abs(value - truth))
                    errors[f"{metric} of the world", world, who].append(abs(value - own))
                held[world].append(seen.interval.low <= truth <= seen.interval.high)
        print(f"table {number + 1} of {TABLES}", flush=True)
    return errors, held


class Peer:
    """NannyML in a process of its own."""

    def __init__(self, python: str) -> None:
        self.folder = Path(tempfile.mkdtemp())
        quiet = {**os.environ, "NML_DISABLE_USAGE_LOGGING": "1"}  # it would tell its makers of each call
        self.process = subprocess.Popen([python, "-c", PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=quiet)

    def of(self, reference: Any, window: Any) -> dict[str, float]:
        places = {}
        for name, rows in (("reference", reference), ("window", window)):
            places[name] = str(self.folder / f"{name}.npy")
            np.save(places[name], np.stack([rows.answers[:, 1], rows.labels], axis=1))
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(places) + "\n")
        self.process.stdin.flush()
        found: dict[str, float] = json.loads(self.process.stdout.readline())
        return found


DECAYS = {
    "labels at random, 10 %": 0.1,
    "labels at random, 25 %": 0.25,
    "labels at random, 50 %": 0.5,
}


def alarms(releases: int, windows: int, size: int) -> tuple[int, int, dict[str, list[int]]]:
    """Windows and alarms of quiet releases with realised figures, and for each decay the windows until the alarm (0: none)."""
    from pushline.performance.judge import WindowFigures, alarmed, errors_for, promise_of, realised

    errors, (table, model) = errors_for(1), models()[0]
    seen, raised, delays = 0, 0, defaultdict(list)
    kinds: dict[str, tuple[str, float]] = {"": ("none", 0.0), **{name: ("none", share) for name, share in DECAYS.items()},
                                           "concept shift": ("concept", 0.0), "covariate shift": ("covariate", 0.0)}  # fmt: skip
    for (name, (world, noise)), release in itertools.product(kinds.items(), range(releases)):
        random = np.random.default_rng([release, len(name)])
        promise = promise_of("roc_auc", scored(model, *table.rows(REFERENCE, "none", random)), 0.05)
        said: list[WindowFigures] = []
        while len(said) < (8 if name else windows) and not (name and alarmed(said)):
            x, y = table.rows(size, world, random)
            wrong = random.uniform(size=len(y)) < noise
            y[wrong] = random.permutation(y[wrong])
            interval, error = realised("roc_auc", scored(model, x, y))
            below, at = promise.shortfall(interval.value, error) > errors, datetime(2026, 1, 1)  # noqa: DTZ001
            said.append(WindowFigures(start=at, end=at, rows=size, known=size, verdict="below" if below else "kept"))
            if not name:
                seen, raised = seen + 1, raised + alarmed(said)
        if name:
            delays[name].append(len(said) if alarmed(said) else 0)
    return seen, raised, delays


def page(errors: Any, held: Any, quiet: Any, seconds: float, repeats: int, size: int) -> str:
    who = list(dict.fromkeys(name for *_, name in errors))
    lines = [
        "# Performance estimates, measured",
        "",
        f"`make bench-performance` wrote this page: {TABLES} generated tables, windows of {', '.join(f'{one:,}' for one in SIZES)} rows, "
        f"{len(WORLDS)} worlds, {repeats} of each: {TABLES * len(SIZES) * len(WORLDS) * repeats} windows; {REFERENCE:,} reference rows, "
        f"Python {platform.python_version()}, {seconds / 60:.0f} minutes. Errors are mean absolute distances to what turned out in the "
        f"window, which labels drawn by chance make noisy, and to the figure of the world itself, of {WHOLE:,} rows.",
        "",
        f"| metric | world | {' | '.join(who)} |",
        f"| --- | --- |{' --: |' * len(who)}",
    ]
    for metric, world in itertools.product((*METRICS, *(f"{metric} of the world" for metric in METRICS)), WORLDS):
        figures = [np.mean(errors[metric, world, one]) for one in who]
        lines.append(f"| {metric} | {world} | {' | '.join(f'{value:.4f}' for value in figures)} |")
    lines += [
        "",
        "The 95 % interval held what turned out, in " + ", ".join(f"{np.mean(h):.0%} ({w})" for w, h in held.items()) + " of the windows.",
        "",
    ]
    lines += [
        "Under concept shift every estimate is blind: the rows look as ever, and only outcomes show that labels do not follow. "
        "Under label shift the rows of the missing class are gone too, so that a part of it is seen as other rows.",
        "",
        "## Alarms",
        "",
    ]
    seen, raised, delays = quiet
    lines += [
        f"Realised ROC AUC of windows of {size:,} rows. Quiet releases, each with a hold-out of its own: "
        f"{raised} false alarms in {seen:,} windows.",
        "",
        "| decay from the first window on | found in 8 windows | windows until the alarm, median |",
        "| --- | --: | --: |",
    ]
    for name, found in delays.items():
        hit = [one for one in found if one]
        lines.append(f"| {name} | {len(hit)} of {len(found)} | {np.median(hit) if hit else float('nan'):.0f} |".replace("nan", "none"))
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9, help="windows of each table, world and size")
    parser.add_argument("--releases", type=int, default=60, help="quiet releases, of 50 windows each, and releases of each decay")
    parser.add_argument("--nannyml", metavar="PYTHON", help="an interpreter that can import nannyml")
    parser.add_argument("--print", action="store_true", help="print the page and write none")
    said = parser.parse_args()
    warnings.simplefilter("ignore")
    started, size = time.monotonic(), 2000
    errors, held = estimates(said.repeats, said.nannyml)
    quiet = alarms(said.releases, 50, size)
    text = page(errors, held, quiet, time.monotonic() - started, said.repeats, size)
    if said.print:
        print(text)
    else:
        PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
