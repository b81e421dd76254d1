"""A command that is silent says that it works; one that speaks, or asks, is let be."""

import contextlib
import json
import queue
from pathlib import Path

import click
import pytest

from pushline.cli import heartbeat, pushline, sections
from pushline.cli.display import LineDisplay
from pushline.cli.heartbeat import WITHOUT, beating, expect, heard, hush, last_time, timed


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "FIRST_S", 0.05)
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.1)


@pytest.mark.usefixtures("quick")
def test_silence_is_broken_with_the_time_so_far_and_the_time_that_is_left() -> None:
    said: queue.Queue[str] = queue.Queue()
    with beating("evaluate", 100.0, say=said.put):
        first, second = said.get(timeout=60), said.get(timeout=60)
    assert first in ("evaluate: working, about 100 s in all", "evaluate: 0 s so far, about 100 s left")
    assert second.endswith(" left")


@pytest.mark.usefixtures("quick")
def test_without_an_earlier_run_no_time_is_promised() -> None:
    said: queue.Queue[str] = queue.Queue()
    with beating("evaluate", None, say=said.put):
        assert "left" not in said.get(timeout=60)


def test_nothing_is_said_to_who_has_just_heard_something_or_is_asked() -> None:
    said: list[str] = []
    with beating("adopt", say=said.append):
        heard()
        hush()
        assert not heartbeat.CURRENT[0].thread.is_alive()
    assert said == []
    assert heartbeat.CURRENT == []


@pytest.mark.usefixtures("quick")
def test_a_stage_of_a_run_that_tells_nothing_shows_that_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    said: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr("pushline.cli.display.click.echo", lambda line, err: said.put(line))
    with LineDisplay({"train": 41.0}) as lines:
        lines.begin("train")
        assert said.get(timeout=60) == "train       started"
        assert said.get(timeout=60).strip().startswith("train: ")
        lines.end("train", "done", 0.2, "average precision 0.470")
        assert heartbeat.CURRENT == []


def test_the_last_time_is_what_the_stage_left(tmp_path: Path) -> None:
    assert last_time(tmp_path, "train") is None
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "result.json").write_text(json.dumps({"elapsed_s": 41.5}))
    assert last_time(tmp_path, "train") == 41.5


@pytest.mark.usefixtures("quick")
def test_a_command_that_took_long_is_expected_to_take_as_long_the_next_time(tmp_path: Path) -> None:
    (tmp_path / ".pushline").mkdir()
    with timed("evaluate", tmp_path):
        assert heartbeat.CURRENT[0].expected_s is None
        assert not heartbeat.CURRENT[0].ended.wait(0.1)
    with timed("evaluate", tmp_path):
        assert 0.1 <= (heartbeat.CURRENT[0].expected_s or 0) < 60
        expect(100.0)
        assert heartbeat.CURRENT[0].expected_s == pytest.approx(100.0, abs=60)


def test_a_folder_that_is_no_project_remembers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "FIRST_S", 0.0)
    with timed("evaluate", tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_every_command_but_those_in_the_foreground_shows_that_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def noted(name: str, root: Path) -> contextlib.AbstractContextManager[None]:
        started.append(name)
        return contextlib.nullcontext()

    monkeypatch.setattr(sections, "timed", noted)
    for name in pushline.commands:
        with click.Context(pushline, info_name="pushline") as context:
            pushline.resolve_command(context, [name])
            pushline.resolve_command(context, [name, "--help"])
    assert started == [name for name in pushline.commands if name not in WITHOUT]
