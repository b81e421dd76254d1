"""Pipelines published to Azure: a batch endpoint for each, with a deployment of a pipeline component for each version.

Whoever has a token for https://ml.azure.com starts a run with one POST to the endpoint's address; there are no keys.
"""

import hashlib
import io
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from pushline.azure.cloud import Cloud, quietly, spoken
from pushline.azure.compute import ensure_cluster
from pushline.azure.failures import asking, first_line
from pushline.azure.pipeline import document_of
from pushline.azure.training import ENDED, FIRST_LOOK_S, LAST_LOOK_S
from pushline.engine import code_of
from pushline.errors import SettingsError
from pushline.files import content_hash
from pushline.pipelines.runner.definition import load_pipeline
from pushline.pipelines.runner.fingerprint import fingerprint
from pushline.pipelines.schedule import Schedule, checked_cron
from pushline.pipelines.service.published import Version, inputs_of
from pushline.pipelines.service.runs import Run, RunError
from pushline.progress import Progress
from pushline.project import Project
from pushline.registry import open_store
from pushline.registry.store import version_or_champion
from pushline.results import Scalar
from pushline.settings import PushlineSettings

MODEL = "mlflow_model"
CONTENT, FILES = "pushline-content", "pushline-file-"
LONGEST = 32  # characters of an endpoint's name
OWN = 6  # of them that are this workspace's alone: the names of a region's endpoints are shared by everyone
STATES = {"Completed": "succeeded", "Failed": "failed", "NotResponding": "failed", "Canceled": "cancelled"}


class AzurePipelines:
    """The published pipelines of a workspace: publisher, consumer and schedules in one."""

    def __init__(self, project: Project, settings: PushlineSettings, defaults: Mapping[str, Scalar]) -> None:
        self.project = project
        self.settings = settings
        self.defaults = defaults
        self.cloud = Cloud(settings.azure)
        self.started: dict[str, Run] = {}

    def endpoint_of(self, name: str) -> str:
        """The name of a pipeline's endpoint, the same for everyone who uses this workspace."""
        own = hashlib.sha256(self.cloud.workspace_id.lower().encode()).hexdigest()[:OWN]
        return f"{f'{self.settings.model_name}-{name}'[: LONGEST - OWN - 1].rstrip('-')}-{own}"

    def file_of(self, name: str) -> Path:
        file = self.project.pipelines / f"{name}.yml"
        if not file.is_file():
            known = ", ".join(sorted(found.stem for found in self.project.pipelines.glob("*.yml")))
            raise SettingsError(f"There is no pipeline {name!r}.", why=f"pipelines/ holds {known or 'none'}.", do="Name one of them.")
        return file

    @cached_property
    def content(self) -> str:
        """The hash of all that a version holds."""
        root = self.project.root
        parts = {name: content_hash(root / name) for name in ("pipelines", "data_checks", "requirements")}
        return fingerprint({**parts, "src": content_hash(code_of(root)), "engine": self.settings.azure.engine})[:32]

    # Publish

    def publish(self, name: str) -> tuple[Version, bool]:
        """Make the next version and the default of it; False where the newest holds the same."""
        file, endpoint = self.file_of(name), self.endpoint_of(name)
        known = self.deployments(endpoint)
        if known and known[max(known)].tags.get(CONTENT) == self.content:
            return self.version(name, file, max(known)), False
        number, described = max(known, default=0) + 1, load_pipeline(file).description
        ensure_cluster(self.cloud, lambda _: None)
        with quietly():
            from azure.ai.ml.entities import PipelineComponentBatchDeployment
        with asking(f"publishing {name}"), quietly():
            component = self.cloud.ml.components.create_or_update(self.component(name, file, number))
            deployment = PipelineComponentBatchDeployment(
                name=f"v{number}",
                endpoint_name=endpoint,
                component=component,
                settings={"default_compute": self.settings.azure.cluster, "continue_on_step_failure": "false"},
                tags={CONTENT: self.content, **self.files_of(file)},
            )
            self.cloud.deploy_batch(endpoint, described, deployment, new=not known)
        return self.version(name, file, number), True

    def deployments(self, endpoint: str) -> dict[int, Any]:
        """The versions of an endpoint by number; none where there is no endpoint."""
        from azure.core.exceptions import ResourceNotFoundError

        with asking(f"looking at the endpoint {endpoint}"), quietly():
            try:
                found = list(self.cloud.ml.batch_deployments.list(endpoint))
            except ResourceNotFoundError:
                return {}
        return {int(each.name[1:]): each for each in found if each.name[:1] == "v" and each.name[1:].isdigit()}

    def component(self, name: str, file: Path, number: int) -> Any:
        """The pipeline as a component: its inputs typed, without paths of this machine."""
        import yaml

        document = document_of(file, self.settings.azure, dict(self.defaults), name)
        for key in ("settings", "$schema", "experiment_name"):
            document.pop(key, None)
        document |= {"name": self.endpoint_of(name).replace("-", "_"), "version": str(number), "type": "pipeline"}
        pipeline = load_pipeline(file)
        for key, value in document["inputs"].items():
            spec = pipeline.spec_of(key)
            given = {"type": value["type"]} if isinstance(value, dict) else {"type": spec.type if spec else "string", "default": value}
            document["inputs"][key] = given
        for output in document["outputs"].values():
            output.pop("path", None)
        with quietly():
            from azure.ai.ml import load_component
            from azure.ai.ml.exceptions import MlException
            from marshmallow.exceptions import ValidationError

            try:
                return load_component(io.StringIO(yaml.safe_dump(document, sort_keys=False)), relative_origin=str(file))
            except (MlException, ValidationError, TypeError) as error:
                raise SettingsError(f"Azure ML can't publish {file.name}.", why=first_line(error), do="Correct the file.") from error

    def files_of(self, file: Path) -> dict[str, str]:
        """The files that the pipeline reads, as data assets of their own: a run needs nothing of this machine."""
        with quietly():
            from azure.ai.ml.entities import Data
        tags = {}
        for key, given in load_pipeline(file).inputs.items():
            path = getattr(given, "path", None)
            if path is None or not path.is_file():
                continue
            version = content_hash(path)[:16]
            asset = f"{self.settings.model_name}-{key.replace('_', '-')}"
            self.cloud.ml.data.create_or_update(Data(name=asset, version=version, type="uri_file", path=str(path)))
            tags[FILES + key] = f"azureml:{asset}:{version}"
        return tags

    def version(self, name: str, file: Path, number: int) -> Version:
        pipeline = load_pipeline(file)
        return Version(
            name=name,
            version=number,
            description=pipeline.description,
            inputs=inputs_of(pipeline, self.project, self.defaults),
            outputs=tuple(pipeline.outputs),
            made_at=datetime.now(UTC),
            git_revision=self.project.git_revision,
            content=self.content,
            default=True,
        )

    # Consume

    def start(self, name: str, inputs: Mapping[str, Scalar], version: int | None) -> Run:
        """One POST to the endpoint; files and the newest data are there already."""
        endpoint = self.endpoint_of(name)
        known = self.deployments(endpoint)
        number = version if version is not None else self.default_of(endpoint, known)
        if number not in known:
            told = f"Published: {', '.join(map(str, sorted(known)))}." if known else "None is published."
            raise SettingsError(f"There is no version {number or ''} of {name}.", why=told, do=f"Publish with `pushline publish {name}`.")
        file = self.file_of(name)
        allowed = {each.name for each in inputs_of(load_pipeline(file), self.project, self.defaults)}
        unknown = sorted(set(inputs) - allowed)
        if unknown:
            raise SettingsError(f"{name} has no input {unknown[0]!r}.", why=f"Its inputs are {', '.join(sorted(allowed))}.", do="Name one.")
        with asking(f"starting {name}"), quietly():
            from azure.ai.ml import Input

            pipeline = load_pipeline(file)
            kinds = {key: spec.type for key in pipeline.inputs if (spec := pipeline.spec_of(key)) is not None and spec.is_path}
            given = {
                key: Input(type=kinds[key], path=str(value)) if key in kinds else Input(type="string", default=str(value))
                for key, value in inputs.items()
            }
            for key, asset in known[number].tags.items():
                if key.startswith(FILES):
                    given.setdefault(key.removeprefix(FILES), Input(type="uri_file", path=asset))
            if "data" in pipeline.inputs:
                given.setdefault("data", Input(type="mltable", path=self.data()))
            given |= {key: Input(type=kind, path=self.champion()) for key, kind in kinds.items() if kind == MODEL and key not in given}
            job = self.cloud.ml.batch_endpoints.invoke(endpoint_name=endpoint, deployment_name=f"v{number}", inputs=given)
        started = Run(id=job.name, pipeline=name, version=number, inputs=dict(inputs), started_at=datetime.now(UTC), state="running")
        self.started[started.id] = started
        return started

    def default_of(self, endpoint: str, known: Mapping[int, Any]) -> int:
        """The version that is started where none is named: what the endpoint says, also where someone chose it in the studio."""
        if not known:
            return 0
        with asking(f"looking at the endpoint {endpoint}"), quietly():
            said = str(getattr(self.cloud.ml.batch_endpoints.get(endpoint).defaults, "deployment_name", "") or "")
        return next((number for number, each in known.items() if each.name == said), max(known))

    def champion(self) -> str:
        """The folder of the model that a pipeline gets where the caller names none.

        It is uploaded with the run: the client takes what is registered for data only.
        """
        store = open_store(self.project, self.settings)
        return str(store.download(version_or_champion(store, None).version))

    def data(self) -> str:
        """The table of the pinned data, which a training has uploaded."""
        from azure.core.exceptions import ResourceNotFoundError

        from pushline.data.sources.lock import load_lock

        name, version = f"{self.settings.model_name}-table", load_lock(self.project.data_lock).version
        try:
            self.cloud.ml.data.get(name, version)
        except ResourceNotFoundError as error:
            raise SettingsError(
                f"The data version {version} is not in the workspace yet.",
                why="A published pipeline reads the table that a training has uploaded.",
                do="Run `pushline train` once with this data.lock.",
            ) from error
        return f"azureml:{name}:{version}"

    def run(self, run: str) -> Run:
        with asking(f"looking at the run {run}"), quietly():
            job = self.cloud.ml.jobs.get(run)
        status = spoken(job.status)
        error = RunError(what=f"It ended as {status.lower()}.", why="", do=f"Look at {job.studio_url}.") if status in ENDED else None
        state: Any = STATES.get(status, "running")
        told = None if state == "succeeded" else error
        if run in self.started:
            return msgspec.structs.replace(self.started[run], state=state, error=told)
        pipeline = str(job.tags.get("pushline-pipeline", job.display_name or ""))
        return Run(id=run, pipeline=pipeline, version=0, inputs={}, started_at=datetime.now(UTC), state=state, error=told)

    def cancel(self, run: str) -> Run:
        with asking(f"cancelling {run}"), quietly():
            self.cloud.ml.jobs.begin_cancel(run).result()
        return self.run(run)

    def follow(self, run: str, progress: Progress) -> Run:
        told: dict[str, str] = {}
        pause, seen = FIRST_LOOK_S, self.run(run)
        while not seen.ended:
            time.sleep(pause)
            pause = min(pause * 1.3, LAST_LOOK_S)
            self.cloud.tell_steps(run, told, progress)
            seen = self.run(run)
        return seen

    # Schedule

    def schedule(self, pipeline: str, cron: str | None) -> Schedule:
        """Set when a pipeline runs by itself in Azure, with the files and the data of today; without `cron` only say it."""
        from azure.core.exceptions import ResourceNotFoundError

        from pushline.azure.pipeline import load

        name, file = self.endpoint_of(pipeline), self.file_of(pipeline)
        with asking(f"looking at the schedule {name}"), quietly():
            from azure.ai.ml.entities import CronTrigger, JobSchedule

            try:
                before = str(self.cloud.ml.schedules.get(name).trigger.expression)
            except ResourceNotFoundError:
                before = ""
        if cron is None or cron == before:
            return Schedule(pipeline=pipeline, cron=before, place=f"the schedule {name}", before=before)
        checked_cron(cron)
        values = {**self.defaults, "data": self.data()} if "data" in load_pipeline(file).inputs else dict(self.defaults)
        document = document_of(file, self.settings.azure, values, name)
        for key in ("name",):
            document.pop(key, None)
        for output in document["outputs"].values():
            output.pop("path", None)  # each run has its own
        job = load(document, file, experiment=self.settings.model_name, tags={"pushline-pipeline": pipeline})
        with asking(f"scheduling {pipeline}"), quietly():
            made = JobSchedule(name=name, trigger=CronTrigger(expression=cron, time_zone="UTC"), create_job=job)
            self.cloud.ml.schedules.begin_create_or_update(made).result()
        return Schedule(pipeline=pipeline, cron=cron, place=f"the schedule {name}", before=before)
