"""What a treatment of the rare class did: the winner's own configuration with and without it, on the same folds."""

from collections.abc import Callable

import numpy as np

from pushline.arrays import Floats
from pushline.data.contract.encoding import Codes
from pushline.evaluation import Treatment
from pushline.training.automl.calibrate import calibrated, fitted
from pushline.training.automl.trials import TrialResult, Trials
from pushline.training.metrics import at_threshold, figures
from pushline.training.threshold import choose_threshold, parse_objective

SHOWN = ("average_precision", "roc_auc", "log_loss", "ece")


def compare(trials: Trials, winner: TrialResult, *, until: Callable[[], float]) -> tuple[Treatment, ...]:
    """None where nothing was done to the rare class."""
    chosen = trials.settings.imbalance
    if chosen == "none":
        return ()
    plain = trials.evaluate([winner.candidate], until=until, treatment="none")[0]
    if plain.probabilities is None:
        return ()
    labels = trials.labels[trials.judged]
    treated = winner.probabilities
    return (
        Treatment(name="none", metrics=figures_of(labels, plain.probabilities)),
        Treatment(name=chosen, metrics=figures_of(labels, treated)),
        Treatment(name=f"{chosen}, calibrated", metrics=figures_of(labels, calibrated(treated, fitted(labels, treated)))),
    )


def figures_of(labels: Codes, probabilities: Floats) -> dict[str, float]:
    """Figures out of fold; for two classes F1 at .5 and at the threshold that suits it best, which is where the gain is."""
    known = figures(labels, probabilities)
    shown = {name: known[name] for name in SHOWN}
    if probabilities.shape[1] == 2:
        best = choose_threshold(labels, np.asarray(probabilities[:, 1]), parse_objective("f1")).threshold
        shown["f1 at 0.5"] = at_threshold(labels, probabilities[:, 1], 0.5)["f1"]
        shown["f1 at its threshold"] = at_threshold(labels, probabilities[:, 1], best)["f1"]
    return shown
