"""Columns that may give the label away, with the evidence: for a person to judge, nothing is left out because of it."""

import numpy as np

from pushline.arrays import Floats
from pushline.data.checks.label_checks import ranks_left
from pushline.data.contract import Column, Contract
from pushline.data.contract.encoding import MISSING_CATEGORY, Codes, Encoding, Targets
from pushline.evaluation import COPY, Suspect
from pushline.registry.measures import figure
from pushline.results import Scalar

DECIDES = 0.9  # ROC AUC of one column alone, from which it says most about the label
PURE = 0.98  # share of one class among the rows of one value
PURE_ROWS = 30
DISTINCT = 0.9  # of the rows: a value of almost every row's own
FOLLOWS = 0.98  # share of rows in which one column's value gives another's
BY_ORDER = 0.9  # rank correlation with the row's place in the file
BINS = 64
ROWS = 100_000  # looked at


def suspects_of(matrix: Floats, labels: Targets, encoding: Encoding, contract: Contract) -> tuple[Suspect, ...]:
    """The suspects among the columns of `matrix`, rows in the order of the file."""
    found: list[Suspect] = []
    matrix, labels = matrix[:ROWS], labels[:ROWS]
    timed = [place for place, name in enumerate(encoding.names) if contract.by_name[name].encodes_time]
    for place, name in enumerate(encoding.names):
        column, values = contract.by_name[name], matrix[:, place]
        found += known_after(column)
        found += explains(name, values, labels) if contract.is_regression else decides(name, values, labels, contract)
        found += identifies(column, values)
        found += tells_time(name, values, column, place, matrix, timed, encoding)
    return tuple(found)


def known_after(column: Column) -> list[Suspect]:
    if column.known == "before":
        return []
    why = f" ({column.reason})" if column.reason else ""
    return [Suspect(column=column.name, reason=f"it is known only after the event{why}, and this model uses it all the same")]


def decides(name: str, values: Floats, labels: Codes, contract: Contract) -> list[Suspect]:
    """A column that alone ranks the rows almost as the label does, or a value with rows of one rare class almost only."""
    codes, cells = in_cells(values)
    found = []
    for number in range(1 if len(contract.classes) == 2 else 0, len(contract.classes)):
        truth = labels == number
        if not truth.any() or truth.all():
            continue
        share = cross_fitted(codes, len(cells), truth)
        ranking = truth.astype(np.int64), np.column_stack([1 - share, share])
        area = figure("roc_auc", *ranking)
        if area >= DECIDES:
            alone = figure("average_precision", *ranking)
            evidence: dict[str, Scalar] = {"roc_auc_alone": round(area, 4), "average_precision_alone": round(alone, 4)}
            what = (
                "it decides the label, so it is a copy of it or known only afterwards" if area >= COPY else "is it known before the event?"
            )
            text = f"alone it ranks `{contract.classes[number]}` with a ROC AUC of {area:.3f}: {what}"
            found.append(Suspect(column=name, reason=text, evidence=evidence))
            continue
        rows = np.bincount(codes, minlength=len(cells))
        hits = np.bincount(codes, weights=truth, minlength=len(cells))
        pure = (rows >= PURE_ROWS) & (hits >= PURE * rows)
        if pure.any() and truth.mean() < PURE / 2:
            text = f"{int(rows[pure].sum())} rows share values that are almost always `{contract.classes[number]}`"
            found.append(Suspect(column=name, reason=text, evidence={"rows": int(rows[pure].sum()), "of_the_class": int(hits[pure].sum())}))
    return found


def explains(name: str, values: Floats, labels: Floats) -> list[Suspect]:
    """A column that alone explains almost all of a quantity."""
    left = ranks_left(np.where(np.isnan(values), -np.inf, values.astype(np.float64)), labels)
    alone = 0.0 if left is None else 1 - left
    if alone < DECIDES:
        return []
    what = "it decides the label, so it is a copy of it or known only afterwards" if alone >= COPY else "is it known before the event?"
    text = f"alone it explains {alone:.1%} of where the label's values rank: {what}"
    return [Suspect(column=name, reason=text, evidence={"r2_alone": round(alone, 4)})]


def in_cells(values: Floats) -> tuple[Codes, Floats]:
    """Each row's cell: its value where there are few, else one of equally full ranges; missing is a cell of its own."""
    known = values[~np.isnan(values)]
    edges = np.unique(known)
    if len(edges) > BINS:
        edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1]))
    codes = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))
    return codes.astype(np.int64), np.arange(len(edges) + 2)


def cross_fitted(codes: Codes, cells: int, truth: Floats) -> Floats:
    """For each row the share of the class in its cell among the rows of the other half, drawn to the mean where they are few."""
    half = np.arange(len(codes)) % 2
    share = np.empty(len(codes))
    for side in (0, 1):
        other = half != side
        rows = np.bincount(codes[other], minlength=cells)
        hits = np.bincount(codes[other], weights=truth[other], minlength=cells)
        share[~other] = ((hits + truth.mean() * 10) / (rows + 10))[codes[~other]]
    return share


def identifies(column: Column, values: Floats) -> list[Suspect]:
    """A whole number or a text that is different in almost every row."""
    known = values[~np.isnan(values)]
    if column.is_date:
        return []
    if column.is_text and not column.allowed:
        return [Suspect(column=column.name, reason="the contract lists no values for this text, so the model can use none of it")]
    if column.type != "integer" or len(known) < PURE_ROWS:
        return []
    distinct = len(np.unique(known)) / len(known)
    if distinct < DISTINCT:
        return []
    text = f"{distinct:.0%} of its values appear once or hardly more often: it looks like an identifier"
    return [Suspect(column=column.name, reason=text, evidence={"distinct_share": round(distinct, 4)})]


def tells_time(
    name: str, values: Floats, column: Column, place: int, matrix: Floats, timed: list[int], encoding: Encoding
) -> list[Suspect]:
    """A column that says when its row was made: marked so, given by one that is, or in the order of the file."""
    if column.is_date:
        return []
    if column.encodes_time:
        joint = len(np.unique(matrix[:, timed], axis=0))
        return [
            Suspect(
                column=name,
                reason=f"it identifies when a row was made: with the other columns marked so it takes only {joint} joint values "
                f"over {len(matrix):,} rows",
                evidence={"joint_values": joint, "distinct": len(np.unique(values)), "rows": len(matrix)},
            )
        ]
    if len(np.unique(values[values != MISSING_CATEGORY])) >= 5:
        for other in timed:
            given = follows(values, matrix[:, other])
            if given >= FOLLOWS:
                text = f"its value follows from `{encoding.names[other]}`, which tells the time, in {given:.1%} of the rows"
                return [Suspect(column=name, reason=text, evidence={"given_by": encoding.names[other], "share": round(given, 4)})]
    order = rank_correlation(values)
    if abs(order) < BY_ORDER:
        return []
    text = f"it {'rises' if order > 0 else 'falls'} with the row's place in the file (rank correlation {order:.2f}): it may tell the time"
    return [Suspect(column=name, reason=text, evidence={"rank_correlation": round(order, 4)})]


def follows(values: Floats, other: Floats) -> float:
    """The share of rows whose value is the most frequent one among the rows of the same `other`."""
    _, own = np.unique(values, return_inverse=True)
    _, given = np.unique(other, return_inverse=True)
    pairs, counts = np.unique(given * (own.max() + 1) + own, return_counts=True)
    best = np.zeros(given.max() + 1)
    np.maximum.at(best, pairs // (own.max() + 1), counts)
    # Where every row has its own value of the other column, that gives everything and says nothing.
    return float(best.sum() / len(values)) if given.max() + 1 < len(values) / 20 else 0.0


def rank_correlation(values: Floats) -> float:
    """Spearman's correlation with the place in the file; 0 for a column of one value."""
    known = values[~np.isnan(values)]
    _, ranks, counts = np.unique(known, return_inverse=True, return_counts=True)
    if len(counts) < 5:
        return 0.0
    middle = np.cumsum(counts) - counts / 2
    return float(np.corrcoef(middle[ranks], np.arange(len(known)))[0, 1])
