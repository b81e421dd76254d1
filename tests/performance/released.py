"""A project whose champion tells buyers of shops, with a prediction log and outcomes of worlds that are known."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
from msgspec import structs

from pushline.data.profile.recorded import LIVE
from pushline.project import Project
from pushline.registry import open_store
from pushline.registry.holdout import probabilities_of
from pushline.registry.replay import decisions
from pushline.serving.model_folder import MATRIX, read_scoring
from pushline.settings import load_settings
from registry.models import CONTRACT as SHOPS
from registry.models import log, make_model, shops

CONTRACT = structs.replace(SHOPS, columns=tuple(structs.replace(one, sensitive=one.name == "channel") for one in SHOPS.columns))
FIRST = datetime(2026, 11, 2, tzinfo=UTC)


def release(project: Project, place: Path, *, trees: int = 40) -> Path:
    """Make version 1 the champion, with its hold-out where performance keeps it. The folder of its model."""
    project.contract.write_bytes(msgspec.json.encode(CONTRACT))
    model = make_model(place / "model", shops(6000, 1), contract=CONTRACT, trees=trees)
    store = open_store(project, load_settings(project.root, {}))
    version = store.register(log(store, model), {"metric": "average_precision", "accepted": "true"})
    store.set_champion_alias(version.version)
    reference = project.state / "performance" / f"reference-{read_scoring(model).sha256[MATRIX][:16]}.parquet"
    reference.parent.mkdir(parents=True)
    shops(4000, 99).to_parquet(reference, index=False)
    return model


def scored(project: Project, model: Path, days: Sequence[pd.DataFrame], *, first: int = 0, version: str = "1") -> pd.DataFrame:
    """Log each frame as a day of requests of two rows; the rows' keys with what became of them."""
    folder = project.state / LIVE
    folder.mkdir(parents=True, exist_ok=True)
    told = []
    for day, rows in enumerate(days, first):
        seen = probabilities_of(model, rows, CONTRACT.classes)
        results = [CONTRACT.classes[code] for code in decisions(model, seen, CONTRACT.classes)]
        at = FIRST + timedelta(days=day)
        lines = []
        for number, row in enumerate(rows.drop(columns="outcome").to_dict("records")):
            key = {"request_id": f"d{day}-{number // 2}", "position": number % 2}
            said = {"at": (at + timedelta(seconds=10 * number)).isoformat(), "release": f"v{version}", "model_version": version, **key}
            lines.append(json.dumps({**said, "row": row, "result": results[number], "probability": float(seen[number, 1])}))
            told.append({**key, "outcome": rows["outcome"].iloc[number], "known_at": f"{at + timedelta(days=20):%Y-%m-%dT%H:%M:%SZ}"})
        (folder / f"{at:%Y-%m-%d}.jsonl").write_text("\n".join(lines) + "\n")
    return pd.DataFrame(told)


def poorer(rows: int, seed: int) -> pd.DataFrame:
    """Covariate shift: the same shops, mostly with small baskets."""
    frame = shops(rows * 3, seed)
    kept = np.random.default_rng(seed).uniform(size=len(frame)) < np.where(frame["basket"] > 500, 0.12, 0.6)
    return frame[kept].head(rows).reset_index(drop=True)


def forgotten(rows: int, seed: int) -> pd.DataFrame:
    """Concept shift: the same rows, whose labels follow from nothing any more."""
    frame = shops(rows, seed)
    return frame.assign(outcome=np.random.default_rng(seed).permutation(frame["outcome"].to_numpy()))
