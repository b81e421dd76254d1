"""Where each figure of the report comes from."""

from typing import NamedTuple

from pushline.project import Project
from pushline.report.figures import short
from pushline.report.states import StageState
from pushline.results import FetchResult, LoadTestResult, PromoteResult, RegisterResult, TrainResult


class FigureSource(NamedTuple):
    """What is known, its value, and the file that says so."""

    what: str
    value: str
    file: str


def of(project: Project, states: tuple[StageState, ...]) -> list[FigureSource]:
    """What identifies the run: data, code, contract, training run, versions."""
    found: list[FigureSource] = []
    for state in states:
        match state.result:
            case FetchResult() as fetched:
                found.append(FigureSource("data version", short(fetched.data_version), "data.lock"))
                found += [FigureSource(f"sha256 of {file.name}", file.sha256, "build/fetch/result.json") for file in fetched.files]
            case TrainResult() as trained:
                found.append(FigureSource("contract", trained.contract_hash, "data_checks/contract.yml"))
                found.append(FigureSource("git revision of the training", trained.git_revision, "build/train/result.json"))
                found.append(FigureSource("MLflow run", trained.run_id, "build/train/result.json"))
            case RegisterResult() as registered:
                found.append(FigureSource("model version", f"{registered.model_name} {registered.version}", "build/register/result.json"))
            case LoadTestResult() as tested:
                found.append(FigureSource("load went to", f"{tested.release} at {tested.url}", "build/load-test/result.json"))
            case PromoteResult() as promoted:
                found.append(FigureSource("live release", promoted.release.id, "build/promote/result.json"))
                found.append(FigureSource("git revision of the scoring code", promoted.release.git_revision, "build/promote/result.json"))
    if found:
        found.append(FigureSource("git revision of this checkout", project.git_revision, "git"))
    return found
