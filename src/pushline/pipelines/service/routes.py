"""The REST service of published pipelines: list, describe, start, status, logs, cancel.

It speaks HTTP as the scoring service does, with its limits and problem documents. What it knows is in files, so it may be
killed and started again at any time: runs go on without it.
"""

from typing import Any

import msgspec

from pushline import __version__
from pushline.errors import PushlineError, SettingsError
from pushline.guard import collect
from pushline.pipelines.service.published import NAME, PublishedPipelines, Version
from pushline.pipelines.service.runs import LogPart, Run, Runs, Start, TooMany
from pushline.progress import Progress
from pushline.project import Project
from pushline.serving.app import JSON, App, Handler
from pushline.serving.exchange import Exchange
from pushline.serving.keys import KeyRing
from pushline.serving.openapi import JSON as MEDIA_TYPE
from pushline.serving.openapi import ApiDocument, common_problems, health_of, reference
from pushline.serving.problems import Problem
from pushline.settings import PushlineSettings, Serving

STARTS = "POST /pipelines/{name}/runs"
KEYS = "One of the two keys in .pushline/pipelines-keys.json; the scoring service has others."
PROBLEMS = {
    "malformed-json": "JSON is malformed: invalid character (byte 0).",
    "invalid-inputs": "train has no input 'weather'. Its inputs are budget, seed.",
    "not-found": "There is no run '20261127-080000-000000-abcdef'.",
    "retired": "Version 1 of train is retired.",
    "overloaded": "2 runs are going on.",
}
DESCRIPTIONS = {
    "listPipelines": "What each one runs, the inputs it takes, and which one is the default.",
    "describePipeline": "Its inputs with their types and defaults.",
    "describeVersion": "Its inputs with their types and defaults, and whether it is retired.",
    "startRun": "Without a version the default one is started. Inputs that are not set have the version's defaults.",
    "listRuns": "Runs that have ended are listed, too.",
    "showRun": "Its state, its steps and, once it has ended, what came of it.",
    "showLog": "The answer says at which byte to go on next time.",
    "cancelRun": "Its steps are stopped; what they left is kept.",
}


class PipelinesApp(App):
    """Published pipelines and their runs, for who holds a key of this service."""

    realm = "pipelines"
    addresses = "The addresses are /pipelines, /runs, /docs, /openapi.json and /healthz."

    def __init__(self, project: Project, settings: PushlineSettings, keys: KeyRing, progress: Progress) -> None:
        super().__init__(settings.serving, keys)
        self.at_once = settings.pipelines.at_once
        self.published = PublishedPipelines(project)
        self.runs = Runs(project, settings.pipelines.folder)
        self.progress = progress
        self.told_at = 0.0
        handlers: dict[str, Handler] = {
            "GET /pipelines": self.list_pipelines,
            "GET /pipelines/{name}": self.describe,
            "GET /pipelines/{name}/versions/{version}": self.describe_version,
            STARTS: self.start,
            "GET /runs": self.list_runs,
            "GET /runs/{run}": self.show_run,
            "GET /runs/{run}/logs": self.show_log,
            "POST /runs/{run}/cancel": self.cancel,
            "GET /healthz": self.health,
        }
        self.offer(handlers, document(settings.serving), json=(STARTS,))
        self.tick()

    def tick(self) -> None:
        super().tick()
        collect()

    # What is answered

    def list_pipelines(self, exchange: Exchange) -> None:
        self.answer(exchange, 200, {"pipelines": self.published.all()})

    def describe(self, name: str, exchange: Exchange) -> None:
        self.answer(exchange, 200, self.version(name, None))

    def describe_version(self, name: str, number: str, exchange: Exchange) -> None:
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise Problem("not-found", "A version is a number.")
        self.answer(exchange, 200, self.version(name, int(number)))

    def start(self, name: str, exchange: Exchange) -> None:
        said = start_of(exchange)
        version = self.version(name, said.version)
        if version.status == "retired":
            raise Problem("retired", f"Version {version.version} of {name} is retired.")
        try:
            run = self.runs.start(version, said.inputs, at_once=self.at_once)
        except SettingsError as error:
            raise Problem("invalid-inputs", " ".join(part for part in (error.what, error.why, error.do) if part)) from error
        except TooMany as error:
            raise Problem("overloaded", error.what, headers=[("retry-after", "30")]) from error
        self.progress(f"started {run.id}: {name} version {version.version}")
        self.answer(exchange, 202, run, location=f"/runs/{run.id}")

    def list_runs(self, exchange: Exchange) -> None:
        self.answer(exchange, 200, {"runs": self.runs.all()})

    def show_run(self, run: str, exchange: Exchange) -> None:
        self.answer(exchange, 200, self.known(run))

    def show_log(self, run: str, exchange: Exchange) -> None:
        self.known(run)
        self.answer(exchange, 200, self.runs.log(run, first_byte(exchange.url)))

    def cancel(self, run: str, exchange: Exchange) -> None:
        self.known(run)
        self.progress(f"cancel {run}")
        self.answer(exchange, 202, self.runs.cancel(run))

    # The parts of an answer

    def version(self, name: str, number: int | None) -> Version:
        try:
            return self.published.version(name, number)
        except SettingsError as error:
            raise Problem("not-found", f"{error.what} {error.why}".strip()) from error

    def known(self, run: str) -> Run:
        try:
            return self.runs.run(run)
        except SettingsError as error:
            raise Problem("not-found", error.what) from error

    def answer(self, exchange: Exchange, status: int, content: Any, *, location: str = "") -> None:
        self.reply(exchange, status, JSON, msgspec.json.encode(content), [("location", location)] if location else ())

    # What is told

    def keys_fault(self, text: str) -> None:
        self.progress(text)

    def fault(self, error: BaseException, **where: Any) -> None:
        """To the terminal, at most one a second, so that a flood of them is none of lines."""
        import traceback

        if self.clock - self.told_at >= 1:
            self.told_at = self.clock
            told = str(error) if isinstance(error, PushlineError) else "".join(traceback.format_exception(error))
            self.progress(f"Request {where.get('request_id', 'unknown')} failed: {told}")


def start_of(exchange: Exchange) -> Start:
    """What is to be started. Raises Problem."""
    content = exchange.body()
    if not content.strip():
        return Start()
    try:
        return msgspec.json.decode(content, type=Start)
    except msgspec.ValidationError as error:
        raise Problem("invalid-inputs", f"{error}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem("malformed-json", f"{error}.") from error


def first_byte(url: bytes) -> int:
    """The byte in `?from=N` of an address. Raises Problem."""
    from urllib.parse import parse_qs

    said = parse_qs(url.partition(b"?")[2].decode("latin-1")).get("from", ["0"])[-1]
    if not said.isdigit() or not said.isascii() or len(said) > 15:
        raise Problem("invalid-inputs", "from is a number of bytes, 0 or more.")
    return int(said)


def document(limits: Serving) -> bytes:
    """The OpenAPI 3.1 document as JSON."""
    _, schemas = msgspec.json.schema_components([Version, Run, LogPart, Start], ref_template="#/components/schemas/{name}")
    info = {
        "title": "Published pipelines",
        "version": __version__,
        "description": "Start a published pipeline and follow its run. A run goes on when its caller or this service goes away.",
        "contact": {"name": "Owners of this repository"},
        "license": {"name": "MIT", "identifier": "MIT"},
    }
    tags = {
        "pipelines": "What was published, and starting it.",
        "runs": "How a run goes, what it said, and ending it.",
        "operation": "Whether the service is well.",
    }
    api = ApiDocument({}, [*common_problems(limits), *(Problem(kind, detail) for kind, detail in PROBLEMS.items())])
    return api.content(info, tags, paths(api), schemas, KEYS)


def paths(api: ApiDocument) -> dict[str, Any]:
    name = parameter("name", "of the pipeline", {"type": "string", "pattern": NAME})
    number = parameter("version", "its number", {"type": "integer", "minimum": 1, "maximum": 999_999_999})
    run = parameter("run", "id of the run", {"type": "string", "pattern": "^[0-9a-z-]+$", "maxLength": 60})
    first = {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}
    begin = {"name": "from", "in": "query", "description": "byte to begin at", "schema": first}

    def operation(
        called: str, tag: str, summary: str, schema: Any, *parameters: Any, status: int = 200, kinds: tuple[str, ...] = (), **more: Any
    ) -> Any:
        refusals = ("malformed-json", "body-too-large", "invalid-inputs", *kinds, *(("not-found",) if parameters else ()))
        said, content = "Done." if status == 200 else "Accepted.", {MEDIA_TYPE: {"schema": schema}}
        more |= {"description": DESCRIPTIONS[called], "parameters": list(parameters)}
        return api.operation(called, tag, summary, said, content, *refusals, status=status, **more)

    start = operation(
        *("startRun", "pipelines", "Start a run", reference("Run"), name),
        status=202,
        kinds=("retired", "unsupported-media-type"),
        requestBody={"required": False, "content": {MEDIA_TYPE: {"schema": reference("Start"), "example": {"inputs": {"budget": "60s"}}}}},
    )
    start["responses"]["202"]["headers"] = {
        **api.headers,
        "location": {"description": "Address of the run.", "schema": {"type": "string"}},
    }
    version, state = reference("Version"), reference("Run")
    return {
        "/pipelines": {"get": operation("listPipelines", "pipelines", "List every version", listed("pipelines", version))},
        "/pipelines/{name}": {"get": operation("describePipeline", "pipelines", "Describe the default version", version, name)},
        "/pipelines/{name}/versions/{version}": {
            "get": operation("describeVersion", "pipelines", "Describe a version", version, name, number)
        },
        "/pipelines/{name}/runs": {"post": start},
        "/runs": {"get": operation("listRuns", "runs", "List every run, newest first", listed("runs", state))},
        "/runs/{run}": {"get": operation("showRun", "runs", "Show how a run is going", state, run)},
        "/runs/{run}/logs": {"get": operation("showLog", "runs", "Read the log of a run from a byte on", reference("LogPart"), run, begin)},
        "/runs/{run}/cancel": {"post": operation("cancelRun", "runs", "Ask a run to end", state, run, status=202)},
        "/healthz": {"get": health_of(api, "It asks nothing of runs or pipelines.")},
    }


def parameter(name: str, text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


def listed(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": [name], "properties": {name: {"type": "array", "items": schema}}}
