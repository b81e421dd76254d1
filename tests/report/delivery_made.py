"""A whole delivery's results, made from scores drawn with a fixed seed: what the report's tests look at."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np

from pushline.data.profile import ColumnProfile, Profile, write_profile
from pushline.data.profile.drift import ColumnDrift, Drift
from pushline.evaluation import Bin, ClassCurves, Evaluation, Group, Importance, Suspect, Treatment
from pushline.files import write_json
from pushline.results import (
    Assertion,
    CheckDataResult,
    DataFile,
    Decision,
    DeployResult,
    FetchResult,
    Finding,
    Interval,
    LoadTestResult,
    PromoteResult,
    RegisterResult,
    Release,
    Result,
    Slice,
    SmokeResult,
    TrainResult,
    Trial,
    save,
)
from pushline.training.quantity import parts_of

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
RELEASE = Release(id="garden-shop-3-2353ea1", model_name="garden-shop", model_version="3", git_revision="2353ea1", model="/m/3")
URL = "http://127.0.0.1:8123"


def evaluation(*, rows: int = 3295, share: float = 0.112, seed: int = 7) -> Evaluation:
    """An evaluation computed from drawn scores, so that its curves hang together as real ones do."""
    random = np.random.default_rng(seed)
    truth = random.random(rows) < share
    score = 1 / (1 + np.exp(-random.normal(-2.6 + 1.9 * truth, 1.1)))
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(truth[order])
    taken = np.arange(1, rows + 1)
    picks = np.unique(np.geomspace(1, rows, 160).astype(int)) - 1
    recall, precision = hits / hits[-1], hits / taken
    false = (taken - hits) / (rows - hits[-1])
    edges = np.quantile(score, np.linspace(0, 1, 11))
    inside = [(score >= low) & (score <= high) for low, high in itertools.pairwise(edges)]
    bins = tuple(Bin(predicted=float(score[i].mean()), observed=float(truth[i].mean()), rows=int(i.sum())) for i in inside)
    chosen = score >= 0.2
    confusion = ((int((~truth & ~chosen).sum()), int((~truth & chosen).sum())), (int((truth & ~chosen).sum()), int((truth & chosen).sum())))

    def points(x: np.ndarray, y: np.ndarray) -> tuple[tuple[float, float], ...]:
        return tuple((float(a), float(b)) for a, b in zip(x[picks], y[picks], strict=True))

    curves = ClassCurves(
        name="yes",
        rows=int(truth.sum()),
        precision_recall=points(recall, precision),
        roc=((0.0, 0.0), *points(false, recall)),
        calibration=bins,
        gain=((0.0, 0.0), *points(taken / rows, recall)),
        thresholds=tuple((float(score[order[i]]), float(recall[i]), float(false[i])) for i in picks),
    )
    names = (
        "basket",
        "store.staff",
        "month",
        "contact",
        "days_since",
        "weekday",
        "age",
        "job",
        "campaign",
        "last_result",
        "household",
        "loan",
    )
    groups = [("age", "under 30", 560), ("age", "30 to 59", 2610), ("age", "60 and over", 125), ("household", "married", 1993)]
    return Evaluation(
        classes=("no", "yes"),
        positive="yes",
        rows=rows,
        metric="average_precision",
        metrics=METRICS,
        baseline={"average_precision": share, "roc_auc": 0.5, "log_loss": 0.3508, "accuracy": 1 - share, "brier": 0.0995},
        threshold=0.2,
        at_threshold={"precision": 0.42, "recall": 0.61, "f1": 0.497},
        confusion=confusion,
        curves=(curves,),
        groups=tuple(
            Group(
                column=c,
                value=v,
                rows=n,
                positives=n // 9,
                metrics={"average_precision": 0.41 + n / 2e4, "roc_auc": None if n < 150 else 0.78},
            )
            for c, v, n in groups
        ),
        importance=tuple(Importance(column=n, fall=0.14 * 0.6**i - 0.001, spread=0.004) for i, n in enumerate(names)),
        search=tuple((0.4 + 2.2 * i, 0.43 + 0.042 * (1 - 0.7**i)) for i in range(13)),
        treatments=(
            Treatment(name="none", metrics={"average_precision": 0.4721, "log_loss": 0.272}),
            Treatment(name="smote", metrics={"average_precision": 0.4314, "log_loss": 0.3219}),
        ),
        suspects=(Suspect(column="store.staff", reason="has one value per quarter and so stands for the date", evidence={"values": 11}),),
    )


def against_the_rest(name: str, truth: np.ndarray, score: np.ndarray) -> ClassCurves:
    """The curves of one class, computed from its scores."""
    rows = len(truth)
    order = np.argsort(-score, kind="stable")
    hits, taken = np.cumsum(truth[order]), np.arange(1, rows + 1)
    picks = np.unique(np.geomspace(1, rows, 80).astype(int)) - 1
    edges = np.quantile(score, np.linspace(0, 1, 11))
    inside = [(score >= low) & (score <= high) for low, high in itertools.pairwise(edges)]

    def points(x: np.ndarray, y: np.ndarray) -> tuple[tuple[float, float], ...]:
        return tuple((float(a), float(b)) for a, b in zip(x[picks], y[picks], strict=True))

    return ClassCurves(
        name=name,
        rows=int(truth.sum()),
        precision_recall=points(hits / hits[-1], hits / taken),
        roc=((0.0, 0.0), *points((taken - hits) / (rows - hits[-1]), hits / hits[-1])),
        calibration=tuple(Bin(predicted=float(score[i].mean()), observed=float(truth[i].mean()), rows=int(i.sum())) for i in inside),
        gain=((0.0, 0.0), *points(taken / rows, hits / hits[-1])),
    )


def of_a_quantity(*, rows: int = 3000, seed: int = 5) -> Evaluation:
    """An evaluation of predicted prices, each with its interval; three of a hundred are far off."""
    random = np.random.default_rng(seed)
    value = random.gamma(3, 6, rows)
    labels = value + random.normal(0, 0.1 * value) * np.where(random.random(rows) < 0.03, 8, 1)
    known = evaluation()
    groups = tuple(
        msgspec.structs.replace(one, positives=None, metrics={"mae": 1.9, "bias": -0.1, "coverage": 0.9}) for one in known.groups
    )
    parts = parts_of(labels, np.column_stack([value, 0.8 * value, 1.2 * value]), 0.9, rounds=50, seed=seed)
    importance, search = known.importance, known.search
    return Evaluation(classes=(), rows=rows, metric="rmse", groups=groups, importance=importance, search=search, **parts)


def of_many_classes(number: int, *, rows: int = 4000, seed: int = 11) -> Evaluation:
    """An evaluation of `number` classes, the later ones rarer, with names as long as people give them."""
    random = np.random.default_rng(seed)
    weights = 0.85 ** np.arange(number)
    truth = random.choice(number, size=rows, p=weights / weights.sum())
    logits = random.normal(0, 1, (rows, number)) + 2.2 * (truth[:, None] == np.arange(number)) + np.log(weights)
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    said = share.argmax(axis=1)
    names = tuple(
        ("Douglas-fir", "Lodgepole Pine", "Krummholz, above the tree line", "Aspen")[i % 4] + (f" {i // 4}" if i >= 4 else "")
        for i in range(number)
    )
    confusion = tuple(tuple(int(((truth == a) & (said == b)).sum()) for b in range(number)) for a in range(number))
    two = evaluation()
    return msgspec.structs.replace(
        two,
        classes=names,
        positive=None,
        rows=rows,
        threshold=None,
        at_threshold={},
        confusion=confusion,
        curves=tuple(against_the_rest(name, truth == place, share[:, place]) for place, name in enumerate(names)),
        groups=tuple(msgspec.structs.replace(one, positives=None) for one in two.groups),
    )


def of_many_columns(number: int) -> Evaluation:
    """An evaluation of a table of `number` columns, every tenth of them a suspect."""
    names = [f"sensor_{place:03d}.mean of the last quarter of an hour" for place in range(number)]
    return msgspec.structs.replace(
        evaluation(),
        importance=tuple(Importance(column=name, fall=0.2 * 0.97**place - 0.0004, spread=0.002) for place, name in enumerate(names)),
        suspects=tuple(
            Suspect(column=name, reason="it follows from `sensor_001`, which tells the time", evidence={"share": 1.0})
            for name in names[::10]
        ),
    )


METRICS = {
    "average_precision": Interval(value=0.4721, low=0.4218, high=0.5193),
    "roc_auc": Interval(value=0.7903, low=0.7651, high=0.8148),
    "accuracy": Interval(value=0.8874, low=0.8762, high=0.8978),
    "log_loss": Interval(value=0.2719, low=0.2544, high=0.2901),
    "brier": Interval(value=0.0789, low=0.0721, high=0.0858),
    "f1": Interval(value=0.4973, low=0.4521, high=0.5398),
}


def trials() -> tuple[Trial, ...]:
    algorithms = ("lightgbm", "xgboost", "catboost", "extra_trees", "lrl1")
    done = [Trial(name=f"trial {i}", algorithm=algorithms[i % 5], score=0.47 - 0.004 * i, seconds=0.3 + 0.4 * i) for i in range(14)]
    ensemble = Trial(name="ensemble", algorithm="vote of lightgbm, xgboost, catboost", score=0.4741, seconds=0.2)
    return (
        ensemble,
        *done,
        Trial(name="trial 14", algorithm="svc", score=None, seconds=10.0, state="timeout", detail="stopped after 10 s"),
    )


def findings() -> tuple[Finding, ...]:
    return (
        Finding(
            id="unknown-share",
            severity="warning",
            column="default",
            message="More unknown values than tolerated.",
            seen="20.9 %",
            expected="at most 15 %",
            count=6887,
            lines=(3, 8, 12, 17, 22, 31),
        ),
        Finding(
            id="duplicates",
            severity="info",
            message="Some rows are repeated.",
            seen="12 rows",
            expected="at most 1 %",
            count=12,
            lines=(140, 2077),
        ),
    )


def results(build: Path, *, generated: bool = False, accept: bool = True) -> list[Result]:
    """One result per stage, in order."""
    data = "4f1c0a7e9b3d4f1c0a7e9b3d"
    file = DataFile(name="garden_shop.csv", path="/d/garden_shop.csv", sha256="8486deac" * 8, version=data, rows=32950, origin="cache")
    timeline = tuple(
        Slice(second=s, requests=50, failures=0, p50_ms=1.1 + 0.05 * (s % 3), p95_ms=2.1 + 0.4 * (s % 4), p99_ms=3.0 + 1.7 * (s % 5))
        for s in range(10)
    )
    assertions = tuple(
        Assertion(name=name, expected=expected, seen=seen, passed=True)
        for name, expected, seen in (
            ("golden rows", "within 1e-4", "largest difference 3e-7 in 20 rows"),
            ("without a key", "401", "401"),
            ("with a wrong key", "401", "401"),
            ("a broken row", "422 naming row and column", "422, row 0, age"),
            ("version header", "3", "3"),
            ("OpenAPI document", "valid", "valid"),
        )
    )
    decision = Decision(
        accept=accept,
        reason="average precision 0.4721 is above the champion's 0.4655; the difference +0.0066 has the 95 % interval +0.0003 to +0.0130",
        evidence={
            "metric": "average_precision",
            "challenger": 0.4721,
            "champion": 0.4655,
            "gain": 0.0066,
            "gain_low": 0.0003,
            "gain_high": 0.013,
            "rows": 3295,
        },
    )
    made: list[Result] = [
        FetchResult(data_version=data, files=(file,), rows=32950, columns=21, generated_sample=generated, elapsed_s=0.4),
        CheckDataResult(data_version=data, file=file.path, table=str(build / "check-data" / "table.parquet"), rows=32950, columns=21,
                findings=findings(), critical=0, warning=1, info=1,
                class_counts={"no": 29258, "yes": 3692}, generated_sample=generated, elapsed_s=2.31),
        TrainResult(run_id="b1946ac92492d2347c6235b4d2611184", model=str(build / "train" / "model"),
                algorithm="vote of lightgbm, xgboost, catboost", metric="average_precision", metrics=METRICS, threshold=0.2,
                objective="f1", leaderboard=trials(), train_rows=29655, holdout_rows=3295, holdout="/h.parquet",
                evaluation=str(build / "train" / "evaluation.json"), card=str(build / "train" / "card.md"), data_version=data,
                contract_hash="0f3a99d1b2c4e5f6", git_revision="2353ea1f00d1", generated_sample=generated, elapsed_s=36.2),
        RegisterResult(model_name="garden-shop", version="3", champion="2", decision=decision, generated_sample=generated, elapsed_s=1.2),
        DeployResult(target="local", url="http://127.0.0.1:40123", release=RELEASE, elapsed_s=0.8),
        SmokeResult(url="http://127.0.0.1:40123", release=RELEASE.id, assertions=assertions, passed=True, elapsed_s=0.3),
        LoadTestResult(url="http://127.0.0.1:40123", release=RELEASE.id, offered_rps=50, achieved_rps=49.8, seconds=10, requests=498,
                   failures=0, errors={}, p50_ms=1.14, p95_ms=3.1, p99_ms=9.7, max_ms=14.2, timeline=timeline, breaches=(), passed=True,
                   limits={"p95_ms": 100, "p99_ms": 250, "failures": 0.0, "achieved": 0.9}, elapsed_s=11.4),
        PromoteResult(target="local", url=URL, release=RELEASE, previous="garden-shop-2-12e2c3e", assertions=assertions, elapsed_s=0.5),
    ]  # fmt: skip
    return [msgspec.structs.replace(result, made_at=START + timedelta(seconds=10 * i)) for i, result in enumerate(made)]


CARD = """---
model-index:
- name: garden-shop
---
# Model card: garden-shop

## Intended use
Rank customers before a call.

| metric | value | 95 % interval |
|---|--:|--:|
| average precision | 0.472 | 0.422 to 0.519 |

| Column | Group | Rows | Positive | Average precision | ROC AUC | Log loss | Selected | Recall | Precision |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|
| `household` | unknown | 8 | 0 | too few rows | too few rows | too few rows | 0.125 | too few rows | too few rows |

- trained on **29,655 rows**
- without `duration`
"""


def leave_everything(build: Path, **options: bool) -> None:
    """Leave a whole delivery in `build`."""
    for result in results(build, **options):
        save(build, result)
    write_json(build / "train" / "evaluation.json", evaluation())
    (build / "train" / "card.md").write_text(CARD)


def profile(columns: Sequence[str], classes: Sequence[str]) -> Profile:
    """A profile of drawn columns: numbers, and every third of them a text of many values."""
    random = np.random.default_rng(3)
    shares = 0.8 ** np.arange(len(classes))
    rows = np.maximum((4000 * shares / shares.sum()).astype(int), 5)
    made = []
    for place, name in enumerate(columns):
        cells = 30 if place % 3 else 12
        counts = tuple(tuple(int(n) for n in random.multinomial(int(of), np.full(cells, 1 / cells))) for of in rows)
        if place % 3:
            low = tuple(float(10**6 * n) for n in range(cells))
            made.append(
                ColumnProfile(
                    name=name, kind="number", low=low, high=tuple(x + 10**6 for x in low), counts=counts, missing=(9,) * len(rows)
                )
            )
        else:
            values = tuple(f"{'a long value of a text' if n % 2 else 'x'} {n}" for n in range(cells))
            made.append(ColumnProfile(name=name, kind="category", values=values, counts=counts, missing=tuple(int(n) // 3 for n in rows)))
    return Profile(data="garden", data_version="4f1c0a7e9b3d", rows=int(rows.sum()), classes=tuple(classes),
                   class_counts=tuple(int(n) for n in rows), columns=tuple(made))  # fmt: skip


def drift(columns: Sequence[str]) -> Drift:
    made = [ColumnDrift(column=name, verdict="drift" if place < 2 else "stable", statistic=0.4 / (1 + place), threshold=0.1, level="",
                        moved="10 to 12: 4 % to 9 %") for place, name in enumerate(columns)]  # fmt: skip
    return Drift(source="december.csv", data_version="4f1c0a7e9b3d", reference_rows=32950, rows=4000, verdict="drift", columns=tuple(made))


def leave_case(root: Path, case: str) -> None:
    """Leave a delivery of `two`, `six` or `twenty classes`, of `400 columns` or of `a quantity`, with its profile and a drift."""
    build = root / "build"
    leave_everything(build)
    number = {"six classes": 6, "twenty classes": 20}.get(case)
    others = {"400 columns": lambda: of_many_columns(400), "a quantity": of_a_quantity}
    known = of_many_classes(number) if number else others.get(case, evaluation)()
    write_json(build / "train" / "evaluation.json", known)
    columns = [one.column for one in known.importance]
    write_profile(root / "data_checks" / "profile.json", profile(columns, known.classes or ("to 10", "10 to 20", "from 20")))
    write_json(build / "drift" / "result.json", drift(columns))
    if number:
        checked = next(one for one in results(build) if isinstance(one, CheckDataResult))
        counts = {one.name: 8 * one.rows for one in known.curves}
        save(build, msgspec.structs.replace(checked, class_counts=counts, rows=sum(counts.values())))
    if case == "a quantity":
        trained = next(one for one in results(build) if isinstance(one, TrainResult))
        save(build, msgspec.structs.replace(trained, metric="rmse", metrics=known.metrics, threshold=None, objective=""))
