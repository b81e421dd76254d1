"""The service of published pipelines as a real process, and plain HTTP against it."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from command import clean_environment
from pushline.project import Project


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


TOLD = ("Serving published pipelines ", "started ", "cancel ", "20")  # the last: a run that goes on, by its id


class Service:
    """`pushline pipelines serve` on a free port."""

    def __init__(self, project: Project, **variables: str) -> None:
        self.project = project
        self.variables = variables
        self.record = project.state / "pipelines" / "server.json"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Service":
        self.record.unlink(missing_ok=True)
        (self.project.state / "pipelines").mkdir(parents=True, exist_ok=True)
        with (self.project.state / "pipelines" / "serve.err").open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pushline", "pipelines", "serve", "--port", "0"],
                cwd=self.project.root,
                env=clean_environment(self.variables),
                stderr=said,
            )
        wait_until(self.record.exists)
        host, port = json.loads(self.record.read_text())["url"].removeprefix("http://").split(":")
        self.address = (host, int(port))
        self.key = json.loads((self.project.state / "pipelines-keys.json").read_text())["primary"]
        return self

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(60)
        said = [line for line in (self.project.state / "pipelines" / "serve.err").read_text().splitlines() if not line.startswith(TOLD)]
        assert not said
        return code

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = "") -> tuple[int, Any]:
        """The status and the JSON of one request; `key` None sends none."""
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        headers = {} if key is None else {"authorization": f"Bearer {key or self.key}"}
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        if content is not None:
            headers["content-type"] = "application/json"
        connection.request(method, path, content, headers)
        answer = connection.getresponse()
        seen = json.loads(answer.read())
        if answer.status >= 400:
            assert answer.getheader("content-type") == "application/problem+json"
            assert set(seen) >= {"type", "title", "status", "detail", "request_id"}
        connection.close()
        return answer.status, seen

    def status(self, method: str, path: str, *, key: str | None) -> int:
        """The status of a request without a body."""
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        connection.request(method, path, headers={} if key is None else {"authorization": f"Bearer {key}"})
        status = connection.getresponse().status
        connection.close()
        return status

    def begun(self, name: str, inputs: dict[str, Any] | None = None, version: int | None = None) -> str:
        status, run = self.ask("POST", f"/pipelines/{name}/runs", {"inputs": inputs or {}, "version": version})
        assert status == 202, run
        return str(run["id"])

    def run(self, run: str) -> dict[str, Any]:
        status, seen = self.ask("GET", f"/runs/{run}")
        assert status == 200, seen
        found: dict[str, Any] = seen
        return found

    def ended(self, run: str, seconds: float = 60) -> dict[str, Any]:
        """The run once it has ended."""
        wait_until(lambda: self.run(run)["state"] not in ("starting", "running"), seconds)
        return self.run(run)


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Kill a process that one of ours started."""
    os.kill(pid, number)


def words_told(run: dict[str, Any]) -> list[str]:
    """What the step of the telling pipeline was given."""
    words: list[str] = json.loads((Path(run["outputs"]["last"]) / "said.json").read_text())
    return words
