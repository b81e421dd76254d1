"""The register stage: a model version of this run, and whether it may replace the champion."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from pushline.errors import ModelUnreadable
from pushline.registry.decision import against_champion, against_floor, with_parts
from pushline.registry.holdout import CannotCompare, probabilities_of, read_holdout
from pushline.registry.parts import FILES, DataParts
from pushline.registry.store import ModelStore, ModelVersion
from pushline.results import Decision, Registered, Trained
from pushline.serving.model_folder import MATRIX, read_contract, read_scoring
from pushline.settings import Promotion

Tell = Callable[[str], None]
GENERATED = "generated_sample"


def register(trained: Trained, store: ModelStore, rules: Promotion, *, tell: Tell, parts: DataParts | None = None) -> Registered:
    """Make the run's model a version (it becomes the challenger) and decide against the champion on the same hold-out.

    `parts` says which files the data came from: rows that the champion's data had and rows that are new are then looked at
    apart too. Raises DataError or ModelUnreadable where there is nothing to decide on.
    """
    champion = store.champion()
    tell("compare with " + (f"the champion, version {champion.version}" if champion else "the floor: there is no champion yet"))
    decision = decide(trained, store, champion, rules, parts)
    files = {FILES: parts.tag} if parts else {}
    run_id = trained.run_id if store.knows(trained.run_id) else log_again(trained, store)
    version = store.register(run_id, {**tags_of(trained, decision), **files})
    return Registered(
        model_name=version.name,
        version=version.version,
        champion=champion.version if champion else None,
        decision=decision,
        generated_sample=trained.generated_sample,
    )


def log_again(trained: Trained, store: ModelStore) -> str:
    """Log the finished run of another machine's registry, where another delivery's took its place meanwhile."""
    tags = {"git_revision": trained.git_revision, "data_version": trained.data_version, "contract_hash": trained.contract_hash}
    return store.log_training(
        parameters={"metric": trained.metric, "objective": trained.objective, "algorithm": trained.algorithm},
        metrics={name: interval.value for name, interval in trained.metrics.items()},
        tags={**tags, GENERATED: str(trained.generated_sample).lower(), "first_logged_as": trained.run_id},
        dataset={"name": "data.lock", "version": trained.data_version, "digest": trained.data_version, "source": "data.lock"},
        model=Path(trained.model),
        artifacts={"evaluation": Path(trained.evaluation), "card": Path(trained.card)},
    )


def decide(
    trained: Trained, store: ModelStore, champion: ModelVersion | None, rules: Promotion, parts: DataParts | None = None
) -> Decision:
    """The decision with its reason and figures."""
    folder = Path(trained.model)
    contract = read_contract(folder)
    frame, labels = read_holdout(Path(trained.holdout), contract)
    try:
        new = probabilities_of(folder, frame, contract.classes)
    except CannotCompare as error:
        raise ModelUnreadable(
            f"The model folder {folder} can't score its own hold-out.", why=f"{error}.".capitalize(), do="Run `pushline train` again."
        ) from error
    if champion is None:
        return against_floor(trained.metric, labels, new, rules, because="there is no champion yet")
    said = f"the champion (version {champion.version})"
    real = champion.tags.get(GENERATED) != "true"
    if trained.generated_sample and real:
        floor = against_floor(trained.metric, labels, new, rules, because=f"{said} learned from real rows")
        reason = f"a model of generated rows never replaces one of real rows, and {said} is one"
        return Decision(accept=False, reason=reason, evidence=floor.evidence)
    if not real and not trained.generated_sample:
        return against_floor(trained.metric, labels, new, rules, because=f"{said} learned from generated rows and can't be held against it")
    try:
        place = store.download(champion.version)
        same = read_scoring(place).sha256.get(MATRIX) == read_scoring(folder).sha256.get(MATRIX)
        old = new if same else probabilities_of(place, frame, contract.classes)
    except CannotCompare as error:
        return against_floor(trained.metric, labels, new, rules, because=f"{said} can't score these rows: {error}")
    decision = against_champion(trained.metric, labels, new, old, rules, version=champion.version)
    if same:
        reason = f"it is the champion's own model again, bit for bit (version {champion.version})"
        return decision if decision.accept else msgspec.structs.replace(decision, accept=True, reason=reason)
    known = champion.tags.get(FILES, "")
    seen = parts.old_rows(frame, known) if parts is not None and parts.grown_since(known) else None
    if seen is None:
        return decision
    apart = {
        name: against_champion(
            trained.metric, labels[rows], new[rows], old[rows], rules, version=champion.version, rows=f"hold-out, {name} rows"
        )
        for name, rows in (("old", seen), ("new", ~seen))
        if len(set(labels[rows].tolist())) == len(contract.classes)
    }
    return with_parts(decision, apart)


def tags_of(trained: Trained, decision: Decision) -> dict[str, str]:
    """What a version says of its origin and of the decision."""
    figure = trained.metrics.get(trained.metric)
    return {
        "git_revision": trained.git_revision,
        "data_version": trained.data_version,
        "contract_hash": trained.contract_hash,
        GENERATED: str(trained.generated_sample).lower(),
        "algorithm": trained.algorithm,
        "metric": trained.metric,
        "score": f"{figure.value:.6f}" if figure else "",
        "accepted": str(decision.accept).lower(),
        "reason": decision.reason,
    }
