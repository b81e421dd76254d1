"""Where each figure of the report comes from."""

from typing import NamedTuple

from pushline.project import Project
from pushline.report.figures import short
from pushline.report.states import StageState
from pushline.results import Fetched, LoadTested, Promoted, Registered, Trained


class Source(NamedTuple):
    """What is known, its value, and the file that says so."""

    what: str
    value: str
    file: str


def of(project: Project, states: tuple[StageState, ...]) -> list[Source]:
    """What identifies the run: data, code, contract, training run, versions."""
    found: list[Source] = []
    for state in states:
        match state.result:
            case Fetched() as fetched:
                found.append(Source("data version", short(fetched.data_version), "data.lock"))
                found += [Source(f"sha256 of {file.name}", file.sha256, "build/fetch/result.json") for file in fetched.files]
            case Trained() as trained:
                found.append(Source("contract", trained.contract_hash, "data_checks/contract.yml"))
                found.append(Source("git revision of the training", trained.git_revision, "build/train/result.json"))
                found.append(Source("MLflow run", trained.run_id, "build/train/result.json"))
            case Registered() as registered:
                found.append(Source("model version", f"{registered.model_name} {registered.version}", "build/register/result.json"))
            case LoadTested() as tested:
                found.append(Source("load went to", f"{tested.release} at {tested.url}", "build/load-test/result.json"))
            case Promoted() as promoted:
                found.append(Source("live release", promoted.release.id, "build/promote/result.json"))
                found.append(Source("git revision of the scoring code", promoted.release.git_revision, "build/promote/result.json"))
    if found:
        found.append(Source("git revision of this checkout", project.git_revision, "git"))
    return found
