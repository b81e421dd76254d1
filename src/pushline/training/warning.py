"""What a person must know before believing the figures of a model, each as a sentence. Nothing is left out or refused because of it."""

from pushline.evaluation import COPY, Evaluation
from pushline.training.prepare import Counts

PERFECT = 0.999  # ROC AUC or R² on the hold-out from which a leak is likelier than a model
NEAR = 0.5  # of the held-out rows


def warnings_of(seen: Evaluation, counts: Counts | None) -> tuple[str, ...]:
    """The warnings, the one that changes most first."""
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
