"""What would have changed: the challenger and the champion asked the same rows, those of real requests where some are kept.

A gain on the hold-out says which model is better on the whole; it does not say for whom the answers change. A model whose columns are
swapped, or that reads one category as another, can pass the one and not the other.
"""

import contextlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from pushline.arrays import Floats, Ints, Mask
from pushline.data.contract import Column, Contract
from pushline.registry.holdout import CannotCompare, probabilities_of
from pushline.results import GroupShift, Replay, Scalar
from pushline.serving.model_folder import CLEAR, GoldenRow, read_contract, read_scoring
from pushline.settings import ReplayLimits

if TYPE_CHECKING:
    import pandas as pd

BINS = 5  # of a column of numbers, equally many rows each
LEAST_ROWS = 200  # that say something at all
LEAST_EXPECTED = 20.0  # rows of a class in a group, by either model's probabilities
SHOWN = 5  # groups
EDGE = 1e-3  # of a probability: nearer to the other decision, two computations may differ
REQUESTS, HOLDOUT = "requests", "held-out rows"


def replay(
    challenger: Path, champion: Path, frame: "pd.DataFrame", contract: Contract, limits: ReplayLimits, *, version: str, source: str
) -> Replay:
    """Both models on the rows of `frame`: decisions that differ, by direction and by group, and how far scores moved.

    `version`: the champion's; `source`: where the rows come from. Raises CannotCompare where one can't answer these rows, or they are
    fewer than LEAST_ROWS.
    """
    if not contract.classes:
        raise CannotCompare("answers that are quantities are not compared")
    if len(frame) < LEAST_ROWS:
        raise CannotCompare(f"{len(frame)} rows say too little")
    classes = contract.classes
    old, new = probabilities_of(champion, frame, classes), probabilities_of(challenger, frame, classes)
    before, after = decisions(champion, old, classes), decisions(challenger, new, classes)
    every = np.arange(len(frame))
    differ = (before != after) & (np.abs(new - old)[every, before] > CLEAR)
    pairs, counts = np.unique(np.stack([before[differ], after[differ]], axis=1), axis=0, return_counts=True)
    flips = {f"{classes[a]} → {classes[b]}": float(n) / len(frame) for (a, b), n in zip(pairs, counts, strict=True)}
    decided = np.eye(len(classes))
    groups = shift_of("every decision is counted", every >= 0, contract, decided[before], decided[after], differ)
    for name, rows, sensitive in groups_of(contract, frame):
        groups += shift_of(name, rows, contract, old, new, differ, sensitive)
    seen = Replay(
        champion=version,
        source=source,
        rows=len(frame),
        flipped=float(differ.mean()),
        flips=dict(sorted(flips.items(), key=lambda pair: -pair[1])[:SHOWN]),
        distance=distance(old, new),
        groups=tuple(sorted(groups, key=lambda group: -larger(group.odds))[:SHOWN]),
    )
    return with_breaches(seen, limits)


def recent_requests(records: Path, contract: Contract, most: int) -> "pd.DataFrame | None":
    """The newest rows that the live release has answered and kept; None where they are too few."""
    from pushline.data.profile.recorded import newest_rows

    newest = newest_rows(records, contract, most)
    return newest.to_pandas() if len(newest) >= LEAST_ROWS else None


def expected_of(folder: Path, rows: list[dict[str, Scalar]]) -> tuple[GoldenRow, ...]:
    """Of rows of requests those that the contract of the model in `folder` takes, and what it says of them, past the service's code.

    Rows on the edge of a decision are left out; of quantities there are none.
    """
    import pandas as pd

    from pushline.serving.payload import Payload
    from pushline.serving.problems import Problem

    contract, scoring = read_contract(folder), read_scoring(folder)
    payload, taken = Payload(contract, scoring.encoding, max_rows=1), []
    for row in rows:
        with contextlib.suppress(Problem):
            payload.careful(msgspec.json.encode({"data": [row]}))
            taken.append(row)
    if not taken or not scoring.classes:
        return ()
    frame = pd.DataFrame(taken, columns=[column.name for column in contract.inputs])
    probabilities = probabilities_of(folder, frame, scoring.classes)
    best = np.sort(probabilities, axis=1)
    binary = scoring.threshold is not None
    edge = np.abs(probabilities[:, -1] - scoring.threshold) if binary else best[:, -1] - best[:, -2]
    decided = decisions(folder, probabilities, scoring.classes)
    return tuple(
        GoldenRow(row=row, probabilities=tuple(map(float, said)), result=scoring.classes[one])
        for row, said, one, near in zip(taken, probabilities, decided, edge, strict=True)
        if near > EDGE
    )


def with_breaches(seen: Replay, limits: ReplayLimits) -> Replay:
    """The replay with what was over its limit beyond chance, in words. A figure that is none is over any."""
    broken = []
    if not seen.flipped - 2 * np.sqrt(seen.flipped * (1 - seen.flipped) / seen.rows) <= limits.flips:
        worst = next(iter(seen.flips), "")
        broken.append(f"{seen.flipped:.1%} of the decisions differ clearly, most of them {worst} (limit {limits.flips:.0%})")
    if not seen.distance - 1.36 * np.sqrt(2 / seen.rows) <= limits.distance:  # 95 % of the Kolmogorov-Smirnov distance's own chance
        broken.append(f"the scores are distributed otherwise, by {seen.distance:.2f} (limit {limits.distance:.2f})")
    if seen.groups and not larger(seen.groups[0].odds) <= limits.odds:
        first = seen.groups[0]
        times = f"the odds of {first.label} are {first.odds:.2g} times what they were"
        broken.append(f"where {first.name}, {times} (limit {limits.odds:g})")
    return msgspec.structs.replace(seen, breaches=tuple(broken))


def decisions(folder: Path, probabilities: Floats, classes: tuple[str, ...]) -> Ints:
    """The class numbers that the model's service would answer, [rows]."""
    scoring = read_scoring(folder)
    if scoring.threshold is None or scoring.positive is None:
        return np.asarray(probabilities.argmax(axis=1))
    yes = classes.index(scoring.positive)
    return np.where(probabilities[:, yes] >= scoring.threshold, yes, 1 - yes)


def distance(old: Floats, new: Floats) -> float:
    """The largest Kolmogorov-Smirnov distance of a class's scores: 0 for the same distribution, at most 1."""
    from scipy.stats import ks_2samp

    return max(float(ks_2samp(old[:, one], new[:, one], method="asymp").statistic) for one in range(old.shape[1]))


def shift_of(
    name: str, rows: Mask, contract: Contract, old: Floats, new: Floats, differ: Mask, sensitive: bool = False
) -> list[GroupShift]:
    """The class whose odds moved most in a group of rows; none where every class is too rare there to tell."""
    before, after = old[rows].mean(axis=0), new[rows].mean(axis=0)
    ratios = odds(after) / odds(before)
    told = [one for one in range(len(ratios)) if rows.sum() * min(1 - before[one], max(before[one], after[one])) >= LEAST_EXPECTED]
    if not told:
        return []
    most = contract.classes.index(contract.positive) if contract.positive else max(told, key=lambda one: larger(float(ratios[one])))
    shift = GroupShift(
        name=name,
        rows=int(rows.sum()),
        label=contract.classes[most],
        odds=float(ratios[most]),
        flipped=float(differ[rows].mean()),
        sensitive=sensitive,
    )
    return [shift]


def odds(probability: Floats) -> Floats:
    near: Floats = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.asarray(near / (1 - near))


def larger(ratio: float) -> float:
    """A ratio or its inverse, whichever is at least 1; one that is no number is over any limit."""
    return max(ratio, 1 / ratio) if ratio > 0 else np.inf


def groups_of(contract: Contract, frame: "pd.DataFrame") -> Iterator[tuple[str, Mask, bool]]:
    """Name, rows as a mask, and whether the column is sensitive: each value of a text, fifths of a number, and the empty cells."""
    for column in contract.features():
        if column.name in frame:
            yield from ((name, rows, column.sensitive) for name, rows in groups_by(column, frame[column.name]) if rows.any())


def groups_by(column: Column, values: "pd.Series") -> list[tuple[str, Mask]]:
    import pandas as pd

    empty = values.isna().to_numpy()
    groups = [(f"{column.name} is empty", empty)] if empty.any() else []
    if column.type in ("integer", "number"):
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        edges = [] if empty.all() else np.unique(np.nanquantile(numbers, np.linspace(0, 1, BINS + 1))).tolist()
        for low, high in pairwise([*edges[:-1], np.nextafter(edges[-1], np.inf)] if len(edges) > 1 else []):
            groups.append((f"{column.name} is {low:g} to {high:g}", (numbers >= low) & (numbers < high)))
        return groups
    if column.is_date:
        return groups
    texts = values.astype("string")
    common = texts.value_counts().head(30).index
    return [*groups, *((f"{column.name} is {value}", (texts == value).fillna(value=False).to_numpy(dtype=bool)) for value in common)]
