"""Run a pipeline file on this machine: each job a subprocess, in dependency order, a finished one used again.

Below the run's folder a job `clean` leaves `clean/<output>` and `clean/step.json`, and its log in `clean.log`. While it
runs it writes into a hidden folder, which takes the job's name when it has ended well: no reader sees half an output.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

import pushline
from pushline.errors import SettingsError, StepFailed
from pushline.files import content_hash, tidy, whole_folder, write_json
from pushline.guard import guarded, last_lines
from pushline.locks import locked
from pushline.pipelines.runner.binding import arguments_of, text_of
from pushline.pipelines.runner.definition import DataInput, JobOutput, ParentInput, Pipeline, PipelineJob, load_pipeline
from pushline.pipelines.runner.fingerprint import fingerprint, packages_hash
from pushline.progress import Progress
from pushline.results import Scalar
from pushline.stopping import asked_to_stop

LAST_LINES = 8
RECORD = "step.json"


class JobStep(Struct, frozen=True, kw_only=True):
    """A job as it ran."""

    name: str
    reused: bool
    seconds: float
    log: Path
    outputs: dict[str, Path]


class PipelineResult(Struct, frozen=True, kw_only=True):
    """A finished run: the pipeline's outputs, and the steps in their order."""

    outputs: dict[str, Path]
    steps: tuple[JobStep, ...]


class FinishedJob(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a finished step says of itself in `step.json`."""

    fingerprint: str
    seconds: float
    outputs: dict[str, str]  # sha256 of each


def run_pipeline(
    file: Path,
    inputs: Mapping[str, Scalar | Path],
    out: Path,
    *,
    progress: Progress,
    overrides: Mapping[str, Any] | None = None,
) -> PipelineResult:
    """Run the pipeline in `file` below the folder `out`; `inputs` replace the values that the file gives.

    Raises SettingsError for a file or an input that is wrong, before anything runs, and StepFailed with the last lines of
    the step that failed. However it ends, it leaves no process behind.
    """
    out = out.resolve()
    pipeline = load_pipeline(file, overrides)
    given = given_inputs(pipeline, inputs)
    with alone_in(out):
        packages = packages_hash()
        steps: dict[str, JobStep] = {}
        for job in pipeline.jobs.values():
            steps[job.name] = run_job(pipeline, job, given, steps, out, packages, progress)
    outputs = {to: steps[job.name].outputs[name] for job in pipeline.jobs.values() for name, to in job.outputs.items() if to}
    return PipelineResult(outputs=outputs, steps=tuple(steps.values()))


def given_inputs(pipeline: Pipeline, inputs: Mapping[str, Scalar | Path]) -> dict[str, Scalar | Path]:
    """Every input of the pipeline with its value: the caller's, else the file's, each of the right type.

    Raises SettingsError for an unknown name, a wrong type, a value out of bounds, or a path that does not exist.
    """
    unknown = sorted(set(inputs) - set(pipeline.inputs))
    if unknown:
        raise SettingsError(
            f"{pipeline.display_name} has no input {unknown[0]!r}.",
            why=f"Its inputs are {', '.join(pipeline.inputs)}.",
            do="Name one of them.",
        )
    given: dict[str, Scalar | Path] = {}
    for name, default in pipeline.inputs.items():
        value = inputs.get(name, default.path if isinstance(default, DataInput) else default)
        spec = pipeline.spec_of(name)
        if isinstance(default, DataInput):
            given[name] = _existing(name, value)
        elif spec is not None and not spec.is_path:
            given[name] = text_of(spec, None if isinstance(value, Path) else value, name)
        else:
            given[name] = value
    return given


def _existing(name: str, value: Scalar | Path) -> Path:
    if not isinstance(value, str | Path) or not Path(value).exists():
        raise SettingsError(
            f"The input {name} is missing.",
            why=f"{value} does not exist." if value else "It has no path on this machine.",
            do="Run the stage that makes it, or give another path.",
        )
    return Path(value).resolve()


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Hold the run's folder, and clear what a killed run left half-written in it.

    Raises Busy where another run holds it.
    """
    with locked(out / ".lock"):
        tidy(out)
        yield


def run_job(
    pipeline: Pipeline,
    job: PipelineJob,
    given: Mapping[str, Scalar | Path],
    done: Mapping[str, JobStep],
    out: Path,
    packages: str,
    progress: Progress,
) -> JobStep:
    """Run one job of a pipeline below `out`, or use again what it left there; `done` are the steps before it."""
    values = _values(job, given, done)
    mark = fingerprint(
        {
            "command": job.component.command,
            "variables": job.component.environment_variables,
            "values": {name: content_hash(value) if isinstance(value, Path) else value for name, value in values.items()},
            "outputs": sorted(job.component.outputs),
            "code": content_hash(job.component.folder) if job.component.folder else "",
            "pushline": content_hash(Path(pushline.__file__).parent),
            "packages": packages,
        }
    )
    home = out / job.name
    outputs = {name: home / name for name in job.component.outputs}
    record = finished(home, mark)
    log = out / f"{job.name}.log"
    if record is not None:
        progress(f"{job.name}: used again, its inputs and code are unchanged")
        return JobStep(name=job.name, reused=True, seconds=record.seconds, log=log, outputs=outputs)
    started = time.monotonic()
    with whole_folder(home) as half:
        _run(job, values, half, log, progress)
        seconds = round(time.monotonic() - started, 3)
        made = {name: content_hash(half / name) for name in job.component.outputs}
        # The best so far is the result now, and never taken for what the whole budget would have found.
        known = "" if asked_to_stop() else mark
        write_json(half / RECORD, FinishedJob(fingerprint=known, seconds=seconds, outputs=made))
    progress(f"{job.name}: done in {seconds:.1f} s")
    return JobStep(name=job.name, reused=False, seconds=seconds, log=log, outputs=outputs)


def finished(home: Path, mark: str) -> FinishedJob | None:
    """The record of a finished step that can be used again: same fingerprint, outputs as they were left."""
    try:
        record = msgspec.json.decode((home / RECORD).read_bytes(), type=FinishedJob)
        whole = record.fingerprint == mark and all(content_hash(home / name) == said for name, said in record.outputs.items())
    except (OSError, msgspec.DecodeError):
        return None
    return record if whole else None


def _values(job: PipelineJob, given: Mapping[str, Scalar | Path], done: Mapping[str, JobStep]) -> dict[str, str | Path]:
    """What each input of the job is: a path, or a value as text. An optional input without a value is left out."""
    values: dict[str, str | Path] = {}
    for name, spec in job.component.inputs.items():
        source = job.inputs.get(name)
        if isinstance(source, JobOutput):
            values[name] = done[source.job].outputs[source.output]
            continue
        if isinstance(source, ParentInput):
            value: Scalar | Path = given[source.name]
        elif isinstance(source, DataInput):
            value = _existing(f"{job.name}.{name}", source.path)
        elif source is not None:
            value = source
        else:
            value = None if spec.default is msgspec.UNSET else spec.default
        if isinstance(value, Path):
            values[name] = value
        elif value is not None or not spec.optional:
            values[name] = text_of(spec, value, f"{job.name}.{name}")
    return values


def _run(job: PipelineJob, values: Mapping[str, str | Path], half: Path, log: Path, progress: Progress) -> None:
    outputs = {name: half / name for name in job.component.outputs}
    for name, spec in job.component.outputs.items():
        if spec.type != "uri_file":
            outputs[name].mkdir()
    arguments = arguments_of(job.component, {name: str(value) for name, value in values.items()}, outputs)
    if arguments[0] in ("python", "python3"):
        arguments[0] = sys.executable
    work = half / ".work"
    work.mkdir()
    if job.component.folder is not None:
        # The code is what lies in the working folder, as on Azure; what the step writes there stays out of the code.
        for entry in job.component.folder.iterdir():
            (work / entry.name).symlink_to(entry)
    variables = {**os.environ, "PYTHONUNBUFFERED": "1", **job.component.environment_variables}
    variables.pop("PYTHONSAFEPATH", None)
    code = run_guarded(arguments, work, variables, log, lambda line: progress(f"{job.name}: {line}"))
    shutil.rmtree(work)
    if code != 0:
        raise failure_of(job, code, log)
    for name, path in outputs.items():
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            raise StepFailed(f"The step {job.name} left no {name}.", why="It ended well all the same.", do=f"Read {log}.")


def run_guarded(arguments: list[str], folder: Path, variables: Mapping[str, str], log: Path, progress: Progress) -> int:
    """Run a command under the guard: both its outputs to `log`, the lines of its standard output to `progress` too.

    Returns its exit code, 128 and the number for a signal. An interruption ends everything it started.
    """
    with log.open("wb", buffering=0) as errors, log.open("ab", buffering=0) as lines:
        fcntl.fcntl(errors, fcntl.F_SETFL, fcntl.fcntl(errors, fcntl.F_GETFL) | os.O_APPEND)
        with guarded(arguments, cwd=folder, env=dict(variables), stdout=subprocess.PIPE, stderr=errors) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.write(line)
                progress(line.decode(errors="replace").rstrip())
            return process.wait()


def failure_of(job: PipelineJob, code: int, log: Path) -> StepFailed:
    """The error of a step that ended badly, with its last lines."""
    how = f"signal {code - 128}" if code > 128 else f"exit code {code}"
    shown = "\n".join(f"  {line}" for line in last_lines(log, LAST_LINES)) or "  (it wrote nothing)"
    return StepFailed(f"The step {job.name} failed with {how}.", why=f"Its last lines:\n{shown}", do=f"The whole log is in {log}.")
