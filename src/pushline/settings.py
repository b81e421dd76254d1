"""The settings: `[tool.pushline]` of pyproject.toml, overlaid with `PUSHLINE_*` variables.

A variable names its setting in capitals, two underscores between the parts:
`PUSHLINE_TARGET=aci`, `PUSHLINE_LOAD__RATE=100`, `PUSHLINE_AZURE__WORKSPACE=ws`.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, field

from pushline.errors import SettingsError

PREFIX = "PUSHLINE_"
# Variables that are not settings: where data lies, what a run was told, what tests use.
NOT_SETTINGS = frozenset({"PUSHLINE_DATA", "PUSHLINE_DEBUG", "PUSHLINE_KEY", "PUSHLINE_KEYS", "PUSHLINE_URL"})

Positive = Annotated[float, Meta(gt=0)]
PositiveInt = Annotated[int, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Metric = Literal["average_precision", "roc_auc", "accuracy", "log_loss", "rmse", "mae", "r2"]


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A closed, immutable group of settings."""


class Training(Settings, frozen=True, kw_only=True):
    """How the model is made."""

    metric: Annotated[
        Metric | None, Meta(description="what AutoML optimises; where it is not said, `primary_metric` in pipelines/train.yml")
    ] = None
    local_budget: Annotated[str, Meta(description="AutoML's time on the local target: 15s, 10m, 2h")] = "15s"
    holdout: Annotated[Share, Meta(description="share of rows that no training ever sees, chosen by content")] = 0.1
    objective: Annotated[
        str, Meta(description="what the threshold serves: f1, fbeta:2, precision:0.6, recall:0.8, or cost:5 (a miss costs 5 false alarms)")
    ] = "f1"
    coverage: Annotated[
        Annotated[float, Meta(ge=0.5, le=0.99)], Meta(description="share of rows whose quantity lies in its prediction interval")
    ] = 0.9
    imbalance: Annotated[
        Literal["none", "class_weight", "oversample", "undersample", "smote"],
        Meta(description="treatment of the rare class; the model card shows what it did against none"),
    ] = "none"
    use_known_after: Annotated[
        bool, Meta(description="train on columns known only after the event: leakage, to compare with published figures")
    ] = False
    seed: Annotated[int, Meta(ge=0, lt=2**32, description="of everything random in training")] = 7


class Promotion(Settings, frozen=True, kw_only=True):
    """What a new model version must show before it may be released."""

    minimum_gain: Annotated[
        float,
        Meta(
            ge=-1,
            le=1,
            description="challenger minus champion must be at least this, on the same hold-out; below 0 tolerates noise; "
            "of RMSE and MAE as a share of what knowing nothing gives",
        ),
    ] = -0.005
    confidence: Annotated[
        Annotated[float, Meta(gt=0, lt=1)],
        Meta(description="of the paired bootstrap interval; one that lies wholly below 0 is refused whatever minimum_gain says"),
    ] = 0.95
    skill: Annotated[
        Share, Meta(description="what the first version must reach: this share of the way from a random score to a perfect one")
    ] = 0.05
    rounds: Annotated[PositiveInt, Meta(description="bootstrap resamples; the same ones in every run")] = 1000


class ReplayLimits(Settings, frozen=True, kw_only=True):
    """How far a challenger's answers may lie from the champion's, on the rows of recent requests, or on the hold-out."""

    rows: Annotated[PositiveInt, Meta(description="newest kept rows of requests that both are asked; see serving.record")] = 50_000
    flips: Annotated[Share, Meta(description="share of decisions that may differ clearly, by more than .1 of a probability")] = 0.1
    distance: Annotated[Share, Meta(description="Kolmogorov-Smirnov distance between the distributions of a class's scores")] = 0.3
    odds: Annotated[
        float, Meta(ge=1, description="factor by which a class's odds may change over the rows of one value, or one fifth, of a column")
    ] = 2.0
    decisions: Annotated[
        float, Meta(ge=1, description="factor by which a class's odds may change over all decisions: a new threshold moves them too")
    ] = 3.0


class Serving(Settings, frozen=True, kw_only=True):
    """How a release answers."""

    host: Annotated[str, Meta(description="address the service binds; loopback on one machine")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="stable port of the live release on the local target")] = 8123
    workers: Annotated[PositiveInt, Meta(description="processes that answer")] = 1
    max_rows: Annotated[PositiveInt, Meta(description="rows a request may hold; 1,000 rows hold the loop for about 2 ms")] = 1000
    max_bytes: Annotated[PositiveInt, Meta(description="bytes a request's body may hold")] = 1_048_576
    max_in_flight: Annotated[PositiveInt, Meta(description="connections being served before new ones are told 503")] = 512
    timeout: Annotated[Positive, Meta(description="seconds a client may take to send a request")] = 10.0
    access_log: Annotated[Share, Meta(description="share of successful requests that are logged and traced; failures always are")] = 0.01
    record: Annotated[
        Share, Meta(description="share of scored requests whose rows are kept, for drift, replay and performance; 0 keeps none")
    ] = 0.0
    record_days: Annotated[PositiveInt, Meta(description="days after which kept rows are removed")] = 30
    explain: Annotated[
        bool, Meta(description="answer `POST /score?explain=K` with the K features that moved each row's score most, and by how much")
    ] = False


class Performance(Settings, frozen=True, kw_only=True):
    """Whether a release still does what its card promises, by what it answered and by the outcomes that became known."""

    keys: Annotated[
        tuple[str, ...], Meta(description="columns of the table by which outcomes find their rows; none: request id and position in it")
    ] = ()
    window: Annotated[str, Meta(description="what is judged at a time: so many rows, such as 5000, or so long, such as 12h or 7d")] = "7d"
    rows: Annotated[PositiveInt, Meta(description="rows of a window that are looked at, and again as many of those with an outcome")] = (
        10_000
    )
    tolerance: Annotated[
        Share, Meta(description="share of the way from a score that knows nothing to the promise that may be lost before it matters")
    ] = 0.05


class Load(Settings, frozen=True, kw_only=True):
    """The SLO: what a candidate must withstand before it is promoted."""

    rate: Annotated[Positive, Meta(description="requests a second that are offered")] = 50.0
    seconds: Annotated[Positive, Meta(description="how long the load lasts")] = 10.0
    users: Annotated[PositiveInt, Meta(description="simulated clients that share the rate")] = 10
    burst: Annotated[float, Meta(ge=1, description="factor of the rate in the last of every five seconds")] = 1.0
    long: Annotated[Share, Meta(description="share of the requests that hold 100 rows instead of one")] = 0.0
    failures: Annotated[Share, Meta(description="share of requests that may fail")] = 0.0
    achieved: Annotated[Share, Meta(description="share of the offered rate that must be achieved: a stalled server answers late")] = 0.9
    p95_ms: Annotated[Positive, Meta(description="95 of 100 answers are faster than this")] = 100.0
    p99_ms: Annotated[Positive, Meta(description="99 of 100 answers are faster than this")] = 250.0


class PromotionSteps(Settings, frozen=True, kw_only=True):
    """How a candidate takes over from a live release that is being asked; where nobody asks, it takes over at once."""

    steps: Annotated[
        tuple[Annotated[float, Meta(gt=0, le=100)], ...],
        Meta(description="percent of the live requests that the candidate answers, one after another; [100] is one switch"),
    ] = (1.0, 10.0, 50.0, 100.0)
    requests: Annotated[PositiveInt, Meta(description="requests that the candidate must have answered in a step")] = 100
    seconds: Annotated[Positive, Meta(description="that a step lasts at least")] = 10.0
    wait: Annotated[Positive, Meta(description="seconds that a step waits at most for its requests")] = 30.0
    mirror: Annotated[Share, Meta(description="share of the other requests of which the candidate gets a copy, to compare its answers")] = (
        0.1
    )
    slower: Annotated[
        Annotated[float, Meta(gt=1)], Meta(description="factor by which a quarter of the answers may take longer than the live release's")
    ] = 4.0
    memory_mb: Annotated[PositiveInt, Meta(description="MB by which the candidate may grow more than the live release in a step")] = 64


class Pipelines(Settings, frozen=True, kw_only=True):
    """How published pipelines are offered on this machine."""

    host: Annotated[str, Meta(description="address that `pushline pipelines serve` binds")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="port that `pushline pipelines serve` binds")] = 8150
    folder: Annotated[str, Meta(description="folder beside the project whose files a caller may name as inputs of a run")] = ""
    at_once: Annotated[PositiveInt, Meta(description="runs that may go on at a time; one more is told 503")] = 2


class Azure(Settings, frozen=True, kw_only=True):
    """Where the targets `aci` and `containerapps` live; what the workspace knows is read from it, not asked for."""

    subscription: Annotated[str, Meta(description="subscription id")] = ""
    resource_group: Annotated[str, Meta(description="resource group of the workspace")] = ""
    workspace: Annotated[str, Meta(description="Azure Machine Learning workspace")] = ""
    cluster: Annotated[str, Meta(description="compute cluster that trains; made where it is missing")] = "cpu-cluster"
    vm_size: Annotated[str, Meta(description="of the cluster's nodes")] = "Standard_D4s_v3"
    min_nodes: Annotated[int, Meta(ge=0, description="nodes that stay; 0 costs nothing between two trainings")] = 0
    max_nodes: Annotated[PositiveInt, Meta(description="nodes at most; our AutoML uses one, Azure's one for each trial at a time")] = 2
    engine: Annotated[
        Literal["pushline", "azure"],
        Meta(description="who searches for the model: the AutoML of the local target on the cluster, or Azure's"),
    ] = "pushline"
    budget: Annotated[str, Meta(description="AutoML's time on the cluster: 30m, 1h, 3h")] = "1h"
    concurrent_trials: Annotated[PositiveInt, Meta(description="trials of Azure's AutoML at a time, at most the nodes")] = 5
    label: Annotated[str, Meta(description="DNS label of the live release; empty: the model's name")] = ""
    label_scope: Annotated[
        Literal["Unsecure", "TenantReuse", "SubscriptionReuse", "ResourceGroupReuse", "Noreuse"],
        Meta(description="who may take the name once it is free; all but Unsecure put a hash into the name"),
    ] = "TenantReuse"
    pull_identity: Annotated[
        str, Meta(description="user-assigned identity with AcrPull, by name or id; empty: the workspace's name with -pull behind it")
    ] = ""
    cpu: Annotated[
        Positive, Meta(description="cores of the scoring container; on containerapps in steps of 0.25, 2 GB of memory for each")
    ] = 1.0
    memory_gb: Annotated[Positive, Meta(description="memory of the scoring container on aci; the TLS sidecar has 0.5 more")] = 1.5
    environment: Annotated[
        str,
        Meta(
            description="environment of Container Apps in the workspace's resource group; empty: the workspace's name with -apps behind it"
        ),
    ] = ""
    private_network: Annotated[
        bool,
        Meta(description="reach workspace, vault, storage and releases over a virtual network alone; the jobs then need a `runner` in it"),
    ] = False
    min_replicas: Annotated[
        Literal[0, 1], Meta(description="replicas that a release on containerapps keeps without requests; 0 starts with the first")
    ] = 1
    max_replicas: Annotated[PositiveInt, Meta(description="replicas at most of a release on containerapps")] = 3
    concurrent_requests: Annotated[PositiveInt, Meta(description="requests at a time above which containerapps adds a replica")] = 50
    tls: Annotated[Literal["acme", "internal"], Meta(description="certificates from Let's Encrypt, or of the sidecar's own authority")] = (
        "acme"
    )
    telemetry: Annotated[bool, Meta(description="requests and failures to Application Insights")] = True
    start_within: Annotated[str, Meta(description="how long a container group may take until it answers: pull, start, certificate")] = "10m"
    sidecar: Annotated[str, Meta(description="image of the TLS sidecar; copied into the workspace's registry, pinned by digest there")] = (
        "docker.io/library/caddy:2.11.7"
    )
    image_builder: Annotated[
        Literal["auto", "docker", "acr"], Meta(description="who builds the image: a container engine here, or the registry's own tasks")
    ] = "auto"


class PushlineSettings(Settings, frozen=True, kw_only=True):
    """All settings of a repository."""

    target: Annotated[Literal["local", "aci", "containerapps"], Meta(description="where releases live")] = "local"
    runner: Annotated[
        str, Meta(description="label of a runner of your own for the jobs that reach users, such as self-hosted; empty: one of GitHub's")
    ] = ""
    model_name: Annotated[str, Meta(description="name of the model in the registry", pattern=r"^[a-z][a-z0-9-]{1,40}$")] = "model"
    training: Training = field(default_factory=Training)
    promotion: Promotion = field(default_factory=Promotion)
    replay: ReplayLimits = field(default_factory=ReplayLimits)
    serving: Serving = field(default_factory=Serving)
    performance: Performance = field(default_factory=Performance)
    load: Load = field(default_factory=Load)
    promote: PromotionSteps = field(default_factory=PromotionSteps)
    pipelines: Pipelines = field(default_factory=Pipelines)
    azure: Azure = field(default_factory=Azure)

    @property
    def on_azure(self) -> bool:
        """Whether training, registry and releases live in a workspace."""
        return self.target != "local"


def load_settings(root: Path | None, environ: Mapping[str, str] | None = None) -> PushlineSettings:
    """The settings of the project in `root`, overlaid with the variables of `environ` (by default the process's).

    Without a project (in a container), the defaults and the variables.
    Raises SettingsError for an unknown key, a wrong type or a value out of its range, naming file or variable.
    """
    table: dict[str, Any] = {}
    if root is not None:
        file = root / "pyproject.toml"
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("pushline", {})
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"{file.name} can't be read.", why=str(error), do="Correct the file.") from error
        read(table, f"[tool.pushline] in {file.name}", strict=True)
    environ = os.environ if environ is None else environ
    said = {name: value for name, value in environ.items() if name.startswith(PREFIX) and name not in NOT_SETTINGS}
    for name, value in said.items():
        overlay(table, name.removeprefix(PREFIX).lower().split("__"), value, name)
    settings = read(table, ", ".join(sorted(said)) or "pyproject.toml", strict=False)
    if settings.azure.private_network and settings.target == "aci":
        raise SettingsError(
            "Container groups can't be released in a private network.",
            why="There they have an address that may change, and no name that a certificate could be for.",
            do='Set target = "containerapps", or private_network = false in [tool.pushline.azure].',
        )
    return settings


def overlay(table: dict[str, Any], path: list[str], value: str, variable: str) -> None:
    """Put the text of one variable into the table at its path."""
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise SettingsError(
                f"{variable} is not a setting.",
                why=f"{part} holds no group of settings.",
                do="See the table of settings in `pushline docs settings`.",
            )
    table[path[-1]] = value


def read(table: dict[str, Any], source: str, *, strict: bool) -> PushlineSettings:
    try:
        return msgspec.convert(table, PushlineSettings, strict=strict)
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"A setting is wrong in {source}.",
            why=f"{error}.{choices(str(error))}",
            do="See the table of settings in `pushline docs settings` for names, types and ranges.",
        ) from error


def choices(error: str) -> str:
    """What a setting of few values accepts, for the message of an error that names its place; else nothing."""
    found = re.search(r"at `\$\.([\w.]+)`", error)
    kind: Any = PushlineSettings
    for name in found[1].split(".") if found else ():
        kind = next((field.type for field in msgspec.structs.fields(kind) if field.encode_name == name), None)
        if not isinstance(kind, type):
            break
    values = literals(kind)
    return f" It may be {', '.join(values)}." if values else ""


def literals(kind: Any) -> list[str]:
    """The values of the literals in a type."""
    if get_origin(kind) is Literal:
        return [str(value) for value in get_args(kind)]
    return [value for part in get_args(kind) for value in literals(part)]


def seconds(text: str) -> float:
    """The seconds in a duration such as `45s`, `10m`, `2h` or plain `30`.

    Raises SettingsError for anything else, and for less than 1 second.
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        value = float(number) * units[unit]
    except ValueError:
        value = 0.0
    if not 1 <= value < float("inf"):
        raise SettingsError(
            f"{text!r} is not a duration.",
            why="A duration is a number with s, m or h behind it, at least 1s.",
            do="Write for example 45s, 10m or 2h.",
        )
    return value


def long_seconds(text: str) -> float:
    """The seconds in a duration that may be of days too, such as `7d`. Raises SettingsError."""
    return 86_400 * float(text[:-1]) if re.fullmatch(r"[0-9]{1,4}d", text) else seconds(text)
