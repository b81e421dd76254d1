"""One whole delivery on rows that were made by the profile: from data to a promoted release that answers."""

from pathlib import Path

import pytest

from repository.conftest import Pushline


@pytest.mark.slow
def test_a_delivery_of_made_rows_ends_in_a_release_that_answers(copy: Path, pushline: Pushline) -> None:
    try:
        ran = pushline("run", "--sample", "--budget", "3s")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert (copy / "build" / "report.html").is_file()
        scored = pushline("score", "examples/two-rows.json")
        assert scored.returncode == 0, scored.stderr
    finally:
        pushline("stop")
