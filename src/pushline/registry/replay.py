"""What would have changed: the challenger and the champion asked the same rows, those of real requests where some are kept.

A gain on the hold-out says which model is better on the whole; it does not say for whom the answers change. A model whose columns are
swapped, or that reads one category as another, can pass the one and not the other.
"""

import contextlib
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from pushline.arrays import Floats, Ints, Mask
from pushline.data.contract import Column, Contract
from pushline.registry.holdout import CannotCompare, answers_of
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
LARGER = "a larger value"
EVERY = "every decision is counted"  # the group of all rows, by their decisions instead of their probabilities
REQUESTS, HOLDOUT = "requests", "held-out rows"


def replay(
    challenger: Path, champion: Path, frame: "pd.DataFrame", contract: Contract, limits: ReplayLimits, *, version: str, source: str
) -> Replay:
    """Both models on the rows of `frame`: decisions that differ, by direction and by group, and how far scores moved.

    Of a quantity a decision is the value, and differs where it lies outside the interval that the champion answers.

    `version`: the champion's; `source`: where the rows come from. Raises CannotCompare where one can't answer these rows, or they are
    fewer than LEAST_ROWS.
    """
    if len(frame) < LEAST_ROWS:
        raise CannotCompare(f"{len(frame)} rows say too little")
    old, new = answers_of(champion, frame, contract.classes), answers_of(challenger, frame, contract.classes)
    if contract.classes:
        before, after = decisions(champion, old, contract.classes), decisions(challenger, new, contract.classes)
        differ, flips = decided_otherwise(before, after, old, new, contract.classes)
        decided = np.eye(len(contract.classes))
        every = np.full(len(frame), fill_value=True)
        groups = shift_of(EVERY, every, contract, decided[before], decided[after], differ)
        shift = partial(shift_of, contract=contract, old=old, new=new, differ=differ)
    else:
        differ, flips = outside(old, new)
        old, new, groups = old[:, :1], new[:, :1], []
        shift = partial(shift_of_mean, old=old[:, 0], new=new[:, 0], differ=differ)
    for name, rows, sensitive in groups_of(contract, frame):
        groups += shift(name, rows, sensitive=sensitive)
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


def decided_otherwise(before: Ints, after: Ints, old: Floats, new: Floats, classes: tuple[str, ...]) -> tuple[Mask, dict[str, float]]:
    """The rows whose decision differs clearly, and their share by direction."""
    differ = (before != after) & (np.abs(new - old)[np.arange(len(old)), before] > CLEAR)
    pairs, counts = np.unique(np.stack([before[differ], after[differ]], axis=1), axis=0, return_counts=True)
    return differ, {f"{classes[a]} → {classes[b]}": float(n) / len(old) for (a, b), n in zip(pairs, counts, strict=True)}


def outside(old: Floats, new: Floats) -> tuple[Mask, dict[str, float]]:
    """The rows whose new value lies outside the interval that the champion answers, and their share by direction."""
    value, low, high = new[:, 0], old[:, 1], old[:, 2]
    shares = {"above the interval": float((value > high).mean()), "below the interval": float((value < low).mean())}
    return ~((low <= value) & (value <= high)), {name: share for name, share in shares.items() if share}


def recent_requests(records: Path, contract: Contract, most: int) -> "pd.DataFrame | None":
    """The newest rows that the live release has answered and kept; None where they are too few."""
    from pushline.data.profile.recorded import newest_rows

    newest = newest_rows(records, contract, most)
    return newest.to_pandas() if len(newest) >= LEAST_ROWS else None


def expected_of(folder: Path, rows: list[dict[str, Scalar]]) -> tuple[GoldenRow, ...]:
    """Of rows of requests those that the contract of the model in `folder` takes, and what it says of them, past the service's code.

    Rows on the edge of a decision are left out.
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
    if not taken:
        return ()
    frame = pd.DataFrame(taken, columns=[column.name for column in contract.inputs])
    probabilities = answers_of(folder, frame, scoring.classes)
    if not scoring.classes:
        quantities = [tuple(map(float, said)) for said in probabilities]
        return tuple(GoldenRow(row=row, probabilities=said, result=said[0]) for row, said in zip(taken, quantities, strict=True))
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
        place = f", and answers moved most where {seen.groups[0].name}" if seen.groups else ""
        broken.append(f"{seen.flipped:.1%} of the answers differ clearly, most of them {worst}{place} (limit {limits.flips:.0%})")
    if not seen.distance - 1.36 * np.sqrt(2 / seen.rows) <= limits.distance:  # 95 % of the Kolmogorov-Smirnov distance's own chance
        broken.append(f"the scores are distributed otherwise, by {seen.distance:.2f} (limit {limits.distance:.2f})")
    bounds = {EVERY: limits.decisions}
    moved = next((group for group in seen.groups if not larger(group.odds) <= bounds.get(group.name, limits.odds)), None)
    if moved:
        times = f"the odds of {moved.label} are {moved.odds:.2g} times what they were"
        broken.append(f"where {moved.name}, {times} (limit {bounds.get(moved.name, limits.odds):g})")
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


def shift_of_mean(name: str, rows: Mask, old: Floats, new: Floats, differ: Mask, sensitive: bool = False) -> list[GroupShift]:
    """How far the mean value moved in a group of rows, in standard deviations of the champion's values; none where it is small.

    A difference of d standard deviations is odds of exp(d pi / sqrt 3): Hasselblad and Hedges, "Meta-analysis of screening and diagnostic
    tests", Psychological Bulletin 117 (1995). So quantities have the limit of classes.
    """
    if rows.sum() < LEAST_EXPECTED:
        return []
    difference = float((new[rows] - old[rows]).mean()) / max(float(old.std()), 1e-9 * float(np.abs(old).max()), 1e-300)
    ratio = float(np.exp(np.clip(difference * np.pi / np.sqrt(3), -50, 50)))
    return [GroupShift(name=name, rows=int(rows.sum()), label=LARGER, odds=ratio, flipped=float(differ[rows].mean()), sensitive=sensitive)]


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
