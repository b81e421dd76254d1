"""The stages from an accepted model version to a live release, on any target."""

from pathlib import Path

from msgspec import Struct
from msgspec.structs import asdict, replace

from pushline.errors import ModelUnreadable, NotAccepted, NotTrusted, SmokeFailed, TargetError
from pushline.progress import Progress
from pushline.project import Project
from pushline.registry.store import MANIFEST, ModelStore
from pushline.release.load import breaches, put_load
from pushline.release.smoke import assertions_on, passed
from pushline.release.steps import climb
from pushline.release.target import Endpoint, Target
from pushline.results import Assertion, DeployResult, LoadTestResult, PromoteResult, PromotionStep, RegisterResult, Release, SmokeResult
from pushline.serving.model_folder import GoldenRow, read_scoring
from pushline.settings import Load, PushlineSettings
from pushline.signing import Signers, trusted, verify
from pushline.signing.manifest import Statement

AGAIN = "`pushline deploy --version N` takes any accepted version back through smoke and load-test."


def deploy(
    registered: RegisterResult | None, version: str | None, store: ModelStore, target: Target, project: Project, *, progress: Progress
) -> DeployResult:
    """Start the accepted model version (or `version`, accepted before) as a candidate beside the live release.

    Raises NotAccepted where the registry's decision is a no, or a model of generated rows would go to a cloud, and NotTrusted
    where the model is not the one that was signed and approved under this number.
    """
    number, name = accepted(registered, version, store)
    folder, git_revision = store.download(number), project.git_revision
    manifest = signed(folder, number, store, project, approved=registered.manifest if registered else "").digest
    if target.name != "local" and read_scoring(folder).generated_sample:
        raise NotAccepted(
            f"deploy stopped: version {number} may not be released to {target.name}.",
            why="It was trained on a generated sample, not on data.",
            do="Deliver with the real data (see `pushline fetch`), or on the local target.",
        )
    named = {"id": f"v{number}-{git_revision}", "model_name": name, "model_version": number, "git_revision": git_revision}
    release = Release(**named, model=str(folder), manifest=manifest)
    progress(f"Starting {release.id} as the candidate on {target.name}.")
    candidate = target.deploy_candidate(release, progress)
    return DeployResult(target=target.name, url=candidate.url, release=candidate.release)


def signed(folder: Path, number: str, store: ModelStore, project: Project, *, approved: str) -> Statement:
    """The manifest of version `number`. Raises NotTrusted where it is not that of what was approved, or of an older model.

    `approved` is the digest in the result of register; the registry's own record of it has to agree.
    """
    statement = trusted(folder, project)
    for digest, where in ((approved, "register decided on"), (store.version(number).tags.get(MANIFEST, ""), "the registry recorded")):
        if digest and digest != statement.digest:
            raise another(number, f"Its manifest is {statement.digest[:12]}, {where} {digest[:12]}.")
    if int(number) <= statement.origin.after:
        raise another(number, f"It was trained when the registry already held version {statement.origin.after}.")
    champion = store.champion() if approved else None
    held = newest_before(store, champion.version, project) if champion and champion.version != number else 0
    if held > statement.origin.after:
        raise another(number, f"It was trained before version {held}, and the champion after it: it is an older model.")
    return statement


def newest_before(store: ModelStore, version: str, project: Project) -> int:
    """The number that the registry had come to when `version` was trained; 0 where it is not signed."""
    try:
        return verify(store.download(version), Signers(project.signers), any_key=True).origin.after
    except (NotTrusted, ModelUnreadable):
        return 0


def another(number: str, why: str) -> NotTrusted:
    return NotTrusted(
        f"deploy stopped: version {number} is signed, but not as what was approved.",
        why=why,
        do="Somebody has exchanged models in the registry: train and register again. The live release is untouched.",
    )


def accepted(registered: RegisterResult | None, version: str | None, store: ModelStore) -> tuple[str, str]:
    """Number and model name of what is to be deployed. Raises NotAccepted where no decision accepts it."""
    if registered is not None:
        if not registered.decision.accept:
            raise refused(registered.version, registered.decision.reason)
        return registered.version, registered.model_name
    if version is not None:
        model_version = store.version(version)
        if model_version.tags.get("accepted") != "true":
            raise refused(model_version.version, model_version.tags.get("reason") or "The registry holds no decision that accepts it.")
        return model_version.version, model_version.name
    raise NotAccepted("deploy stopped: no model version is named.", do="Run `pushline register` first, or name one with --version.")


def smoke(deployed: DeployResult, target: Target, *, asked_before: tuple[GoldenRow, ...] = (), progress: Progress) -> SmokeResult:
    """Ask the candidate what it must be able to answer, rows of recent requests among it."""
    progress(f"Asking {deployed.url}.")
    seen = assertions_on(deployed.url, deployed.release, target.keys(), asked_before)
    return SmokeResult(url=deployed.url, release=deployed.release.id, assertions=seen, passed=passed(seen))


def load_test(project: Project, deployed: DeployResult, target: Target, slo: Load, *, progress: Progress) -> LoadTestResult:
    """Put the SLO's load on the candidate and hold what clients saw to it."""
    seen = put_load(project, deployed.url, deployed.release, target.keys().primary, slo, progress)
    broken = tuple(breaches(seen, slo))
    limits = {"p95_ms": slo.p95_ms, "p99_ms": slo.p99_ms, "failures": slo.failures, "achieved": slo.achieved}
    return LoadTestResult(url=deployed.url, release=deployed.release.id, **asdict(seen), breaches=broken, passed=not broken, limits=limits)


def promote(
    deployed: DeployResult,
    smoked: SmokeResult,
    tested: LoadTestResult,
    store: ModelStore,
    target: Target,
    settings: PushlineSettings,
    *,
    progress: Progress,
) -> PromoteResult:
    """Make the candidate the live release, by steps where requests come in, ask it there, and give its version the alias champion.

    Where it does not answer as it must, or the command is interrupted, the release before is put back; a release that was live
    before, such as with other settings, stays. A promotion that was
    cut off before its version was crowned is taken up where it ended.
    """
    check_evidence(deployed, smoked, tested)
    before = target.status()
    there = before.live is not None and before.live.release.id == deployed.release.id
    same = there and not before.unfinished
    steps: tuple[PromotionStep, ...] = ()
    if there and before.live is not None and before.live.ready and before.candidate is None:
        live = Endpoint(release=deployed.release, url=before.live.url)
    else:
        candidate = Endpoint(release=deployed.release, url=deployed.url)
        steps = climb(target, candidate, settings.promote, settings.load, settings.replay, progress)
        live = target.promote(candidate, progress)
    try:
        seen = assertions_on(live.url, live.release, target.keys())
        if not passed(seen):
            raise not_live(live, seen, same=same)
    except BaseException:
        if not same:
            back = target.withdraw(progress)
            progress(f"{back.release.id} is live again at {back.url}." if back else "No release is live, as before.")
        raise
    store.set_champion_alias(deployed.release.model_version)
    previous = target.status().previous
    return PromoteResult(
        target=target.name, url=live.url, release=live.release, previous=previous.id if previous else None, assertions=seen, steps=steps
    )


def roll_back(store: ModelStore, target: Target, *, to: str = "", progress: Progress) -> Endpoint:
    """Put the previous release on the live address again, and make its version the champion again.

    Raises NotAccepted where that is no longer the release `to`, which was approved; TargetError where there is none;
    RegistryError where the release is back but the registry does not know: the same command again lets it know.
    """
    if to and (previous := plan_of_roll_back(target, store).previous) != to:
        raise NotAccepted(
            f"Nothing was rolled back: {to} would not come back.",
            why=f"What is live has changed since, and the release before is {previous} now.",
            do="Look at `pushline status`, and run the rollback again if it is still wanted.",
        )
    return target.roll_back(progress, lambda release: store.set_champion_alias(release.model_version))


def located(release: Release, store: ModelStore) -> Release:
    """The release with its model folder: a target that keeps none on this machine leaves it open, and the registry has it."""
    return release if release.model else replace(release, model=str(store.download(release.model_version)))


class RollBackPlan(Struct, frozen=True, kw_only=True):
    """What a rollback would do: ids of releases, and their model versions."""

    target: str
    live: str | None
    live_version: str  # where nothing answers, of the champion: it was released last
    previous: str
    previous_version: str


def plan_of_roll_back(target: Target, store: ModelStore) -> RollBackPlan:
    """Which release a rollback would bring back. Raises TargetError where there is none."""
    found = target.status()
    back = found.live.release if found.live is not None and found.unfinished == "rollback" else found.previous
    if back is None:
        raise TargetError("There is no previous release to roll back to.", why=f"{found.target} remembers none.", do=AGAIN)
    champion = None if found.live else store.champion()
    return RollBackPlan(
        target=found.target,
        live=found.live.release.id if found.live else None,
        live_version=found.live.release.model_version if found.live else champion.version if champion else "",
        previous=back.id,
        previous_version=back.model_version,
    )


def check_evidence(deployed: DeployResult, smoked: SmokeResult, tested: LoadTestResult) -> None:
    """Raises NotAccepted where a proof failed, or is of another release or of an earlier candidate."""
    for proof, name in ((smoked, "smoke"), (tested, "load-test")):
        if not proof.passed:
            raise NotAccepted(
                f"promote stopped: {name} did not pass.", do=f"build/{name}/summary.md says why; deploy a release that passes."
            )
        if (proof.release, proof.url) != (deployed.release.id, deployed.url) or proof.made_at < deployed.made_at:
            raise NotAccepted(
                f"promote stopped: the result of {name} is not of this candidate.",
                why=f"It is of {proof.release} at {proof.url}; the candidate is {deployed.release.id} at {deployed.url}.",
                do=f"Run `pushline {name}` again.",
            )


def refused(number: str, reason: str) -> NotAccepted:
    return NotAccepted(
        f"deploy stopped: version {number} was not accepted.",
        why=reason,
        do="Train a better one, or change [tool.pushline.promotion] if the rule is wrong. The live release is untouched.",
    )


def not_live(live: Endpoint, seen: tuple[Assertion, ...], *, same: bool) -> SmokeFailed:
    stays = f"{live.release.id} was live before and still is: `pushline rollback` brings the release before it back."
    failed = [assertion for assertion in seen if not assertion.passed]
    return SmokeFailed(
        f"promote stopped: {len(failed)} of {len(seen)} assertions failed on the live address {live.url}.",
        why=f"{failed[0].name}: expected {failed[0].expected}, saw {failed[0].seen}." if failed else "Nothing was asserted.",
        do=f"{stays if same else 'The release before was put back.'} `pushline logs --errors` shows what the release said.",
    )
