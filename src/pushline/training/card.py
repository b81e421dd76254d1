"""The model card: Markdown with the field's metadata (model-index), made from the figures and nothing else.

What it says is in `templates/card.md.j2`.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pushline.data.contract import Contract
from pushline.data.contract.split import estimates
from pushline.evaluation import Evaluation
from pushline.results import VOTE, Interval
from pushline.training.best_model import INTERRUPTED, TIME_WAS_OVER, BestModel, fitted_rows
from pushline.training.evaluate import worthless
from pushline.training.export import Origin
from pushline.training.prepare import Counts
from pushline.training.threshold import Chosen
from pushline.wording import count

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
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # noqa: S701 - Markdown
        loader=FileSystemLoader(Path(__file__).parent / "templates"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        count=count, interval=interval, named=lambda name: NAMES.get(name, name.capitalize()), listed=listed, share=share
    )
    told = (
        [name for name in evaluation.groups[0].metrics if any(group.metrics.get(name) is not None for group in evaluation.groups)]
        if evaluation.groups
        else []
    )
    text = environment.get_template("card.md.j2").render(
        evaluation=evaluation,
        best=best,
        contract=contract,
        origin=origin,
        objective=objective,
        chosen=chosen,
        use_known_after=use_known_after,
        counts=counts,
        front=metadata(evaluation, best, contract, origin),
        features=contract.features(use_known_after=use_known_after),
        worthless=worthless(evaluation),
        spoken=spoken(evaluation.metric),
        fitted=fitted_rows(best),
        estimates=estimates(contract),
        group_figures=told,
        ended=Counter(trial.state for trial in best.leaderboard if trial.name != VOTE and trial.score is None),
        vote=VOTE,
        by_clock=(TIME_WAS_OVER, INTERRUPTED),
        again=command_again(best, evaluation.level, objective, counts, use_known_after=use_known_after),
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


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
    return str(yaml.safe_dump(front, sort_keys=False, allow_unicode=True))


def command_again(best: BestModel, coverage: float | None, objective: str, counts: Counts | None, *, use_known_after: bool) -> str:
    """The command that makes the same search."""
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
    return f"{variables} pushline train" + (f" --budget {best.budget:g}s" if best.budget else "")


def spoken(metric: str) -> str:
    """A metric's name inside a sentence."""
    name = NAMES[metric]
    return name if name[:2].isupper() else name[0].lower() + name[1:]


def interval(one: Interval) -> str:
    return f"{one.value:.4f} ({one.low:.4f} to {one.high:.4f})"


def listed(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " and " + quoted[-1]


def share(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "no row"
