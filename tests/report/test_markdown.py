"""Markdown whose cells, flows and charts hold foreign text without obeying it."""

import re
from pathlib import Path

import pytest

from pushline.report.markdown import ROWS, chart, code, flow, table, text
from pushline.report.states import StageState
from pushline.report.summary import summary_of_run
from pushline.results import KINDS, Failure
from report.delivery_made import results


def test_figures_are_right_aligned() -> None:
    assert table(["a", "b"], [["x", "1"]], figures=[1]).splitlines()[1] == "| --- | --: |"


def test_a_long_table_says_how_much_it_leaves_out() -> None:
    written = table(["a"], [[str(n)] for n in range(ROWS + 5)])
    assert written.count("\n| ") == ROWS + 1
    assert written.endswith("5 more rows are in result.json.")


@pytest.mark.parametrize("foreign", ["a|b", "**bold**", "<b>", "[x](http://y)", "@octocat", "#12", "`x`", "http://y", "a\nb", "$x$"])
def test_foreign_text_loses_its_powers(foreign: str) -> None:
    written = text(foreign)
    assert not re.search(r"(?<!\\)[*|<>\[\]@#`$:]", written.replace("&lt;", "").replace("&gt;", ""))
    assert "\n" not in written


@pytest.mark.parametrize("foreign", ["a", "`", "``x`", "a|b", ""])
def test_code_holds_any_backticks(foreign: str) -> None:
    written = code(foreign)
    fence = re.match("`+", written)
    assert fence is not None
    assert fence[0] not in written[len(fence[0]) : -len(fence[0])]
    assert not re.search(r"(?<!\\)\|", written)


def test_a_flow_shows_each_stage_with_its_state() -> None:
    written = flow([("fetch", "done", "done, 0.2 s"), ("train", "not run", "not run")])
    assert 's0["<b>fetch</b><br/>done, 0.2 s"]:::done' in written
    assert ":::notrun" in written
    assert "s0 --> s1" in written
    assert "classDef notrun" in written
    assert "classDef failed" not in written


def test_the_words_of_a_flow_can_not_leave_their_box() -> None:
    written = flow([("fetch", "done", '"]; click s0 "javascript:alert(1)"')])
    assert written.count('"') == 2


def test_a_chart_names_its_axes() -> None:
    written = chart("Latency", ("second", 0, 9), ("ms", 0, 20), [[1.0, 2.5]])
    assert 'x-axis "second" 0 --> 9' in written
    assert "line [1, 2.5]" in written


def test_the_summary_of_a_run_shows_what_ran_what_did_not_and_why() -> None:
    made = results(Path("/nowhere"))
    failure = Failure(stage="train", what="It broke.", why="No memory.", do="Buy some.", exit_code=4)
    states = (
        StageState(name="fetch", state="done", elapsed_s=0.2, figure="9 rows", result=made[0]),
        StageState(name="check-data", state="done", elapsed_s=0.2, figure="no findings", result=made[1]),
        StageState(name="train", state="failed", elapsed_s=3.0, figure="It broke.", failure=failure),
        *(StageState(name=name, state="not run") for name in list(KINDS)[3:]),
    )
    written = summary_of_run(states)
    assert "| `train` | failed | 3.0 s | It broke. |" in written
    assert "| `promote` | not run |  |  |" in written
    assert "Buy some." in written
