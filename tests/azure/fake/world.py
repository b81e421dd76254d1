"""What the loopback Azure holds: resources, operations, faults, and the record of all that was asked."""

import itertools
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fake.authority import Authority
from fake.directory import Directory
from fake.wire import ROUTES, Request, Response
from pushline.azure.roles import Role

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
TENANT = "66666666-7777-8888-9999-000000000000"
GROUP = "bank-rg"
WORKSPACE = "bank-ws"
REGION = "westeurope"
STORAGE = "bankstore"
VAULT = "bank-kv"
REGISTRY = "bankacr"
SUFFIX = "azurecontainer.io"
APPS_DOMAIN = f"calmsea-1a2b3c4d.{REGION}.azurecontainerapps.io"  # of the one environment of Container Apps
HISTORY = f"{REGION}.api.azureml.ms"


def arm(provider: str, *parts: str) -> str:
    """The id of a resource in the one resource group there is."""
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/{provider}/{'/'.join(parts)}"


WORKSPACE_ID = arm("Microsoft.MachineLearningServices", "workspaces", WORKSPACE)


@dataclass(frozen=True)
class Call:
    """One request as it was answered."""

    method: str
    host: str
    path: str
    api_version: str
    status: int
    body: bytes
    identity: str
    at: float
    seconds: float


@dataclass
class Fault:
    """An answer given instead of the true one, `times` times; `silent` seconds without any answer instead."""

    method: str
    where: re.Pattern[str]  # of host and path
    status: int = 500
    content: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    silent: float | None = None
    times: int = 1
    after: int = 0  # let this many pass first
    seen: int = 0

    def response(self) -> Response:
        return Response(self.status, self.content, dict(self.headers))


@dataclass
class Operation:
    """A long-running operation: `Running` until it has been polled `polls` times, then `finish` decides."""

    finish: Callable[[], tuple[str, Any]]
    polls: int = 1
    state: str = "InProgress"
    outcome: Any = None


class World:
    """One Azure. Tests put faults in, read the record out, and change lifetimes and roles as they like."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tls").mkdir(exist_ok=True)
        self.authority = Authority(folder / "tls")
        self.directory = Directory(TENANT)
        self.lock = threading.RLock()
        self.resources: dict[str, dict[str, Any]] = {}  # by lower-case ARM id
        self.secrets: dict[str, Any] = {}  # what a GET never gives back, by lower-case ARM id
        self.operations: dict[str, Operation] = {}
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        self.unknown: list[str] = []
        self.outside: list[str] = []
        self.broken: list[str] = []
        self.invalid: list[str] = []  # bodies that break an official schema
        self.hosts: set[str] = set()  # names given out while running, such as those of container groups
        self.rights: dict[str, tuple[Role, ...]] = {}  # roles by client id
        self.used: dict[str, set[str]] = {}  # the actions that were asked for and allowed, by client id
        self.services: dict[str, Any] = {}  # what runs beside this process
        self.reach: dict[str, str] = {}  # the variables by which a program's HTTPS comes here
        self.jobs: dict[str, Any] = {}
        self.run_ids: dict[str, str] = {}  # of the MLflow server, by the name of a job's node
        self.cold = False  # whether the steps of a job start an interpreter of their own
        self.sabotage: dict[str, str] = {}  # shell commands that run instead of a pipeline's node
        self.images: dict[str, Path] = {}  # build contexts of images, by digest
        self.tags: dict[str, str] = {}  # digests, by repository:tag
        self.builds: dict[str, dict[str, Any]] = {}  # runs of ACR tasks
        self.registry_tokens: dict[str, str] = {}
        self.groups: dict[str, Any] = {}  # container groups as they run
        self.apps: dict[str, Any] = {}  # container apps as they run, by name
        self.telemetry: list[dict[str, Any]] = []  # rows of the workspace's Log Analytics
        self.behaviour: dict[str, str] = {}  # of container groups: `pending` or `crash`; `builds`: they never end
        self.light = False  # whether a group's service is played here instead of started
        self.quota: dict[str, int] = {}  # limits that are others than usual
        self.taken: set[str] = set()  # DNS labels that others have
        self.deleted: set[str] = set()  # names of vaults that were deleted and could be recovered
        self.unsettled: dict[str, int] = {}  # identities and roles that are too new, and for how many questions
        self.settled_at: dict[str, float] = {}  # and until when by the clock, which stands until a test moves it
        self.clock = self.late_s = 0.0
        self.vault: dict[str, list[dict[str, Any]]] = {}  # versions of each secret
        self._numbers = itertools.count(1)

    def knows(self, host: str) -> bool:
        return host in self.hosts or any(known.host.fullmatch(host) for known in ROUTES)

    def restore(self) -> None:
        """End what a test put in: faults, sabotage, odd behaviour, short lifetimes."""
        self.faults.clear()
        self.sabotage.clear()
        self.behaviour.clear()
        self.taken.clear()
        self.quota.clear()
        self.light = False
        self.directory.subject = ""
        self.directory.lifetime, self.directory.assertion_lifetime, self.directory.revoked_before = 3600.0, 300.0, 0.0

    def port_of(self, host: str, port: str) -> int | None:
        """Where the connections to a container group's name go; None where that host is no group's."""
        if not host.endswith(f".{SUFFIX}"):
            return None
        with self.lock:
            found = [group for group in self.groups.values() if group.fqdn == host]
        if found and found[0].light and found[0].state == "Running":
            return None  # answered here
        return found[0].ports.get(int(port), 0) if found else 0

    def number(self) -> int:
        return next(self._numbers)

    def record(self, request: Request, status: int, started: float) -> None:
        identity = ""
        bearer = request.headers.get("authorization", "").partition(" ")[2]
        if bearer.count(".") == 2:
            try:
                identity = self.directory.read(bearer).get("appid", "")
            except ValueError:
                identity = "?"
        self.calls.append(
            Call(
                request.method,
                request.host,
                request.path,
                request.api_version,
                status,
                request.body if len(request.body) < 1_000_000 else b"",
                identity,
                time.time(),
                time.monotonic() - started,
            )
        )

    def fault(self, method: str, where: str, status: int = 500, **more: Any) -> Fault:
        """Put a fault in: `where` is searched in host + path."""
        made = Fault(method, re.compile(where, re.IGNORECASE), status, **more)
        self.faults.append(made)
        return made

    def fault_for(self, request: Request) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.method == request.method and fault.where.search(request.host + request.path):
                    fault.seen += 1
                    if fault.after < fault.seen <= fault.after + fault.times:
                        return fault
        return None

    def asked(self, method: str, where: str) -> list[Call]:
        """The calls whose host + path contains the pattern."""
        wanted = re.compile(where, re.IGNORECASE)
        return [call for call in self.calls if call.method == method and wanted.search(call.host + call.path)]

    def begin(self, finish: Callable[[], tuple[str, Any]], *, polls: int = 1) -> str:
        """Start a long-running operation and return its name."""
        name = f"op-{self.number()}"
        self.operations[name] = Operation(finish, polls)
        return name
