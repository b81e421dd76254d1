"""Training on Azure: the pipeline is submitted, followed and collected; a run is found again by what it was made from.

A job's name holds the hash of all that it depends on. So the same command again goes on with the job that runs, takes
the outputs of the one that has ended, and submits a new one only where the last has failed or something has changed.
"""

import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from pushline.azure import leaderboard
from pushline.azure.cloud import Cloud, quietly, spoken
from pushline.azure.compute import ensure_cluster
from pushline.azure.failures import asking, first_line
from pushline.azure.pipeline import BEST_MODEL, HELD_BACK, STORE, cut_at_search, document_of, load, place_of
from pushline.azure.table import data_asset
from pushline.errors import SettingsError, StepFailed, TargetError
from pushline.files import whole_folder
from pushline.pipelines.runner.definition import load_pipeline
from pushline.pipelines.runner.fingerprint import packages_hash, training_fingerprint
from pushline.pipelines.runner.runner import JobStep, PipelineResult, given_inputs, run_job
from pushline.progress import Progress
from pushline.project import Project
from pushline.results import Scalar
from pushline.settings import PushlineSettings, seconds

ENDED = frozenset({"Completed", "Failed", "Canceled", "NotResponding"})
FIRST_LOOK_S, LAST_LOOK_S = 1.0, 15.0
CANCEL_S = 120.0
BESIDE_BUDGET_S = 3 * 3600.0  # for the image, the nodes and the steps around the search
LAST_LINES = 8
ATTEMPTS = 50
LARGE = frozenset({"train.parquet", "held_back.parquet", "rejects.parquet"})  # stay on Azure


class TrainingJob(Struct, frozen=True):
    """A job of the workspace."""

    name: str
    status: str
    studio: str
    revision: str = "unknown"  # of the commit that started it


class AzureTraining:
    """One run of a pipeline file in the workspace."""

    def __init__(self, project: Project, settings: PushlineSettings, file: Path, inputs: Mapping[str, Scalar | Path]) -> None:
        self.project = project
        self.settings = settings
        self.file = file
        self.inputs = inputs
        self.cloud = Cloud(settings.azure)

    @cached_property
    def mark(self) -> str:
        """The hash of everything that the outcome depends on."""
        azure = self.settings.azure
        inputs = {**self.inputs, "data": str(self.inputs["data_version"])}
        document = document_of(self.file, azure, {name: value for name, value in inputs.items() if not isinstance(value, Path)}, "")
        held_back = document["inputs"].get("held_back")
        return training_fingerprint(self.project.root, self.file, inputs, size=azure.vm_size, jobs=document["jobs"], held_back=held_back)

    @property
    def stem(self) -> str:
        return f"{self.settings.model_name}-{self.file.stem}-{self.mark[:12]}"

    def newest(self) -> tuple[TrainingJob | None, str]:
        """The newest job made from the same things, and the name the next one would have."""
        newest = None
        for number in range(1, ATTEMPTS + 1):
            name = self.stem if number == 1 else f"{self.stem}-{number}"
            found = self.find(name)
            if found is None:
                return newest, name
            newest = found
        raise TargetError(f"{self.stem} was tried {ATTEMPTS} times.", do="Change something before you try again.")

    def find(self, name: str) -> TrainingJob | None:
        from azure.core.exceptions import ResourceNotFoundError

        with asking(f"looking for the job {name}"), quietly():
            try:
                job = self.cloud.ml.jobs.get(name)
            except ResourceNotFoundError:
                return None
        return TrainingJob(name, spoken(job.status), str(job.studio_url or ""), str((job.tags or {}).get("git_revision", "unknown")))

    def run(self, out: Path, progress: Progress, *, attach: bool = False) -> PipelineResult:
        """Submit, or go on with, the run; wait for its end; bring its outputs below `out`.

        `attach` never submits. Raises StepFailed with the failed step's own last lines.
        """
        newest, name = self.newest()
        if newest is None or newest.status in ("Failed", "Canceled", "NotResponding"):
            if attach:
                told = f"The newest is {newest.name}, {newest.status.lower()}." if newest else "There is none with this code and data."
                raise SettingsError("There is no training to attach to.", why=told, do="Start one with `pushline train`.")
            newest = self.submit(name, progress)
        elif newest.status == "Completed":
            progress(f"{newest.name}: used again, its data, code and settings are unchanged")
        else:
            progress(f"Going on with {newest.name}, which is {newest.status.lower()}. {newest.studio}")
        ended = self.follow(newest, progress)
        if ended.status != "Completed":
            raise self.failed(ended, out)
        return self.collect(ended, out, progress)

    def submit(self, name: str, progress: Progress) -> TrainingJob:
        ensure_cluster(self.cloud, progress)
        version = str(self.inputs["data_version"])
        data = self.inputs["data"]
        if not isinstance(data, Path):
            raise SettingsError("There is no table to train on.", do="Run `pushline check-data` first.")
        asset = data_asset(self.cloud, f"{self.settings.model_name}-table", version, data, progress)
        document = document_of(self.file, self.settings.azure, {**self.inputs, "data": asset}, name)
        if self.settings.azure.engine == "azure":
            cut_at_search(document)
        tags = {"git_revision": str(self.inputs["git_revision"]), "data_version": version, "fingerprint": self.mark}
        job = load(document, self.file, experiment=self.settings.model_name, tags=tags)
        with asking("checking the job before it is submitted"), quietly():
            faults = self.cloud.ml.jobs.validate(job).error_messages
        if faults:
            place, fault = next(iter(faults.items()))
            raise SettingsError(f"Azure ML does not take {self.file.name}.", why=f"{place}: {first_line(fault)}", do="Correct the file.")
        with asking(f"submitting {self.file.name}"), quietly():
            made = self.cloud.ml.jobs.create_or_update(job)
        progress(f"Submitted {made.name}. {made.studio_url or ''}".rstrip())
        return TrainingJob(made.name, spoken(made.status or "NotStarted"), str(made.studio_url or ""))

    def follow(self, job: TrainingJob, progress: Progress, *, beside_s: float = BESIDE_BUDGET_S) -> TrainingJob:
        """Tell what each step does until the job has ended. Interrupting leaves the job running.

        Raises TargetError where it takes hours more than its budget: an image may be built, or nodes be waited for, without end.
        """
        told: dict[str, str] = {}
        until = time.monotonic() + seconds(str(self.inputs["budget"])) + beside_s
        pause = FIRST_LOOK_S
        try:
            while job.status not in ENDED:
                time.sleep(pause)
                pause = min(pause * 1.3, LAST_LOOK_S)
                if time.monotonic() > until:
                    raise TargetError(
                        f"{job.name} has not ended {beside_s / 3600:g} h after its budget; it is {job.status.lower()}.",
                        why="An image that is built or nodes that can't be had hold it up.",
                        do=f"Look at {job.studio}. `pushline train --attach` follows it again, `pushline train --cancel` ends it.",
                    )
                job = self.find(job.name) or job
                self.cloud.tell_steps(job.name, told, progress)
        except KeyboardInterrupt:
            progress(f"{job.name} goes on in Azure: `pushline train --attach` follows it, `pushline train --cancel` ends it.")
            raise
        return job

    def cancel(self, progress: Progress) -> bool:
        """End the run that these things would go on with; True where one ran."""
        newest, _ = self.newest()
        if newest is None or newest.status in ENDED:
            return False
        with asking(f"cancelling {newest.name}"), quietly():
            self.cloud.ml.jobs.begin_cancel(newest.name).result()
        until, ended = time.monotonic() + CANCEL_S, newest
        while ended.status not in ENDED and time.monotonic() < until:
            time.sleep(FIRST_LOOK_S)
            ended = self.find(newest.name) or ended
        progress(f"Cancelled {newest.name}." if ended.status in ENDED else f"{newest.name} is being cancelled; Azure takes its time.")
        return True

    def failed(self, job: TrainingJob, out: Path) -> StepFailed:
        """The error for a job that ended badly: the step that failed, its last lines, and where a person looks."""
        steps = [step for step in self.cloud.steps(job.name) if spoken(step.status) == "Failed"]
        look = f"Look at {job.studio}." if job.studio else "Look at it in the studio."
        if job.status == "Canceled" or not steps:
            return StepFailed(f"The training {job.name} ended as {job.status.lower()} on Azure.", do=f"{look} Then run again.")
        step = steps[0]
        lines = self.log_of(step.name, out / f"{step.display_name}.log")
        return StepFailed(
            f"The step {step.display_name} of {job.name} failed on Azure.",
            why=" | ".join(lines[-LAST_LINES:]) or "It left no log.",
            do=f"{out / (step.display_name + '.log')} holds the whole log. {look}",
        )

    def log_of(self, run: str, to: Path) -> list[str]:
        """The lines of a step's own log, kept in `to`."""
        from azure.core.exceptions import AzureError

        try:
            box = self.cloud.container("workspaceartifactstore")
            content = box.download_blob(f"ExperimentRun/dcid.{run}/user_logs/std_log.txt").readall()
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(content)
        except (AzureError, OSError):
            return []
        return [line.strip() for line in content.decode("utf-8", "replace").splitlines() if line.strip()]

    def collect(self, job: TrainingJob, out: Path, progress: Progress) -> PipelineResult:
        """The job's outputs on this machine; what a step left that no stage reads stays on Azure."""
        home = out / job.name
        if self.settings.azure.engine == "azure":
            return self.concluded(job, home, progress)
        outputs: dict[str, Path] = {}
        for output in ("prepared", "model", "evaluation", BEST_MODEL):
            outputs[output] = self.brought(job.name, output, home / output)
        progress(f"Brought the outputs of {job.name} to {home}.")
        steps = tuple(
            JobStep(
                name=step.display_name,
                reused=False,
                seconds=0.0,
                log=out / f"{step.display_name}.log",
                outputs={BEST_MODEL: outputs[BEST_MODEL]} if step.display_name == "automl" else {},
            )
            for step in self.cloud.steps(job.name)
        )
        return PipelineResult(outputs=outputs, steps=steps)

    def concluded(self, job: TrainingJob, home: Path, progress: Progress) -> PipelineResult:
        """The steps after a search of Azure's AutoML, on this machine: its model is looked for wherever Azure may have left it."""
        document = document_of(self.file, self.settings.azure, {**self.inputs, "data": ""}, job.name)
        pipeline, later, run = load_pipeline(self.file), cut_at_search(document), self.automl_run(job.name)
        outputs = {
            "prepared": self.brought(job.name, "prepared", home / "prepared", whole=True),
            BEST_MODEL: leaderboard.model_of(
                self.cloud, self.settings.model_name, run, self.brought(job.name, BEST_MODEL, home / BEST_MODEL)
            ),
        }
        progress(f"Brought the outputs of {job.name} to {home}.")
        given = given_inputs(pipeline, {**self.inputs, "held_back": HELD_BACK, "git_revision": job.revision})
        done = {
            name: JobStep(name=name, reused=False, seconds=0.0, log=home / f"{name}.log", outputs=dict(outputs))
            for name in pipeline.jobs
            if name not in later
        }
        for name in later:
            done[name] = run_job(pipeline, pipeline.jobs[name], given, done, home, packages_hash(), progress)
            outputs |= {to: done[name].outputs[output] for output, to in pipeline.jobs[name].outputs.items() if to}
        adopted = outputs["evaluation"] / BEST_MODEL
        outputs[BEST_MODEL] = leaderboard.completed(self.cloud, self.settings.model_name, adopted, run)
        search = JobStep(name="automl", reused=False, seconds=0.0, log=home / "automl.log", outputs={BEST_MODEL: outputs[BEST_MODEL]})
        return PipelineResult(outputs=outputs, steps=(search, *(done[name] for name in later)))

    def automl_run(self, job: str) -> str:
        """The run of the AutoML node, below which its trials are."""
        return next((str(step.name) for step in self.cloud.steps(job) if step.display_name == "automl"), "")

    def brought(self, job: str, output: str, to: Path, *, whole: bool = False) -> Path:
        """A folder of the default store, put here once; without its large tables unless it is wanted `whole`."""
        if to.is_dir():
            return to
        prefix = place_of(job, output) + "/"
        with whole_folder(to) as half:
            with asking(f"bringing the output {output} of {job}"):
                found = self.cloud.download(STORE, prefix, half, left_out=() if whole else LARGE)
            if not found:
                raise TargetError(f"The job {job} left no {output}.", why=f"Nothing lies at {STORE}/{prefix}.", do="Look at its log.")
        return to
