"""What the estimate of costs follows: the workflows' own jobs and the settings, with prices of a day."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from command import Ran
from pushline import costs
from pushline.errors import SettingsError
from pushline.project import Project
from pushline.settings import Azure, PushlineSettings, Training

PUSH, PULL_REQUEST = costs.EVENTS.values()
Pushline = Callable[..., Ran]


def by_name(settings: PushlineSettings) -> dict[str, float]:
    return {each.what: each.euros for each in costs.standing(settings, costs.prices())}


def test_each_job_of_a_push_and_of_a_pull_request_is_counted_in_whole_minutes(repo: Path) -> None:
    found = {each.event: each.jobs for each in costs.minutes(repo, PushlineSettings())}
    assert list(found[PUSH]) == ["check-data", "train", "register", "evidence", "release"]
    assert set(found[PULL_REQUEST]) == {"plan", "lint", "test", "data", "rehearsal", "checks"}
    assert all(taken >= 1 for jobs in found.values() for taken in jobs.values())


def test_a_python_less_in_the_matrix_saves_the_minutes_of_its_tests(repo: Path, tmp_path: Path) -> None:
    folder = tmp_path / ".github" / "workflows"
    shutil.copytree(repo / ".github" / "workflows", folder)
    file = folder / "checks.yml"
    before = next(each.jobs["test"] for each in costs.minutes(tmp_path, PushlineSettings()) if each.event == PULL_REQUEST)
    text = file.read_text()
    pythons = re.findall(r'"3\.\d+"', text.partition("python: [")[2].partition("]")[0])
    file.write_text(text.replace(f"{pythons[0]}, ", "", 1))
    after = next(each.jobs["test"] for each in costs.minutes(tmp_path, PushlineSettings()) if each.event == PULL_REQUEST)
    assert after / before == pytest.approx(1 - 1 / len(pythons))


def test_a_longer_budget_makes_the_training_job_longer(repo: Path) -> None:
    def train(settings: PushlineSettings) -> int:
        return next(each.jobs["train"] for each in costs.minutes(repo, settings) if each.event == PUSH)

    assert (
        train(PushlineSettings(training=Training(local_budget="30m"))) - train(PushlineSettings(training=Training(local_budget="10m")))
        == 20
    )


@pytest.mark.parametrize(("cron", "times"), [("47 5 * * *", 30.4), ("17 5 * * 1", 4.33), ("0 3,15 * * *", 60.8), ("0 4 * * 1,4", 8.67)])
def test_the_clock_says_how_often(cron: str, times: float) -> None:
    assert costs.runs_a_month(cron) == pytest.approx(times, abs=0.05)


def test_the_local_target_has_nothing_that_stands() -> None:
    assert by_name(PushlineSettings()) == {}


def test_twice_the_container_costs_twice_and_the_sidecar_stays() -> None:
    one, two = (by_name(PushlineSettings(target="aci", azure=Azure(cpu=cpu, memory_gb=cpu))) for cpu in (1.0, 2.5))
    assert two["live container group"] == pytest.approx(2 * one["live container group"])


def test_an_app_that_keeps_no_replica_costs_only_while_it_answers() -> None:
    kept, none = (by_name(PushlineSettings(target="containerapps", azure=Azure(min_replicas=number))) for number in (1, 0))
    assert kept["replicas that wait"] > 10
    assert none["replicas that wait"] == 0
    assert none["replica that answers"] == kept["replica that answers"] > 0
    assert "live container group" not in kept


def test_nodes_that_stay_are_told_apart_from_those_that_train() -> None:
    idle, standing = (by_name(PushlineSettings(target="aci", azure=Azure(min_nodes=nodes))) for nodes in (0, 1))
    assert "nodes that stay" not in idle
    assert standing["nodes that stay"] > 100 * standing["training"]


def test_a_private_network_costs_day_and_night() -> None:
    open_, closed = (by_name(PushlineSettings(target="containerapps", azure=Azure(private_network=said))) for said in (False, True))
    assert closed.keys() - open_.keys() == {"private network"}
    assert closed["private network"] > 30


def test_azures_automl_is_counted_on_all_its_nodes() -> None:
    ours, azures = (
        by_name(PushlineSettings(target="aci", azure=Azure(engine=engine, max_nodes=4)))["training"] for engine in ("pushline", "azure")
    )
    assert azures == pytest.approx(4 * ours)


def test_the_command_says_the_day_of_its_prices_and_takes_others(run_pushline: Pushline, project: Project) -> None:
    ran = run_pushline(project, "costs", "--json", env={"PUSHLINE_TARGET": "aci"})
    assert ran.code == 0, ran.err
    said = json.loads(ran.out)
    assert re.fullmatch(r"\d{4}-\d{2}", said["prices"]["date"])
    file = project.root / "prices.toml"
    file.write_text(
        Path(costs.__file__).with_name("prices.toml").read_text().replace("group_core_hour = 0.0405", "group_core_hour = 0.405")
    )
    dear = json.loads(run_pushline(project, "costs", "--json", "--prices", str(file), env={"PUSHLINE_TARGET": "aci"}).out)
    assert dear["standing"][0]["euros"] > 5 * said["standing"][0]["euros"]
    told = run_pushline(project, "costs", env={"PUSHLINE_TARGET": "aci"})
    assert f"Prices of {said['prices']['date']}" in told.out


def test_a_file_that_holds_no_prices_is_a_setting_to_correct(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("date = 2026")
    with pytest.raises(SettingsError, match="holds no prices"):
        costs.prices(file)
