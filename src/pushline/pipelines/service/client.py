"""Published pipelines over REST: start a run and follow it to its end."""

import os
import time
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from pushline.errors import PushlineError, SettingsError, StepFailed, TargetError
from pushline.pipelines.service.published import Version
from pushline.pipelines.service.runs import LogPart, Run
from pushline.pipelines.service.server import keys_of, record_of
from pushline.progress import Progress
from pushline.project import Project
from pushline.results import Scalar
from pushline.serving.client import Answer, Client
from pushline.serving.keys import read_keys

KEY = "PUSHLINE_KEY"
ASK_EVERY_S = 0.5
TIMEOUT_S = 30.0
PATIENCE_S = 60.0  # a service that is being restarted

T = TypeVar("T")


class PipelinesClient:
    """The REST interface of one service."""

    def __init__(self, url: str, key: str) -> None:
        self.key = key
        self.client = Client(url.rstrip("/"), timeout_s=TIMEOUT_S)

    def describe(self, name: str) -> Version:
        return self._ask("GET", f"/pipelines/{name}", Version)

    def start(self, name: str, inputs: Mapping[str, Scalar], version: int | None) -> Run:
        return self._ask("POST", f"/pipelines/{name}/runs", Run, {"inputs": dict(inputs), "version": version})

    def run(self, run: str) -> Run:
        return self._ask("GET", f"/runs/{run}", Run)

    def cancel(self, run: str) -> Run:
        return self._ask("POST", f"/runs/{run}/cancel", Run)

    def log(self, run: str, start: int) -> LogPart:
        return self._ask("GET", f"/runs/{run}/logs?from={start}", LogPart)

    def follow(self, run: str, progress: Progress) -> Run:
        """Tell the log's lines until the run has ended; a service that goes away for a moment is waited for."""
        start, patience = 0, time.monotonic() + PATIENCE_S
        while True:
            try:
                part = self.log(run, start)
            except Unreachable:
                if time.monotonic() > patience:
                    raise
            else:
                patience = time.monotonic() + PATIENCE_S
                for line in part.text.splitlines():
                    progress(line)
                start = part.next
                if part.ended:
                    return self.run(run)
            time.sleep(ASK_EVERY_S)

    def _ask(self, method: str, path: str, kind: type[T], content: Any = None) -> T:
        answer = self.client.ask(method, path, self.key, content)
        if answer.status >= 400:
            raise refusal(answer)
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except msgspec.DecodeError as error:
            raise Unreachable(
                f"No service of published pipelines answers on {self.client.url}.",
                why=f"{answer.failure or error}.",
                do="Start it with `pushline pipelines serve`, or name another address with --url.",
            ) from error


class Unreachable(TargetError):
    """The service does not answer."""


def refusal(answer: Answer) -> PushlineError:
    """The service's problem document as an error of ours."""
    problem = answer.content if isinstance(answer.content, dict) else {}
    title, detail = problem.get("title", f"The service answered {answer.status}"), problem.get("detail", "")
    kind = SettingsError if answer.status in (401, 404, 409, 422) else TargetError
    return kind(f"{title}.", why=str(detail), do="Set the key in the variable PUSHLINE_KEY." if answer.status == 401 else "")


def client_of(project: Project, url: str | None) -> PipelinesClient:
    """The client of `url`, by default of this project's own service. The key: PUSHLINE_KEY, else this project's.

    Raises SettingsError where no service is known.
    """
    found = record_of(project)
    if url is None and found is None:
        raise SettingsError(
            "No service of published pipelines is running here.",
            do="Start it with `pushline pipelines serve`, or name one with --url.",
        )
    address = url or (found.url if found else "")
    key = os.environ.get(KEY)
    if key is None and (found is None or address.rstrip("/") != found.url):
        raise SettingsError(
            "A key is needed.", why=f"{address} is not this project's own service.", do="Set it in the variable PUSHLINE_KEY."
        )
    return PipelinesClient(address, key or read_keys(keys_of(project)).primary)


def verdict(run: Run) -> None:
    """Raise where a run did not end well."""
    if run.state == "succeeded":
        return
    if run.state == "cancelled":
        raise StepFailed(f"The run {run.id} was cancelled.", do=f"Start it again with `pushline consume {run.pipeline}`.")
    error = run.error
    raise StepFailed(
        f"The run {run.id} {'failed' if run.state == 'failed' else 'is lost'}.",
        why=f"{error.what} {error.why}".strip() if error else "",
        do=error.do if error and error.do else f"`pushline pipelines logs {run.id}` shows how far it came.",
    )
