"""The pipeline files against the contract and against the settings that take the place of their literals."""

from pathlib import Path

import pytest
import yaml

from pushline.data.contract import load_contract
from pushline.pipelines.runner.definition import load_pipeline
from repository.conftest import ROOT

CONTRACT = load_contract(ROOT / "data_checks" / "contract.yml")
FILES = sorted((ROOT / "pipelines").glob("*.yml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_pipeline_can_run_here(file: Path) -> None:
    pipeline = load_pipeline(file)
    assert pipeline.description
    assert all(job.component.description for job in pipeline.jobs.values())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_search_predicts_what_the_contract_calls_the_label(file: Path) -> None:
    nodes = [node for node in yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"].values() if node.get("type") == "automl"]
    for node in nodes:
        assert node["target_column_name"] == CONTRACT.label.name
        assert node.get("positive_label") == CONTRACT.positive
