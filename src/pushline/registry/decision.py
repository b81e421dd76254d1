"""Whether a model version may replace the champion: pure functions from figures to a decision.

A challenger meets the champion on the same rows and the same resamples of them. It is accepted unless it is worse: its
gain must reach `minimum_gain`, and an interval of the gain that lies wholly below 0 is a no whatever the setting. At equal
quality the fresher model goes out, because the world moves; a team that wants proof of progress sets `minimum_gain` above 0.
So that many small losses can't add up, the same rule holds against the best champion of before that can still be compared.

Every comparison is written so that a figure that is no number is a no.
"""

from collections.abc import Mapping

import numpy as np

from pushline.arrays import Floats
from pushline.registry.measures import HIGHER_IS_BETTER, figure, floor_of, random_figure, resampled
from pushline.results import Decision, Scalar
from pushline.settings import Promotion

IN_UNITS = ("rmse", "mae")
SEED = 20141  # the resamples are the same in every run, so that the same models get the same decision


def spoken(metric: str) -> str:
    """A metric as people say it."""
    known = {"roc_auc": "ROC AUC", "log_loss": "log loss", "rmse": "RMSE", "mae": "MAE", "r2": "R²", "mape": "MAPE"}
    return known.get(metric, metric.replace("_", " "))


def shown(metric: str, value: float) -> str:
    """A figure as people read it: one that is in the label's unit with four digits, wherever they are."""
    return f"{value:,.4g}" if metric in IN_UNITS else f"{value:.3f}"


def interval_of(values: Floats, confidence: float) -> tuple[float, float]:
    low, high = np.percentile(values, [50 * (1 - confidence), 50 * (1 + confidence)])
    return float(low), float(high)


def fault_of(labels: Floats, *models: Floats) -> str:
    """Why probabilities on these rows can decide nothing, as a clause; empty where they can."""
    width = models[0].shape[1]
    classes = width if width > 1 else 0  # one column: a quantity
    absent = classes - len(np.unique(labels))
    if not len(labels) or (classes and absent):
        return f"{absent} of the {classes} classes have no row to judge by" if len(labels) else "there is no row to judge by"
    for probabilities in models:
        broken = len(labels) if probabilities.shape != (len(labels), width) else int(np.sum(~sound(probabilities)))
        if broken:
            return f"a model gives no {'probability' if classes else 'number'} for {broken:,} of {len(labels):,} rows"
    return ""


def sound(probabilities: Floats) -> Floats:
    """The rows whose numbers are probabilities, or a number where there is one column, as a mask."""
    if probabilities.shape[1] == 1:
        return np.isfinite(probabilities[:, 0])
    return np.asarray(((probabilities >= 0) & (probabilities <= 1)).all(axis=1))


def undecided(metric: str, labels: Floats, fault: str) -> Decision:
    """The no where evidence is missing."""
    return Decision(accept=False, reason=f"nothing can be decided: {fault}", evidence={"metric": metric, "rows": len(labels)})


def against_floor(metric: str, labels: Floats, challenger: Floats, rules: Promotion, *, because: str) -> Decision:
    """The decision where there is no champion to meet; `because` says why, as a clause."""
    if fault := fault_of(labels, challenger):
        return undecided(metric, labels, fault)
    value = figure(metric, labels, challenger)
    seen = resampled(metric, labels, [challenger], rounds=rules.rounds, seed=SEED)[0]
    low, high = interval_of(seen, rules.confidence)
    at_random = random_figure(metric, labels, challenger.shape[1])
    floor = floor_of(metric, at_random, rules.skill)
    higher = HIGHER_IS_BETTER[metric]
    enough = value >= floor if higher else value <= floor
    beyond_chance = low > at_random if higher else high < at_random
    evidence: dict[str, Scalar] = {
        "metric": metric,
        "challenger": round(value, 6),
        "challenger_low": round(low, 6),
        "challenger_high": round(high, 6),
        "floor": round(floor, 6),
        "random": round(at_random, 6),
        "rows": len(labels),
        "rounds": rules.rounds,
    }
    nothing = f"{'a random score' if challenger.shape[1] > 1 else 'knowing nothing'} {shown(metric, at_random)}"
    figures = f"{spoken(metric)} is {shown(metric, value)} on {len(labels):,} rows, the floor {shown(metric, floor)}, {nothing}"
    if enough and beyond_chance:
        return Decision(accept=True, reason=f"{because}; {figures}", evidence=evidence)
    if enough:
        figures += f", and its interval {shown(metric, low)} to {shown(metric, high)} reaches the random score: too few rows to tell"
    return Decision(accept=False, reason=f"{because}, so the floor decides, and it was not reached: {figures}", evidence=evidence)


def against_champion(
    metric: str,
    labels: Floats,
    challenger: Floats,
    champion: Floats,
    rules: Promotion,
    *,
    version: str,
    rows: str = "hold-out",
    who: str = "the champion",
) -> Decision:
    """The decision on the same rows: probabilities of both, float64 [rows, classes]. `rows` and `who` are the reason's words."""
    if fault := fault_of(labels, challenger, champion):
        return undecided(metric, labels, fault)
    new, old = figure(metric, labels, challenger), figure(metric, labels, champion)
    seen = resampled(metric, labels, [challenger, champion], rounds=rules.rounds, seed=SEED)
    sign = 1.0 if HIGHER_IS_BETTER[metric] else -1.0
    # A figure that is in the label's unit is counted as a share of what knowing nothing gives, any other as it is.
    unit = (random_figure(metric, labels, 1) or 1.0) if metric in IN_UNITS else 1.0
    gain = sign * (new - old) / unit
    low, high = interval_of(sign * (seen[0] - seen[1]) / unit, rules.confidence)
    evidence: dict[str, Scalar] = {
        "metric": metric,
        "challenger": round(new, 6),
        "champion": round(old, 6),
        "champion_version": version,
        "gain": round(gain, 6),
        "gain_low": round(low, 6),
        "gain_high": round(high, 6),
        "minimum_gain": rules.minimum_gain,
        "rows": len(labels),
        "rounds": rules.rounds,
    }
    word, far = ("above", unit * gain) if gain >= 0 else ("below", -unit * gain)
    if not HIGHER_IS_BETTER[metric]:
        word = "below" if word == "above" else "above"
    said = (
        f"{spoken(metric)} {shown(metric, new)} is {shown(metric, far)} {word} {who}'s {shown(metric, old)} (version {version}) "
        f"on the {len(labels):,} rows of the {rows}, interval of the gain {low:+.3f} to {high:+.3f}"
        f"{' of the error of a prediction that knows nothing' if metric in IN_UNITS else ''}"
    )
    if not bool(np.any(challenger != champion)):
        said = f"it answers every row of the {rows} as {who} does (version {version}, {spoken(metric)} {shown(metric, old)})"
    if not high >= 0:
        return Decision(accept=False, reason=f"worse than {who} beyond chance: {said}", evidence=evidence)
    if not gain >= rules.minimum_gain:
        return Decision(accept=False, reason=f"less than the minimum gain of {rules.minimum_gain:+.3f}: {said}", evidence=evidence)
    if low > 0:
        return Decision(accept=True, reason=f"better than {who} beyond chance: {said}", evidence=evidence)
    return Decision(accept=True, reason=f"no worse than {who}: {said}", evidence=evidence)


APART = ("challenger", "champion", "gain", "gain_low", "gain_high", "rows")


def with_best(decision: Decision, best: Decision) -> Decision:
    """The decision against the champion, held against the best champion of before as well."""
    evidence = {**decision.evidence, "best_version": best.evidence["champion_version"], "best_gain": best.evidence["gain"]}
    reason = decision.reason
    if decision.accept and not best.accept:
        reason = f"small losses would add up: {best.reason}"
    return Decision(accept=decision.accept and best.accept, reason=reason, evidence=evidence)


def with_parts(whole: Decision, parts: Mapping[str, Decision]) -> Decision:
    """The decision on the whole hold-out, with its old and its new rows apart.

    A gain on new rows never pays for a loss on the old ones: the challenger is accepted only where the whole accepts it and
    it is no worse on the rows that the champion's data had. Too few new rows to judge by say nothing; old rows must.
    """
    evidence = dict(whole.evidence)
    judged = {name: part for name, part in parts.items() if "gain" in part.evidence}
    for name, part in judged.items():
        evidence |= {f"{name}_{key}": part.evidence[key] for key in APART}
    figures = ", ".join(f"{part.evidence['gain']:+.3f} on the {part.evidence['rows']:,} {name} rows" for name, part in judged.items())
    reason = f"{whole.reason}; {figures}" if figures else whole.reason
    old = parts.get("old")
    if whole.accept and old is not None and not old.accept:
        what = "it costs" if "old" in judged else "it can't be held against"
        return Decision(accept=False, reason=f"{what} the rows that the champion knows: {old.reason}; {figures}", evidence=evidence)
    return Decision(accept=whole.accept, reason=reason, evidence=evidence)
