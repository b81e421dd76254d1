"""What a pipeline file may say, and what is said of a wrong one."""

import contextlib
import io
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from pushline.data.contract import load_contract
from pushline.errors import SettingsError
from pushline.pipelines.runner.binding import arguments_of
from pushline.pipelines.runner.definition import DataInput, JobOutput, ParentInput, load_component, load_pipeline
from pushline.project import Project
from pushline.settings import load_settings
from pushline.training.stage import metric_of


@pytest.fixture(scope="session")
def files(repo: Path) -> list[Path]:
    return sorted((repo / "pipelines").glob("*.yml"))


def edited(file: Path, change: dict[str, Any]) -> Path:
    """The pipeline with values put at dotted places."""
    document = yaml.safe_load(file.read_text())
    for place, value in change.items():
        *path, last = place.split(".")
        inner = document
        for part in path:
            inner = inner[part]
        inner[last] = value
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return file


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({"jobs.first.inputs.text": "${{parent.inputs.absent}}"}, "reads the input absent"),
        ({"jobs.second.inputs.before": "${{parent.jobs.zeroth.outputs.told}}"}, "told of zeroth, which nothing makes"),
        ({"jobs.second.inputs.before": "${{parent.jobs.first.outputs.other}}"}, "other of first, which nothing makes"),
        ({"jobs.first.inputs.text": "a ${{parent.inputs.text}}"}, "as the whole value"),
        ({"jobs.first.inputs.colour": "red"}, "has no input colour"),
        ({"jobs.first.inputs.before": "${{parent.jobs.second.outputs.told}}"}, "wait for each other"),
        ({"jobs.first.type": "spark"}, "spark"),
        ({"jobs.first.component": "./components/absent.yml"}, "absent.yml can't be read"),
        ({"outputs.unmade": {"type": "uri_folder"}}, "no job makes the output unmade"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_pipeline_that_can_not_run_is_refused_with_the_place(change: dict[str, Any], because: str, telling: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
        load_pipeline(edited(telling, change))
    assert because in str(refusal.value)


@pytest.mark.parametrize(
    "command", ["python a.py && rm b", "python a.py | tee b", "python a.py > b", "python $(which a)", "python `a`", "a 'b"]
)
def test_a_command_that_needs_a_shell_is_refused(command: str, telling: Path) -> None:
    component = load_component(edited(telling.parent / "components" / "tell.yml", {"command": command}))
    with pytest.raises(SettingsError):
        arguments_of(component, {}, {})


def test_overrides_put_values_at_dotted_places_of_the_file(telling: Path) -> None:
    assert load_pipeline(telling, {"inputs.count": 9}).inputs["count"] == 9


def test_a_limit_that_automl_does_not_know_is_refused_with_those_it_knows(repo: Path) -> None:
    with pytest.raises(SettingsError, match=r"jobs\.automl\.limits") as refused:
        load_pipeline(repo / "pipelines" / "train.yml", {"jobs.automl.limits.timeout_minuts": 5})
    assert "timeout_minuts" in refused.value.why
    assert "timeout_minutes" in refused.value.why


def test_an_automl_node_runs_as_our_own_automl_here(repo: Path) -> None:
    automl = load_pipeline(repo / "pipelines" / "train.yml").jobs["automl"]
    assert automl.automl
    assert automl.component.file.stem == "automl"
    assert automl.inputs["training_data"] == JobOutput("prepare", "prepared")
    assert automl.inputs["budget"] == ParentInput("budget")


def test_the_pipelines_name_the_label_as_the_contract_does(files: list[Path], repo: Path) -> None:
    contract = load_contract(repo / "data_checks" / "contract.yml")
    for file in files:
        for node in yaml.safe_load(file.read_text())["jobs"].values():
            if node["type"] == "automl":
                assert node["target_column_name"] == contract.label.name
                assert node.get("positive_label") == contract.positive


def test_the_defaults_of_the_training_pipeline_are_those_of_the_settings(repo: Path) -> None:
    inputs = load_pipeline(repo / "pipelines" / "train.yml").inputs
    settings = load_settings(repo, {}).training
    for name in ("holdout", "use_known_after", "objective", "imbalance", "seed"):
        assert inputs[name] == getattr(settings, name)
    assert inputs["metric"] == metric_of(Project(repo), settings)
    assert inputs["budget"] == settings.local_budget


def as_azure_reads(file: Path) -> dict[str, Any]:
    """The file as azure-ai-ml loads it."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        ml = pytest.importorskip("azure.ai.ml")
        loaded: dict[str, Any] = ml.load_job(file)._to_dict()
    return loaded


@pytest.mark.slow
def test_azure_ml_reads_every_pipeline_as_the_local_runner_does(files: list[Path]) -> None:
    assert files
    for file in files:
        ours, theirs = load_pipeline(file), as_azure_reads(file)
        assert set(theirs["jobs"]) == set(ours.jobs)
        assert set(theirs["inputs"]) == set(ours.inputs)
        assert set(theirs["outputs"]) == set(ours.outputs)
        for name, value in ours.inputs.items():
            assert isinstance(value, DataInput) or theirs["inputs"][name] == value
        for name, job in ours.jobs.items():
            node = theirs["jobs"][name]
            if job.automl:
                assert node["type"] == "automl"
                continue
            component = node["component"]
            assert component["command"].split() == job.component.command.split()
            assert component["code"] == str(job.component.folder)
            assert {k: v["type"] for k, v in component["inputs"].items()} == {k: v.type for k, v in job.component.inputs.items()}
            assert set(component["outputs"]) == set(job.component.outputs)
            assert set(node["inputs"]) == set(job.inputs)
            for key, source in job.inputs.items():
                if isinstance(source, JobOutput):
                    assert node["inputs"][key] == {"path": f"${{{{parent.jobs.{source.job}.outputs.{source.output}}}}}"}


@pytest.mark.parametrize("name", ["prepare", "automl", "evaluate", "score-batch"])
def test_a_component_names_the_flags_that_its_step_takes(name: str, repo: Path) -> None:
    component = load_component(repo / "pipelines" / "components" / f"{name}.yml")
    python, dash_m, module, *rest = component.command.split()
    assert (python, dash_m) == ("python", "-m")
    shown = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True, cwd=component.folder
    ).stdout
    taken = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]*)", shown)) - {"--help"}
    assert {word.removeprefix("$[[") for word in rest if word.removeprefix("$[[").startswith("--")} == taken
    bound = set(re.findall(r"(?:inputs|outputs)\.(\w+)", component.command))
    assert bound == set(component.inputs) | set(component.outputs)


def test_prepare_by_itself_is_the_first_part_of_training(repo: Path) -> None:
    alone, whole = (yaml.safe_load((repo / "pipelines" / name).read_text()) for name in ("prepare.yml", "train.yml"))
    first = next(iter(whole["jobs"]))
    assert alone["jobs"] == {first: whole["jobs"][first]}
    assert alone["inputs"].items() <= whole["inputs"].items()
    assert alone["outputs"].items() <= whole["outputs"].items()
