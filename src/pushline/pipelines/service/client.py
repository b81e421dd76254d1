"""Published pipelines over REST: start a run and follow it to its end."""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlparse

import msgspec

from pushline.errors import PushlineError, SettingsError, StepFailed, TargetError
from pushline.pipelines.service.published import Version
from pushline.pipelines.service.runs import LogPart, Run
from pushline.pipelines.service.server import keys_of, record_of
from pushline.progress import Progress
from pushline.project import Project
from pushline.results import Scalar
from pushline.serving.keys import read_keys

KEY = "PUSHLINE_KEY"
ASK_EVERY_S = 0.5
PATIENCE_S = 60.0  # a service that is being restarted

T = TypeVar("T")


class PipelinesClient:
    """The REST interface of one service."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self._key = key
        # A service on this machine is never asked through a proxy.
        near = urlparse(self.url).hostname in ("127.0.0.1", "localhost", "::1")
        self._open = (urllib.request.build_opener(urllib.request.ProxyHandler({})) if near else urllib.request.build_opener()).open

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

    def _ask(self, method: str, path: str, kind: type[T], body: Any = None) -> T:
        request = urllib.request.Request(self.url + path, method=method)  # noqa: S310 - the address is the user's own
        request.add_header("authorization", f"Bearer {self._key}")
        if body is not None:
            request.add_header("content-type", "application/json")
            request.data = json.dumps(body).encode()
        try:
            with self._open(request, timeout=30) as response:
                return msgspec.json.decode(response.read(), type=kind)
        except urllib.error.HTTPError as error:
            raise refusal(error) from error
        except (OSError, msgspec.DecodeError) as error:
            raise Unreachable(
                f"No service of published pipelines answers on {self.url}.",
                why=f"{getattr(error, 'reason', error)}.",
                do="Start it with `pushline pipelines serve`, or name another address with --url.",
            ) from error


class Unreachable(TargetError):
    """The service does not answer."""


def refusal(error: urllib.error.HTTPError) -> PushlineError:
    """The service's problem document as an error of ours."""
    try:
        problem = json.loads(error.read())
        title, detail = str(problem["title"]), str(problem["detail"])
    except (ValueError, KeyError, TypeError, OSError):
        title, detail = f"The service answered {error.code}", ""
    kind = SettingsError if error.code in (401, 404, 409, 422) else TargetError
    do = "Set the key in the variable PUSHLINE_KEY." if error.code == 401 else ""
    return kind(f"{title}.", why=detail, do=do)


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
