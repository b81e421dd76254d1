"""Figures and foreign text as people read them."""

import math

import pytest

from pushline.report.figures import counted, decimal, duration, milliseconds, numbers, promised, scalar, visible
from pushline.results import Scalar


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0.0, "0.00 s"), (0.843, "0.84 s"), (3.12, "3.1 s"), (34.4, "34 s"), (59.7, "60 s"), (125, "2 min 05 s"), (3725, "1 h 02 min")],
)
def test_a_duration_is_written_as_a_person_would_say_it(seconds: float, written: str) -> None:
    assert duration(seconds) == written


@pytest.mark.parametrize(("value", "written"), [(0.47214, "0.4721"), (-0.00001, "0.0000"), (None, "–"), (math.nan, "–"), (math.inf, "–")])
def test_a_figure_that_is_none_is_a_dash_and_nought_has_no_sign(value: float | None, written: str) -> None:
    assert decimal(value) == written


@pytest.mark.parametrize(("value", "written"), [(0.844, "0.84 ms"), (12.34, "12.3 ms"), (250.0, "250 ms"), (math.inf, "–")])
def test_a_latency_has_three_digits(value: float, written: str) -> None:
    assert milliseconds(value) == written


@pytest.mark.parametrize(("value", "written"), [(0.9, "90 %"), (0.0, "0 %"), (0.005, "0.5 %"), (1 / 3, "33.3333 %")])
def test_a_promise_is_written_as_it_was_set(value: float, written: str) -> None:
    assert promised(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(None, "–"), (True, "yes"), (3295, "3,295"), (1000.0, "1,000"), (0.4655, "0.4655"), (12.5, "12.5"), ("a\nb", "a\\nb")],
)
def test_evidence_of_any_kind_is_one_line(value: Scalar, written: str) -> None:
    assert scalar(value) == written


@pytest.mark.parametrize("sign", ["\x1b[31m", "\u202e", "\n", "\r", "\x00", "\u2028", "\ud800", "\u00a0", "\u200b"])
def test_signs_that_move_or_hide_are_spelled_out(sign: str) -> None:
    written = visible(f"a{sign}b")
    assert sign[0] not in written
    assert written.startswith("a\\")
    written.encode("utf-8")


def test_long_text_ends_in_an_ellipsis() -> None:
    assert visible("x" * 400) == "x" * 299 + "…"


def test_one_row_is_not_one_rows() -> None:
    assert (counted(1, "row"), counted(2, "row"), counted(0, "row")) == ("1 row", "2 rows", "0 rows")


def test_only_the_first_line_numbers_are_shown() -> None:
    assert (numbers((4, 9)), numbers(tuple(range(9)))) == ("4, 9", "0, 1, 2, 3, 4 …")
