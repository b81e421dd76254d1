"""Treatments of the rare class, applied to the rows a model learns from and never to those it is judged on."""

from typing import Any

import numpy as np

from pushline.arrays import Floats

TREATMENTS = ("none", "class_weight", "oversample", "undersample", "smote")


def treated(treatment: str, matrix: Floats, labels: Floats, kinds: tuple[str, ...], seed: int) -> tuple[Floats, Floats, Floats | None]:
    """Rows, labels and row weights after the treatment.

    SMOTE's neighbours need complete numbers: missing ones are put at the column's median for it, as in every use of it.
    """
    if treatment == "none":
        return matrix, labels, None
    if treatment == "class_weight":
        counts = np.bincount(labels)
        return matrix, labels, (len(labels) / (np.count_nonzero(counts) * counts[labels])).astype(np.float64)
    rows, answers = sampler_of(treatment, labels, kinds, seed).fit_resample(
        complete(matrix, kinds) if treatment == "smote" else matrix, labels
    )
    return np.ascontiguousarray(rows, dtype=np.float32), answers, None


def sampler_of(treatment: str, labels: Floats, kinds: tuple[str, ...], seed: int) -> Any:
    from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC, RandomOverSampler
    from imblearn.under_sampling import RandomUnderSampler

    if treatment == "oversample":
        return RandomOverSampler(random_state=seed)
    if treatment == "undersample":
        return RandomUnderSampler(random_state=seed)
    if treatment != "smote":
        raise ValueError(f"{treatment} is none of {', '.join(TREATMENTS)}")
    neighbours = max(1, min(5, int(np.bincount(labels)[np.unique(labels)].min()) - 1))
    codes = [place for place, kind in enumerate(kinds) if kind != "number"]
    if len(codes) == len(kinds):
        return SMOTEN(k_neighbors=neighbours, random_state=seed)
    if codes:
        return SMOTENC(codes, k_neighbors=neighbours, random_state=seed)
    return SMOTE(k_neighbors=neighbours, random_state=seed)


def complete(matrix: Floats, kinds: tuple[str, ...]) -> Floats:
    filled = np.array(matrix, dtype=np.float32)
    for place, kind in enumerate(kinds):
        missing = np.isnan(filled[:, place]) if kind == "number" else np.zeros(len(filled), dtype=bool)
        if missing.any():
            known = filled[~missing, place]
            filled[missing, place] = np.median(known) if len(known) else 0.0
    return filled
