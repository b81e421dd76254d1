"""When a pipeline runs by itself."""

import pytest
import yaml

from pushline.errors import SettingsError
from pushline.pipelines.schedule import WorkflowSchedules, checked_cron
from pushline.project import Project


def test_a_schedule_is_the_cron_line_of_the_workflow_and_nothing_else_changes(project: Project) -> None:
    file = project.root / ".github" / "workflows" / "retrain.yml"
    before = file.read_text()
    schedules = WorkflowSchedules(project)
    old = schedules.schedule("train", None).cron
    made = schedules.schedule("train", "30 4 * * mon-fri")
    assert (made.before, made.cron) == (old, "30 4 * * mon-fri")
    assert file.read_text() == before.replace(f'"{old}"', '"30 4 * * mon-fri"')
    assert yaml.safe_load(file.read_text())[True]["schedule"] == [{"cron": "30 4 * * mon-fri"}]
    assert schedules.schedule("train", None).cron == "30 4 * * mon-fri"


@pytest.mark.parametrize("cron", ["17 5 * * 1", "0 0 1 1 0", "5,35 */2 * jan-mar *", "15 3 1-15/2 * *", "*/30 * * * *"])
def test_a_schedule_may_use_what_github_reads(cron: str) -> None:
    assert checked_cron(cron) == cron


WRONG = ["", "17 5 * *", "60 5 * * 1", "17 24 * * 1", "17 5 0 * *", "17 5 * 13 *", "17 5 * * 7", "x 5 * * *", "5-1 * * * *"]
WRONG += ["* * * * *", "*/2 * * * *", '17 5 * * 1"\n    - cron: "* * * * *', "1/0 * * * *", "@daily"]


@pytest.mark.parametrize("cron", WRONG)
def test_a_wrong_schedule_is_refused(cron: str) -> None:
    with pytest.raises(SettingsError):
        checked_cron(cron)


def test_a_pipeline_without_a_workflow_can_not_be_scheduled(project: Project) -> None:
    with pytest.raises(SettingsError, match="can't be scheduled"):
        WorkflowSchedules(project).schedule("evaluate", "17 5 * * 1")
