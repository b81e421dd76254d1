"""Lines and Markdown of every stage's result."""

import re
from pathlib import Path

import msgspec
import pytest

from pushline.report.summary import lines_of, summary_of, summary_of_failure
from pushline.results import KINDS, Breach, CheckDataResult, Failure, Finding, LoadTestResult, RegisterResult
from report.delivery_made import leave_everything, results

HOSTILE = "</td><script>alert(1)</script>|`x`\n# head @octocat [a](http://x) \x1b[31m \u202e"


@pytest.mark.parametrize("position", range(len(KINDS)), ids=list(KINDS))
def test_every_stage_has_lines_and_a_summary(tmp_path: Path, position: int) -> None:
    result = results(tmp_path)[position]
    assert len(lines_of(result)) >= 2
    assert summary_of(result).startswith(f"## {type(result).stage}\n")


def test_a_promise_stands_beside_what_was_seen(tmp_path: Path) -> None:
    tested = next(r for r in results(tmp_path) if isinstance(r, LoadTestResult))
    assert any(line.split() == ["p99", "9.70", "ms", "at", "most", "250", "ms", "kept"] for line in lines_of(tested))
    assert "| p99 | 9.70 ms | at most 250 ms | kept |" in summary_of(tested)


def test_a_broken_promise_is_named_with_its_limit(tmp_path: Path) -> None:
    tested = next(r for r in results(tmp_path) if isinstance(r, LoadTestResult))
    slow = msgspec.structs.replace(
        tested, passed=False, p99_ms=900.0, breaches=(Breach(name="p99 in ms", setting="p99_ms", limit=250, seen=900),), limits={}
    )
    assert any(line.split() == ["p99", "900", "ms", "at", "most", "250", "ms", "broken"] for line in lines_of(slow))
    assert "| p99 | 900 ms | at most 250 ms | **broken** |" in summary_of(slow)
    assert lines_of(slow)[0].startswith("1 promise of the SLO not kept: ")


def test_a_figure_stands_beside_its_sample_size_and_what_chance_gives(tmp_path: Path) -> None:
    leave_everything(tmp_path)
    summary = summary_of(results(tmp_path)[2])
    assert "| on 3,295 held-out rows |" in summary
    assert "| **average precision** | 0.4721 | 0.4218 to 0.5193 | 0.1120 | higher |" in summary


def test_a_summary_survives_an_evaluation_that_is_gone(tmp_path: Path) -> None:
    assert "| **average precision** | 0.4721 | 0.4218 to 0.5193 | – | higher |" in summary_of(results(tmp_path)[2])


@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_a_generated_sample_is_said_in_lines_and_summary(tmp_path: Path, position: int) -> None:
    result = results(tmp_path, generated=True)[position]
    assert any("Generated sample" in line for line in lines_of(result))
    assert "> [!WARNING]\n> **Generated sample" in summary_of(result)
    assert not any("Generated sample" in line for line in lines_of(results(tmp_path)[position]))


def test_a_version_that_was_not_accepted_says_so(tmp_path: Path) -> None:
    registered = next(r for r in results(tmp_path, accept=False) if isinstance(r, RegisterResult))
    assert lines_of(registered)[0].startswith("Not accepted: the champion stays. ")
    assert "**Not accepted: the champion stays.**" in summary_of(registered)


def test_foreign_text_stays_text(tmp_path: Path) -> None:
    finding = Finding(id="x", severity="critical", column=HOSTILE, message=HOSTILE, seen=HOSTILE)
    checked = results(tmp_path)[1]
    assert isinstance(checked, CheckDataResult)
    hostile = msgspec.structs.replace(checked, findings=(finding,), critical=1, class_counts={HOSTILE: 1})
    summary, lines = summary_of(hostile), lines_of(hostile)
    row = next(line for line in summary.splitlines() if line.startswith("| **critical**"))
    bare = row.replace("\\|", "")
    assert bare.count("|") == 9, "a bar in the data would add a column"
    assert "\x1b" not in summary
    assert "\u202e" not in summary
    assert all("\x1b" not in line and "\n" not in line and "\u202e" not in line for line in lines)
    assert all("<" not in cell for cell in bare.split(" | ") if not cell.startswith("``"))
    assert "\n# head" not in summary


def test_a_table_that_is_too_wide_for_a_terminal_is_told_row_by_row(tmp_path: Path) -> None:
    checked = results(tmp_path)[1]
    assert isinstance(checked, CheckDataResult)
    long = Finding("range", "A value is outside. " * 8, "7", "1 to 6", column="size", count=3, lines=(4, 5))
    lines = lines_of(msgspec.structs.replace(checked, findings=(long,)))
    place = next(number for number, line in enumerate(lines) if line.startswith("critical: range: size: A value is outside."))
    assert lines[place + 1] == "  seen 7; expected 1 to 6; rows 3; lines 4, 5"


def test_a_failure_says_what_why_and_what_to_do() -> None:
    failure = Failure(stage="train", what="train stopped: step automl failed.", why="Out of memory.", do="Lower the budget.", exit_code=4)
    summary = summary_of_failure(failure)
    assert summary.startswith("## train: failed\n")
    assert "train stopped\\: step automl failed." in summary
    assert "Out of memory." in summary
    assert "Lower the budget." in summary


def test_seconds_without_an_answer_keep_their_place_in_the_chart_and_are_told(tmp_path: Path) -> None:
    tested = next(result for result in results(tmp_path) if isinstance(result, LoadTestResult))
    silent = tuple(msgspec.structs.replace(one, requests=50 * (not 3 <= one.second <= 6)) for one in tested.timeline)
    said = summary_of(msgspec.structs.replace(tested, timeline=silent))
    assert "**No answer in 4 seconds** of 10: 3, 4, 5, 6." in said
    top = said.split('y-axis "ms" 0 --> ')[1].split()[0]
    for line in re.findall(r"line \[(.*)\]", said):
        points = line.split(", ")
        assert len(points) == 10
        assert points[3:7] == [top] * 4
        assert top not in points[:3] + points[7:]
