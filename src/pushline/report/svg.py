"""Plots as SVG that needs no script and no style of its own: axes, lines and labels, every text escaped.

A plot is drawn at the width of a phone, so that its text keeps its size there, and is set side by side where there is room.
Colours come from classes (report.css), so that the same picture serves light, dark and paper.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from markupsafe import Markup, escape

from pushline.report.figures import visible

Point = tuple[float, float]
WIDTH, HEIGHT = 360, 280
LETTER, LINE = 6.3, 13.0  # about as wide and as high as a label's text is


def tag(name: str, *children: Any, **attributes: Any) -> Markup:
    """An element; `class_` and names with underscores are written as SVG has them, numbers to two decimals, None left out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(amount(value))}"' for key, value in attributes.items() if value is not None
    )
    inside = "".join(escaped(child) for child in children)
    return Markup(f"<{name}{written}>{inside}</{name}>")  # noqa: S704 - every part is escaped above


def escaped(part: Any) -> str:
    """Foreign text as text; what is an element already stays one."""
    return str(part) if isinstance(part, Markup) else str(escape(visible(part, 1_000_000)))


def amount(value: Any) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


class Axis:
    """From `low` to `high` with ticks at round figures, written as `factor` times the value; logarithmic where `log`."""

    def __init__(
        self, label: str, low: float, high: float, unit: str = "", factor: int = 1, *, log: bool = False, ticks: Sequence[float] = ()
    ) -> None:
        self.label, self.unit, self.factor, self.log = label, unit, factor, log
        self.low, self.high = (low, high) if high > low else (low, low + 1)
        self.ticks = list(ticks) if ticks else decades(self.low, self.high) if log else steps(self.low, self.high)

    def words(self) -> list[str]:
        """The ticks with as many digits as they have, so that no two read the same."""
        if self.log:
            return [f"{self.factor * value:g}{self.unit}" for value in self.ticks]
        shown = [self.factor * value for value in self.ticks]
        near = (shown[1] - shown[0] if len(shown) > 1 else 1.0) / 1000
        digits = next((n for n in range(12) if all(abs(round(value, n) - value) <= near for value in shown)), 12)
        return [f"{value:z.{digits}f}{self.unit}" for value in shown]

    def place(self, value: float) -> float:
        """Where a value lies, from 0 to 1; beyond the ends it is held at them."""
        if self.log:
            value, low, high = math.log10(max(value, self.low)), math.log10(self.low), math.log10(self.high)
        else:
            low, high = self.low, self.high
        return min(max((value - low) / (high - low), 0.0), 1.0)


def steps(low: float, high: float, about: int = 5) -> list[float]:
    """Round figures between low and high."""
    raw = (high - low) / about
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def decades(low: float, high: float) -> list[float]:
    """Powers of ten between low and high; with their halves and fifths where the powers are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1,) if len(powers) > 4 else (1, 2, 5)
    return [10.0**power * factor for power in powers for factor in factors if low <= 10.0**power * factor <= high * 1.0001]


class Plot:
    """A picture with two axes."""

    def __init__(self, title: str, x: Axis, y: Axis, *, height: int = HEIGHT, left: int = 46, right: int = 16) -> None:
        self.title, self.x, self.y, self.height = title, x, y, height
        self.left, self.right, self.top, self.bottom = left, right, 26, 42
        self.parts: list[Markup] = []
        self.labels: list[Markup] = []
        self.boxes: list[tuple[float, float, float]] = []  # left, right and foot of each label

    def at(self, point: Point) -> Point:
        width, height = WIDTH - self.left - self.right, self.height - self.top - self.bottom
        return self.left + width * self.x.place(point[0]), self.top + height * (1 - self.y.place(point[1]))

    def line(self, points: Sequence[Point], kind: str = "model", *, stepped: bool = False) -> None:
        """A line through the points; stepped: it keeps its height until the next point."""
        places = [self.at(point) for point in points]
        if stepped:
            corners = [(after[0], before[1]) for before, after in itertools.pairwise(places)]
            places = [place for pair in itertools.zip_longest(places, corners) for place in pair if place]
        self.parts.append(tag("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places), class_=f"line {kind}"))

    def dot(self, point: Point, kind: str = "model", *, radius: float = 4.0, hint: str = "") -> None:
        x, y = self.at(point)
        inside = [tag("title", hint)] if hint else []
        self.parts.append(tag("circle", *inside, cx=x, cy=y, r=radius, class_=f"dot {kind}"))

    def whisker(self, x: float, low: float, high: float, kind: str = "model") -> None:
        (left, bottom), (_, top) = self.at((x, low)), self.at((x, high))
        self.parts.append(tag("line", x1=left, x2=left, y1=bottom, y2=top, class_=f"whisker {kind}"))

    def bar(self, x: float, width: float, value: float, kind: str = "model", *, hint: str = "") -> None:
        """A bar from the foot of the plot, `width` in units of x."""
        (left, top), (right, foot) = self.at((x - width / 2, value)), self.at((x + width / 2, self.y.low))
        inside = [tag("title", hint)] if hint else []
        self.parts.append(tag("rect", *inside, x=left, y=top, width=right - left, height=max(foot - top, 0.0), class_=f"bar {kind}"))

    def rule(self, value: float, kind: str = "limit") -> None:
        """A line across the plot at a value of y."""
        self.line([(self.x.low, value), (self.x.high, value)], kind)

    def label(self, point: Point, words: str, kind: str = "model", *, anchor: str = "start", dx: float = 0, dy: float = 0) -> None:
        """Words beside a point, inside the picture and clear of the labels before."""
        x, y = self.at(point)
        width = LETTER * len(words)
        before = {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        left = min(max(x + dx - before, 0.0), max(WIDTH - width, 0.0))
        lowest = self.height - self.bottom - 4.0
        heights = [
            min(max(y + dy + LINE * step, self.top - 4.0), lowest) for step in (0, *(n * side for n in range(1, 9) for side in (-1, 1)))
        ]
        y = next((height for height in heights if self._is_free(left, left + width, height)), heights[0])
        self.boxes.append((left, left + width, y))
        self.labels.append(tag("text", words, x=left + before, y=y, text_anchor=anchor, class_=f"label {kind}"))

    def _is_free(self, left: float, right: float, foot: float) -> bool:
        return all(right <= box[0] or left >= box[1] or abs(foot - box[2]) >= LINE for box in self.boxes)

    def render(self, description: str) -> Markup:
        name = "plot-" + self.title.lower().replace(" ", "-")  # titles are unique in a page
        heads = [tag("title", self.title, id=f"{name}-t"), tag("desc", description, id=f"{name}-d")]
        return tag(
            "svg", *heads, *self._axes(), *self.parts, *self.labels,
            viewBox=f"0 0 {WIDTH} {self.height}", role="img", aria_labelledby=f"{name}-t {name}-d", class_="plot",
        )  # fmt: skip

    def _axes(self) -> Iterator[Markup]:
        foot, end = self.height - self.bottom, WIDTH - self.right
        for value, words in zip(self.y.ticks, self.y.words(), strict=True):
            y = self.at((self.x.low, value))[1]
            yield tag("line", x1=self.left, x2=end, y1=y, y2=y, class_="grid")
            yield tag("text", words, x=self.left - 6, y=y + 3.5, text_anchor="end", class_="tick")
        for value, words in zip(self.x.ticks, self.x.words(), strict=True):
            x = self.at((value, self.y.low))[0]
            yield tag("line", x1=x, x2=x, y1=foot, y2=foot + 4, class_="axis")
            yield tag("text", words, x=x, y=foot + 16, text_anchor="middle", class_="tick")
        yield tag("line", x1=self.left, x2=end, y1=foot, y2=foot, class_="axis")
        yield tag("text", self.x.label, x=(self.left + end) / 2, y=self.height - 6, text_anchor="middle", class_="axis-label")
        yield tag("text", self.y.label, x=2, y=11, class_="axis-label")


def strip(*parts: Markup, words: str, height: int = 14) -> Markup:
    """A strip as wide as the table cell it stands in; its parts are placed in per cent."""
    return tag("svg", *parts, width="100%", height=height, role="img", aria_label=words, class_="strip")


def stripe(start: float, end: float, kind: str = "model", *, y: float = 3, height: float = 8) -> Markup:
    """A stripe from one share of the strip's width to another."""
    start, end = min(max(start, 0.0), 1.0), min(max(end, 0.0), 1.0)
    return tag("rect", x=percents(start), width=percents(max(end - start, 0.0)), y=y, height=height, class_=f"bar {kind}")


def mark(at: float, kind: str = "model") -> Markup:
    """An upright mark at a share of the strip's width."""
    where = percents(min(max(at, 0.0), 1.0))
    return tag("line", x1=where, x2=where, y1=1, y2=13, class_=f"mark {kind}")


def percents(share: float) -> str:
    return f"{100 * share:.2f}%"
