"""`pushline watch` beside a live service whose log goes on, ends, or can't be read."""

import json
import shutil
from collections.abc import Callable

import pytest

from command import Ran
from pushline.data.profile.recorded import LIVE
from pushline.progress import silent
from pushline.project import Project
from pushline.release.local import LocalTarget
from pushline.settings import load_settings

from .conftest import ReleaseOf, deliver

Run = Callable[..., Ran]


@pytest.mark.slow
def test_a_log_that_ends_although_requests_are_answered_is_red_and_so_is_one_that_can_not_be_read(
    project: Project, release: ReleaseOf, run_pushline: Run, free_port: int
) -> None:
    kept = {"PUSHLINE_SERVING__PORT": str(free_port), "PUSHLINE_SERVING__RECORD": "1"}
    local = LocalTarget(project, load_settings(project.root, kept))
    log = project.state / LIVE
    try:
        deliver(local, release(1))
        ran = run_pushline(project, "watch", "--json", env=kept)
        assert ran.code == 0, ran.err
        seen = json.loads(ran.out)
        assert (seen["health"], seen["log"], seen["drift"]) == ("well", "kept", "nothing recorded")  # what Pushline asks is no client's row
        shutil.rmtree(log)
        log.write_text("no folder")
        ran = run_pushline(project, "watch", "--json", env=kept)
        assert (ran.code, json.loads(ran.out)["health"], json.loads(ran.out)["log"]) == (1, "well", "ended")
        assert "The prediction log has ended" in ran.err
        log.unlink()
        (log / "2026-11-24.jsonl").mkdir(parents=True)
        ran = run_pushline(project, "watch", "--json", env=kept)
        assert (ran.code, json.loads(ran.out)["log"]) == (1, "unreadable")
    finally:
        local.stop(silent)
