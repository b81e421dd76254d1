"""Which split fits a table, with figures: how a quick model does on rows drawn as these were, on new groups, on the time after.

A group is an identifier that repeats. Time is a column of dates in whose order the rows stand, or one by which the figures
differ; or a count of the rows by which they do. The figures are there for a person to decide by: they are of one small model
on one hold-out each, so a difference within twice their standard errors says nothing.
"""

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct

from pushline.arrays import Floats, Mask
from pushline.data.contract import Column, Contract, Split, contract_faults
from pushline.data.contract.encoding import class_codes, encode_frame, encoding_of, is_usable, targets_of
from pushline.data.contract.split import columns_of, gaps_of, holdout_sql, split_of
from pushline.data.files.table import database, literal, name_of
from pushline.errors import DataError, SettingsError

if TYPE_CHECKING:
    import pandas as pd

ROWS = 20_000  # that the quick model is given
SHARE = 0.25  # of them that it is judged on
FEWEST = 200  # rows below which no figure tells anything
COLUMNS = 200  # that it looks at
LEFT = 0.7  # share of the rows outside the hold-out that `group` and `time` together have to leave for training
SHARES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)  # of the rows that are held out
SURE = 5  # standard deviations of a count of rows that come in pairs, by which the hold-out of a class need not be counted
HELD_OUT = 10  # rows of each class in the hold-out, where the table has enough
GROUPS_HELD_OUT = 30  # where rows belong together
MOST_FOR_GROUPS = 0.3  # of the rows are held out for that
QUANTITIES_HELD_OUT = 100  # rows in the hold-out, where the label is a quantity
IN_ORDER = 0.99  # share of neighbouring rows by which a column is in the order of time


class Estimate(Struct, frozen=True, kw_only=True):
    """The quick model's log loss, or RMSE, on the rows that a split holds out."""

    split: Split | None
    loss: float
    error: float  # standard

    def differs_from(self, other: "Estimate") -> bool:
        return abs(self.loss - other.loss) > 2 * math.hypot(self.error, other.error)


class SplitProposal(Struct, frozen=True, kw_only=True):
    """What adopt proposes, beside what else was tried: the first estimate is that of rows drawn as these were."""

    split: Split | None = None
    tried: tuple[Estimate, ...] = ()

    def said(self, contract: Contract) -> str:
        """The proposal in one sentence with its figures; empty where no other split came into question."""
        if not self.tried:
            return ""
        plain, *others = self.tried
        measure = "RMSE" if contract.is_regression else "log loss"
        figures = "; ".join(f"{each.loss / plain.loss:.2f} times that by {shown(each.split)}" for each in others if plain.loss)
        return f"by {shown(self.split)}; a quick model's {measure} is {plain.loss:.3g} on rows drawn as these were, {figures}"


def shown(split: Split | None) -> str:
    names = (f"{kind} {name}" for kind, name in (("group", split and split.group), ("time", split and split.time)) if name)
    return " and ".join(names) or "row"


def split_text(split: Split | None) -> str:
    """A split as --split says it."""
    return ",".join(f"{kind}:{name}" for kind, name in (("group", split and split.group), ("time", split and split.time)) if name) or "row"


def split_said(text: str, contract: Contract) -> Split | None:
    """The split that --split says: row, group:COLUMN, time:COLUMN or group:COLUMN,time:COLUMN. Raises SettingsError."""
    said = re.fullmatch(r"(?:group:(?P<group>.+?))?(?:(?:^|,)time:(?P<time>.+))?", text)
    names = said.groupdict() if said else {}
    unknown = [name for name in names.values() if name and (name not in contract.by_name or name == contract.label.name)]
    if text != "row" and (unknown or not any(names.values())):
        why = f"The table has no column {unknown[0]!r} beside its label." if unknown else "It is none of row, group:COLUMN, time:COLUMN."
        raise SettingsError(f"--split {text} can't be used.", why=why, do="Name a column, or leave --split out. Nothing was changed.")
    return Split(group=names.get("group"), time=names.get("time")) if any(names.values()) else None


def propose(typed: Path, contract: Contract, groups: list[str], counts: list[str], seed: int = 0) -> SplitProposal:
    """The split for the typed table; `groups`: identifiers that repeat, `counts`: whole numbers that differ in every row."""
    times = [column.name for column in contract.inputs if column.is_date and not column.optional]
    options = [Split(group=name) for name in groups[:2]] + [Split(time=name) for name in (*times, *counts)[:3]]
    if not options:
        return SplitProposal()
    frame = rows_of(typed, contract, options)
    ordered = {name for name in times if is_in_order(frame, name)}
    options = [each for each in options if each.time not in counts or is_in_order(frame, each.time or "")]
    frame = frame[is_usable(targets_of(contract, frame[contract.label.name]))]
    if len(frame) < FEWEST:
        return SplitProposal(split=next((each for each in options if each.group), None))
    model = QuickModel(frame, contract, seed)
    tried = [estimate for split in (None, *options) if (estimate := model.estimate(split)) is not None]
    if not tried or tried[0].split is not None:
        return SplitProposal()
    plain, *others = tried
    by_group = [each for each in others if each.split and each.split.group]
    by_time = [each for each in others if each.split and each.split.time and (each.split.time in ordered or each.differs_from(plain))]
    group, time = (max(found, key=lambda each: each.loss, default=None) for found in (by_group, by_time))
    chosen = max((each for each in (group, time) if each), key=lambda each: each.loss, default=plain)
    if group and time and group.split and time.split:
        both = model.estimate(Split(group=group.split.group, time=time.split.time))
        if both:
            tried, chosen = [*tried, both], both
    return SplitProposal(split=chosen.split, tried=tuple(tried))


def relation(typed: Path) -> str:
    return f"read_parquet({literal(str(typed))}, file_row_number=true)"


def rows_of(typed: Path, contract: Contract, options: list[Split]) -> "pd.DataFrame":
    """About ROWS rows in the file's order, all of a group or none where there are groups."""
    names = [column.name for column in (*contract.features()[:COLUMNS], contract.label)]
    names += [name for split in options for name in split.columns if name not in names]
    groups = [split.group for split in options if split.group]
    with database() as connection:
        table = relation(typed)
        found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        part = f"hash({name_of(groups[0])})" if groups else "hash(file_row_number)"
        share = min(1.0, ROWS / max(1, found[0] if found else 0))
        columns = ", ".join(map(name_of, names))
        return connection.execute(
            f"SELECT {columns} FROM {table} WHERE {part} <= {share!r} * 18446744073709551615 ORDER BY file_row_number"
        ).df()


def is_in_order(frame: "pd.DataFrame", name: str) -> bool:
    """Whether the rows stand in the order of a column, rising or falling."""
    values = frame[name].to_numpy()
    rising, falling = (values[:-1] <= values[1:]).mean(), (values[:-1] >= values[1:]).mean()
    return bool(max(rising, falling) >= IN_ORDER and values[0] != values[-1])


class QuickModel:
    """A few boosted trees, fitted anew for each split."""

    def __init__(self, frame: "pd.DataFrame", contract: Contract, seed: int) -> None:
        from pushline.training.features import compute, features_of

        columns = contract.features()[:COLUMNS]
        encoding = encoding_of(columns)
        features = features_of(with_split(contract, columns), encoding)
        self.matrix = compute(encode_frame(encoding, frame), features, encoding)
        self.targets = targets_of(contract, frame[contract.label.name])
        self.frame, self.contract, self.seed = frame, contract, seed

    def estimate(self, split: Split | None) -> Estimate | None:
        """None where the split leaves too little to learn from or to judge by."""
        columns = tuple(msgspec.structs.replace(each, missing_at_most=0.0) for each in self.contract.columns)
        contract = with_split(self.contract, columns, split)
        if contract_faults(contract):
            return None
        try:
            held = split_of(self.frame, contract, SHARE)
            learned = ~held
            for gap, _ in gaps_of(self.frame, split, held):
                learned &= ~gap
        except DataError:
            return None
        if learned.sum() < LEFT * (~held).sum() or held.mean() < SHARE / 3:
            return None
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits

        makes = HistGradientBoostingRegressor if self.contract.is_regression else HistGradientBoostingClassifier
        with threadpool_limits(1):  # threads of so small a model wait for one another
            losses = self.losses(makes(max_iter=40, max_leaf_nodes=15, early_stopping=False, random_state=self.seed), learned, held)
        if losses is None:
            return None
        loss, error = float(losses.mean()), float(losses.std() / math.sqrt(len(losses)))
        if not self.contract.is_regression:
            return Estimate(split=split, loss=loss, error=error)
        return Estimate(split=split, loss=math.sqrt(loss), error=error / (2 * math.sqrt(loss)) if loss else 0.0)

    def losses(self, model: Any, learned: Mask, held: Mask) -> Floats | None:
        """The loss of each held-out row: log loss or squared error; None where a side lacks a class."""
        known, asked = self.targets[learned], self.targets[held]
        if len(np.unique(known)) < max(2, len(self.contract.classes)):
            return None
        model.fit(self.matrix[learned], known)
        if self.contract.is_regression:
            return np.asarray((model.predict(self.matrix[held]) - asked) ** 2)
        chances = model.predict_proba(self.matrix[held])
        return np.asarray(-np.log(np.clip(chances[np.arange(len(asked)), asked], 1e-6, 1)))


def with_split(contract: Contract, columns: tuple[Column, ...], split: Split | None = None) -> Contract:
    """The contract with these columns and this split."""
    label = () if contract.label.name in (column.name for column in columns) else (contract.label,)
    return msgspec.structs.replace(contract, columns=(*columns, *label), derived=(), split=split)


class HoldOut(Struct, frozen=True, kw_only=True):
    """What is held out of a table."""

    share: float
    rows: int
    why: str = ""  # it is more than the usual share


def holdout_of(typed: Path, contract: Contract, by_class: dict[str, int], file: str, scratch: Path) -> HoldOut:
    """The smallest share that holds out enough rows of each class, and enough groups. Raises SettingsError.

    Of rows that hardly repeat a tenth is a tenth: then nothing is counted, for a hash of every row takes long.
    """
    best = HoldOut(share=0.0, rows=0)
    most, group = 0, contract.split.group if contract.split else None
    wanted = QUANTITIES_HELD_OUT if contract.is_regression else HELD_OUT
    counted = counted_in_time if contract.split is not None and contract.split.time is not None else counted_by_hash
    rarest = min(by_class, key=lambda name: by_class[name], default="")
    why = f"{rarest!r} has {by_class[rarest]:,} rows in all, and about {wanted} of them" if rarest else f"about {wanted} rows"
    with database(scratch) as connection:
        rows = 0 if contract.split else rows_that_differ(connection, typed, contract)
        expected = SHARES[0] * min((rows, *by_class.values()))
        if expected - SURE * math.sqrt(2 * expected) >= wanted:
            return HoldOut(share=SHARES[0], rows=round(SHARES[0] * rows))
        least = 0.0
        if group is not None:
            groups = connection.execute(f"SELECT count(DISTINCT {name_of(group)}) FROM {relation(typed)}").fetchall()[0][0]
            least = min(GROUPS_HELD_OUT / groups, MOST_FOR_GROUPS)
        for share in (each for each in SHARES if each >= least):
            counts = counted(connection, typed, contract, share)
            fewest = min(min(out, wanted) if left >= 5 else 0 for out, left in counts)
            if fewest > most:
                said = f"about {GROUPS_HELD_OUT} groups" if least > SHARES[0] and not most else why
                said = f"so many because {said} are needed to judge by" if share > SHARES[0] else ""
                most, best = fewest, HoldOut(share=share, rows=sum(out for out, _ in counts), why=said)
            if fewest >= wanted:
                break
    if most < 2:
        raise SettingsError(
            f"{file} can't be adopted.",
            why="Whichever share of its rows is held out, the hold-out or the training rows lack a class.",
            do="Nothing was changed. Bring more rows of the rarest class.",
        )
    return best


def rows_that_differ(connection: Any, typed: Path, contract: Contract) -> int:
    """The rows of a table of which most differ in what their side is decided by; 0 for any other."""
    names = ", ".join(name_of(column.name) for column in columns_of(contract))
    different, rows = connection.execute(f"SELECT approx_count_distinct(hash({names})), count(*) FROM {relation(typed)}").fetchone()
    return int(rows) if different > rows / 2 else 0


def counted_by_hash(connection: Any, typed: Path, contract: Contract, share: float) -> list[tuple[int, int]]:
    """For each class how many rows a share holds out, and how many it leaves; of a quantity for all."""
    name = name_of(contract.label.name)
    held, by = f"count(*) FILTER ({holdout_sql(contract, share)})", "" if contract.is_regression else f"GROUP BY {name}"
    found = connection.execute(f"SELECT {held}, count(*) FROM {relation(typed)} WHERE {name} IS NOT NULL {by}").fetchall()
    return [(int(out), int(rows) - int(out)) for out, rows in found]


def counted_in_time(connection: Any, typed: Path, contract: Contract, share: float) -> list[tuple[int, int]]:
    """The same where the newest rows are held out."""
    assert contract.split is not None
    names = ", ".join(map(name_of, (*contract.split.columns, contract.label.name)))
    frame = connection.execute(f"SELECT {names} FROM {relation(typed)} WHERE {name_of(contract.label.name)} IS NOT NULL").df()
    held = split_of(frame, contract, share)
    left = ~held
    for gap, _ in gaps_of(frame, contract.split, held):
        left &= ~gap
    if contract.is_regression:
        return [(int(held.sum()), int(left.sum()))]
    codes = class_codes(contract, frame[contract.label.name])
    return [(int((held & (codes == code)).sum()), int((left & (codes == code)).sum())) for code in range(len(contract.classes))]
