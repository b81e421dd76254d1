"""Axes and labels of plots."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushline.report.svg import LETTER, WIDTH, Axis, Plot


@given(low=st.floats(-1e6, 1e6), width=st.floats(1e-6, 1e6), unit=st.sampled_from([("", 1), (" %", 100)]), log=st.booleans())
def test_no_two_ticks_of_an_axis_read_the_same(low: float, width: float, unit: tuple[str, int], log: bool) -> None:
    low = abs(low) + 1e-3 if log else low
    axis = Axis("x", low, low + width, *unit, log=log)
    words = axis.words()
    assert len(set(words)) == len(words) == len(axis.ticks)
    if not log:
        assert all(
            abs(float(word.removesuffix(unit[0])) - unit[1] * tick) <= 1e-6 * max(1, abs(tick))
            for word, tick in zip(words, axis.ticks, strict=True)
        )


@pytest.mark.slow
@given(
    points=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=5), anchor=st.sampled_from(["start", "middle", "end"])
)
def test_labels_stay_in_the_picture_and_clear_of_each_other(points: list[tuple[float, float]], anchor: str) -> None:
    plot = Plot("p", Axis("x", 0, 1), Axis("y", 0, 1))
    for point in points:
        plot.label(point, "the first 20 % hold", anchor=anchor, dx=6)
    places = [(float(x), float(y)) for x, y in re.findall(r' x="([\d.]+)" y="([\d.]+)"', "".join(map(str, plot.labels)))]
    width = LETTER * len("the first 20 % hold")
    before = {"start": 0, "middle": width / 2, "end": width}[anchor]
    assert all(x - before >= -0.01 and x - before + width <= WIDTH + 0.01 for x, _ in places)
    for number, (x, y) in enumerate(places):
        assert all(abs(x - a) >= width - 0.01 or abs(y - b) >= 12.9 for a, b in places[:number])
