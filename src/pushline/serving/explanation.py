"""Why a row was answered as it was: what each feature added to the score, from `explanation.npz` of the model folder.

TreeSHAP (Lundberg et al. 2020, https://doi.org/10.1038/s42256-019-0138-9), exact, where the score is a sum of trees. Of a leaf with value v
whose path asks about the features j, let o_j be whether the row is on the leaf's side, and c_j the share of training rows that is. A set S
of known features is worth v * prod(o_j, j in S) * prod(c_j, others), so that the Shapley value of feature i is the integral over t from
0 to 1 of v * (o_i - c_i) * prod(t * o_j + (1 - t) * c_j, j other than i): a polynomial of a degree below the number of features, which
Gauss and Legendre's rule integrates exactly with half as many points. Leaves of paths equally long are computed together.

Where it is no sum of trees, Shapley values are sampled (Castro, Gómez and Tejada 2009; Štrumbelj and Kononenko 2014): over random orders,
what the answer changes by when the features of a generated row become the row's own, one after the other. They add up exactly too; each
has a standard error. Orders and generated rows are the same for every row, so that the same row always has the same explanation.
"""

import io
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct

from pushline.arrays import Floats, Ints, Matrix
from pushline.serving.model_folder import EXPLANATION, MATRIX_INPUT, session_from, unusable, verified

CELLS, ROWS = 65_536, 64  # numbers that are worked on at a time, of so many rows: they stay in the processor's cache
SMALLEST = 1e-7  # a probability of 0 has no logarithm
ORDERS = 64  # of features that are sampled
Scale = Literal["log-odds", "raw score", "probability", "value"]
PATHS = ("low", "high", "missing", "share", "column", "value")  # the arrays of the leaves with so many features on their path


class About(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `explanation.npz` holds beside its arrays."""

    method: Literal["TreeSHAP", "sampled Shapley"]
    scale: Scale  # of scores and contributions
    features: tuple[str, ...]  # columns of the contract, and its derived features
    places: tuple[int, ...] = ()  # for each column that the trees read, the feature it belongs to
    base: tuple[float, ...] = ()  # the mean score by output, where no feature is known


class Explainer:
    """Explains the answers of one model."""

    def __init__(self, folder: Path, sha256: str, run: Callable[[Matrix], Matrix], units: Mapping[str, str]) -> None:
        """`run`: the model. Raises ModelUnreadable where the file is absent or damaged."""
        try:
            arrays = dict(np.load(io.BytesIO(verified(folder, EXPLANATION, sha256)), allow_pickle=False))
            self.about = msgspec.json.decode(arrays["about"].tobytes(), type=About)
            self.sampled = self.about.method == "sampled Shapley"
            self.method = Sample(self.about, arrays["rows"], run) if self.sampled else Trees(self.about, arrays)
        except (ValueError, KeyError, msgspec.DecodeError) as error:
            raise unusable(folder, f"{EXPLANATION}: {error}") from error
        self.named = [{"feature": name, **({"unit": units[name]} if units.get(name) else {})} for name in self.about.features]

    def reasons(self, matrix: Matrix, output: Matrix, most: int) -> list[dict[str, Any]]:
        """For each row its score as the sum of a base, of the `most` features that moved it furthest, and of the others.

        With more than two classes the score is that of the most probable one.
        """
        base, added, errors = self.of(matrix, output)
        furthest = np.argsort(-np.abs(added), axis=1, kind="stable")[:, :most]
        found = []
        for start, row, error, order in zip(base.tolist(), added.tolist(), errors.tolist(), furthest.tolist(), strict=True):
            reasons = [{**self.named[one], "contribution": row[one], **({"error": error[one]} if self.sampled else {})} for one in order]
            others = math.fsum(row) - math.fsum(row[one] for one in order)
            found.append({"score": start + math.fsum(row), "base": start, "reasons": reasons, "others": others})
        return found

    def of(self, matrix: Matrix, output: Matrix) -> tuple[Floats, Floats, Floats]:
        """Of each row the base, what each feature adds to it, and the standard errors of that."""
        if self.about.scale == "value":
            chosen = np.zeros(len(output), dtype=np.int64)
        else:
            chosen = np.ones(len(output), dtype=np.int64) if output.shape[1] == 2 else output.argmax(axis=1)
        return self.method.contributions(matrix, output, chosen)

    def worst(self, matrix: Matrix, output: Matrix) -> float:
        """The largest distance between an answer for two classes and what its explanation adds up to."""
        base, added, _ = self.of(matrix, output)
        score = base + added.sum(axis=1)
        told = {"log-odds": lambda: 1 / (1 + np.exp(-score)), "probability": lambda: score}.get(self.about.scale)
        return float(np.abs(told() - output[:, 1]).max()) if told and output.shape[1] == 2 and len(output) else 0.0


class Leaves:
    """Some leaves whose paths ask about equally many features: arrays [leaves, features], and their values [leaves].

    With r the logarithm of (t + (1 - t) * c) / ((1 - t) * c), the logarithm of the product at t is a constant and the sum of o * r.
    A feature on the leaf's side adds v * (1 - c) times the integral of product / (t + (1 - t) * c), any other takes v times that of
    product / (1 - t). `worth` has the sum of the two for each feature, and behind them the latter: a choice costs more than a product.
    """

    def __init__(self, arrays: Mapping[str, Any], value: Floats, places: Ints) -> None:
        self.low, self.high, self.missing, self.column = (arrays[name] for name in ("low", "high", "missing", "column"))
        share, count = arrays["share"].astype(np.float64), arrays["share"].shape[1]
        points, weights = np.polynomial.legendre.leggauss((count + 1) // 2)
        t, weights = (points[:, None] + 1) / 2, weights / 2
        on, off = (part.swapaxes(1, 2) for part in np.broadcast_arrays(*sides(share[..., None], t[:, 0])))
        self.ratio = np.log(on / off).astype(np.float32)  # [leaves, points, features]
        self.start = np.log(off).sum(axis=2, keepdims=True).astype(np.float32)
        gain = value[:, None, None] * weights[:, None] * (1 - share[:, None, :]) / on
        loss = value[:, None, None] * weights[:, None] / np.broadcast_to(1 - t, (len(value), len(t), 1))
        self.worth = np.concatenate([gain + loss, loss], axis=2).swapaxes(1, 2).astype(np.float32)  # [leaves, features and one, points]
        features = places[self.column].ravel()
        self.order = np.argsort(features, kind="stable")
        self.features, self.starts = np.unique(features[self.order], return_index=True)

    def contributions(self, columns: Matrix, absent: Any) -> Matrix:
        """What each of `self.features` adds to the score: [features, rows] from columns [columns, rows]."""
        values = columns[self.column]
        on = (values > self.low[..., None]) & (values <= self.high[..., None])
        if absent is not None:
            on |= absent[self.column] & self.missing[..., None]
        own = on.astype(np.float32)
        product = self.ratio @ own
        product += self.start
        worth = self.worth @ np.exp(product, out=product)
        own *= worth[:, :-1]
        own -= worth[:, -1:]
        return np.add.reduceat(own.reshape(len(self.order), -1)[self.order], self.starts, axis=0)


def sides(share: Floats, t: Floats) -> tuple[Floats, Floats]:
    """The factor of a feature at t where the row is on the leaf's side, and where it is not."""
    return t + (1 - t) * share, (1 - t) * share


class Trees:
    """A sum of trees."""

    def __init__(self, about: About, arrays: Mapping[str, Any]) -> None:
        self.base, self.count = np.asarray(about.base), len(about.features)
        self.graph = session_from(arrays["graph"].tobytes()) if "graph" in arrays else None
        self.outputs: list[list[Leaves]] = [[] for _ in about.base]
        for name in arrays:
            if name.startswith("value"):
                group = {each: arrays[each + name.removeprefix("value")] for each in PATHS}
                step = max(1, CELLS // (ROWS * group["low"].shape[1]))
                for output, leaves in enumerate(self.outputs):
                    own = np.flatnonzero(group["value"][:, output])
                    for start in range(0, len(own), step):
                        some = {each: array[own[start : start + step]] for each, array in group.items()}
                        leaves.append(Leaves(some, some["value"][:, output].astype(np.float64), np.asarray(about.places)))

    def contributions(self, matrix: Matrix, output: Matrix, chosen: Any) -> tuple[Floats, Floats, Floats]:
        read = matrix if self.graph is None else self.graph.run(None, {MATRIX_INPUT: matrix})[0]
        chosen = chosen if len(self.outputs) > 1 else np.zeros_like(chosen)
        added = np.zeros((self.count, len(read)))
        for one in np.unique(chosen).tolist():
            rows = np.flatnonzero(chosen == one)
            for start in range(0, len(rows), ROWS):
                some = rows[start : start + ROWS]
                columns = np.ascontiguousarray(read[some].T)
                absent = np.isnan(columns)
                for leaves in self.outputs[one]:
                    added[np.ix_(leaves.features, some)] += leaves.contributions(columns, absent if absent.any() else None)
        return self.base[chosen], added.T, np.zeros_like(added.T)


class Sample:
    """Any model, by its answers to rows between a generated one and the row itself."""

    def __init__(self, about: About, rows: Matrix, run: Callable[[Matrix], Matrix]) -> None:
        self.run, self.scale = run, about.scale
        random, count = np.random.default_rng(7), len(about.features)
        half = [random.permutation(count) for _ in range(ORDERS // 2)]
        self.orders = np.array([order for one in half for order in (one, one[::-1])])  # an order and its reverse: their errors cancel
        self.rows = rows[np.arange(ORDERS) % len(rows)]

    def contributions(self, matrix: Matrix, output: Matrix, chosen: Any) -> tuple[Floats, Floats, Floats]:
        said = self.scaled(output[np.arange(len(output)), chosen])
        found = [self.of_row(*each) for each in zip(matrix, said.tolist(), chosen.tolist(), strict=True)]
        base, added, errors = (np.asarray(each) for each in zip(*found, strict=True))
        return base, added, errors

    def scaled(self, answers: Floats) -> Floats:
        """Logarithms of odds of two classes: there a rare class's rows are apart, and contributions surer than between probabilities."""
        exact = answers.astype(np.float64)
        if self.scale != "log-odds":
            return exact
        near = np.clip(exact, SMALLEST, 1 - SMALLEST)
        return np.asarray(np.log(near / (1 - near)))

    def of_row(self, row: Matrix, said: float, one: int) -> tuple[float, Floats, Floats]:
        """Base, contributions and their standard errors."""
        orders, count = self.orders, self.orders.shape[1]
        reached = np.empty_like(orders)
        np.put_along_axis(reached, orders, np.broadcast_to(np.arange(count), orders.shape), axis=1)  # when a feature becomes the row's own
        own = reached[:, None, :] < np.arange(count)[None, :, None]  # [orders, steps, features]
        between = np.where(own, row, self.rows[:, None, :]).reshape(-1, count)
        new = np.ones_like(orders, dtype=bool)  # a step at which the two rows have the same value asks nothing new
        new[:, 1:] = np.take_along_axis(row != self.rows, orders, axis=1)[:, :-1]
        answers = self.scaled(self.run(between[new.ravel()])[:, one])[new.cumsum() - 1].reshape(orders.shape)
        steps = np.diff(answers, axis=1, append=said)
        added = np.take_along_axis(steps, reached, axis=1)
        return answers[:, 0].mean(), added.mean(axis=0), added.std(axis=0, ddof=1) / np.sqrt(len(orders))
