"""The stages in their order: each loads what its predecessor left, calls its room, and leaves its own result."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pushline.errors import CriticalFindings, SettingsError, SloBreached, SmokeFailed
from pushline.progress import Progress
from pushline.project import Project
from pushline.results import (
    CheckDataResult,
    DeployResult,
    FetchResult,
    LoadTestResult,
    PromoteResult,
    R,
    RegisterResult,
    Result,
    SmokeResult,
    TrainResult,
    folder,
    load,
)
from pushline.settings import PushlineSettings

if TYPE_CHECKING:
    from pushline.registry.store import ModelStore
    from pushline.release.target import Target
    from pushline.results import Replay

ASKED_AGAIN = 2_000  # rows of recent requests that smoke puts to the candidate


class Delivery:
    """One project with its settings, and whom to tell what is going on."""

    def __init__(self, project: Project, settings: PushlineSettings, progress: Progress, *, tied_to: int | None = None) -> None:
        self.project = project
        self.settings = settings
        self.progress = progress
        self.tied_to = tied_to  # the process a candidate ends with, where one runs all stages

    @property
    def build(self) -> Path:
        return self.project.build

    def contract(self) -> Any:
        from pushline.data.contract import load_contract

        return load_contract(self.project.contract)

    def store(self) -> "ModelStore":
        from pushline.registry import open_store

        return open_store(self.project, self.settings)

    def target(self) -> "Target":
        from pushline.release import open_target

        return open_target(self.project, self.settings, tied_to=self.tied_to)

    def fetch(self, *, sample_if_offline: bool = False, sample: bool = False, untrusted: bool = False) -> FetchResult:
        from pushline.data.sources.download import TRUSTED, UNTRUSTED
        from pushline.data.sources.fetch import fetch

        said = os.environ.get("PUSHLINE_DATA")
        local, terms = Path(said) if said else None, UNTRUSTED if untrusted else TRUSTED
        return fetch(
            self.project,
            local=local,
            sample_if_offline=sample_if_offline,
            sample=sample,
            terms=terms,
            progress=self.progress,
            in_vain=self.why_a_sample_is_in_vain,
        )

    def why_a_sample_is_in_vain(self) -> str:
        """A champion of real rows is never replaced by a model of generated ones, which is known before any training."""
        if not (self.settings.target == "local" and (self.project.state / "mlflow.db").is_file()):
            return ""
        champion = self.store().champion()
        if champion is None or champion.tags.get("generated_sample") == "true":
            return ""
        return f"version {champion.version}, the champion, learned from real rows, and a model of generated rows never replaces it"

    def check_data(self, *, file: Path | None = None, data_docs: bool = False) -> CheckDataResult:
        from pushline.data.checks.check_data import check_data

        fetched = None if file else load(self.build, FetchResult)
        return check_data(self.project, self.contract(), file=file, fetched=fetched, progress=self.progress, data_docs=data_docs)

    def train(self, *, budget: str | None = None, attach: bool = False, keep_best: bool = False, anew: bool = False) -> TrainResult:
        from pushline.training.stage import train

        checked = load(self.build, CheckDataResult)
        if checked.critical:
            raise refusal_of(checked, self.build)
        if checked.table and not Path(checked.table).is_file():
            checked = self.with_table(checked)
        how: dict[str, Any] = {"budget": budget, "attach": attach, "keep_best": keep_best, "anew": anew}
        return train(self.project, self.settings, self.contract(), checked, self.store(), **how, progress=self.progress)

    def with_table(self, checked: CheckDataResult) -> CheckDataResult:
        """`checked` on a machine that has not its table: read from the same bytes, or checked anew where the pinned data moved since."""
        from pushline.data.checks.check_data import read_again

        self.progress("reading the pinned data again: the table holds rows, which stay on the machine that checked them")
        fetched = load(self.build, FetchResult)
        if fetched.data_version != checked.data_version:
            anew = self.check_data()
            if anew.critical:
                raise refusal_of(anew, self.build)
            return anew
        files = [Path(file.path) for file in fetched.files]
        table = read_again(self.project, self.contract(), files, progress=self.progress)
        return msgspec.structs.replace(checked, table=str(table), file=str(files[0]))

    def cancel_training(self, *, budget: str | None = None) -> bool:
        """End the training that goes on in Azure; True where one did."""
        from pushline.training.stage import cancel

        return cancel(self.project, self.settings, load(self.build, CheckDataResult), budget=budget, progress=self.progress)

    def register(self) -> RegisterResult:
        from pushline.registry.holdout import DataParts
        from pushline.registry.register import register

        trained = load(self.build, TrainResult)
        if not Path(trained.holdout).is_file():
            self.make_holdout_again(trained)
        fetched = maybe(self.build, FetchResult)
        parts = None
        if fetched and fetched.data_version == trained.data_version and not trained.generated_sample:
            parts = DataParts(files=fetched.files, table=lambda: self.typed_table(trained, fetched))
        return register(
            trained,
            self.store(),
            self.settings.promotion,
            progress=self.progress,
            parts=parts,
            outdated=self.outdated(),
            replays=self.replayed,
        )

    def replayed(self, challenger: Path, champion: Path, version: str) -> "Replay":
        """What the model in `challenger` answers otherwise than the champion. Raises CannotCompare where one can't be asked."""
        from pushline.data.profile.recorded import LIVE
        from pushline.registry.holdout import CannotCompare, read_holdout
        from pushline.registry.replay import HOLDOUT, REQUESTS, recent_requests, replay
        from pushline.serving.model_folder import read_contract

        contract, limits = read_contract(challenger), self.settings.replay
        frame, source = recent_requests(self.project.state / LIVE, contract, limits.rows), REQUESTS
        if frame is None:
            trained = maybe(self.build, TrainResult)
            if trained is None or not Path(trained.holdout).is_file():
                raise CannotCompare("no requests were kept (serving.record) and no hold-out is on this machine")
            frame, source = read_holdout(Path(trained.holdout), contract)[0], HOLDOUT
        return replay(challenger, champion, frame, contract, limits, version=version, source=source)

    def replay(self, version: str | None) -> "Replay":
        """What a version, by default the newest, answers otherwise than the champion.

        Raises SettingsError where there is no champion or no other version, or one can't be asked the same rows.
        """
        from pushline.registry.holdout import CannotCompare

        store = self.store()
        champion = store.champion()
        chosen = store.version(version) if version else next(iter(store.versions()), None)
        if champion is None or chosen is None or chosen.version == champion.version:
            raise SettingsError(
                "There is nothing to compare.",
                why="No version is champion." if champion is None else f"Version {champion.version} is the champion itself.",
                do="`pushline releases` lists the versions; name another one with --version.",
            )
        try:
            return self.replayed(store.download(chosen.version), store.download(champion.version), champion.version)
        except CannotCompare as error:
            raise SettingsError(
                f"Version {chosen.version} and the champion can't be asked the same rows.", why=f"{error}.", do="Name another version."
            ) from error

    def outdated(self) -> str:
        """In a job of an older commit than the released one: why its model may not replace the champion. Else empty."""
        from pushline.github.commits import outdated

        champion = self.store().champion()
        return outdated(self.project, champion.tags if champion else None)

    def typed_table(self, trained: TrainResult, fetched: FetchResult) -> Path:
        """The typed table of the run's data: what check-data left, or made again where it is not on this machine."""
        from pushline.data.checks.check_data import read_again
        from pushline.serving.model_folder import read_contract

        checked = maybe(self.build, CheckDataResult)
        if checked and checked.data_version == trained.data_version and Path(checked.table).is_file():
            return Path(checked.table)
        contract = read_contract(Path(trained.model))
        return read_again(self.project, contract, [Path(file.path) for file in fetched.files], progress=self.progress)

    def make_holdout_again(self, trained: TrainResult) -> None:
        """The hold-out holds rows, which stay on the machine that trained: elsewhere it is made from the pinned data.

        Raises DataError where the data of this machine gives another one.
        """
        from pushline.serving.model_folder import read_contract
        from pushline.training.prepare import hold_out_again

        self.progress("making the hold-out again from the pinned data")
        table = self.typed_table(trained, load(self.build, FetchResult))
        hold_out_again(trained, table, read_contract(Path(trained.model)), self.settings.training)

    def still_decided(self) -> RegisterResult | None:
        """The decision that stands: the champion is the one that the version was held against, no newer commit was released since,
        and the registry holds this very model under this number with this decision. Another delivery's may have taken its place.
        """
        from pushline.files import content_hash
        from pushline.registry.mlflow_store import CONTENT

        registered, store = load(self.build, RegisterResult), self.store()
        champion, known = store.champion(), {version.version: version.tags for version in store.versions()}
        tags = known.get(registered.version, {})
        same = tags.get(CONTENT) == content_hash(Path(load(self.build, TrainResult).model))
        decided = tags.get("accepted") == str(registered.decision.accept).lower()
        unchanged = registered.champion == (champion.version if champion else None)
        return registered if unchanged and same and decided and not self.outdated() else None

    def deploy(self, *, version: str | None = None) -> DeployResult:
        from pushline.release.stages import deploy

        registered = None if version else load(self.build, RegisterResult)
        return deploy(registered, version, self.store(), self.target(), self.project, progress=self.progress)

    def smoke(self) -> SmokeResult:
        from pushline.data.profile.recorded import LIVE, newest_rows
        from pushline.registry.replay import expected_of
        from pushline.release.stages import smoke
        from pushline.serving.model_folder import read_contract

        deployed = load(self.build, DeployResult)
        asked_for = newest_rows(self.project.state / LIVE, read_contract(Path(deployed.release.model)), ASKED_AGAIN).to_pylist()
        rows = [{name: value for name, value in row.items() if value is not None} for row in asked_for]
        asked = expected_of(Path(deployed.release.model), rows) if rows else ()
        return smoke(deployed, self.target(), asked_before=asked, progress=self.progress)

    def load_test(self) -> LoadTestResult:
        from pushline.release.stages import load_test

        return load_test(self.project, load(self.build, DeployResult), self.target(), self.settings.load, progress=self.progress)

    def promote(self) -> PromoteResult:
        from pushline.github.commits import RELEASED_FROM
        from pushline.release.stages import promote

        deployed, smoked, tested = load(self.build, DeployResult), load(self.build, SmokeResult), load(self.build, LoadTestResult)
        promoted = promote(deployed, smoked, tested, self.store(), self.target(), self.settings, progress=self.progress)
        self.store().tag(promoted.release.model_version, {RELEASED_FROM: promoted.release.git_revision})
        return promoted


def maybe(build: Path, kind: type[R]) -> R | None:
    """What the stage of `kind` left, where it left anything."""
    try:
        return load(build, kind)
    except SettingsError:
        return None


STAGES: dict[str, Callable[..., Result]] = {
    "fetch": Delivery.fetch,
    "check-data": Delivery.check_data,
    "train": Delivery.train,
    "register": Delivery.register,
    "deploy": Delivery.deploy,
    "smoke": Delivery.smoke,
    "load-test": Delivery.load_test,
    "promote": Delivery.promote,
}


def verdict(result: Result, build: Path) -> None:
    """Raise where the result is a no."""
    if isinstance(result, CheckDataResult) and result.critical:
        raise refusal_of(result, build)
    if isinstance(result, SmokeResult) and not result.passed:
        failed = [a for a in result.assertions if not a.passed]
        raise SmokeFailed(
            f"smoke stopped: {len(failed)} of {len(result.assertions)} assertions failed on {result.url}.",
            why=f"{failed[0].name}: expected {failed[0].expected}, saw {failed[0].seen}.",
            do="The live release is untouched. `pushline logs` and build/smoke/summary.md show the rest.",
        )
    if isinstance(result, LoadTestResult) and not result.passed:
        first = result.breaches[0]
        raise SloBreached(
            f"load-test stopped: {len(result.breaches)} of the SLO's promises not kept.",
            why=f"{first.name} was {first.seen:g}, the limit is {first.limit:g}.",
            do="The live release is untouched. Make the service faster, or change [tool.pushline.load] if the promise is wrong.",
        )


def refusal_of(checked: CheckDataResult, build: Path) -> CriticalFindings:
    """The error for a table with critical findings."""
    first = next(finding for finding in checked.findings if finding.severity == "critical")
    lines = f" (lines {', '.join(map(str, first.lines[:5]))})" if first.lines else ""
    return CriticalFindings(
        f"check-data stopped: {checked.critical} critical finding{'s' * (checked.critical != 1)} in {Path(checked.file).name}.",
        why=f"{first.message}{lines}",
        do="Correct the file, or change data_checks/contract.yml if the values are right. "
        f"{os.path.relpath(folder(build, checked.stage) / 'summary.md')} lists all.",
    )


def after(stage: str) -> str | None:
    """The stage that follows `stage`."""
    names = list(STAGES)
    if stage not in names:
        raise SettingsError(f"{stage!r} is not a stage.", why=f"The stages are {', '.join(names)}.", do="Name one of them.")
    position = names.index(stage) + 1
    return names[position] if position < len(names) else None
