"""What a released model does, in worlds whose truth is known, through the real command."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from command import Ran
from performance.released import forgotten, poorer, release, scored
from pushline.performance.performance import PerformanceResult
from pushline.project import Project
from registry.models import shops

Run = Callable[..., Ran]


@pytest.mark.slow
def test_estimates_see_other_rows_outcomes_see_another_world_and_both_raise_an_alarm(
    project: Project, run_pushline: Run, tmp_path: Path
) -> None:
    model = release(project, tmp_path)

    def look(code: int) -> PerformanceResult:
        ran = run_pushline(project, "performance", "--window", "1d", "--json")
        assert ran.code == code, ran.err
        return msgspec.json.decode(ran.out, type=PerformanceResult)

    ran = run_pushline(project, "performance")
    assert (ran.code, "serving.record" in ran.err) == (3, True)
    quiet = scored(project, model, [shops(1200, 100 + day) for day in range(2)])
    seen = look(0)
    assert [one.verdict for one in seen.series[0].windows] == ["kept", "kept"]
    assert all(one.estimated and one.realised is None for one in seen.series[0].windows)
    assert {one.group: len(one.windows) for one in seen.series[1:]} == {f"channel is {name}": 2 for name in ("phone", "shop", "web")}
    assert all(one.verdict == "kept" for group in seen.series[1:] for one in group.windows)
    # Other rows: known without any outcome.
    scored(project, model, [poorer(1200, 200 + day) for day in range(2)], first=2)
    seen = look(1)
    assert [one.verdict for one in seen.series[0].windows] == ["kept", "kept", "below", "below"]
    assert {(alarm.cause, alarm.action) for alarm in seen.alarms} == {("estimate", "gather outcomes")}
    # Another world: estimates are blind, and say so; outcomes are not.
    told = scored(project, model, [forgotten(1200, 300 + day) for day in range(3)], first=4)
    seen = look(0)
    assert [one.verdict for one in seen.series[0].windows[-3:]] == ["kept", "kept", "kept"]
    assert "blind" in seen.assumptions[0]
    for name, rows in (("quiet", quiet), ("told", told)):
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
        assert run_pushline(project, "outcomes", "add", str(tmp_path / f"{name}.csv")).code == 0
    seen = look(1)
    windows = seen.series[0].windows
    assert [one.verdict for one in (*windows[:2], *windows[-3:])] == ["kept", "kept", "below", "below", "below"]
    assert next((alarm.group, alarm.cause, alarm.action) for alarm in seen.alarms) == ("", "outcomes", "retrain")
    assert {alarm.action for alarm in seen.alarms[1:]} <= {"gather outcomes"}
    assert windows[0].calibration is not None
    assert windows[0].calibration.holds
    assert windows[-1].delay_days == pytest.approx(20, abs=0.2)
