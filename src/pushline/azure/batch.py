"""Scoring a file on the cluster: a batch endpoint with a deployment of the model, whose parallel jobs take the input in parts."""

import hashlib
import time
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec import Struct

from pushline.azure.cloud import Cloud, quietly
from pushline.azure.compute import ensure_cluster
from pushline.azure.failures import asking
from pushline.azure.pipeline import STORE
from pushline.azure.published import CONTENT, AzurePipelines
from pushline.azure.training import AzureTraining
from pushline.batch import parts
from pushline.batch.job import BatchResult, Options
from pushline.batch.output import output
from pushline.batch.source import BatchInput, open_source
from pushline.engine import code_of
from pushline.errors import DataCorrupt, StepFailed
from pushline.files import cannot_write, content_hash, read_json, scratch, write_json
from pushline.pipelines.service.runs import Run
from pushline.progress import Progress
from pushline.project import Project
from pushline.settings import PushlineSettings

SCRIPT = "pushline/batch/driver.py"
PYTHON = "/opt/pushline/bin/python"  # of requirements/batch.Dockerfile
FILES = 4  # of a mini-batch: a node scores them side by side
TIMEOUT_S = 3600  # of a mini-batch
RETRIES = 2
LAST_LINES = 4


class BatchSubmission(Struct, frozen=True, kw_only=True):
    """A job that was started: the same command again goes on with it."""

    identity: str
    job: str
    parts: int


class AzureBatch:
    """The batch endpoint of a workspace."""

    def __init__(self, project: Project, settings: PushlineSettings) -> None:
        self.project = project
        self.settings = settings
        self.cloud = Cloud(settings.azure)
        self.runs = AzurePipelines(project, settings, {})

    @property
    def endpoint(self) -> str:
        return self.runs.endpoint_of("batch")

    @cached_property
    def content(self) -> str:
        """The hash of what a deployment holds beside its model."""
        both = content_hash(code_of(self.project.root)) + content_hash(self.project.root / "requirements")
        return hashlib.sha256(f"{both} {self.settings.azure.max_nodes} {self.settings.azure.cluster}".encode()).hexdigest()[:32]

    def score(self, uri: str, out: Path, version: str, *, options: Options, progress: Progress) -> BatchResult:
        """Score the rows at `uri` with a model version into `out`, on the cluster; the same command again goes on.

        Raises StepFailed with the job's last words, and what scoring here raises for an input that can't be read.
        """
        with output(uri, out):
            return self.score_alone(uri, out, version, options=options, progress=progress)

    def score_alone(self, uri: str, out: Path, version: str, *, options: Options, progress: Progress) -> BatchResult:
        started = time.monotonic()
        source = open_source(uri, options.delimiter)
        note = out.with_name(f".{out.name}.cluster.json")
        begun = self.begun(note, hashlib.sha256(f"{source.identity} {version} {self.content} {out.suffix}".encode()).hexdigest())
        if begun.job:
            progress(f"Going on with {begun.job}.")
        else:
            begun = self.begin(source, out, version, begun, progress)
            write_json(note, begun)
        ended = self.runs.follow(begun.job, progress)
        if ended.state != "succeeded":
            note.unlink(missing_ok=True)
            raise self.failed(ended, out)
        scored = self.collect(begun, source, uri, out, options, time.monotonic() - started)
        note.unlink(missing_ok=True)
        return scored

    def begun(self, note: Path, identity: str) -> BatchSubmission:
        """The job that an earlier command started for the same things; its name is empty where there is none."""
        found = read_json(note, BatchSubmission)
        return found if found is not None and found.identity == identity else BatchSubmission(identity=identity, job="", parts=0)

    def begin(self, source: BatchInput, out: Path, version: str, begun: BatchSubmission, progress: Progress) -> BatchSubmission:
        """Upload the input in parts and start the job."""
        deployment = self.deployed(version, progress)
        with scratch(out.with_name(f"{out.name}.cluster")) as folder:
            number = parts.cut(source, folder / "parts", "parquet" if out.suffix == ".parquet" else "csv", parts.ROWS)
            if number == 0:
                raise DataCorrupt("There is nothing to score.", why="The input holds no row.", do="Name a file with rows.")
            progress(f"Uploading {number} parts and starting {self.endpoint}, {deployment}.")
            with asking(f"starting the batch endpoint {self.endpoint}"), quietly():
                from azure.ai.ml import Input, Output

                job = self.cloud.ml.batch_endpoints.invoke(
                    endpoint_name=self.endpoint,
                    deployment_name=deployment,
                    inputs={"rows": Input(type="uri_folder", path=str(folder / "parts"))},
                    outputs={"score": Output(type="uri_folder", path=f"azureml://datastores/{STORE}/paths/{place_of(begun)}")},
                )
        progress(f"Started {job.name}.")
        return BatchSubmission(identity=begun.identity, job=job.name, parts=number)

    # The deployment

    def deployed(self, version: str, progress: Progress) -> str:
        """The deployment of a model version, made where there is none with today's code."""
        name, known = f"v{version}", self.runs.deployments(self.endpoint)
        standing = known.get(int(version))
        if standing is not None and standing.tags.get(CONTENT) == self.content:
            return name
        ensure_cluster(self.cloud, progress)
        progress(f"Deploying version {version} to the batch endpoint {self.endpoint}.")
        with asking(f"deploying to the batch endpoint {self.endpoint}"), quietly():
            self.cloud.deploy_batch(
                self.endpoint, f"Scores files with {self.settings.model_name}", self.deployment_of(name, version), new=not known
            )
        return name

    def deployment_of(self, name: str, version: str) -> Any:
        """The body: our own script in our own Python, on as many nodes as the settings allow."""
        from azure.ai.ml.constants import BatchDeploymentOutputAction
        from azure.ai.ml.entities import (
            BatchRetrySettings,
            BuildContext,
            CodeConfiguration,
            Environment,
            ModelBatchDeployment,
            ModelBatchDeploymentSettings,
            ResourceConfiguration,
        )

        root = self.project.root
        return ModelBatchDeployment(
            name=name,
            endpoint_name=self.endpoint,
            model=f"azureml:{self.settings.model_name}:{version}",
            code_configuration=CodeConfiguration(code=str(code_of(root)), scoring_script=SCRIPT),
            environment=Environment(
                name=f"{self.settings.model_name}-batch",
                version=content_hash(root / "requirements")[:12],
                build=BuildContext(path=str(root / "requirements"), dockerfile_path="batch.Dockerfile"),
            ),
            compute=self.settings.azure.cluster,
            resources=ResourceConfiguration(instance_count=self.settings.azure.max_nodes),
            settings=ModelBatchDeploymentSettings(
                mini_batch_size=FILES,
                max_concurrency_per_instance=1,  # a mini-batch keeps all cores of its node busy
                output_action=BatchDeploymentOutputAction.SUMMARY_ONLY,  # the script writes its own files
                retry_settings=BatchRetrySettings(max_retries=RETRIES, timeout=TIMEOUT_S),
                environment_variables={"PARTS_MODEL_VERSION": version, "PARTS_PYTHON": PYTHON},
                error_threshold=0,  # a part that can't be scored fails the job; its default lets all of them fail
                logging_level="info",
            ),
            tags={CONTENT: self.content},
        )

    # The end

    def failed(self, run: Run, out: Path) -> StepFailed:
        """The error for a job that ended badly, with its last lines; the whole log is kept beside the output."""
        training, log = AzureTraining(self.project, self.settings, self.project.pipelines / "score-batch.yml", {}), out.with_suffix(".log")
        lines = [line for step in self.cloud.steps(run.id) for line in training.log_of(step.name, log)]
        return StepFailed(
            f"The batch job {run.id} {run.state} on Azure.",
            why=" | ".join(lines[-LAST_LINES:]) or "It left no log.",
            do=run.error.do if run.error else "Run the same command again.",
        )

    def collect(self, begun: BatchSubmission, source: BatchInput, uri: str, out: Path, options: Options, seconds: float) -> BatchResult:
        """The parts' scores on this machine, as one file."""
        try:
            with scratch(out.with_name(f"{out.name}.cluster")) as folder:
                with asking(f"bringing the scores of {begun.job}"):
                    self.cloud.download(STORE, place_of(begun) + "/", folder)
                return parts.put_together(folder, begun.parts, source, uri, out, options=options, seconds=seconds)
        except OSError as error:
            raise cannot_write(out.parent, error) from error


def place_of(begun: BatchSubmission) -> str:
    """Where the scores of a job lie in the default store."""
    return f"pushline/batch/{begun.identity[:32]}"
