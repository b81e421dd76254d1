"""Runs the repository's workflow files as GitHub would, with `act` in host mode and no network.

What act does not do by itself is done here: actions come from local stand-ins of the pinned commits, every job starts from a clone of the
committed tree, a job's leftover processes are killed at its end, a refused approval keeps its job from running, and only a job that has
the right may ask for an identity, which is its environment's. Branch filters of triggers are left to the static tests.
"""

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from command import commands

ACTIONS = Path(__file__).resolve().parent / "actions"
FAKE_GH = Path(__file__).resolve().parents[1] / "github" / "fake_gh.py"
USES = re.compile(r"uses:\s*([\w.-]+/[\w.-]+)@([0-9a-f]{40})")


@dataclass
class Job:
    """One job of a run."""

    result: str = "skipped"
    steps: list[tuple[str, str]] = field(default_factory=list)  # name and result, in order
    log: list[str] = field(default_factory=list)
    summary: str = ""
    annotations: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)  # level, message, properties

    def step(self, name: str) -> str:
        """How a step ended: success, failure or skipped."""
        return dict(self.steps).get(name, "skipped")

    @property
    def text(self) -> str:
        return "".join(self.log)


@dataclass
class Run:
    """One run of a workflow."""

    id: str
    jobs: dict[str, Job]
    code: int
    output: str

    def explain(self) -> str:
        """What a person wants to see when a run ended otherwise than it should."""
        told = [f"{name}: {job.result}\n{job.text[-3000:]}" for name, job in self.jobs.items() if job.result != "success"]
        return "\n".join(told) or self.output[-3000:]

    @property
    def ran(self) -> list[str]:
        """The jobs that were not skipped, in the order in which they ended."""
        return [name for name, job in self.jobs.items() if job.result != "skipped"]


class GitHub:
    """A repository with its artifacts, on one machine."""

    def __init__(self, origin: Path, scratch: Path) -> None:
        self.origin = origin
        self.scratch = scratch
        self.store = scratch / "artifacts"
        self.store.mkdir(parents=True)
        self.runs = 0
        self.about: dict[str, dict[str, Any]] = {}  # of each run, as GitHub's interface tells it
        self.state = scratch / "gh.json"
        reviewed = {"reviewers": [{"type": "User", "id": 11}], "branches": [], "variables": {}, "policy": None}
        known = {"repository": "example/bank", "private": False, "calls": [], "environments": {"production": reviewed}}
        self.state.write_text(json.dumps(known), encoding="utf-8")
        (scratch / "bin").mkdir()
        gh = scratch / "bin" / "gh"
        gh.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{FAKE_GH}" "$@"\n', encoding="utf-8")
        gh.chmod(0o755)

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid"]
        done = subprocess.run(["git", *identity, *arguments], cwd=self.origin, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, message: str = "Change") -> str:
        """Commit everything in the origin's work tree; returns the commit."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    @property
    def known(self) -> dict[str, Any]:
        """What GitHub knows of the repository: its pull requests, its issues, and every call that was made."""
        known: dict[str, Any] = json.loads(self.state.read_text(encoding="utf-8"))
        return known

    def artifacts(self, run: "Run") -> list[str]:
        place = self.store / run.id
        return sorted(entry.name for entry in place.iterdir()) if place.is_dir() else []

    def before(self, workflow: str, environment: str) -> str:
        """The job that a run ends with where nobody approves `environment`."""
        jobs = yaml.safe_load((self.origin / ".github" / "workflows" / workflow).read_text(encoding="utf-8"))["jobs"]
        held = {name for name, body in jobs.items() if body.get("environment") == environment}
        assert held, f"no job of {workflow} waits for {environment}"
        while more := {name for name in set(jobs) - held if held & set(needs_of(jobs[name]))}:
            held |= more
        free = set(jobs) - held
        last = [name for name in free if not any(name in needs_of(jobs[other]) for other in free)]
        assert len(last) == 1, f"{workflow} goes several ways before {environment}: {last}"
        return last[0]

    def run(
        self,
        workflow: str,
        event: str,
        *,
        payload: dict[str, Any] | None = None,
        variables: dict[str, str] | None = None,
        env: dict[str, str] | None = None,
        identities: dict[str, dict[str, str]] | None = None,
        refused: str | None = None,
        sha: str | None = None,
        stop_when: str | None = None,
        cold: tuple[str, ...] = (),
        timeout: float = 900,
    ) -> Run:
        """Run one workflow for one event.

        `identities`: the variables of a job that may ask for an identity, by its environment. `refused`: the environment that nobody
        approves. `sha`: the commit, where it is not main's. `stop_when`: a text of the log at which everything is killed, as when a
        runner dies. `cold`: jobs whose commands run from the start of an interpreter, as on GitHub; the others' are forked from a warm
        process.
        """
        self.runs += 1
        run_id, mark = str(1000 + self.runs), uuid.uuid4().hex
        place = self.scratch / f"run-{run_id}"
        for folder in ("home", "pytest"):
            (place / folder).mkdir(parents=True)
        event_file = place / "event.json"
        event_file.write_text(
            json.dumps({"repository": {"default_branch": "main", "visibility": "public"}, **(payload or {})}), encoding="utf-8"
        )
        self.state.write_text(json.dumps({**self.known, "runs": self.about}), encoding="utf-8")
        inside = {
            "FAKE_GH": str(self.state),
            "FAKE_GH_STORE": str(self.store),
            "GITHUB_RUN_ID": run_id,
            "GITHUB_REPOSITORY": "example/bank",
            "RUNNER_ENVIRONMENT": "github-hosted",
            "TEST_ORIGIN": str(self.origin),
            "TEST_SHA": sha or self.git("rev-parse", "HEAD"),
            "TEST_WORKFLOW": workflow,
            "TEST_IDENTITIES": json.dumps(identities or {}),
            "TEST_STORE": str(self.store),
            "TEST_ACTIONS": str(ACTIONS),
            "TEST_PYTHON": sys.executable,
            "TEST_WARM": str(commands()),
            "TEST_COLD": " ".join(cold),
            "TEST_MARK": mark,
            "PYTEST_DEBUG_TEMPROOT": str(place / "pytest"),  # a runner's own disk, where no other tests have left anything
            **(env or {}),
        }
        command = [
            str(Path(sys.executable).parent / "act"), event, "--json", "-W", f".github/workflows/{workflow}", "-e", str(event_file),
            "-P", "ubuntu-24.04=-self-hosted", "--no-cache-server", "--action-offline-mode", "--action-cache-path", str(place / "cache"),
            "--defaultbranch", "main", "--rm", "--concurrent-jobs", "2", "--no-skip-checkout", "-s", "GITHUB_TOKEN=stand-in-token",
            *(part for name, value in inside.items() for part in ("--env", f"{name}={value}")),
            *(part for name, value in (variables or {}).items() for part in ("--var", f"{name}={value}")),
            *(part for pair in stand_ins(self.origin) for part in ("--local-repository", pair)),
        ]  # fmt: skip
        command += ["--job", self.before(workflow, refused)] if refused else []
        outside = {"PATH": f"{self.scratch / 'bin'}:{os.environ['PATH']}", "HOME": str(place / "home"), "LANG": "C.UTF-8"}
        process = subprocess.Popen(
            command, cwd=self.origin, env=outside, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        reader = Reader(mark)
        guard = Alarm(process, timeout)
        assert process.stdout is not None
        try:
            for line in process.stdout:
                reader.take(line)
                if stop_when and stop_when in line:
                    os.killpg(process.pid, signal.SIGKILL)
        finally:
            guard.cancel()
            process.stdout.close()
            process.wait()
            kill_marked(mark)
        ended = "success" if process.returncode == 0 else "failure"
        self.about[run_id] = {"workflow": workflow, "event": event, "conclusion": ended, "branch": "main"}
        return Run(run_id, reader.jobs, process.returncode, "".join(reader.lines))


class Alarm:
    """Ends a run that takes too long."""

    def __init__(self, process: subprocess.Popen[str], seconds: float) -> None:
        import threading

        self.timer = threading.Timer(seconds, lambda: os.killpg(process.pid, signal.SIGKILL))
        self.timer.daemon = True
        self.timer.start()

    def cancel(self) -> None:
        self.timer.cancel()


class Reader:
    """Makes jobs of act's JSON lines."""

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self.jobs: dict[str, Job] = {}
        self.lines: list[str] = []

    def take(self, line: str) -> None:
        self.lines.append(line)
        try:
            said = json.loads(line)
        except ValueError:
            return
        if "jobID" not in said:
            return
        name = said.get("job", "").split("/", 1)[-1].strip()  # act pads the names of jobs
        job = self.jobs.setdefault(name, Job())
        message = said.get("msg", "")
        if said.get("raw_output"):
            job.log.append(message)
        elif said.get("command") == "summary":
            job.summary += said.get("content", "")
        elif said.get("command") in ("error", "warning", "notice"):
            job.annotations.append((said["command"], said.get("arg", ""), said.get("kvPairs") or {}))
            job.log.append(said.get("raw", ""))
        if said.get("stage") == "Main" and "stepResult" in said and len(said.get("stepID", [])) == 1:
            job.steps.append((said["step"], said["stepResult"]))
        if "jobResult" in said:
            job.result = said["jobResult"]
            if not said.get("matrix"):  # the jobs of a matrix share their name, and run side by side
                kill_marked(self.mark, said["jobID"])


def needs_of(body: dict[str, Any]) -> list[str]:
    needs = body.get("needs", [])
    return [needs] if isinstance(needs, str) else needs


def stand_ins(origin: Path) -> list[str]:
    """`owner/repo@commit=folder` for every pinned action in the repository's files that has a stand-in."""
    files = [*(origin / ".github").rglob("*.yml")]
    pins = {pin for file in files for pin in USES.findall(file.read_text(encoding="utf-8"))}
    return [f"{name}@{commit}={ACTIONS / name.split('/')[1]}" for name, commit in sorted(pins)]


def kill_marked(mark: str, job: str | None = None) -> None:
    """Kill what a job (or the whole run) left running, as GitHub does."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"TEST_MARK={mark}".encode() in environment and (job is None or f"GITHUB_JOB={job}".encode() in environment):
            try:
                os.kill(int(entry.name), signal.SIGKILL)
            except ProcessLookupError:
                continue
