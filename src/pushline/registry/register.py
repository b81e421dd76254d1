"""The register stage: a model version of this run, and whether it may replace the champion."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec import Struct

from pushline.arrays import Floats
from pushline.data.contract import Contract
from pushline.data.contract.split import held_since, split_of
from pushline.errors import ModelUnreadable
from pushline.progress import Progress
from pushline.registry.decision import against_champion, against_floor, fault_of, undecided, with_best, with_parts
from pushline.registry.holdout import FILES, CannotCompare, DataParts, probabilities_of, read_holdout
from pushline.registry.measures import HIGHER_IS_BETTER, figure
from pushline.registry.store import CROWNED, MANIFEST, TRAINED, TRAINING, ModelStore, ModelVersion
from pushline.results import Decision, RegisterResult, Replay, TrainResult
from pushline.serving.model_folder import MATRIX, read_contract, read_scoring
from pushline.settings import Promotion
from pushline.signing.verification import manifest_of

if TYPE_CHECKING:
    import pandas as pd

Replays = Callable[[Path, Path, str], Replay]  # challenger's and champion's folders, and the champion's version

GENERATED = "generated_sample"
# Tags of a version: how its hold-out was chosen, its share of the rows, and from which moment on.
SPLIT, HELD_OUT, HELD_FROM = "split", "held_out", "held_from"
LOOKED_AT = 3  # champions of before


def register(
    trained: TrainResult,
    store: ModelStore,
    rules: Promotion,
    *,
    progress: Progress,
    parts: DataParts | None = None,
    outdated: str = "",
    replays: Replays | None = None,
) -> RegisterResult:
    """Make the run's model a version (it becomes the challenger) and decide against the champion on the same hold-out.

    `parts` says which files the data came from: rows that the champion's data had and rows that are new are then looked at
    apart too. `outdated` is a reason that no figure outweighs: a newer commit is released. `replays` asks challenger and champion the
    same rows; where their answers lie too far apart, a person has to look.
    Raises DataError or ModelUnreadable where there is nothing to decide on.
    """
    champion = store.champion()
    progress("compare with " + (f"the champion, version {champion.version}" if champion else "the floor: there is no champion yet"))
    decision = decide(trained, store, champion, rules, parts)
    replayed = None
    if champion is not None and replays is not None and (champion.tags.get(GENERATED) == "true") == trained.generated_sample:
        progress(f"replay: what it answers otherwise than version {champion.version}")
        try:
            replayed = replays(Path(trained.model), store.download(champion.version), champion.version)
        except (CannotCompare, ModelUnreadable) as error:
            progress(f"replay: not compared, {' '.join(str(error).split())}")
    if decision.accept and replayed is not None and replayed.breaches:
        reason = f"it answers too much otherwise than the champion, on {replayed.rows:,} {replayed.source}: {replayed.breaches[0]}"
        decision = msgspec.structs.replace(decision, accept=False, reason=reason)
    if outdated:
        decision = msgspec.structs.replace(decision, accept=False, reason=outdated)
    files = {FILES: parts.tag} if parts else {}
    run_id = trained.run_id if store.knows(trained.run_id) else log_again(trained, store)
    manifest = manifest_of(Path(trained.model))
    version = store.register(run_id, {**tags_of(trained, decision), **files, MANIFEST: manifest})
    return RegisterResult(
        model_name=version.name,
        version=version.version,
        champion=champion.version if champion else None,
        decision=decision,
        generated_sample=trained.generated_sample,
        warnings=trained.warnings,
        replay=replayed,
        manifest=manifest,
    )


def log_again(trained: TrainResult, store: ModelStore) -> str:
    """Log the finished run of another machine's registry, where another delivery's took its place meanwhile."""
    tags = {"git_revision": trained.git_revision, "data_version": trained.data_version, "contract_hash": trained.contract_hash}
    return store.log_training(
        parameters={"metric": trained.metric, "objective": trained.objective, "algorithm": trained.algorithm},
        metrics={name: interval.value for name, interval in trained.metrics.items()},
        tags={**tags, GENERATED: str(trained.generated_sample).lower(), "first_logged_as": trained.run_id},
        dataset={"name": "data.lock", "version": trained.data_version, "digest": trained.data_version, "source": "data.lock"},
        model=Path(trained.model),
        artifacts={"evaluation": Path(trained.evaluation), "card": Path(trained.card), "trained": Path(trained.card).with_name(TRAINED)},
    )


def decide(
    trained: TrainResult, store: ModelStore, champion: ModelVersion | None, rules: Promotion, parts: DataParts | None = None
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
    meeting = Meeting(trained, store, rules, frame, labels, new, contract)
    try:
        old, unseen = meeting.answers_of(champion)
    except CannotCompare as error:
        return against_floor(trained.metric, labels, new, rules, because=f"{said} can't be compared with it: {error}")
    decision = meeting.decision(champion.version, old, unseen)
    if old is new:
        reason = f"it is the champion's own model again, bit for bit (version {champion.version})"
        judged = "gain" in decision.evidence
        return msgspec.structs.replace(decision, accept=True, reason=reason) if judged and not decision.accept else decision
    if (best := meeting.best_before(champion, old)) is not None:
        decision = with_best(decision, meeting.decision(*best, who="the best champion of before"))
    known = champion.tags.get(FILES, "")
    forward = contract.split is not None and contract.split.time is not None  # the hold-out has moved on from the old rows
    if parts is None or forward or not parts.grown_since(known):
        return decision
    seen = parts.old_rows(frame, known)
    if seen is None:
        return undecided(trained.metric, labels, "the table has other rows than the files that it was made from")
    apart = {"old": meeting.decision(champion.version, old, unseen & seen, rows="hold-out, old rows")}
    apart["new"] = meeting.decision(champion.version, old, unseen & ~seen, rows="hold-out, new rows")
    return with_parts(decision, apart)


class Meeting(Struct, frozen=True):
    """A challenger and those that it is held against, on the challenger's hold-out."""

    trained: TrainResult
    store: ModelStore
    rules: Promotion
    frame: "pd.DataFrame"
    labels: Floats
    new: Floats  # what the challenger says of the rows
    contract: Contract

    def decision(self, version: str, old: Floats, on: Floats, *, rows: str = "hold-out", who: str = "the champion") -> Decision:
        """The decision against a version on the rows in the mask `on`."""
        labels, new, old = self.labels[on], self.new[on], old[on]
        return against_champion(self.trained.metric, labels, new, old, self.rules, version=version, rows=rows, who=who)

    def answers_of(self, version: ModelVersion) -> tuple[Floats, Floats]:
        """What a version says of the hold-out, and the rows that it has not learned from either, as a mask.

        The challenger's own answers where it is the same model. Raises CannotCompare, saying why, where they can't meet.
        """
        place = self.store.download(version.version)
        if read_scoring(place).sha256.get(MATRIX) == read_scoring(Path(self.trained.model)).sha256.get(MATRIX):
            return self.new, np.ones(len(self.labels), dtype=bool)
        answers = probabilities_of(place, self.frame, self.contract.classes)
        if not self.trained.split or version.tags.get(SPLIT) != self.trained.split:
            raise CannotCompare("its hold-out was chosen in another way, so it may have learned from these rows")
        unseen = self.unseen_by(version)
        if len(np.unique(self.labels[unseen])) < len(self.contract.classes):
            raise CannotCompare("it held out less, and has learned from too many of these rows")
        return answers, unseen

    def unseen_by(self, version: ModelVersion) -> Floats:
        """The rows that a version of the same split held out too, as a mask."""
        split = self.contract.split
        if split is not None and split.time is not None:
            return held_since(self.frame, split, version.tags[HELD_FROM])
        share = float(version.tags[HELD_OUT])
        everything = np.ones(len(self.labels), dtype=bool)
        return everything if share >= self.trained.held_out else split_of(self.frame, self.contract, share)

    def best_before(self, champion: ModelVersion, answers: Floats) -> tuple[str, Floats, Floats] | None:
        """The best of the champions before this one that can still be compared, where it is better here than this one."""
        metric = self.trained.metric
        before = [v for v in self.store.versions() if int(v.version) < int(champion.version) and v.tags.get(CROWNED)]
        before = [v for v in before if v.tags.get("metric") == metric and v.tags.get(GENERATED) == champion.tags.get(GENERATED)]
        best: tuple[float, tuple[str, Floats, Floats]] | None = None
        for version in sorted(before, key=lambda v: goodness(metric, float(v.tags.get("score") or "nan")), reverse=True)[:LOOKED_AT]:
            try:
                old, unseen = self.answers_of(version)
            except (CannotCompare, ModelUnreadable):
                continue
            if fault_of(self.labels[unseen], old[unseen], answers[unseen]):
                continue
            ahead = goodness(metric, figure(metric, self.labels[unseen], old[unseen]))
            ahead -= goodness(metric, figure(metric, self.labels[unseen], answers[unseen]))
            if ahead > (best[0] if best else 0.0):
                best = ahead, (version.version, old, unseen)
        return best[1] if best else None


def goodness(metric: str, value: float) -> float:
    """A figure as something to maximise; one that is no number comes last."""
    return -np.inf if np.isnan(value) else value if HIGHER_IS_BETTER[metric] else -value


def tags_of(trained: TrainResult, decision: Decision) -> dict[str, str]:
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
        SPLIT: trained.split,
        HELD_OUT: f"{trained.held_out!r}",
        HELD_FROM: trained.held_from,
        "accepted": str(decision.accept).lower(),
        "reason": decision.reason,
        "warnings": " ".join(trained.warnings),
        TRAINING: trained.training,
    }
