"""The repository's own files, what they point to, and what its registry and live release say."""

import os
from collections.abc import Iterator
from pathlib import Path

from pushline.data.contract import load_contract
from pushline.data.profile import load_profile
from pushline.data.profile.sample import compare
from pushline.data.sources.download import TRUSTED, ask
from pushline.data.sources.fetch import DataLocations
from pushline.data.sources.lock import PinnedFile, load_lock
from pushline.doctor import Here, Line, lacking, missing, note, works
from pushline.errors import PushlineError
from pushline.registry import open_store
from pushline.release import open_target
from pushline.serving.client import Client
from pushline.wording import counted

REACH_S = 10


def contract(here: Here) -> Iterator[Line]:
    from pushline.data.rules import load_rules

    found = load_contract(here.project.contract)
    rules = load_rules(here.project.rules, found)
    features = len(found.features())
    yield works(
        "contract",
        f"{counted(len(found.columns), 'column')}, {counted(features, 'feature')}, {counted(len(rules), 'rule')}, label {found.label.name}",
    )
    lock = load_lock(here.project.data_lock)
    names = {column.name for column in found.columns}
    strange = [f"{file.name}: {', '.join(sorted(names ^ set(file.columns)))}" for file in lock.files if set(file.columns) != names]
    if strange:
        yield missing(
            "data.lock",
            f"its columns are not those of the contract ({strange[0]})",
            "Correct data_checks/contract.yml, or the pinned file.",
        )
    else:
        yield works("data.lock", f"{counted(len(lock.files), 'file')}, {counted(lock.rows, 'row')}, version {lock.version}")


def profile(here: Here) -> Iterator[Line]:
    found, pinned = load_profile(here.project.profile), load_lock(here.project.data_lock)
    compare(found, load_contract(here.project.contract))
    if found.data_version != pinned.version:
        says = f"of data version {found.data_version or 'unknown'}, but data.lock pins {pinned.version}"
        yield note("profile", says, "Run `pushline check-data`, then `pushline profile`, and commit data_checks/profile.json.")
    else:
        yield works("profile", f"{found.rows:,} rows of the pinned data version")


def pipelines(here: Here) -> Iterator[Line]:
    from pushline.pipelines.runner.definition import load_pipeline

    files = sorted(here.project.pipelines.glob("*.yml"))
    jobs = {file.stem: len(load_pipeline(file).jobs) for file in files}
    yield works("pipelines", ", ".join(f"{name} ({counted(count, 'job')})" for name, count in jobs.items()))


def data(here: Here) -> Iterator[Line]:
    """Every pinned file: on this machine, or at a source that answers."""
    said = os.environ.get("PUSHLINE_DATA")
    delimiter = load_contract(here.project.contract).delimiter
    places = DataLocations(
        here.project.state / "cache", Path(said) if said else None, delimiter, lambda line: None, own=here.project.root / "data"
    )
    for pinned in load_lock(here.project.data_lock).files:
        found = places.committed(pinned) or places.cached(pinned) or places.at_hand(pinned)
        if found is not None:
            yield works("data", f"{pinned.name} is here ({found.origin})")
            continue
        answers = {source.url: reached(source.url) for source in pinned.sources if source.url}
        yield told(here, pinned, answers)


def told(here: Here, pinned: PinnedFile, answers: dict[str, str]) -> Line:
    good = next((url for url, problem in answers.items() if not problem), None)
    if good:
        return works("data", f"{pinned.name} can be fetched from {good}")
    why = (
        "; ".join(problem if url in problem else f"{url}: {problem}" for url, problem in answers.items())
        or "data.lock names no address for it"
    )
    said = os.environ.get("PUSHLINE_DATA")
    do = f"PUSHLINE_DATA is {said}: let it name the file or its folder." if said else "Set PUSHLINE_DATA to the file or its folder."
    if not (here.on_azure or here.in_actions):
        do += " `make run` goes on with generated rows without it."
    says = f"{pinned.name} is not here and can't be fetched ({why})"
    return lacking(here, "data", says, do, needed=here.on_azure or here.in_actions)


def reached(url: str) -> str:
    """What is wrong with an address, without fetching the file; nothing where it answers."""
    import requests

    try:
        with ask(url, TRUSTED, {}) as answer:
            return "" if answer.ok else f"status {answer.status_code}"
    except PushlineError as error:
        return error.what
    except requests.RequestException as error:
        return type(error).__name__


def registry(here: Here) -> Iterator[Line]:
    if not (here.on_azure or os.environ.get("MLFLOW_TRACKING_URI") or (here.project.state / "mlflow.db").is_file()):
        yield note("registry", "is empty: nothing was trained here yet", "Run `make run`.")
        return
    store = open_store(here.project, here.settings)
    versions, champion = store.versions(), store.champion()
    crowned = f"champion {champion.version}" if champion else "no champion yet"
    yield works("registry", f"{counted(len(versions), 'version')} of {here.settings.model_name}, {crowned}")


def release(here: Here) -> Iterator[Line]:
    status = open_target(here.project, here.settings).status()
    if status.live is None:
        why = f" ({status.notes[0]})" if status.notes else ""
        yield note("live release", f"there is none{why}", "Run `make run`, or the stages up to `pushline promote`.")
        return
    answer = Client(status.live.url, timeout_s=REACH_S).get("/readyz")
    if answer.status == 200:
        yield works("live release", f"{status.live.release.id} answers at {status.live.url}")
    else:
        yield missing(
            "live release",
            f"{status.live.release.id} at {status.live.url} does not answer as it must: {answer}",
            "See `pushline logs --errors`; `pushline rollback` puts the release before back.",
        )


CHECKS = (contract, profile, pipelines, data, registry, release)
