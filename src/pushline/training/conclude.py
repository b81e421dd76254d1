"""The evaluate step: threshold or prediction interval out of fold, figures on the hold-out, model card, and the model folder."""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pushline.data.contract import Contract
from pushline.data.contract.encoding import encode_frame
from pushline.data.profile import load_profile
from pushline.data.profile.sample import sample_rows
from pushline.evaluation import COPY, Evaluation
from pushline.files import write_json
from pushline.serving.explanation import ORDERS, Scale
from pushline.serving.model_folder import EXPLANATION
from pushline.training.best_model import read_best_model
from pushline.training.card import card_of
from pushline.training.evaluate import evaluate
from pushline.training.explanation import by_sample
from pushline.training.export import Origin, write_model_folder
from pushline.training.interval import fit_interval, with_interval
from pushline.training.prepare import Counts
from pushline.training.threshold import choose_threshold, parse_objective

if TYPE_CHECKING:
    import pandas as pd

EVALUATION = "evaluation.json"
METRICS = "metrics.json"
GOLDEN_ROWS = 20
PERFECT = 0.999  # ROC AUC or R² on the hold-out from which a leak is likelier than a model
NEAR = 0.5  # of the held-out rows


class Conclusion(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is worth."""

    evaluation: Evaluation
    algorithm: str


def conclude(
    best_model: Path,
    holdout: "pd.DataFrame",
    contract: Contract,
    profile: Path,
    origin: Origin,
    *,
    objective: str,
    coverage: float = 0.9,
    model: Path,
    evaluation: Path,
    seed: int,
    use_known_after: bool,
    counts: Counts | None = None,
) -> Conclusion:
    """Write the model folder to `model` and evaluation.json and metrics.json to `evaluation`.

    Raises SettingsError for an objective that is none, ModelUnreadable for a damaged `best_model`.
    """
    wanted = parse_objective(objective)
    best, graph, labels, probabilities = read_best_model(best_model)
    chosen = choose_threshold(labels, probabilities[:, 1], wanted) if len(best.classes) == 2 else None
    threshold, level = chosen.threshold if chosen else None, coverage if contract.is_regression else None
    if level is not None:
        graph = with_interval(graph, fit_interval(labels, probabilities, level, contract.label))
    seen = evaluate(graph, holdout, contract, best.encoding, threshold=threshold, level=level, metric=best.metric, seed=seed)
    seen = msgspec.structs.replace(seen, search=best.curve, treatments=best.treatments, suspects=best.suspects)
    seen = msgspec.structs.replace(seen, warnings=warnings_of(seen, counts))
    card = card_of(seen, best, contract, origin, objective=objective, chosen=chosen, use_known_after=use_known_after, counts=counts)
    golden = sample_rows(load_profile(profile), contract, GOLDEN_ROWS, seed)
    if (best_model / EXPLANATION).is_file():
        explanation = (best_model / EXPLANATION).read_bytes()
    else:
        generated = sample_rows(load_profile(profile), contract, ORDERS, seed + 1)
        scale: Scale = "value" if contract.is_regression else "log-odds" if len(best.classes) == 2 else "probability"
        explanation = by_sample(best.encoding, encode_frame(best.encoding, generated), scale)
    write_model_folder(
        model,
        graph,
        contract,
        best.encoding,
        threshold=threshold,
        level=level,
        algorithm=best.algorithm,
        golden=golden,
        origin=origin,
        card=card,
        explanation=explanation,
    )
    write_json(evaluation / EVALUATION, seen)
    write_json(evaluation / METRICS, seen.metrics)
    return Conclusion(evaluation=seen, algorithm=best.algorithm)


def warnings_of(seen: Evaluation, counts: Counts | None) -> tuple[str, ...]:
    """What a person must know before believing the figures, each as a sentence, the one that changes most first.

    Nothing is left out or refused because of it.
    """
    return (*leaks(seen), *never_found(seen), *twins(counts))


def leaks(seen: Evaluation) -> list[str]:
    """Figures that no honest table gives, and single columns that give them."""
    alone = [(one.column, one.evidence.get("roc_auc_alone", one.evidence.get("r2_alone"))) for one in seen.suspects]
    copies = dict.fromkeys(name for name, area in alone if isinstance(area, float) and area >= COPY)
    told = [
        f"The column {name} alone decides the label: it is a copy of it, or is known only once the outcome is. Mark it `known: after` "
        "in data_checks/contract.yml, or say there why it may be used."
        for name in copies
    ]
    best = seen.metrics.get("roc_auc", seen.metrics.get("r2"))
    if best is not None and best.value >= PERFECT:
        told.append(
            f"A {'ROC AUC' if seen.classes else 'R²'} of {best.value:.4f} on rows that no training saw is too good for most tables: "
            "something may give the label away. "
            "Look at the columns that the model uses most."
        )
    return told


def never_found(seen: Evaluation) -> list[str]:
    """Classes that the model never answers with, or never rightly."""
    told = []
    for number, (name, row) in enumerate(zip(seen.classes, seen.confusion, strict=False)):
        said = sum(other[number] for other in seen.confusion)
        if sum(row) and not row[number]:
            how = f"{said:,} rows were said to be {name}, none rightly" if said else f"no row was said to be {name}"
            told.append(f"The class {name} is never found (recall 0 %): of its {sum(row):,} held-out rows {how}.")
    return told


def twins(counts: Counts | None) -> list[str]:
    """Held-out rows that training knows almost as they are."""
    if counts is None or counts.twins is None:
        return []
    seen, told = counts.twins, []
    if seen.same:
        other = f", {seen.other_label:,} of them only under another label" if seen.other_label else ""
        told.append(f"{seen.same:,} of {seen.rows:,} held-out rows have the features of a training row{other}.")
    if seen.near > NEAR * seen.rows:
        told.append(
            f"{seen.near:,} of {seen.rows:,} held-out rows differ from a training row in a single feature: rows that belong together may "
            "be on both sides, and the figures then flatter the model."
        )
    return told
