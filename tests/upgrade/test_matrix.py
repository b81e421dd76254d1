"""Repositories of the real engine go through its later releases and keep what their owners changed; `make upgrades` does all 300."""

from collections.abc import Callable
from pathlib import Path

import pytest

from adopt.tables import Make, sixty_rows, three_classes
from command import Ran
from upgrade.engines import Owned
from upgrade.matrix import EDITS, adopted, changed, copied, differing, releases, walk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return releases(tmp_path_factory.mktemp("engines"), 2)


@pytest.mark.parametrize("make", [sixty_rows, three_classes], ids=lambda make: make.__name__)
def test_no_edit_is_lost_on_the_way_and_the_end_is_a_fresh_adoption_with_the_edit(
    make: Make, wheels: list[Path], tmp_path: Path, run_pushline: Callable[..., Ran]
) -> None:
    def upgrade(mine: Owned, wheel: Path) -> tuple[int, str]:
        ran = run_pushline(mine.project, "upgrade", "--to", str(wheel))
        return ran.code, ran.out + ran.err

    begun = adopted(wheels[0], make, tmp_path / "begun")
    fresh = adopted(wheels[-1], make, tmp_path / "fresh")
    for number, (name, change) in enumerate(EDITS.items()):
        mine = copied(begun, tmp_path / f"mine-{number}")
        _, wrong = walk(mine, change, wheels[1:], upgrade)
        assert wrong == [], name
        assert differing(mine, changed(copied(fresh, tmp_path / f"fresh-{number}"), change)) == [], name
