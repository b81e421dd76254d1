"""The model card: Markdown with the field's metadata (model-index), made from the figures and nothing else."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from pushline.data.contract import Contract
from pushline.data.contract.split import estimates
from pushline.evaluation import Evaluation
from pushline.results import VOTE, Interval
from pushline.training.best_model import INTERRUPTED, TIME_WAS_OVER, BestModel, fitted_rows
from pushline.training.evaluate import worthless
from pushline.training.export import Origin
from pushline.training.prepare import Counts
from pushline.training.threshold import Chosen

NAMES = {
    "average_precision": "Average precision",
    "roc_auc": "ROC AUC",
    "accuracy": "Accuracy (most probable class)",
    "log_loss": "Log loss",
    "brier": "Brier score",
    "ece": "Expected calibration error",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "accuracy_at_threshold": "Accuracy at the threshold",
    "balanced_accuracy": "Balanced accuracy",
    "share_predicted": "Share of rows selected",
    "rmse": "RMSE (root mean squared error)",
    "mae": "MAE (mean absolute error)",
    "r2": "R² (share of the variance explained)",
    "mape": "MAPE (mean absolute error as a share of the label)",
    "coverage": "Coverage (share of rows in their interval)",
    "width": "Mean width of the interval",
    "pinball": "Pinball loss of the interval's ends",
}
SHOWN_TRIALS = 12
SHOWN_COLUMNS = 10


def card_of(
    evaluation: Evaluation,
    best: BestModel,
    contract: Contract,
    origin: Origin,
    *,
    objective: str,
    chosen: Chosen | None,
    use_known_after: bool,
    counts: Counts | None = None,
) -> str:
    """The whole card. Every figure in it comes from `evaluation`, `best`, `chosen`, or `counts` where those are known."""
    sections = (
        metadata(evaluation, best, contract, origin),
        heading(evaluation, contract, origin, use_known_after=use_known_after),
        intended_use(contract, use_known_after=use_known_after),
        training_data(best, contract, origin, evaluation, counts),
        figures_section(evaluation, contract),
        classes_section(evaluation),
        interval_section(evaluation, best) if contract.is_regression else threshold_section(evaluation, best, objective, chosen),
        ranges_section(evaluation) if contract.is_regression else calibration_section(evaluation),
        groups_section(evaluation),
        importance_section(evaluation),
        comparison(best),
        treatments_section(evaluation, best),
        limits_section(evaluation, contract, counts, use_known_after=use_known_after),
        reproduction(best, origin, objective=objective, use_known_after=use_known_after, counts=counts, coverage=evaluation.level),
    )
    return "\n\n".join(section.strip() for section in sections if section.strip()) + "\n"


def metadata(evaluation: Evaluation, best: BestModel, contract: Contract, origin: Origin) -> str:
    """The front matter that model hubs read."""
    import yaml

    results = {
        "task": {"type": f"tabular-{contract.task}", "name": f"Tabular {contract.task}"},
        "dataset": {"name": contract.title or contract.name, "type": contract.name, "revision": origin.data_version, "split": "hold-out"},
        "metrics": [
            {"type": name, "name": NAMES.get(name, name), "value": round(one.value, 5)} for name, one in evaluation.metrics.items()
        ],
    }
    front = {
        "library_name": "onnx",
        "pipeline_tag": f"tabular-{contract.task}",
        "tags": [f"tabular-{contract.task}", "onnx", "mlflow", *(["generated-sample"] if origin.generated_sample else [])],
        "datasets": [contract.name],
        "model-index": [{"name": f"{contract.name}-{origin.data_version}", "results": [results]}],
    }
    text: str = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    return f"---\n{text}---"


def heading(evaluation: Evaluation, contract: Contract, origin: Origin, *, use_known_after: bool) -> str:
    lines = [f"# Model card: {contract.title or contract.name}"]
    if origin.generated_sample:
        lines.append(
            "> **Made from a generated sample.** The rows were drawn from the profile of the data, not observed. "
            "The figures say that the delivery works and nothing about the world. This model can't be released to users."
        )
    if use_known_after:
        after = [column.name for column in contract.features(use_known_after=True) if column.known == "after"]
        lines.append(
            f"> **Leakage.** {listed(after)} {'are' if len(after) > 1 else 'is'} known only after the event. The figures "
            "compare with published ones that made the same mistake; in use the model can't have these values."
        )
    if worthless(evaluation):
        seen, nothing = evaluation.metrics[evaluation.metric], evaluation.baseline[evaluation.metric]
        lines.append(
            f"> **This model is worthless.** Its {spoken(evaluation.metric)} of {interval(seen)} can't be told from "
            f"{nothing:.4f}, what a score that knows nothing reaches on the same rows. Do not release it."
        )
    lines += [f"> **Look before you release.** {warning}" for warning in evaluation.warnings]
    lines.append(contract.description)
    return "\n\n".join(lines)


def intended_use(contract: Contract, *, use_known_after: bool) -> str:
    label = contract.label
    goal = f"estimates the probability of `{contract.positive}`" if contract.positive else "estimates the probability of each class"
    use = (
        "It ranks rows and, with the threshold below, selects some of them."
        if contract.positive
        else "The most probable one is its answer."
    )
    if contract.is_regression:
        goal, use = "predicts the value", "With each value comes the interval that the true one most likely lies in."
    after = [] if use_known_after else [column for column in contract.columns if column.known == "after"]
    lines = [
        "## Intended use",
        f"For a row as the contract describes it, the model {goal} of `{label.name}` ({label.description or 'the label'}). "
        f"{use} It answers for rows like those it was trained on.",
        "Not for decisions about a person that no person reviews, for tables of another origin, or for rows whose columns were "
        "measured in another way than the contract says.",
    ]
    for column in after:
        lines.append(f"`{column.name}` is not an input: {column.reason or 'it is known only after the event'}.")
    return "\n\n".join(lines)


def training_data(best: BestModel, contract: Contract, origin: Origin, evaluation: Evaluation, counts: Counts | None) -> str:
    learned = "" if best.learned_share == 1 else f", of which the time allowed {fitted_rows(best):,} ({best.learned_share:.1%})"
    rejected = [(f"Rows left out: {reason}", f"{rows:,}") for reason, rows in (counts.rejected if counts else {}).items()]
    rows = [
        ("Data set", contract.title or contract.name),
        ("Data version", f"`{origin.data_version}`"),
        ("Source", contract.source or "not stated"),
        ("Licence", contract.licence or "not stated"),
        ("Rows to learn from", f"{best.rows:,}{learned}"),
        ("Rows held out", f"{evaluation.rows:,}"),
        *rejected,
        ("Inputs", f"{len(best.encoding.columns)} columns"),
        ("Contract", f"`{contract.hash}`"),
    ]
    return "## Data\n\n" + table(("", ""), rows)


def figures_section(evaluation: Evaluation, contract: Contract) -> str:
    rows = [
        (NAMES.get(name, name), interval(one), f"{evaluation.baseline[name]:.4f}" if name in evaluation.baseline else "")
        for name, one in evaluation.metrics.items()
    ]
    nothing = (
        "gives every row the mean, or for MAE and MAPE the median" if contract.is_regression else "gives every row the classes' shares"
    )
    text = (
        f"On {evaluation.rows:,} rows that no training saw: figures for {estimates(contract)}. "
        "With 95% bootstrap intervals"
        + ("" if contract.is_regression else " (around the calibration error, whose resamples are biased upwards, by their spread alone)")
        + ". "
        f"*Knows nothing* {nothing}."
    )
    return f"## Figures\n\n{text}\n\n" + table(("Figure", "Value (interval)", "Knows nothing"), rows)


def classes_section(evaluation: Evaluation) -> str:
    """For more than two classes: how well each is found."""
    if len(evaluation.classes) < 3:
        return ""
    rows = []
    for number, (name, row) in enumerate(zip(evaluation.classes, evaluation.confusion, strict=True)):
        said, right, of = sum(other[number] for other in evaluation.confusion), row[number], sum(row)
        rows.append((f"`{name}`", f"{of:,}", f"{said:,}", share(right, of), share(right, said)))
    return "## Classes\n\n" + table(("Class", "Rows held out", "Said to be it", "Recall", "Precision"), rows)


def interval_section(evaluation: Evaluation, best: BestModel) -> str:
    """For a quantity: what its intervals promise and what they held."""
    seen, width = evaluation.metrics["coverage"], evaluation.metrics["width"]
    where = "residuals out of fold" if best.folds else "residuals of training rows that the search did not see"
    text = (
        f"Each value comes with low and high, between which **{evaluation.level:.0%}** of rows like these lie. The width is the conformal "
        f"quantile of {where}, by range of the predicted value. On the hold-out, which had no part in it, {interval(seen)} of the rows lie "
        f"between them; they are {width.value:.4g} apart on average. This holds over all rows together and promises nothing for one row."
    )
    return f"## Prediction interval\n\n{text}"


def ranges_section(evaluation: Evaluation) -> str:
    rows = [
        (f"{one.predicted:.4g}", f"{one.observed:.4g}", f"{one.low:.4g} to {one.high:.4g}", f"{one.coverage:.3f}", f"{one.rows:,}")
        for one in evaluation.ranges
    ]
    text = "Rows of the hold-out by predicted value, what was observed of them, and the share that lies in its interval:"
    heads = ("Predicted (mean)", "Observed (mean)", "Observed (middle 80%)", "Coverage", "Rows")
    return f"## Predicted and observed\n\n{text}\n\n" + table(heads, rows)


def share(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "no row"


def threshold_section(evaluation: Evaluation, best: BestModel, objective: str, chosen: Chosen | None) -> str:
    if chosen is None:
        return "## Threshold\n\nNone: with more than two classes the most probable one is the answer.\n\n" + confusion(evaluation)
    seen = "predictions out of fold" if best.folds else "training rows that the search did not see"
    text = (
        f"**{chosen.threshold:.4f}** on the probability of `{evaluation.positive}`, chosen for the objective `{objective}` on "
        f"{seen}: {chosen.note}. There it gives precision {chosen.precision:.3f} at recall {chosen.recall:.3f}; "
        f"on the hold-out precision {evaluation.at_threshold['precision']:.3f} at recall {evaluation.at_threshold['recall']:.3f}. "
        "The hold-out had no part in choosing it."
    )
    return f"## Threshold\n\n{text}\n\n" + confusion(evaluation)


def confusion(evaluation: Evaluation) -> str:
    rows = [
        (f"is `{name}`", *(f"{count:,}" for count in counts)) for name, counts in zip(evaluation.classes, evaluation.confusion, strict=True)
    ]
    return table(("Hold-out", *(f"said `{name}`" for name in evaluation.classes)), rows)


def calibration_section(evaluation: Evaluation) -> str:
    parts = ["## Calibration"]
    for curves in evaluation.curves:
        rows = [(f"{one.predicted:.3f}", f"{one.observed:.3f}", f"{one.rows:,}") for one in curves.calibration]
        parts.append(f"Predicted probability of `{curves.name}` against what was observed:")
        parts.append(table(("Predicted", "Observed", "Rows"), rows))
    return "\n\n".join(parts)


def groups_section(evaluation: Evaluation) -> str:
    if not evaluation.groups:
        return ""
    names = [name for name in evaluation.groups[0].metrics if any(group.metrics.get(name) is not None for group in evaluation.groups)]
    rows = [
        (
            f"`{group.column}`",
            group.value,
            f"{group.rows:,}",
            *(() if evaluation.positive is None else (f"{group.positives:,}",)),
            *("too few rows" if group.metrics.get(name) is None else f"{group.metrics[name]:.3f}" for name in names),
        )
        for group in evaluation.groups
    ]
    text = "The columns that the contract marks sensitive. Differences between small groups are mostly chance."
    positive = () if evaluation.positive is None else ("Positive",)
    heads = ("Column", "Group", "Rows", *positive, *(NAMES.get(name, name.capitalize()) for name in names))
    return f"## Groups\n\n{text}\n\n" + table(heads, rows)


def importance_section(evaluation: Evaluation) -> str:
    if not evaluation.importance:
        return ""
    rows = [(f"`{one.column}`", f"{one.fall:.4f}", f"{one.spread:.4f}") for one in evaluation.importance[:SHOWN_COLUMNS]]
    text = (
        f"How much worse {spoken(evaluation.metric)} becomes on the hold-out when a column is shuffled. "
        "It says what the model uses, not what causes what."
    )
    return f"## What the model uses\n\n{text}\n\n" + table(("Column", "Worse by", "Spread"), rows)


def comparison(best: BestModel) -> str:
    rows = [
        (
            trial.name,
            trial.algorithm,
            "" if trial.score is None else f"{trial.score:.4f}",
            f"{trial.seconds:.1f}",
            trial.state if trial.score is None else "",
        )
        for trial in best.leaderboard[:SHOWN_TRIALS]
    ]
    if not best.folds:
        return "## What it was compared with\n\nThe search was not ours; the trials it told of are in leaderboard.json."
    trials = [trial for trial in best.leaderboard if trial.name != VOTE]
    ended = Counter(trial.state for trial in trials if trial.score is None)
    others = "".join(f", {count} {state}" for state, count in ended.items())
    folds = f"over {best.folds} folds" if best.judged_folds == best.folds else f"on {best.judged_folds} of {best.folds} folds"
    made = f"{len(trials)} trial{'s' * (len(trials) != 1)}{others}"
    text = (
        f"{best.algorithm} won; {made}, in {best.seconds:.0f} seconds; the search ended because "
        f"{best.stopped}. Scores are out of fold {folds}{', each predicted from those before it' if best.forward else ''}."
    )
    if len(best.members) > 1:
        text += " The vote: " + ", ".join(f"{weight:.2f} of {name}" for name, _, weight in best.members) + "."
    return f"## What it was compared with\n\n{text}\n\n" + table(("Trial", "Algorithm", NAMES[best.metric], "Seconds", "State"), rows)


def treatments_section(evaluation: Evaluation, best: BestModel) -> str:
    if not evaluation.treatments:
        work = "" if evaluation.threshold is None else "the threshold does that work, and "
        return (
            ""
            if best.imbalance != "none" or not best.folds or not evaluation.classes
            else f"## The rare class\n\nNot resampled and not weighted: {work}probabilities stay true."
        )
    names = list(evaluation.treatments[0].metrics)
    rows = [(one.name, *(f"{one.metrics[name]:.4f}" for name in names)) for one in evaluation.treatments]
    text = f"{best.members[0][0]} with and without the treatment, on the same folds:"
    return f"## The rare class\n\n{text}\n\n" + table(("Treatment", *(NAMES.get(name, name) for name in names)), rows)


def limits_section(evaluation: Evaluation, contract: Contract, counts: Counts | None, *, use_known_after: bool) -> str:
    lines = ["## Known limits"]
    timed = [column.name for column in contract.features(use_known_after=use_known_after) if column.encodes_time]
    if timed:
        lines.append(
            f"- {listed(timed)} identify when a row was made. The model has learned how things were at those times; "
            "it can't know a time that is not in the data, and a hold-out from the same times does not show that."
        )
    for suspect in evaluation.suspects:
        lines.append(f"- `{suspect.column}`: {suspect.reason}.")
    lines.append(f"- The hold-out has {evaluation.rows:,} rows; a difference smaller than the intervals above is chance.")
    if counts is not None and counts.twins is not None and counts.twins.near:
        near = f"{counts.twins.near:,} of {counts.twins.rows:,} held-out rows"
        lines.append(f"- {near} differ from a training row in a single feature; for rows unlike any in training figures may be worse.")
    if contract.split is None or contract.split.time is None:
        lines.append("- Rows were not split by time: figures on future rows may be worse.")
    return lines[0] + "\n\n" + "\n".join(lines[1:])


def reproduction(
    best: BestModel, origin: Origin, *, objective: str, use_known_after: bool, counts: Counts | None, coverage: float | None = None
) -> str:
    used: dict[str, object] = {
        "METRIC": best.metric,
        **({"COVERAGE": f"{coverage:g}"} if coverage is not None else {"OBJECTIVE": objective}),
        "IMBALANCE": best.imbalance,
        "SEED": best.seed,
        "USE_KNOWN_AFTER": str(use_known_after).lower(),
        **({} if counts is None or counts.share is None else {"HOLDOUT": f"{counts.share:g}"}),
    }
    variables = " ".join(f"PUSHLINE_TRAINING__{name}={value}" for name, value in used.items())
    variables = variables if best.folds else f"PUSHLINE_TARGET=aci {variables}"  # a search that was not ours ran there
    budget = f" --budget {best.budget:g}s" if best.budget else ""
    lines = [
        "## How to make it again",
        f"At git revision `{origin.git_revision}`, with the data of `data.lock` (version `{origin.data_version}`) fetched and checked:",
        f"```sh\n{variables} pushline train{budget}\n```",
    ]
    if best.stopped.startswith((TIME_WAS_OVER, INTERRUPTED)):
        lines.append(
            f"The search ended because {best.stopped}, so another run may make other trials: figures agree within their intervals, "
            "not to the digit. They agree to the digit where `max_trials` in pipelines/train.yml is reached before the time is over."
        )
    return "\n\n".join(lines)


def spoken(metric: str) -> str:
    """A metric's name inside a sentence."""
    name = NAMES[metric]
    return name if name[:2].isupper() else name[0].lower() + name[1:]


def interval(one: Interval) -> str:
    return f"{one.value:.4f} ({one.low:.4f} to {one.high:.4f})"


def listed(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " and " + quoted[-1]


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)
