"""What an AutoML run is asked for: the fields of the pipeline's `automl` node, with the meaning they have on Azure."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from pushline.errors import SettingsError
from pushline.registry.measures import OF_QUANTITIES
from pushline.settings import seconds
from pushline.training.automl.algorithms import ALGORITHMS, REGRESSORS, Algorithm

# Our metrics as Azure's primary metrics. On Azure these are means over the classes; here, for two classes, average
# precision and ROC AUC are the positive class's.
AZURE_METRICS = {
    "average_precision": "average_precision_score_weighted",
    "roc_auc": "AUC_weighted",
    "accuracy": "accuracy",
    "rmse": "normalized_root_mean_squared_error",
    "mae": "normalized_mean_absolute_error",
    "r2": "r2_score",
}
ONLY_ON_AZURE = (
    "BernoulliNaiveBayes",
    "KNN",
    "LinearSVM",
    "MultinomialNaiveBayes",
    "SGD",
    "SVM",
    "LassoLars",
)
PATIENT_SECONDS = 300


class SearchSettings(Struct, frozen=True, kw_only=True):
    """How long, how far and for what AutoML searches."""

    metric: str = "average_precision"
    seconds: float = 15.0  # timeout_minutes, or the budget of the settings
    trial_seconds: float | None = None  # trial_timeout_minutes
    max_trials: int | None = None  # max_trials; a search that ends by its count hangs on no clock
    concurrent: int | None = None  # max_concurrent_trials; by default as many as there are cores
    folds: int = 5  # n_cross_validations
    early_stop: bool = True  # enable_early_termination
    exit_score: float | None = None  # exit_score
    allowed: tuple[str, ...] = ()  # training.allowed_training_algorithms; none: all
    blocked: tuple[str, ...] = ()  # training.blocked_training_algorithms
    vote: bool = True  # training.enable_vote_ensemble
    imbalance: str = "none"
    seed: int = 7
    memory: int | None = None  # bytes a fit may take
    threads: int | None = None  # cores to use; by default all


def primary_metric(azure: str) -> str:
    """Our metric for a primary metric of Azure. Raises SettingsError with the list for one that has no meaning here."""
    for ours, theirs in AZURE_METRICS.items():
        if azure.lower() in (theirs.lower(), ours):
            return ours
    if azure == "log_loss":
        return azure
    raise SettingsError(
        f"{azure!r} is not a metric that AutoML can optimise here.",
        why=f"It knows {', '.join(f'{theirs} ({ours})' for ours, theirs in AZURE_METRICS.items())} and, on this machine alone, log_loss.",
        do="Name one of them as primary_metric in pipelines/train.yml or as metric in [tool.pushline.training].",
    )


def azure_metric(metric: str) -> str:
    """Azure's primary metric for one of ours. Raises SettingsError with the list where it has none."""
    if metric in AZURE_METRICS:
        return AZURE_METRICS[metric]
    raise SettingsError(
        f"Azure AutoML can't optimise {metric}.",
        why=f"Its primary metrics that exist here too are {', '.join(AZURE_METRICS)}.",
        do="Set `metric` in [tool.pushline.training] to one of them, or train on this machine.",
    )


def algorithms_of(settings: SearchSettings) -> tuple[Algorithm, ...]:
    """The algorithms a run may use, in the order they are tried.

    Raises SettingsError for a name nobody knows, one that has no form here, or a selection that leaves none.
    """
    every = REGRESSORS if settings.metric in OF_QUANTITIES else ALGORITHMS
    allowed = [known(name, every) for name in settings.allowed]
    blocked = {known(name, every, here=False) for name in settings.blocked}
    patient = settings.seconds >= PATIENT_SECONDS and settings.max_trials is None
    chosen = tuple(
        one for one in every.values() if (one.name in allowed or (not allowed and (patient or not one.patient))) and one.name not in blocked
    )
    if not chosen:
        raise SettingsError(
            "No algorithm is left for AutoML.",
            why="All allowed training algorithms are blocked.",
            do="Change allowed_training_algorithms or blocked_training_algorithms in pipelines/train.yml.",
        )
    return chosen


def known(name: str, every: Mapping[str, Algorithm], *, here: bool = True) -> str:
    """The one spelling of an algorithm's name: Azure accepts `LightGBM`, `light_gbm` and `lightgbm`."""
    plain = squeezed(name)
    spellings: dict[str, str] = {squeezed(one): one for one in (*every, *(() if here else ONLY_ON_AZURE))}
    if plain in spellings:
        return spellings[plain]
    raise SettingsError(
        f"{name!r} is not an algorithm that AutoML can use here.",
        why=f"It knows {', '.join(every)}.",
        do="Correct allowed_training_algorithms or blocked_training_algorithms in pipelines/train.yml.",
    )


def squeezed(name: str) -> str:
    return name.replace("_", "").replace(" ", "").lower()


def settings_of(said: Any) -> SearchSettings:
    """The settings in the arguments of the automl step, which are named like the node's fields.

    Raises SettingsError for a budget, metric or algorithm that means nothing here.
    """
    time = seconds(said.budget)
    timeout = time if said.timeout_minutes is None else 60 * said.timeout_minutes
    settings = SearchSettings(
        metric=primary_metric(said.metric),
        seconds=min(time, timeout) if said.max_trials is None else timeout,
        trial_seconds=None if said.trial_timeout_minutes is None else 60 * said.trial_timeout_minutes,
        max_trials=said.max_trials,
        concurrent=said.max_concurrent_trials,
        folds=said.n_cross_validations,
        early_stop=said.enable_early_termination,
        exit_score=said.exit_score,
        allowed=names_in(said.allowed_training_algorithms),
        blocked=names_in(said.blocked_training_algorithms),
        vote=said.enable_vote_ensemble,
        imbalance=said.imbalance,
        seed=said.seed,
    )
    algorithms_of(settings)
    return settings


def names_in(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
