"""How a run is shown: on a terminal, in a log, and at its end."""

import io
import re

import pytest
from rich.console import Console

from pushline.cli.display import Board, LineDisplay, print_table
from pushline.report.states import StageOutcome
from pushline.run import RunResult


def terminal() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=True, width=90, color_system=None), out


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_the_board_shows_state_time_and_the_newest_line() -> None:
    console, out = terminal()
    board = Board(console, "train")
    board.begin("train")
    board.progress("first")
    board.progress("best so far 0.47, 3 trials")
    console.print(board.picture())
    seen = plain(out.getvalue())
    assert "best so far 0.47, 3 trials" in seen
    assert "first" not in seen
    assert "fetch" not in seen, "a run from train shows what it runs"
    assert "promote" in seen
    board.end("train", "done", 41.0, "average precision 0.470")
    out.truncate(0)
    console.print(board.picture())
    assert re.search(r"✓ +train +41 s +average precision 0.470", plain(out.getvalue()))


def test_the_board_keeps_its_width_and_shows_no_foreign_control_signs() -> None:
    console, out = terminal()
    board = Board(console, "fetch")
    board.banner("Generated sample")
    board.begin("fetch")
    board.progress("x" * 500 + "\x1b[31m\n")
    console.print(board.picture())
    lines = out.getvalue().splitlines()
    assert all(len(plain(line)) <= 90 for line in lines)
    assert "\x1b[31m" not in out.getvalue()
    assert len(lines) == 3 + 8


def test_the_live_board_clears_itself_away() -> None:
    console, out = terminal()
    with Board(console, "promote") as board:
        board.begin("promote")
        board.progress("nearly")
        board.end("promote", "done", 0.5, "live")
    assert out.getvalue().endswith(("\x1b[2K", "\x1b[?25h"))


def test_a_log_gets_a_line_for_each_event(capsys: pytest.CaptureFixture[str]) -> None:
    lines = LineDisplay()
    with lines:
        lines.begin("smoke")
        lines.progress("Asking.")
        lines.end("smoke", "done", 0.3, "11 of 11 assertions hold")
        lines.banner("Generated sample")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "smoke       started",
        "            Asking.",
        "smoke       done, 0.30 s: 11 of 11 assertions hold",
        "*** Generated sample ***",
    ]


def test_the_table_at_the_end_says_of_every_stage_what_became_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    stages = (
        StageOutcome(stage="fetch", state="done", elapsed_s=0.2, figure="9 rows"),
        StageOutcome(stage="check-data", state="refused", elapsed_s=1.0, figure="1 critical finding"),
        StageOutcome(stage="train", state="not run", elapsed_s=None, figure=""),
    )
    print_table(RunResult(promoted=False, generated_sample=True, stages=stages))
    out = capsys.readouterr().out
    assert "Generated sample" in out
    assert re.search(r"✗ +check-data +1.0 s +refused: 1 critical finding", out)
    assert re.search(r"· +train +not run", out)
