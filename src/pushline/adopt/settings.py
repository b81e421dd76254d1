"""Settings that fit a table, and how they get into pyproject.toml and the pipeline without touching anything else."""

import json
import math
import re
import tomllib
from typing import TYPE_CHECKING, Any

from pushline.data.contract.contract import Contract
from pushline.errors import SettingsError
from pushline.results import Scalar
from pushline.training.automl.limits import azure_metric
from pushline.training.threshold import parse_objective

if TYPE_CHECKING:
    from pushline.adopt.draft import Draft

TOOL = "tool.pushline"
RARE = 0.25  # share of the positive class below which average precision tells more than ROC AUC
WIDE = 50  # columns from which a request takes longer to read


def metric_of(draft: "Draft") -> str:
    classes = len(draft.contract.classes)
    if draft.contract.is_regression:
        return "rmse"
    return "average_precision" if draft.label.rarest < (RARE if classes == 2 else 0.5 / classes) else "roc_auc"


def settings_of(draft: "Draft", model_name: str, objective: str | None = None) -> dict[str, Scalar]:
    """Each drafted setting by its path below [tool.pushline]. Raises SettingsError for an objective that is none."""
    settings: dict[str, Scalar] = {"model_name": model_name, "training.metric": metric_of(draft), "training.holdout": draft.holdout}
    if objective is not None:
        settings["training.objective"] = str(parse_objective(objective) and objective)
    settings["promotion.minimum_gain"] = -round(min(0.1, max(0.005, 0.3 / math.sqrt(draft.held_out))), 3)
    columns = len(draft.contract.features())
    slower = max(0, columns - WIDE)
    settings |= {"load.rate": 50, "load.seconds": 10, "load.p95_ms": 100 + slower, "load.p99_ms": 250 + 2 * slower}
    return settings


def comments_of(draft: "Draft", settings: dict[str, Scalar]) -> dict[str, str]:
    """What stands behind each setting."""
    return {
        "training.metric": "the label is a quantity"
        if settings["training.metric"] == "rmse"
        else "average precision suits a rare class"
        if settings["training.metric"] == "average_precision"
        else "no class is rare",
        "training.holdout": f"holds out about {draft.held_out:,} rows" + (f": {draft.why_held_out}" if draft.why_held_out else ""),
        "promotion.minimum_gain": f"the noise of {draft.held_out:,} rows is tolerated",
        "load.rate": "requests/s",
        "load.p95_ms": "",
        "load.p99_ms": "a guess: what will you promise your users?",
    }


def current(text: str) -> dict[str, Any]:
    """The settings as pyproject.toml has them, by path."""
    table = tomllib.loads(text).get("tool", {}).get("pushline", {})
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= {f"{key}.{inner}": each for inner, each in value.items()} if isinstance(value, dict) else {key: value}
    return found


def with_settings(text: str, settings: dict[str, Scalar], comments: dict[str, str]) -> str:
    """pyproject.toml with these settings; lines that say the same already stay as they are."""
    now = current(text)
    for path, value in settings.items():
        if path not in now or now[path] != value:
            text = with_setting(text, path, value, comments.get(path, ""))
    return text


def with_setting(text: str, path: str, value: Scalar, comment: str) -> str:
    group, _, key = path.rpartition(".")
    header = f"[{TOOL}.{group}]" if group else f"[{TOOL}]"
    line = f"{key} = {json.dumps(value)}" + (f"  # {comment}" if comment else "")
    lines = text.split("\n")
    if header not in lines:
        place = end_of(lines, last_header(lines))
        return "\n".join([*lines[:place], "", header, line, *lines[place:]])
    start = lines.index(header)
    end = end_of(lines, start)
    for place in range(start + 1, end):
        if re.match(rf"{re.escape(key)}\s*=", lines[place]):
            return "\n".join([*lines[:place], line, *lines[place + 1 :]])
    return "\n".join([*lines[:end], line, *lines[end:]])


def last_header(lines: list[str]) -> int:
    """Where the last group of settings begins. Raises SettingsError where there is none."""
    found = [place for place, line in enumerate(lines) if line == f"[{TOOL}]" or line.startswith(f"[{TOOL}.")]
    if not found:
        raise SettingsError(f"pyproject.toml has no [{TOOL}].", why="The settings are looked for there.", do="Restore it from git.")
    return found[-1]


def end_of(lines: list[str], start: int) -> int:
    """Behind the last line of the group that begins at `start`."""
    end = start + 1
    while end < len(lines) and not lines[end].startswith("["):
        end += 1
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    return end


def with_label(text: str, contract: Contract, settings: dict[str, Scalar]) -> str:
    """A pipeline file with the settings as its literals, whose AutoML node (if it has one) names the contract's label."""
    node = re.compile(r"^(?P<indent> +)target_column_name: .*\n(?: +positive_label: .*\n)?", re.MULTILINE)
    label, positive = contract.label.name, contract.positive
    said = [f"target_column_name: {json.dumps(label, ensure_ascii=False)}"]
    said += [f"positive_label: {json.dumps(positive, ensure_ascii=False)}"] if positive is not None else []
    text = re.sub(r"^(?P<indent> +)task: (classification|regression)$", rf"\g<indent>task: {contract.task}", text, flags=re.MULTILINE)
    text = node.sub(lambda match: "".join(f"{match['indent']}{line}\n" for line in said), text)
    for key in ("holdout", "metric"):
        text = re.sub(rf"^(  {key}:) .*$", rf"\g<1> {settings[f'training.{key}']}", text, flags=re.MULTILINE)
    metric = azure_metric(str(settings["training.metric"]))
    return re.sub(r"^( +primary_metric:) .*$", rf"\1 {metric}", text, flags=re.MULTILINE)
