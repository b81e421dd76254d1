"""What a person needs to see before approving a release: `pushline evidence`, and the summary of the evidence job."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pushline.errors import PushlineError
from pushline.project import Project
from pushline.report import figures, markdown
from pushline.report.cautions import Caution, cautions_of
from pushline.report.figures import NOTHING, named
from pushline.report.markdown import code, fold, table, text
from pushline.report.states import StageOutcome, StageState, outcomes, states_of
from pushline.report.summary import SAMPLE_NOTE, body_of, cautions_box
from pushline.results import CheckDataResult, Part, RegisterResult, TrainResult, load
from pushline.settings import PushlineSettings

if TYPE_CHECKING:
    from pushline.registry.store import ModelStore
    from pushline.release.target import Target


class Side(Part, frozen=True, kw_only=True):
    """One of the two versions that an approval decides between. Empty where nobody knows."""

    version: str = ""
    release: str = ""
    code: str = ""  # git revision of what trained the model
    data_version: str = ""
    contract_hash: str = ""
    algorithm: str = ""
    score: str = ""


class Evidence(Part, frozen=True, kw_only=True):
    """The evidence for one model version, and what approving it would change."""

    model_name: str
    version: str
    accepted: bool
    reason: str
    metric: str
    generated_sample: bool
    target: str
    now: Side | None  # None: nothing is live
    proposed: Side
    stages: tuple[StageOutcome, ...]


class EvidenceBundle(Part, frozen=True, kw_only=True):
    """The evidence with the results it rests on; results of another version than the proposed one are left out."""

    evidence: Evidence
    states: tuple[StageState, ...]
    checked: CheckDataResult | None
    trained: TrainResult | None
    registered: RegisterResult | None
    cautions: tuple[Caution, ...] = ()


def gather(
    project: Project, settings: PushlineSettings, store: "ModelStore", open_target: Callable[[], "Target"], version: str | None = None
) -> EvidenceBundle:
    """The evidence for `version`, by default the one this run registered.

    Raises SettingsError where no version was registered or named; RegistryError where there is none of that number.
    """
    states = states_of(project.build)
    found = {type(state.result): state.result for state in states if state.state != "stale"}
    registered, trained, checked = found.get(RegisterResult), found.get(TrainResult), found.get(CheckDataResult)
    if version is None and registered is None:
        registered = load(project.build, RegisterResult)  # raises, naming what to run
    if version is not None and (not isinstance(registered, RegisterResult) or registered.version != version):
        registered = trained = checked = None  # of another version: no evidence for this one
    number = version or (registered.version if isinstance(registered, RegisterResult) else "")
    proposed = store.version(number)
    evidence = Evidence(
        model_name=proposed.name,
        version=number,
        accepted=registered.decision.accept if isinstance(registered, RegisterResult) else proposed.tags.get("accepted") == "true",
        reason=registered.decision.reason if isinstance(registered, RegisterResult) else proposed.tags.get("reason", ""),
        metric=proposed.tags.get("metric", ""),
        generated_sample=proposed.tags.get("generated_sample") == "true",
        target=settings.target,
        # Asking Azure would need an identity that whoever gathers evidence must not have.
        now=now_live(store, open_target if settings.target == "local" else None),
        proposed=side(number, proposed.tags, code=project.git_revision),
        stages=outcomes(states),
    )
    return EvidenceBundle(
        evidence=evidence,
        states=states,
        checked=checked if isinstance(checked, CheckDataResult) else None,
        trained=trained if isinstance(trained, TrainResult) else None,
        registered=registered if isinstance(registered, RegisterResult) else None,
        cautions=cautions_of(states, project.build) if registered else recorded(proposed.tags),
    )


def recorded(tags: dict[str, str]) -> tuple[Caution, ...]:
    """What the registry remembers of a version's warnings."""
    warnings = tags.get("warnings", "")
    return (Caution(warnings, "", "quality"),) if warnings else ()


def now_live(store: "ModelStore", open_target: "Callable[[], Target] | None") -> Side | None:
    """What users get now: the live release of this machine, else the champion, which is the newest promoted version."""
    live = None
    if open_target is not None:
        try:
            live = open_target().status().live
        except PushlineError:
            live = None
    if live is not None:
        try:
            tags = store.version(live.release.model_version).tags
        except PushlineError:
            tags = {}
        return side(live.release.model_version, tags, release=live.release.id, code=live.release.git_revision)
    champion = store.champion()
    return side(champion.version, champion.tags) if champion else None


def side(version: str, tags: dict[str, str], *, release: str = "", code: str = "") -> Side:
    return Side(
        version=version,
        release=release,
        code=code or tags.get("git_revision", ""),
        data_version=figures.short(tags.get("data_version", "")),
        contract_hash=tags.get("contract_hash", ""),
        algorithm=tags.get("algorithm", ""),
        score=tags.get("score", ""),
    )


def evidence_summary(gathered: EvidenceBundle) -> str:
    """The evidence as Markdown."""
    known = gathered.evidence
    verdict = "accepted for release" if known.accepted else "not accepted: approving would change nothing"
    parts = [
        f"# {text(known.model_name)} version {text(known.version)}: {verdict}",
        *([SAMPLE_NOTE] if known.generated_sample else []),
        text(known.reason, 700) if known.reason else "Nobody recorded why.",
        *cautions_box(gathered.cautions),
        markdown.flow([(state.name, state.state, state.words) for state in gathered.states]),
        "## What will change",
        changes(known),
    ]
    for heading, result, otherwise in (
        ("Challenger and champion", gathered.registered, "No comparison of this version was made in this run."),
        ("Model", gathered.trained, "This version was not trained in this run; its figures are in the registry."),
        ("Data", gathered.checked, "The data of this version was not checked in this run."),
    ):
        parts += [f"## {heading}", *(body_of(result) if result else [otherwise])]
    card = model_card(gathered.trained)
    return "\n\n".join([*parts, *([card] if card else [])]) + "\n"


def changes(known: Evidence) -> str:
    """Live now beside proposed, line by line."""
    lines = [
        ("model version", "version"),
        ("release", "release"),
        ("code", "code"),
        ("data version", "data_version"),
        ("contract", "contract_hash"),
        ("algorithm", "algorithm"),
        (f"{named(known.metric)} when registered" if known.metric else "figure when registered", "score"),
    ]
    rows = []
    for words, key in lines:
        before, after = getattr(known.now, key, ""), getattr(known.proposed, key)
        proposed = "made by deploy" if key == "release" else code(after) if after else NOTHING
        rows.append([words, code(before) if before else NOTHING, proposed])
    lead = f"On the target {code(known.target)}."
    if known.now is None:
        lead = f"Nothing is live on the target {code(known.target)} that is known here: this is the first release."
    return f"{lead}\n\n{table(['', 'live now', 'proposed'], rows)}"


def model_card(trained: TrainResult | None) -> str:
    """The card itself: a path on the machine that trained is no link for the one who approves."""
    if trained is None or not Path(trained.card).is_file():
        return ""
    card = Path(trained.card).read_text(encoding="utf-8", errors="replace")
    body = card.split("\n---\n", 1)[1] if card.startswith("---\n") and "\n---\n" in card else card
    link = f"It is an artifact of the MLflow run {code(trained.run_id)}, and part of this run's artifact `stage-train`."
    return f"## Model card\n\n{link}\n\n{fold('Read it', body.strip())}"
