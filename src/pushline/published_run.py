"""What a run of a published pipeline does: the stages around a training, or the pipeline alone."""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pushline.delivery import Delivery, refusal_of
from pushline.doctor.machine import compared, pinned
from pushline.execution import execute
from pushline.pipelines.runner.definition import DataInput, load_pipeline
from pushline.pipelines.service.published import from_check_data
from pushline.registry.store import version_or_champion
from pushline.results import CheckDataResult, RegisterResult, Scalar, TrainResult
from pushline.settings import PushlineSettings

if TYPE_CHECKING:
    from pushline.pipelines.service.runs import Work

TRAIN = "train"


def run_published(work: "Work", settings: PushlineSettings) -> None:
    """Run what was asked for and leave its outputs and result in the run's state.

    A training is a delivery up to its decision: data, checks, training, registration. Another pipeline gets its data the
    same way where the caller names none, and is run alone.
    """
    request, project = work.request, work.project
    data = next((str(value) for name, value in request.inputs.items() if name == "data"), None)
    settings = with_inputs(settings, request.inputs)
    for line in other_packages(project.root / "requirements" / "steps.txt"):
        work.progress(line)
    delivery = Delivery(project, settings, work.progress)
    if request.pipeline == TRAIN:
        checked = checked_data(work, delivery, data)
        work.step("train")
        budget = request.inputs.get("budget")
        trained = execute(delivery, "train", budget=None if budget is None else str(budget), anew=True)
        work.step("register")
        registered = execute(delivery, "register")
        assert isinstance(trained, TrainResult)
        assert isinstance(registered, RegisterResult)
        outputs = {"model": Path(trained.model), "evaluation": Path(trained.evaluation), "card": Path(trained.card)}
        work.done(outputs, result_of(trained, registered, checked))
        return
    from pushline.pipelines.runner.runner import run_pipeline

    file = project.pipelines / f"{request.pipeline}.yml"
    pipeline = load_pipeline(file)
    inputs: dict[str, Scalar | Path] = dict(request.inputs)
    for name, value in pipeline.inputs.items():
        if not isinstance(value, DataInput) or name in inputs:
            continue
        if from_check_data(value, project):
            inputs[name] = Path(checked_data(work, delivery, None).table)
        elif value.type == "mlflow_model":
            version = version_or_champion(delivery.store(), None).version
            inputs[name] = delivery.store().download(version)
            if "model_version" in pipeline.inputs:
                inputs["model_version"] = version
    work.step(request.pipeline)
    ran = run_pipeline(file, inputs, project.build / request.pipeline, progress=work.progress)
    work.done(ran.outputs, {})


def checked_data(work: "Work", delivery: Delivery, file: str | None) -> CheckDataResult:
    """The table to work on: the file that the caller named, else what data.lock pins, checked in any case."""
    if file is None:
        work.step("fetch")
        execute(delivery, "fetch")
    work.step("check-data")
    checked = execute(delivery, "check-data", file=Path(file) if file else None)
    assert isinstance(checked, CheckDataResult)
    if checked.critical:
        raise refusal_of(checked, delivery.build)
    return checked


def other_packages(lock: Path) -> list[str]:
    """A line where installed packages are not those of the version's lock: it runs with what is installed."""
    pins = pinned(lock.read_text(encoding="utf-8")) if lock.is_file() else {}
    other = [f"{name} {found} (lock: {pins[name]})" for name, found in compared(pins)[1].items()]
    return [f"Packages here differ from the version's lock: {', '.join(other[:5])}{' …' if len(other) > 5 else ''}."] if other else []


def with_inputs(settings: PushlineSettings, inputs: dict[str, Scalar]) -> PushlineSettings:
    """The settings of training as the caller set them; all others are those of the published version."""
    known = {name: value for name, value in inputs.items() if name in settings.training.__struct_fields__}
    if not known:
        return settings
    said = {**msgspec.to_builtins(settings.training), **known}
    training = msgspec.convert(said, type(settings.training), strict=False)
    return msgspec.structs.replace(settings, training=training)


def result_of(trained: TrainResult, registered: RegisterResult, checked: CheckDataResult) -> dict[str, Scalar]:
    figure = trained.metrics[trained.metric]
    return {
        "model_name": registered.model_name,
        "model_version": registered.version,
        "accepted": registered.decision.accept,
        "reason": registered.decision.reason,
        trained.metric: figure.value,
        "data_version": checked.data_version,
        "mlflow_run": trained.run_id,
    }
