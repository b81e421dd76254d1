"""What a repository costs: minutes of CI by its workflows, and euros for what stands on Azure by its settings.

An estimate by a few figures that are said: how long a step takes, what is kept, and prices that carry their date. Nobody is asked.
"""

import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pushline.errors import SettingsError
from pushline.settings import PushlineSettings, seconds

HOURS, MONTH_WEEKS, MONTH_DAYS = 730, 52 / 12, 365 / 12  # of a month
SIDECAR_CPU, SIDECAR_MEMORY_GB = 0.5, 0.5
IDLE_MINUTES = 10  # before a node of the cluster is given back
NODE_MINUTES = 5  # until one is there
LOGS_GB, STORED_GB = 0.5, 5.0  # of a month, and kept: a guess for a small service
RELEASE_MINUTES = 20  # that the candidate stands beside the live release
SET_UP, SHORT = 0.7, 0.1  # minutes: an environment from the cache, and any step that is not below
PUSH, PULL_REQUEST = "a push to main", "a pull request"


class Prices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Dollars, of one day and place."""

    date: str
    place: str
    euros: float
    github: dict[str, Any]
    azure: dict[str, float]


class Minutes(Struct, frozen=True):
    """What one event costs of the runners: a job is counted in whole minutes, as GitHub does."""

    event: str
    jobs: tuple[tuple[str, int], ...]
    times: float = 1.0  # a month, where the clock starts it

    @property
    def each(self) -> int:
        return sum(minutes for _, minutes in self.jobs)


class Standing(Struct, frozen=True):
    """What something on Azure costs, and how that comes about. `each`: of one training or release, not of a month."""

    what: str
    euros: float
    why: str
    each: str = ""


class Costs(Struct, frozen=True, kw_only=True):
    """The whole of it."""

    prices: Prices
    minutes: tuple[Minutes, ...]
    standing: tuple[Standing, ...]


def prices(file: Path | None = None) -> Prices:
    """Those of the engine, or of a file like it. Raises SettingsError for one that can't be read."""
    place = file or Path(__file__).with_name("prices.toml")
    try:
        return msgspec.convert(tomllib.loads(place.read_text(encoding="utf-8")), Prices)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{place} holds no prices.", why=f"{error}.", do="Give a file like src/pushline/prices.toml.") from error


def costs(root: Path, settings: PushlineSettings, prices: Prices) -> Costs:
    return Costs(prices=prices, minutes=tuple(minutes(root, settings)), standing=tuple(standing(settings, prices)))


def minutes(root: Path, settings: PushlineSettings) -> Iterator[Minutes]:
    """Of a push, of a pull request, and of a month of each workflow that the clock starts."""
    events = {"deliver.yml": PUSH, "checks.yml": PULL_REQUEST}
    for file in sorted((root / ".github" / "workflows").glob("*.yml"), key=lambda each: (each.name not in events, each.name)):
        workflow = msgspec.yaml.decode(file.read_text(encoding="utf-8"))
        when = workflow.get("on", workflow.get(True)) or {}  # YAML takes `on` for a yes
        crons = [str(entry["cron"]) for entry in when.get("schedule", ())] if isinstance(when, Mapping) else []
        jobs = tuple((name, of_job(body, settings)) for name, body in workflow["jobs"].items() if "steps" in body)
        if file.name in events:
            yield Minutes(events[file.name], jobs)
        elif crons:
            yield Minutes(f"a run of {file.stem}", jobs, sum(runs_a_month(cron) for cron in crons))


def of_job(job: Mapping[str, Any], settings: PushlineSettings) -> int:
    """Whole minutes of all that a job's matrix makes of it."""
    matrix = (job.get("strategy") or {}).get("matrix") or {}
    times = math.prod(len(values) for values in matrix.values() if isinstance(values, list))
    return times * min(math.ceil(sum(of_step(step, settings) for step in job["steps"])), int(job.get("timeout-minutes", 360)))


def of_step(step: Mapping[str, Any], settings: PushlineSettings) -> float:
    azure = settings.target != "local"
    budget = seconds(settings.azure.budget if azure else settings.training.local_budget) / 60
    known = {
        r"make test$": 20,
        r"make check": 2,
        r"pushline check-data": 0.2,
        r"pushline run": 1.5,
        r"pushline train": budget + (NODE_MINUTES + 10 if azure else 1),  # on Azure the job waits for nodes, image and steps
        r"pushline deploy": 8 if azure else 0.2,
        r"pushline load-test": settings.load.seconds / 60 + 0.1,
        r"pushline (promote|rollback)": 3 if azure else 0.2,
        r"pushline score-batch": 5,
    }
    said = str(step.get("run", ""))
    if str(step.get("uses", "")).endswith("/setup"):
        return SET_UP
    return next((float(taken) for command, taken in known.items() if re.match(command, said)), SHORT)


def runs_a_month(cron: str) -> float:
    """Of a time of the day, each day or on one day of the week."""
    _, hours, _, _, weekday = cron.split()
    days = MONTH_DAYS if weekday == "*" else MONTH_WEEKS * len(weekday.split(","))
    return days * (24 if hours == "*" else len(hours.split(",")))


def standing(settings: PushlineSettings, prices: Prices) -> Iterator[Standing]:
    """What the target has on Azure; nothing for the local one."""
    if settings.target == "local":
        return
    azure, price, euros = settings.azure, prices.azure, prices.euros
    cores, memory = azure.cpu + SIDECAR_CPU, azure.memory_gb + SIDECAR_MEMORY_GB
    hour = (cores * price["group_core_hour"] + memory * price["group_gb_hour"]) * euros
    size = f"{cores:g} cores and {memory:g} GB"
    yield Standing("live container group", hour * HOURS, f"{size} day and night; `pushline stop` ends that")
    yield Standing("candidate", hour * RELEASE_MINUTES / 60, f"{size} for some {RELEASE_MINUTES} minutes", "a release")
    nodes = azure.max_nodes if azure.engine == "azure" else 1
    hours = nodes * (seconds(azure.budget) / 3600 + (NODE_MINUTES + IDLE_MINUTES) / 60)
    node = cores_of(azure.vm_size) * price["node_core_hour"] * euros
    yield Standing(
        "training", hours * node, f"{hours:.3g} hours of {azure.vm_size}, the {IDLE_MINUTES} minutes after included", "a training"
    )
    if azure.min_nodes:
        yield Standing("nodes that stay", azure.min_nodes * HOURS * node, f"{azure.min_nodes} of {azure.vm_size}; min_nodes = 0 ends that")
    yield Standing("container registry", price["registry_month"] * euros, "tier Basic with 10 GB of images; older ones are never deleted")
    yield Standing("logs and telemetry", LOGS_GB * price["logs_gb"] * euros, f"{LOGS_GB:g} GB taken in; 30 days of them are kept")
    yield Standing("workspace", 0.0, "itself nothing; Key Vault, identities and trust are cents")
    yield Standing("storage", STORED_GB * price["storage_gb_month"] * euros, f"{STORED_GB:g} GB of data, models and certificates")


def cores_of(size: str) -> int:
    """Of a machine, by its name: Standard_D4s_v3 has four."""
    found = re.search(r"_[A-Z]+(\d+)", size)
    return int(found[1]) if found else 4


def lines(found: Costs, pushes: int, pull_requests: int) -> Iterator[str]:
    """For a person."""
    price, euros = found.prices, found.prices.euros
    often = {PUSH: pushes, PULL_REQUEST: pull_requests}
    yield "Minutes of CI (hosted runners; nothing on public repositories and on runners of your own):"
    total = 0.0
    for event in found.minutes:
        times = often.get(event.event, event.times)
        total += times * event.each
        yield f"  {event.event:<22} {event.each:>4} min, {times:.3g} a month: " + ", ".join(f"{name} {taken}" for name, taken in event.jobs)
    yield (
        f"  {'a month':<22} {total:>4.0f} min, at most {total * price.github['minute'] * euros:.2f} € ("
        + ", ".join(f"{plan} includes {included:,}" for plan, included in price.github["included"].items())
        + ")"
    )
    if found.standing:
        yield "Azure:"
        yield from lines_of(found.standing)
        month = sum(each.euros * (pushes if each.each else 1) for each in found.standing)
        yield f"  {'a month':<22} {month:>7.2f} € with {pushes} pushes that train and release"
    yield f"Prices of {price.date}: {price.place}; {euros:g} € for a dollar. `--prices FILE` takes yours."


def lines_of(standing: Iterable[Standing]) -> Iterator[str]:
    for each in standing:
        yield f"  {each.what:<22} {each.euros:>7.2f} € {each.each or 'a month'}: {each.why}"
