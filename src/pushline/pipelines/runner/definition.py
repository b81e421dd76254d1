"""A pipeline file as types: the part of Azure Machine Learning's pipeline job that has a meaning on this machine too.

`load_pipeline` reads the file and its components, checks every binding, and refuses what the local runner would have to
ignore at the cost of the meaning. An AutoML node is replaced by `components/automl.yml` beside the file.
"""

import os
import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from pushline.engine import FOLDER, copied
from pushline.errors import SettingsError
from pushline.results import Scalar

PathType = Literal["uri_file", "uri_folder", "mltable", "mlflow_model", "custom_model", "triton_model"]
ValueType = Literal["string", "number", "integer", "boolean"]
PATH_TYPES = frozenset({"uri_file", "uri_folder", "mltable", "mlflow_model", "custom_model", "triton_model"})

BINDING = re.compile(r"\$\{\{\s*([A-Za-z0-9_.\-]+)\s*\}\}")
AUTOML_LIMITS = {
    "enable_early_termination", "exit_score", "max_concurrent_trials", "max_cores_per_trial", "max_nodes", "max_trials", "timeout_minutes",
    "trial_timeout_minutes",
}  # fmt: skip
AUTOML_DATA = ("training_data", "validation_data", "test_data")

T = TypeVar("T")


class InputSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a component takes under one name."""

    type: PathType | ValueType
    description: str = ""
    optional: bool = False
    default: Scalar | UnsetType = UNSET
    min: float | None = None
    max: float | None = None
    enum: tuple[Scalar, ...] | None = None
    mode: str = ""

    @property
    def is_path(self) -> bool:
        return self.type in PATH_TYPES

    @property
    def required(self) -> bool:
        return not self.optional and self.default is UNSET


class OutputSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a component leaves under one name."""

    type: PathType = "uri_folder"
    description: str = ""
    mode: str = ""


class ComponentFile(Struct, kw_only=True, forbid_unknown_fields=True, rename={"schema": "$schema"}):
    """A component file as it is written: a command with typed inputs and outputs."""

    type: Literal["command"]
    command: str
    schema: str = ""
    name: str = ""
    version: str | int = ""
    display_name: str = ""
    description: str = ""
    inputs: dict[str, InputSpec] = field(default_factory=dict)
    outputs: dict[str, OutputSpec] = field(default_factory=dict)
    code: str | None = None
    environment: Any = None
    environment_variables: dict[str, str] = field(default_factory=dict)
    resources: Any = None
    distribution: None = None  # more than one machine has no meaning here
    is_deterministic: bool = True
    tags: Any = None


class Component(ComponentFile, kw_only=True):
    """A component and where it lies."""

    file: Path
    folder: Path | None  # of its code


class ParentInput(Struct, frozen=True):
    """The pipeline's input of this name."""

    name: str


class JobOutput(Struct, frozen=True):
    """What another job of the pipeline leaves."""

    job: str
    output: str


class DataInput(Struct, frozen=True, kw_only=True):
    """A file or folder, named in the pipeline file or by the caller."""

    type: PathType
    path: Path | None


InputSource = ParentInput | JobOutput | DataInput | Scalar


class PipelineJob(Struct, frozen=True, kw_only=True):
    """One node of the pipeline, with the component that runs for it here."""

    name: str
    component: Component
    inputs: dict[str, InputSource]
    outputs: dict[str, str | None]  # to the pipeline's output of that name
    automl: bool = False


class Pipeline(Struct, frozen=True, kw_only=True):
    """A pipeline file, its jobs in an order in which they can run."""

    file: Path
    display_name: str
    description: str
    inputs: dict[str, DataInput | Scalar]
    outputs: dict[str, OutputSpec]
    jobs: dict[str, PipelineJob]

    def spec_of(self, name: str) -> InputSpec | None:
        """What the components say about a pipeline input: the first that it is bound to."""
        for job in self.jobs.values():
            for key, source in job.inputs.items():
                if source == ParentInput(name):
                    return job.component.inputs[key]
        return None


class _Node(Struct, kw_only=True, forbid_unknown_fields=True):
    """A command node as it is written."""

    type: Literal["command"]
    component: str
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    compute: Any = None
    resources: Any = None
    limits: Any = None
    environment_variables: dict[str, str] = field(default_factory=dict)
    display_name: str = ""
    description: str = ""
    tags: Any = None


class _Pipeline(Struct, kw_only=True, forbid_unknown_fields=True, rename={"schema": "$schema"}):
    """The pipeline file as it is written."""

    type: Literal["pipeline"]
    jobs: dict[str, dict[str, Any]]
    schema: str = ""
    name: str = ""
    display_name: str = ""
    description: str = ""
    experiment_name: str = ""
    tags: Any = None
    compute: Any = None
    settings: Any = None
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)


def load_pipeline(file: Path, overrides: Mapping[str, Any] | None = None) -> Pipeline:
    """The pipeline in `file`; `overrides` put values at dotted paths first, as azure-ai-ml's `params_override` does.

    Raises SettingsError naming file, place and what is accepted there.
    """
    document = _read(file)
    for path, value in (overrides or {}).items():
        _override(document, path.split("."), value, file)
    written = _convert(document, _Pipeline, file)
    inputs = {name: _pipeline_input(name, value, file) for name, value in written.inputs.items()}
    outputs = {name: _convert(value or {}, OutputSpec, file, f"outputs.{name}") for name, value in written.outputs.items()}
    jobs = {name: _job(name, node, file, inputs) for name, node in written.jobs.items()}
    pipeline = Pipeline(
        file=file,
        display_name=written.display_name or file.stem,
        description=written.description,
        inputs=inputs,
        outputs=outputs,
        jobs=jobs,
    )
    faults = _faults(pipeline)
    if faults:
        raise SettingsError(f"{file.name} is not a pipeline that can run.", why="; ".join(faults) + ".", do="Correct the file.")
    return msgspec.structs.replace(pipeline, jobs=_in_order(pipeline))


def automl_node_in(file: Path) -> dict[str, Any]:
    """The AutoML node of a pipeline file as it is written; empty where there is none. Raises SettingsError for an unreadable file."""
    jobs = _read(file).get("jobs")
    nodes = [node for node in jobs.values() if isinstance(node, dict)] if isinstance(jobs, dict) else []
    return next((node for node in nodes if node.get("type") == "automl"), {})


def load_component(file: Path) -> Component:
    """The command component in `file`. Raises SettingsError."""
    written = _convert(_read(file), ComponentFile, file)
    folder = (file.parent / written.code).resolve() if written.code else None
    if folder and folder.name == FOLDER and not folder.exists():
        folder = copied(folder)
    return Component(**msgspec.structs.asdict(written), file=file, folder=folder)


def _read(file: Path) -> dict[str, Any]:
    try:
        document = msgspec.yaml.decode(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise SettingsError(f"{file} can't be read.", why=str(error), do="Correct the file, or restore it from git.") from error
    if not isinstance(document, dict):
        raise SettingsError(f"{file} is not a pipeline or component.", why="It holds no mapping.", do="Correct the file.")
    return document


def _convert(value: Any, kind: type[T], file: Path, place: str = "") -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        where = f"{file.name}: {place}" if place else file.name
        raise SettingsError(
            f"{where} holds something that can't run here.",
            why=f"{error}.",
            do="`pushline docs pipelines` says which part of Azure ML's pipeline jobs runs on this machine.",
        ) from error


def _override(document: dict[str, Any], path: list[str], value: Any, file: Path) -> None:
    for part in path[:-1]:
        document = document.setdefault(part, {})
        if not isinstance(document, dict):
            raise SettingsError(f"{'.'.join(path)} is no place in {file.name}.", why=f"{part} holds a value.", do="Name a place.")
    document[path[-1]] = value


def _pipeline_input(name: str, value: Any, file: Path) -> DataInput | Scalar:
    if isinstance(value, dict):
        kind, path = value.get("type", "uri_folder"), value.get("path")
        if kind not in PATH_TYPES or not (path is None or isinstance(path, str)) or value.keys() - {"type", "path", "mode"}:
            raise SettingsError(
                f"{file.name}: the input {name} can't run here.",
                why="An input is a plain value, or a type of data with its path.",
                do="Put types and bounds of values into the component.",
            )
        return DataInput(type=kind, path=_local_path(path, file))
    return _convert(value, Scalar, file, f"inputs.{name}")  # type: ignore[arg-type]  # a union is no type[T] to mypy


def _local_path(path: str | None, file: Path) -> Path | None:
    """A path as the file means it: relative to its own folder, links kept; an address in Azure has none here."""
    if path is None or path.startswith("azureml:") or "://" in path:
        return None
    return Path(os.path.abspath(file.parent / path))  # noqa: PTH100 - resolve() would follow links


def _job(name: str, node: dict[str, Any], file: Path, inputs: Mapping[str, Any]) -> PipelineJob:
    if node.get("type") == "automl":
        return _automl_job(name, node, file, inputs)
    written = _convert(node, _Node, file, f"jobs.{name}")
    component = load_component((file.parent / written.component).resolve())
    component = msgspec.structs.replace(component, environment_variables=component.environment_variables | written.environment_variables)
    outputs = {key: _parent_output(value, file, f"jobs.{name}.outputs.{key}") for key, value in written.outputs.items()}
    return PipelineJob(
        name=name,
        component=component,
        inputs={key: _source(value, file, f"jobs.{name}.inputs.{key}") for key, value in written.inputs.items()},
        outputs=outputs,
    )


def _automl_job(name: str, node: dict[str, Any], file: Path, inputs: Mapping[str, Any]) -> PipelineJob:
    """Pushline's own AutoML in the place of the node: data, limits and training settings from it, the rest from the pipeline's inputs."""
    component = load_component((file.parent / "components" / "automl.yml").resolve())
    unknown = set(node.get("limits") or {}) - AUTOML_LIMITS
    if unknown:
        raise SettingsError(
            f"{file.name}: jobs.{name}.limits can't run here.",
            why=f"{', '.join(sorted(unknown))}: no limit of AutoML; these are {', '.join(sorted(AUTOML_LIMITS))}.",
            do="Correct the name.",
        )
    bound: dict[str, InputSource] = {key: _source(node[key], file, f"jobs.{name}.{key}") for key in AUTOML_DATA if key in node}
    fields = {**node, **(node.get("limits") or {}), **(node.get("training") or {})}
    for key in component.inputs:
        if key in bound:
            continue
        if key in inputs:
            bound[key] = ParentInput(key)
        elif key in fields:
            bound[key] = _automl_field(fields[key], file, f"jobs.{name}: {key}")
    outputs = {key: _parent_output(value, file, f"jobs.{name}.outputs.{key}") for key, value in node.get("outputs", {}).items()}
    return PipelineJob(name=name, component=component, inputs=bound, outputs=outputs, automl=True)


def _automl_field(value: Any, file: Path, place: str) -> InputSource:
    """A limit or a training setting of the node; a list, such as of algorithms, becomes one text with commas."""
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return _source(value, file, place)


def _bound(value: Any) -> list[str]:
    """The parts of what a value binds to; none where it is no binding as a whole."""
    match = BINDING.fullmatch(str(value))
    return match.group(1).split(".") if match else []


def _parent_output(value: Any, file: Path, place: str) -> str | None:
    """The pipeline's output that a job's output is; None for one that stays inside."""
    said = value.get("path") if isinstance(value, dict) else value
    match _bound(said):
        case ["parent", "outputs", name]:
            return name
    if said is None:
        return None
    raise SettingsError(f"{file.name}: {place} can't run here.", why=f"{said!r} is no output of the pipeline.", do="Correct it.")


def _source(value: Any, file: Path, place: str) -> InputSource:
    if isinstance(value, dict):
        return _source(value["path"], file, place) if _bound(value.get("path")) else _pipeline_input(place, value, file)
    match _bound(value):
        case ["parent", "inputs", name]:
            return ParentInput(name)
        case ["parent", "jobs", job, "outputs", name]:
            return JobOutput(job, name)
    if isinstance(value, str) and "${{" in value:
        raise SettingsError(
            f"{file.name}: {place} can't run here.",
            why=f"{value!r} binds to nothing.",
            do="Bind to ${{parent.inputs.NAME}} or ${{parent.jobs.JOB.outputs.NAME}}, as the whole value.",
        )
    return _convert(value, Scalar, file, place)  # type: ignore[arg-type]  # a union is no type[T] to mypy


def _faults(pipeline: Pipeline) -> list[str]:
    faults = []
    for job in pipeline.jobs.values():
        takes, leaves = job.component.inputs, job.component.outputs
        faults += [f"job {job.name} has no input {key}" for key in job.inputs if key not in takes]
        faults += [f"job {job.name} lacks the input {key}" for key, spec in takes.items() if spec.required and key not in job.inputs]
        faults += [f"job {job.name} has no output {key}" for key in job.outputs if key not in leaves]
        faults += [f"the pipeline has no output {to}" for to in job.outputs.values() if to and to not in pipeline.outputs]
        for source in job.inputs.values():
            if isinstance(source, ParentInput) and source.name not in pipeline.inputs:
                faults.append(f"job {job.name} reads the input {source.name}, which the pipeline has not")
            if isinstance(source, JobOutput):
                maker = pipeline.jobs.get(source.job)
                if maker is None or source.output not in maker.component.outputs:
                    faults.append(f"job {job.name} reads {source.output} of {source.job}, which nothing makes")
    made = {to for job in pipeline.jobs.values() for to in job.outputs.values()}
    faults += [f"no job makes the output {name}" for name in pipeline.outputs if name not in made]
    return faults


def _in_order(pipeline: Pipeline) -> dict[str, PipelineJob]:
    """The jobs so that each comes after those it reads from."""
    waits = {name: {s.job for s in job.inputs.values() if isinstance(s, JobOutput)} for name, job in pipeline.jobs.items()}
    try:
        return {name: pipeline.jobs[name] for name in TopologicalSorter(waits).static_order()}
    except CycleError as error:
        raise SettingsError(
            f"{pipeline.file.name} is not a pipeline that can run.",
            why=f"The jobs {', '.join(sorted(set(error.args[1])))} wait for each other.",
            do="Correct the bindings.",
        ) from error
