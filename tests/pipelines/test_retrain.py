"""Data that grows, through the real commands, on the real file: each decision tells the true story."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from command import Ran
from pipelines.growing import part_of, pin_only
from pushline.project import Project
from pushline.registry import open_store
from pushline.registry.store import ModelStore
from pushline.settings import load_settings

pytestmark = pytest.mark.slow


class Growing:
    """A project whose data grows."""

    def __init__(self, project: Project, place: Path, run: Callable[..., Ran]) -> None:
        self.project, self.place, self.run = project, place, run
        self.store: ModelStore = open_store(project, load_settings(project.root))

    def retrained(self) -> dict[str, Any]:
        ran = self.run(self.project, "retrain", "--budget", "3", "--json", env={"PUSHLINE_DATA": str(self.place)}, timeout=500)
        assert ran.code == 0, ran.err
        result: dict[str, Any] = json.loads(ran.out)
        return result

    def add(self, file: Path) -> Ran:
        return self.run(self.project, "data", "add", str(file), env={"PUSHLINE_DATA": str(self.place)})


@pytest.mark.timeout(1500)
def test_an_increment_is_decided_on_old_and_new_rows_and_a_poisoned_one_is_not_accepted(
    project: Project, real_data: Path, tmp_path: Path, run_pushline: Callable[..., Ran]
) -> None:
    place = tmp_path / "data"
    place.mkdir()
    growing = Growing(project, place, run_pushline)
    pin_only(project, part_of(real_data, place / "first.csv", 0, 0.6))
    first = growing.retrained()
    assert first["decision"]["accept"]
    growing.store.crown(first["version"])

    assert growing.add(part_of(real_data, place / "second.csv", 0.6, 0.8)).code == 0
    second = growing.retrained()
    evidence = second["decision"]["evidence"]
    assert second["champion"] == first["version"]
    assert evidence["old_rows"] == first["decision"]["evidence"]["rows"]  # the hold-out keeps its rows
    assert evidence["rows"] == evidence["old_rows"] + evidence["new_rows"]
    tags = growing.store.version(second["version"]).tags
    assert tags["data_files"].startswith(growing.store.version(first["version"]).tags["data_files"] + ",")
    assert tags["reason"] == second["decision"]["reason"]

    assert growing.add(part_of(real_data, place / "poisoned.csv", 0.8, 1, flip=True)).code == 0
    third = growing.retrained()
    assert not third["decision"]["accept"]
    assert third["decision"]["evidence"]["old_gain"] < 0
    assert growing.store.version(third["version"]).tags["accepted"] == "false"
    champion = growing.store.champion()
    assert champion is not None
    assert champion.version == first["version"]


def test_the_same_data_twice_is_named(project: Project, real_data: Path, tmp_path: Path, run_pushline: Callable[..., Ran]) -> None:
    place = tmp_path / "data"
    place.mkdir()
    first = part_of(real_data, place / "first.csv", 0, 0.1)
    pin_only(project, first)
    again = Growing(project, place, run_pushline).add(first)
    assert again.code == 1
    assert "first.csv is in data.lock already" in again.err
