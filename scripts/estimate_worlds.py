"""Tables whose truth is known: each world makes a table to adopt, and later the rows that a model made of it meets in use.

A world is a generator with fixed parameters. `table` gives rows as a file holds them; `in_use` gives as many rows as are asked
for of what comes afterwards: other rows, other customers, the days after. So the loss of a model in use can be measured, and
the loss that a hold-out reports can be held against it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

Generator = np.random.Generator
Make = Callable[[Generator, int, bool], pd.DataFrame]
FIRST_DAY = pd.Timestamp("2024-01-01")
DAYS = 400  # that a table in time covers
LATER = 4  # times as long that its model is used


@dataclass(frozen=True)
class World:
    """`make(random, rows, later)` gives rows with the label `y`; `kind` says what is to be known of them."""

    name: str
    kind: str
    make: Make
    rows: int = 10_000
    is_regression: bool = False

    def table(self) -> pd.DataFrame:
        return self.make(np.random.default_rng([7, len(self.name), self.rows]), self.rows, False)

    def in_use(self, rows: int = 20_000) -> pd.DataFrame:
        return self.make(np.random.default_rng([8, len(self.name), self.rows]), rows, True)


def labels(random: Generator, score: Any, *, regression: bool, noise: float = 1.0, shift: float = 0.0) -> Any:
    """A quantity with noise, or yes with the score as log odds."""
    if regression:
        return np.round(50 + 10 * score + 10 * noise * random.normal(size=len(score)), 3)
    return np.where(random.random(len(score)) < 1 / (1 + np.exp(-2 * (score - shift))), "yes", "no")


def numbers(random: Generator, rows: int, count: int = 4) -> pd.DataFrame:
    return pd.DataFrame({f"x{number}": random.normal(size=rows).round(4) for number in range(count)})


def independent(*, regression: bool = False, shift: float = 0.0, classes: int = 2, dates: str = "") -> Make:
    """Rows that have nothing to do with each other; with dates that say nothing, in the rows' order or of birth."""

    def make(random: Generator, rows: int, later: bool) -> pd.DataFrame:
        frame = numbers(random, rows)
        score = frame["x0"] + np.sin(2 * frame["x1"]) + 0.5 * frame["x2"] * (frame["x3"] > 0)
        frame["y"] = labels(random, score, regression=regression, shift=shift)
        if classes == 3:
            frame["y"] = np.array(["low", "middle", "top"])[np.searchsorted([-0.7, 0.7], score + random.normal(size=rows))]
        if dates == "placed":
            frame.insert(0, "placed", days(np.sort(random.integers(0, DAYS, rows)) + DAYS * later))
        if dates == "born":
            frame.insert(0, "born", days(random.integers(-25_000, -7_000, rows)))
        return frame

    return make


def days(numbers: Any) -> Any:
    return (FIRST_DAY + pd.to_timedelta(numbers, unit="D")).strftime("%Y-%m-%d")


def grouped(*, each: int, effect: float, regression: bool = False, in_time: bool = False) -> Make:
    """Rows of customers with traits of their own; `effect`: how much a customer's label has to do with no trait, but with who it is.

    `in_time`: customers come one after the other and stay for a week.
    """

    def make(random: Generator, rows: int, later: bool) -> pd.DataFrame:
        count = rows // each
        customer = np.repeat(np.arange(count), each)
        traits = random.normal(size=(count, 3)).round(4)
        own = effect * random.normal(size=count)
        frame = pd.DataFrame(traits[customer], columns=["trait0", "trait1", "trait2"]).join(numbers(random, len(customer), 2))
        score = 0.7 * frame["trait0"] + 0.7 * frame["x0"] + own[customer]
        frame["y"] = labels(random, score, regression=regression, noise=0.5)
        frame.insert(0, "customer_id", [f"c{number + 10**6 * later:07d}" for number in customer])
        if in_time:
            frame.insert(0, "visited", days(customer * DAYS // count + random.integers(0, 7, len(customer)) + DAYS * later))
            return frame.sort_values("visited", ignore_index=True)
        return frame.sample(frac=1, random_state=1, ignore_index=True)

    return make


def in_time(*, effect: float, regression: bool = False, how: str = "sorted", slope: float = 0.0) -> Make:
    """Days with an effect of their own on all their rows, and a figure in each row that names the day, as an exchange rate does."""

    def make(random: Generator, rows: int, later: bool) -> pd.DataFrame:
        first, last = (DAYS, DAYS * (1 + LATER)) if later else (0, DAYS)
        day = np.sort(random.integers(first, last, rows))
        of_day = np.random.default_rng(5).normal(size=(DAYS * (1 + LATER), 2))
        frame = numbers(random, rows, 3).assign(rate=of_day[day, 1].round(5))
        score = frame["x0"] + 0.5 * frame["x1"] + effect * of_day[day, 0] + slope * np.minimum(day, DAYS) / DAYS * frame["x2"]
        frame["y"] = labels(random, score, regression=regression, noise=0.5)
        if how == "counted":
            frame.insert(0, "row_id", np.arange(1, rows + 1) + (10**6 if later else 0))
            return frame
        frame.insert(0, "placed", days(day))
        return frame if how == "sorted" else frame.sample(frac=1, random_state=2, ignore_index=True)

    return make


def coarse(*, regression: bool = False, share: float = 0.1) -> Make:
    """Three coarse features, so that most rows repeat others in them."""

    def make(random: Generator, rows: int, later: bool) -> pd.DataFrame:
        values = random.integers(0, 4, (rows, 3))
        frame = pd.DataFrame(
            {"size": values[:, 0], "grade": np.array(list("abcd"))[values[:, 1]], "zone": np.array(list("nesw"))[values[:, 2]]}
        )
        score = 0.4 * values[:, 0] + 0.3 * (values[:, 1] == 1) - 0.3 * (values[:, 2] == 2)
        frame["y"] = labels(random, score, regression=regression, shift=1.0 + 5 * (0.3 - share))
        return frame

    return make


def twins(*, each: int, regression: bool = False) -> Make:
    """Rows that were written several times, each time under another identifier."""

    def make(random: Generator, rows: int, later: bool) -> pd.DataFrame:
        frame = independent(regression=regression)(random, rows if later else rows // each, later)
        frame = frame if later else pd.concat([frame] * each, ignore_index=True).sample(frac=1, random_state=3, ignore_index=True)
        frame.insert(0, "id", random.permutation(len(frame)) + 1)
        return frame

    return make


WORLDS = (
    World("rows apart", "independent", independent()),
    World("rows apart, one in ten", "independent", independent(shift=2.2)),
    World("rows apart, three classes", "independent", independent(classes=3)),
    World("rows apart, a quantity", "independent", independent(regression=True), is_regression=True),
    World("dates that say nothing", "independent", independent(dates="placed")),
    World("dates that say nothing, a quantity", "independent", independent(dates="placed", regression=True), 10_000, True),
    World("dates of birth", "independent", independent(dates="born")),
    World("customers alike", "groups without effects", grouped(each=10, effect=0)),
    World("customers alike, a quantity", "groups without effects", grouped(each=10, effect=0, regression=True), 10_000, True),
    World("customers of 5 rows", "groups with effects", grouped(each=5, effect=1.5)),
    World("customers of 10 rows", "groups with effects", grouped(each=10, effect=2)),
    World("customers of 30 rows", "groups with effects", grouped(each=30, effect=2), rows=12_000),
    World("customers of 10 rows, a quantity", "groups with effects", grouped(each=10, effect=2, regression=True), 10_000, True),
    World("customers of 40 rows, a quantity", "groups with effects", grouped(each=40, effect=3, regression=True), 16_000, True),
    World("days with effects", "in time", in_time(effect=1.5)),
    World("days with effects, shuffled", "in time", in_time(effect=1.5, how="shuffled")),
    World("days with effects, only counted", "in time", in_time(effect=1.5, how="counted")),
    World("days with effects, a quantity", "in time", in_time(effect=2, regression=True), 10_000, True),
    World("a world that moves on slowly", "in time", in_time(effect=0.7, slope=0.5)),
    World("a quantity that moves on slowly", "in time", in_time(effect=0.7, slope=0.5, regression=True), 10_000, True),
    World("customers in time", "groups in time", grouped(each=10, effect=2, in_time=True)),
    World("customers in time, a quantity", "groups in time", grouped(each=10, effect=2, in_time=True, regression=True), 10_000, True),
    World("coarse rows", "repeated rows", coarse()),
    World("coarse rows, a quantity", "repeated rows", coarse(regression=True), is_regression=True),
    World("twins under new numbers", "twins", twins(each=5)),
    World("twins under new numbers, a quantity", "twins", twins(each=5, regression=True), 10_000, True),
)  # fmt: skip
