"""Data that grows, through the real commands, on the real file: each decision tells the true story."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from command import Ran
from pipelines.growing import part_of
from pushline.data.sources.lock import load_lock
from pushline.project import Project
from pushline.registry import open_store
from pushline.registry.store import ModelStore
from pushline.settings import load_settings
from small_table import pin
from working_copy import git

pytestmark = [pytest.mark.example, pytest.mark.slow]  # it needs as many rows as the table has


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

    def tells_of(self, result: dict[str, Any], *, before: dict[str, Any]) -> None:
        """What the decision and the registry say after one more file, held against the version before."""
        evidence, tags = result["decision"]["evidence"], self.store.version(result["version"]).tags
        assert result["champion"] == before["version"]
        assert evidence["old_rows"] == before["decision"]["evidence"]["rows"]  # the hold-out keeps its rows
        assert evidence["rows"] == evidence["old_rows"] + evidence["new_rows"] > evidence["old_rows"]
        assert tags["data_files"].startswith(self.store.version(before["version"]).tags["data_files"] + ",")
        assert tags["reason"] == result["decision"]["reason"]
        assert tags["accepted"] == str(result["decision"]["accept"]).lower()

    def champion(self) -> str:
        champion = self.store.champion()
        assert champion is not None
        return champion.version

    def pinned(self) -> list[str]:
        return [one.name for one in load_lock(self.project.data_lock).files]

    def commit(self, message: str) -> None:
        git("commit", "-qm", message, "--", self.project.data_lock.name, cwd=self.project.root)

    def add(self, file: Path) -> Ran:
        return self.run(self.project, "data", "add", str(file), env={"PUSHLINE_DATA": str(self.place)})


@pytest.mark.timeout(1500)
def test_an_increment_is_decided_on_old_and_new_rows_and_a_poisoned_one_is_not_accepted(
    project: Project, real_data: Path, tmp_path: Path, run_pushline: Callable[..., Ran]
) -> None:
    place = tmp_path / "data"
    place.mkdir()
    growing = Growing(project, place, run_pushline)
    pin(project, part_of(real_data, place / "first.csv", 0, 0.4))
    growing.commit("the first rows")
    first = growing.retrained()
    assert first["decision"]["accept"], first["decision"]
    growing.store.set_champion_alias(first["version"])

    added = growing.add(part_of(real_data, place / "poisoned.csv", 0.4, 0.8, wrong=True))
    assert added.code == 0, added.err  # every cell is sound, and so are the shares: only labelled evaluation can tell
    growing.commit("rows whose labels are wrong")
    poisoned = growing.retrained()
    growing.tells_of(poisoned, before=first)
    assert not poisoned["decision"]["accept"]
    assert poisoned["decision"]["evidence"]["old_gain"] < 0
    assert growing.champion() == first["version"]

    git("revert", "--no-edit", "HEAD", cwd=project.root)  # how data goes back
    before = first
    for name, start in (("second", 0.4), ("third", 0.7)):
        added = growing.add(part_of(real_data, place / f"{name}.csv", start, start + 0.3))
        assert added.code == 0, added.err
        assert "threshold" in added.out  # what moved, column by column
        growing.commit(f"the {name} rows")
        result = growing.retrained()
        growing.tells_of(result, before=before)
        assert growing.champion() == before["version"]
        growing.store.set_champion_alias(result["version"])  # as a person would who promotes it whatever the gain is
        before = result
    assert growing.pinned() == ["first.csv", "second.csv", "third.csv"]
    assert growing.store.version(before["version"]).tags["data_files"].count(",") == 2


def test_the_same_data_twice_is_named(project: Project, real_data: Path, tmp_path: Path, run_pushline: Callable[..., Ran]) -> None:
    place = tmp_path / "data"
    place.mkdir()
    first = part_of(real_data, place / "first.csv", 0, 0.1)
    pin(project, first)
    again = Growing(project, place, run_pushline).add(first)
    assert again.code == 1
    assert "first.csv is in data.lock already" in again.err
