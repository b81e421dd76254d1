"""The promotion gate through the real command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from command import Ran
from pushline import results
from pushline.project import Project
from pushline.registry import open_store
from pushline.settings import load_settings
from registry.models import log, trained

pytestmark = pytest.mark.slow
Run = Callable[..., Ran]


def made(project: Project, model: Path, holdout: Path) -> None:
    """What a train stage leaves: the logged run and its result."""
    store = open_store(project, load_settings(project.root))
    results.save(project.build, trained(model, holdout, log(store, model)))


@pytest.fixture
def with_champion(project: Project, models: dict[str, Path], holdout: Path, run_pushline: Run) -> Project:
    """A project whose champion is the good model."""
    made(project, models["good"], holdout)
    ran = run_pushline(project, "register", "--json")
    assert ran.code == 0, ran.err
    open_store(project, load_settings(project.root)).set_champion_alias(json.loads(ran.out)["version"])
    return project


def test_a_worse_challenger_is_registered_refused_and_can_not_be_deployed(
    with_champion: Project, models: dict[str, Path], holdout: Path, run_pushline: Run
) -> None:
    made(with_champion, models["poor"], holdout)
    ran = run_pushline(with_champion, "register", "--json")
    assert ran.code == 0, ran.err
    result = json.loads(ran.out)
    assert result["champion"] == "1"
    assert not result["decision"]["accept"]
    assert "worse than the champion beyond chance" in result["decision"]["reason"]
    deployed = run_pushline(with_champion, "deploy")
    assert deployed.code == 1
    assert "worse than the champion beyond chance" in deployed.err
    assert "answers that differ clearly" in run_pushline(with_champion, "replay").out


def test_a_decision_is_made_again_only_where_the_champion_has_changed(
    with_champion: Project, models: dict[str, Path], holdout: Path, run_pushline: Run
) -> None:
    made(with_champion, models["like-good"], holdout)
    first = json.loads(run_pushline(with_champion, "register", "--json").out)
    again = json.loads(run_pushline(with_champion, "register", "--again", "--json").out)
    assert again == first
    open_store(with_champion, load_settings(with_champion.root)).set_champion_alias(first["version"])
    changed = json.loads(run_pushline(with_champion, "register", "--again", "--json").out)
    assert changed["champion"] == first["version"]
    assert "bit for bit" in changed["decision"]["reason"] or "as the champion does" in changed["decision"]["reason"]


def test_a_decision_about_another_model_of_the_same_number_does_not_stand(
    with_champion: Project, models: dict[str, Path], holdout: Path, run_pushline: Run
) -> None:
    """Another delivery's registry took the place of ours, and its version 2 is another model: ours is registered again, as 3."""
    made(with_champion, models["like-good"], holdout)
    first = json.loads(run_pushline(with_champion, "register", "--json").out)
    store = open_store(with_champion, load_settings(with_champion.root))
    ours = results.load(with_champion.build, results.TrainResult)
    results.save(with_champion.build, trained(models["poor"], holdout, log(store, models["poor"])))
    again = json.loads(run_pushline(with_champion, "register", "--again", "--json").out)
    assert (first["version"], again["version"], again["decision"]["accept"]) == ("2", "3", False)
    results.save(with_champion.build, ours)
    store.tag("2", {"accepted": "false"})  # the registry says no where the result says yes
    results.save(with_champion.build, results.load(with_champion.build, results.RegisterResult).__class__(**{
        name: first[name] for name in ("model_name", "version", "champion")
    }, decision=results.Decision(**first["decision"])))  # fmt: skip
    assert json.loads(run_pushline(with_champion, "register", "--again", "--json").out)["version"] == "2"
    assert store.version("2").tags["accepted"] == str(first["decision"]["accept"]).lower()


def test_a_first_model_of_shuffled_labels_is_refused(project: Project, models: dict[str, Path], holdout: Path, run_pushline: Run) -> None:
    made(project, models["shuffled"], holdout)
    result = json.loads(run_pushline(project, "register", "--json").out)
    assert not result["decision"]["accept"]
    assert "the floor decides" in result["decision"]["reason"]
    assert run_pushline(project, "deploy").code == 1
