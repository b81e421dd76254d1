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
from pushline.settings import Azure, PushlineSettings, seconds

HOURS, WEEKS, DAYS = 730, 52 / 12, 365 / 12  # of a month
SIDECAR_CPU, SIDECAR_MEMORY_GB = 0.5, 0.5
NODE_MINUTES = 15  # beside the training: 5 until a node is there, 10 until it is given back
LOGS_GB, STORED_GB = 0.5, 5.0  # of a month, and kept: a guess for a small service
RELEASE_MINUTES = 20  # that the candidate stands beside the live release
SET_UP, SHORT = 0.7, 0.1  # minutes: an environment from the cache, and any step that is not in `of_step`
EVENTS = {"deliver.yml": "a push to main", "checks.yml": "a pull request"}


class Prices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Dollars, of one day and place."""

    date: str
    place: str
    euros: float
    github: dict[str, Any]
    azure: dict[str, float]


class Minutes(Struct, frozen=True):
    """Minutes of the jobs of one event, each counted in whole ones, as GitHub does; `times` a month, where the clock starts it."""

    event: str
    jobs: dict[str, int]
    times: float = 1.0


class Standing(Struct, frozen=True):
    """What something on Azure costs in a month, or where it says so `each` time, and why."""

    what: str
    euros: float
    why: str
    each: str = ""


class Costs(Struct, frozen=True, kw_only=True):
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


def minutes(root: Path, settings: PushlineSettings) -> Iterator[Minutes]:
    """Of a push, of a pull request, and of a month of each workflow that the clock starts."""
    for file in sorted((root / ".github" / "workflows").glob("*.yml"), key=lambda each: (each.name not in EVENTS, each.name)):
        workflow = msgspec.yaml.decode(file.read_text(encoding="utf-8"))
        when = workflow.get("on", workflow.get(True))  # YAML takes `on` for a yes
        crons = [str(entry["cron"]) for entry in when.get("schedule", ())] if isinstance(when, Mapping) else []
        if file.name in EVENTS or crons:
            jobs = {name: of_job(body, settings) for name, body in workflow["jobs"].items() if "steps" in body}
            yield Minutes(EVENTS.get(file.name, f"a run of {file.stem}"), jobs, sum(map(runs_a_month, crons)) or 1.0)


def of_job(job: Mapping[str, Any], settings: PushlineSettings) -> int:
    """Whole minutes of all that a job's matrix makes of it."""
    matrix = (job.get("strategy") or {}).get("matrix") or {}
    times = math.prod(len(values) for values in matrix.values() if isinstance(values, list))
    return times * min(math.ceil(sum(of_step(step, settings) for step in job["steps"])), int(job.get("timeout-minutes", 360)))


def of_step(step: Mapping[str, Any], settings: PushlineSettings) -> float:
    azure = settings.target != "local"
    budget = seconds(settings.azure.budget if azure else settings.training.local_budget) / 60
    known = {
        r"make test$": 20.0,
        r"make check": 2.0,
        r"pushline run": 1.5,
        r"pushline train": budget + (NODE_MINUTES if azure else 1),  # on Azure the job waits for nodes, image and steps
        r"pushline deploy": 8.0 if azure else 0.2,
        r"pushline load-test": settings.load.seconds / 60,
        r"pushline (promote|rollback)": 3.0 if azure else 0.2,
        r"pushline score-batch": 5.0,
    }
    usual = SET_UP if str(step.get("uses", "")).endswith("/setup") else SHORT
    return next((taken for command, taken in known.items() if re.match(command, str(step.get("run", "")))), usual)


def runs_a_month(cron: str) -> float:
    """Of a time of the day, each day or on some days of the week."""
    _, hours, _, _, weekday = cron.split()
    return (DAYS if weekday == "*" else WEEKS * len(weekday.split(","))) * (24 if hours == "*" else len(hours.split(",")))


def standing(settings: PushlineSettings, prices: Prices) -> Iterator[Standing]:
    """What the target has on Azure; nothing for the local one."""
    if settings.target == "local":
        return
    azure, price, euros = settings.azure, prices.azure, prices.euros
    yield from app(azure, price, euros) if settings.target == "containerapps" else group(azure, price, euros)
    found = re.search(r"_[A-Z]+(\d+)", azure.vm_size)  # Standard_D4s_v3 has four cores
    node = int(found[1] if found else 4) * price["node_core_hour"] * euros
    hours = (azure.max_nodes if azure.engine == "azure" else 1) * (seconds(azure.budget) + NODE_MINUTES * 60) / 3600
    yield Standing(
        "training", hours * node, f"{hours:.3g} hours of {azure.vm_size}, until it comes and is given back included", "a training"
    )
    if azure.min_nodes:
        yield Standing("nodes that stay", azure.min_nodes * HOURS * node, f"{azure.min_nodes} of {azure.vm_size}; min_nodes = 0 ends that")
    yield Standing("container registry", price["registry_month"] * euros, "tier Basic with 10 GB of images; older ones are never deleted")
    yield Standing("logs and telemetry", LOGS_GB * price["logs_gb"] * euros, f"{LOGS_GB:g} GB taken in; 30 days of them are kept")
    if azure.private_network:
        yield Standing("private network", price["network_hour"] * euros * HOURS, "NAT gateway and private endpoints, day and night")
    kept = f"{STORED_GB:g} GB of data, models and certificates; the workspace itself is free, Key Vault and identities are cents"
    yield Standing("storage", STORED_GB * price["storage_gb_month"] * euros, kept)


def group(azure: Azure, price: Mapping[str, float], euros: float) -> Iterator[Standing]:
    cores, memory = azure.cpu + SIDECAR_CPU, azure.memory_gb + SIDECAR_MEMORY_GB
    hour = (cores * price["group_core_hour"] + memory * price["group_gb_hour"]) * euros
    size = f"{cores:g} cores and {memory:g} GB"
    yield Standing("live container group", hour * HOURS, f"{size} day and night; `pushline stop` ends that")
    yield Standing("candidate", hour * RELEASE_MINUTES / 60, f"{size} for some {RELEASE_MINUTES} minutes", "a release")


def app(azure: Azure, price: Mapping[str, float], euros: float) -> Iterator[Standing]:
    """Each core has 2 GB. What a subscription gets free in a month (180,000 core seconds, 360,000 GB seconds) is not taken off."""
    memory = 2 * azure.cpu * price["app_gb_hour"]
    idle, busy = ((azure.cpu * price[core] + memory) * euros for core in ("app_idle_core_hour", "app_core_hour"))
    size, replicas = f"{azure.cpu:g} cores and {2 * azure.cpu:g} GB", 2 * azure.min_replicas
    kept = f"{replicas} of {size}, of the live release and of the one before; min_replicas = 0 ends that" if replicas else "none is kept"
    yield Standing("replicas that wait", replicas * idle * HOURS, kept)
    yield Standing("replica that answers", busy, f"{size}, up to {azure.max_replicas} at a time", "an hour")
    yield Standing("candidate", busy * RELEASE_MINUTES / 60, f"{size} for some {RELEASE_MINUTES} minutes", "a release")


def lines_of(standing: Iterable[Standing]) -> Iterator[str]:
    for each in standing:
        yield f"  {each.what:<22} {each.euros:>7.2f} € {each.each or 'a month'}: {each.why}"


def lines(found: Costs, often: Mapping[str, int]) -> Iterator[str]:
    """For a person; `often`: how many times a month an event happens that the clock does not start."""
    price, total = found.prices, 0.0
    yield "Minutes of CI (hosted runners; nothing on public repositories and on runners of your own):"
    for event in found.minutes:
        times, each = often.get(event.event, event.times), sum(event.jobs.values())
        total += times * each
        yield f"  {event.event:<22} {each:>4} min, {times:.3g} a month: " + ", ".join(
            f"{name} {taken}" for name, taken in event.jobs.items()
        )
    plans = ", ".join(f"{plan} includes {included:,}" for plan, included in price.github["included"].items())
    yield f"  {'a month':<22} {total:>4.0f} min, at most {total * price.github['minute'] * price.euros:.2f} € ({plans})"
    if found.standing:
        pushes = often[EVENTS["deliver.yml"]]
        month = sum(each.euros * {"": 1, "an hour": 0}.get(each.each, pushes) for each in found.standing)
        yield from ("Azure:", *lines_of(found.standing), f"  {'a month':<22} {month:>7.2f} € with {pushes} pushes that train and release")
    yield f"Prices of {price.date}: {price.place}; {price.euros:g} € for a dollar. `--prices FILE` takes yours."
