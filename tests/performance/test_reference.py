"""A version's hold-out is made again from the pinned data: the rows it never learned from, and no others."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from pushline.data.contract import parse_contract
from pushline.data.contract.encoding import encode_frame
from pushline.data.contract.split import split_of
from pushline.performance.windows import reference_of
from pushline.progress import silent
from pushline.project import Project
from pushline.registry.register import HELD_FROM, HELD_OUT
from pushline.serving.model_folder import read_scoring
from pushline.settings import load_settings
from registry.models import CONTRACT, make_model, shops


def delivery_of(project: Project, frame: pd.DataFrame) -> Any:
    """What a delivery gives where these rows are the pinned data."""
    file = project.root / "pinned.csv"
    frame.to_csv(file, index=False)
    fetched = SimpleNamespace(files=[SimpleNamespace(path=str(file))])
    settings = load_settings(project.root, {})
    return SimpleNamespace(project=project, settings=settings, build=project.build, progress=silent, fetch=lambda: fetched)


def test_the_hold_out_is_made_again_from_content_and_kept(project: Project, tmp_path: Path) -> None:
    frame = shops(3000, 5)
    delivery, model = delivery_of(project, frame), make_model(tmp_path / "model", shops(2000, 1))
    version = SimpleNamespace(version="3", tags={HELD_OUT: "0.2"})
    seen, reference = reference_of(delivery, version, model)
    held = frame[split_of(frame, CONTRACT, 0.2)]
    assert sorted(seen["basket"]) == sorted(held["basket"])
    assert 400 < len(reference) < 800
    assert np.array_equal(reference.matrix, encode_frame(read_scoring(model).encoding, seen))
    assert np.array_equal(reference.labels == 1, seen["outcome"] == "bought")
    delivery.fetch = None  # what is kept needs no data
    again, _ = reference_of(delivery, version, model)
    assert again.equals(seen)


def test_a_hold_out_in_time_has_the_rows_from_the_moment_that_the_version_held_out(project: Project, tmp_path: Path) -> None:
    content = msgspec.to_builtins(CONTRACT)
    days = {"name": "day", "type": "date", "role": "identifier"}
    contract = parse_contract({**content, "columns": [days, *content["columns"]], "split": {"time": "day"}})
    frame = shops(3000, 6)
    frame.insert(0, "day", pd.date_range("2026-01-01", periods=100).strftime("%Y-%m-%d").repeat(30))
    delivery, model = delivery_of(project, frame), make_model(tmp_path / "model", frame.head(2000), contract=contract)
    seen, _ = reference_of(delivery, SimpleNamespace(version="3", tags={HELD_OUT: "0.3", HELD_FROM: "2026-04-01"}), model)
    assert sorted(seen["basket"]) == sorted(frame[frame["day"] >= "2026-04-01"]["basket"])
