"""The train stage: run the pipeline file, keep what it left, log it."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pushline.background import meanwhile
from pushline.data.contract import Contract
from pushline.data.contract.split import estimates, split_id
from pushline.errors import DataError, ModelUnreadable, NotTrusted, RegistryError, SettingsError
from pushline.evaluation import Evaluation, load_evaluation
from pushline.files import cannot_write, copy_atomically, read_json, write_json
from pushline.pipelines.runner.definition import automl_node_in, load_pipeline
from pushline.pipelines.runner.fingerprint import training_fingerprint
from pushline.progress import Progress
from pushline.project import Project
from pushline.registry.measures import OF_QUANTITIES
from pushline.registry.store import TRAINED, TRAINING
from pushline.results import VOTE, CheckDataResult, Scalar, TrainResult, folder
from pushline.serving.model_folder import CARD, read_scoring
from pushline.settings import PushlineSettings, Training, seconds
from pushline.signing import trusted
from pushline.signing.signers import own_key, sign_model
from pushline.stopping import STOP_FILE, asked_to_stop
from pushline.training.automl.limits import AZURE_METRICS, SearchSettings, algorithms_of, primary_metric
from pushline.training.best_model import LEADERBOARD, BestModel, fitted_rows, read_best_model
from pushline.training.conclude import EVALUATION
from pushline.training.prepare import HOLDOUT, Counts, hold_out_again, read_counts
from pushline.training.threshold import parse_objective

if TYPE_CHECKING:
    from pushline.pipelines.runner.runner import PipelineResult
    from pushline.registry.store import ModelStore

PIPELINE = "train.yml"
PREDICATE = "predicate.json"  # what a workflow attests of the model


def train(
    project: Project,
    settings: PushlineSettings,
    contract: Contract,
    checked: CheckDataResult,
    store: "ModelStore",
    *,
    budget: str | None,
    attach: bool = False,
    keep_best: bool = False,
    anew: bool = False,
    progress: Progress,
) -> TrainResult:
    """Run `pipelines/train.yml` on the checked table, keep its outputs in build/train/, and log the run.

    Where the registry has a version of the same training, its result is taken instead, but for `anew`.
    `budget` replaces the time of the settings and the limit of the pipeline's AutoML node; `attach` follows a run on Azure
    and never starts one; with `keep_best` the first interruption on this machine ends the search with the best model so
    far, and the second the run. Raises SettingsError for a budget that is no duration, StepFailed for a step that ended badly.
    """
    if not checked.table:
        raise DataError("There is no table to train on.", why="check-data could not read the file.", do="Run `pushline check-data` again.")
    inputs, overrides, key = inputs_of(project, settings, checked, budget), overrides_of(budget), own_key(project, progress)
    refuse_wrong_names(project, settings, contract)
    refuse_other_task(str(inputs["metric"]), settings.training, contract)
    place, identity = folder(project.build, TrainResult.stage), identity_of(project, settings, inputs, overrides)
    if not (attach or anew) and (known := taken(project, place, settings, contract, checked, store, identity, progress)) is not None:
        return known
    with first_interruption_ends_search(project.build / "stop-search", progress) if keep_best else nullcontext():
        ran = run_where_the_target_is(project, settings, inputs, overrides, store, attach=attach, progress=progress)
        whole = not asked_to_stop()
    prepared = ran.outputs["prepared"]
    automl = next(step.outputs["best_model"] for step in ran.steps if "best_model" in step.outputs)
    model = kept(ran.outputs["model"], place / "model")
    evaluation = kept(ran.outputs["evaluation"] / EVALUATION, place / EVALUATION)
    holdout = kept(prepared / HOLDOUT, place / HOLDOUT)
    card = kept(model / CARD, place / CARD)
    leaderboard = kept(automl / LEADERBOARD, place / LEADERBOARD)
    best, *_ = read_best_model(automl)
    counts = read_counts(prepared)
    revision = read_scoring(model).git_revision  # of the commit that trained it: a later one with the same code takes it as it is
    newest = max((int(version.version) for version in store.versions()), default=0)
    signed = sign_model(model, project, key, name=settings.model_name, git_revision=revision, after=newest)
    write_json(place / PREDICATE, signed.predicate)
    seen = load_evaluation(evaluation)
    result = TrainResult(
        run_id="",
        model=str(model),
        algorithm=best.algorithm,
        metric=best.metric,
        metrics=seen.metrics,
        threshold=read_scoring(model).threshold,
        objective=settings.training.objective,
        leaderboard=best.leaderboard,
        train_rows=counts.train,
        holdout_rows=counts.holdout,
        holdout=str(holdout),
        evaluation=str(evaluation),
        card=str(card),
        data_version=checked.data_version,
        contract_hash=contract.hash,
        git_revision=revision,
        generated_sample=checked.generated_sample,
        split=split_id(contract),
        held_out=counts.share or settings.training.holdout,
        held_from=counts.held_from,
        estimates=estimates(contract),
        fitted_rows=fitted_rows(best),
        rejected=counts.rejected,
        warnings=seen.warnings,
        training=identity if whole else "",  # the best of a search that was cut short is not what its whole budget would have found
        manifest=signed.digest,
    )
    write_json(place / TRAINED, result)
    run_id = store.log_training(
        parameters=parameters_of(settings, best, counts),
        metrics=metrics_of(seen, best),
        tags=tags_of(revision, contract, checked, best),
        dataset={"name": contract.name, "version": checked.data_version, "digest": checked.data_version, "source": Path(checked.file).name},
        model=model,
        artifacts={"evaluation": evaluation, "card": card, "leaderboard": leaderboard, "trained": place / TRAINED},
    )
    return msgspec.structs.replace(result, run_id=run_id)


def identity_of(project: Project, settings: PushlineSettings, inputs: dict[str, Scalar | Path], overrides: dict[str, float]) -> str:
    """What the outcome of a training depends on, as one hash."""
    file = project.pipelines / PIPELINE
    if settings.on_azure:
        from pushline.azure.training import AzureTraining

        return AzureTraining(project, settings, file, inputs).mark
    return training_fingerprint(project.root, file, inputs, overrides=overrides, python=sys.version_info[:2])


def taken(
    project: Project,
    place: Path,
    settings: PushlineSettings,
    contract: Contract,
    checked: CheckDataResult,
    store: "ModelStore",
    identity: str,
    progress: Progress,
) -> TrainResult | None:
    """The result of the newest registered version of this very training, put in `place`; None where it can't be had."""
    version = next((one for one in store.versions() if one.tags.get(TRAINING) == identity), None)
    if version is None:
        return None
    try:
        known = read_json(store.logged(version.run_id, "trained") / TRAINED, TrainResult)
        if known is None:
            return None
        model = kept(store.download(version.version), place / "model")
        write_json(place / PREDICATE, trusted(model, project).predicate)
        evaluation = kept(store.logged(version.run_id, "evaluation") / EVALUATION, place / EVALUATION)
    except (ModelUnreadable, NotTrusted, RegistryError) as error:
        progress(f"version {version.version} is of the same training, and can't be taken: {error.why or error.what}")
        return None
    progress(f"nothing that training depends on has changed since {known.git_revision}: the result of version {version.version} is taken")
    files = {"model": str(model), "evaluation": str(evaluation), "card": str(kept(model / CARD, place / CARD))}
    result = msgspec.structs.replace(
        known, **files, holdout=str(place / HOLDOUT), run_id=version.run_id, taken_from=version.version, made_at=datetime.now(UTC)
    )
    hold_out_again(result, Path(checked.table), contract, settings.training)
    return result


def run_where_the_target_is(
    project: Project,
    settings: PushlineSettings,
    inputs: dict[str, Scalar | Path],
    overrides: dict[str, float],
    store: "ModelStore",
    *,
    attach: bool,
    progress: Progress,
) -> "PipelineResult":
    """The same pipeline file on this machine, or in the workspace."""
    file, out = project.pipelines / PIPELINE, folder(project.build, TrainResult.stage) / "steps"
    if settings.on_azure:
        from pushline.azure.training import AzureTraining

        return AzureTraining(project, settings, file, inputs).run(out, progress, attach=attach)
    from pushline.pipelines.runner.runner import run_pipeline

    with meanwhile(store.open):
        return run_pipeline(file, inputs, out, progress=progress, overrides=overrides)


def cancel(project: Project, settings: PushlineSettings, checked: CheckDataResult, *, budget: str | None, progress: Progress) -> bool:
    """End the training that goes on in Azure with this code and data; True where one did."""
    if not settings.on_azure:
        raise SettingsError(
            "There is no training to cancel.", why="On the local target it ends with its command.", do="Interrupt that command."
        )
    from pushline.azure.training import AzureTraining

    return AzureTraining(project, settings, project.pipelines / PIPELINE, inputs_of(project, settings, checked, budget)).cancel(progress)


def refuse_unusable(project: Project, settings: PushlineSettings, budget: str | None) -> None:
    """Raises SettingsError for a budget, setting or pipeline file that no training could run with."""
    seconds(time_of(settings, budget))
    parse_objective(settings.training.objective)
    metric_of(project, settings.training)
    load_pipeline(project.pipelines / PIPELINE, overrides_of(budget))


def time_of(settings: PushlineSettings, budget: str | None) -> str:
    return budget or (settings.azure.budget if settings.on_azure else settings.training.local_budget)


def inputs_of(project: Project, settings: PushlineSettings, checked: CheckDataResult, budget: str | None) -> dict[str, Scalar | Path]:
    """The pipeline's inputs: the settings of training, and where the data comes from."""
    training = settings.training
    refuse_unusable(project, settings, budget)  # what is wrong with a setting is said now, not after the search
    return {
        "data": Path(checked.table),
        "contract": project.contract,
        "profile": project.profile,
        "holdout": training.holdout,
        "use_known_after": training.use_known_after,
        "metric": metric_of(project, training),
        "objective": training.objective,
        "coverage": training.coverage,
        "imbalance": training.imbalance,
        "seed": training.seed,
        "budget": time_of(settings, budget),
        "data_version": checked.data_version,
        "git_revision": project.git_revision,
        "generated_sample": checked.generated_sample,
    }


def metric_of(project: Project, training: Training) -> str:
    """The metric of the settings; where they name none, that of the AutoML node of train.yml.

    Raises SettingsError for a metric that can't be optimised here.
    """
    named = training.metric or automl_node_in(project.pipelines / PIPELINE).get("primary_metric")
    return primary_metric(str(named)) if named else SearchSettings().metric


def refuse_wrong_names(project: Project, settings: PushlineSettings, contract: Contract) -> None:
    """Raise SettingsError, before any step runs, where the AutoML node names an unknown algorithm or another label than the contract."""
    node = automl_node_in(project.pipelines / PIPELINE)
    for key, ours in (("target_column_name", contract.label.name), ("positive_label", contract.positive)):
        named = node.get(key)
        if named is not None and (ours is None or str(named) != ours):
            wanted = f"the contract's is {ours!r}" if ours is not None else "the contract has none, for its label has more than two values"
            raise SettingsError(
                f"pipelines/{PIPELINE} and the contract speak of different labels.",
                why=f"{key} of its AutoML node is {str(named)!r}, {wanted}.",
                do=f"Correct {key} in pipelines/{PIPELINE}, or the contract where that is wrong.",
            )
    if settings.on_azure and settings.azure.engine == "azure":
        return  # which has algorithms that are not here
    chosen = node.get("training") or {}
    allowed, blocked = (tuple(map(str, chosen.get(f"{key}_training_algorithms") or ())) for key in ("allowed", "blocked"))
    algorithms_of(SearchSettings(metric=metric_of(project, settings.training), allowed=allowed, blocked=blocked))


def refuse_other_task(metric: str, training: Training, contract: Contract) -> None:
    """Raise SettingsError for settings that speak of classes where the contract's label is a quantity, or the other way round."""
    if (metric in OF_QUANTITIES) != contract.is_regression:
        fitting = [name for name in AZURE_METRICS if (name in OF_QUANTITIES) == contract.is_regression]
        raise SettingsError(
            f"The metric {metric} does not suit the label {contract.label.name}.",
            why=f"data_checks/contract.yml says that this is a {contract.task}.",
            do=f"Set `metric` in [tool.pushline.training] to one of {', '.join(fitting)}, or correct `task` in the contract.",
        )
    if contract.is_regression and training.imbalance != "none":
        raise SettingsError(
            f"imbalance = {training.imbalance!r} does not suit the label {contract.label.name}.",
            why="It is a treatment of a rare class, and the label is a quantity.",
            do='Set `imbalance` in [tool.pushline.training] to "none".',
        )


def overrides_of(budget: str | None) -> dict[str, float]:
    """A budget that was asked for is also the node's limit, however its trials are counted."""
    return {} if budget is None else {"jobs.automl.limits.timeout_minutes": seconds(budget) / 60}


@contextmanager
def first_interruption_ends_search(file: Path, progress: Progress) -> Iterator[None]:
    """Turn the first Ctrl-C into the file by which the search knows that it shall end; the next one interrupts as ever."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(file, error) from error

    def end_search(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        file.touch()
        progress("the search ends with the best model so far; interrupt again to end the run")

    before = signal.signal(signal.SIGINT, end_search)
    os.environ[STOP_FILE] = str(file)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        os.environ.pop(STOP_FILE, None)
        file.unlink(missing_ok=True)


def kept(source: Path, to: Path) -> Path:
    """A copy of a pipeline's output in the stage's own folder, so that a later run's outputs don't change under its result."""
    copy_atomically(source, to)
    return to


def parameters_of(settings: PushlineSettings, best: BestModel, counts: Counts) -> dict[str, Scalar]:
    training = {name: getattr(settings.training, name) for name in settings.training.__struct_fields__}
    return {
        **training,
        "metric": best.metric,
        "algorithm": best.algorithm,
        "trials": sum(trial.name != VOTE for trial in best.leaderboard),
        "search_seconds": best.seconds,
        "folds": best.folds,
        "train_rows": counts.train,
        "holdout_rows": counts.holdout,
        "rejected_rows": sum(counts.rejected.values()),
    }


def metrics_of(seen: Evaluation, best: BestModel) -> dict[str, float]:
    metrics = {name: one.value for name, one in seen.metrics.items()}
    return {**metrics, f"out_of_fold_{best.metric}": abs(best.score)}


def tags_of(revision: str, contract: Contract, checked: CheckDataResult, best: BestModel) -> dict[str, str]:
    return {
        "git_revision": revision,
        "data_version": checked.data_version,
        "contract_hash": contract.hash,
        "generated_sample": str(checked.generated_sample).lower(),
        "algorithm": best.algorithm,
    }
