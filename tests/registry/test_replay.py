"""What a challenger answers otherwise than the champion, on real models."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pushline.registry.holdout import CannotCompare
from pushline.registry.mlflow_store import MlflowStore
from pushline.registry.register import register
from pushline.registry.replay import REQUESTS, expected_of, recent_requests, replay, with_breaches
from pushline.results import Replay
from pushline.serving.model_folder import SCORING
from pushline.settings import Promotion, ReplayLimits
from registry.models import CONTRACT, log, make_model, shops, trained
from training.quantities import quantity_contract, quantity_model, quantity_table

LIMITS = ReplayLimits()


def replayed(challenger: Path, champion: Path, *, rows: pd.DataFrame | None = None) -> Replay:
    frame = shops(4000, 5).drop(columns="outcome") if rows is None else rows
    return replay(challenger, champion, frame, CONTRACT, LIMITS, version="1", source=REQUESTS)


def test_a_model_beside_itself_changes_nothing(models: dict[str, Path]) -> None:
    seen = replayed(models["good"], models["good"])
    assert (seen.flipped, seen.flips, seen.distance, seen.breaches) == (0.0, {}, 0.0, ())
    assert {group.odds for group in seen.groups} == {1.0}


@pytest.mark.parametrize("seed", range(11, 17))
def test_an_honest_retraining_stays_within_every_limit(models: dict[str, Path], tmp_path: Path, seed: int) -> None:
    seen = replayed(make_model(tmp_path / "model", shops(2500 + 500 * (seed % 3), seed)), models["good"])
    assert seen.breaches == ()
    assert seen.flipped > 0


@pytest.fixture(scope="module")
def priced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quantity_model(tmp_path_factory.mktemp("priced") / "model", quantity_table(2000, 21))


def replayed_quantity(challenger: Path, champion: Path) -> Replay:
    rows, contract = quantity_table(4000, 5).drop(columns="price"), quantity_contract()
    return replay(challenger, champion, rows, contract, LIMITS, version="1", source=REQUESTS)


@pytest.mark.parametrize("seed", range(31, 36))
def test_an_honest_retraining_of_a_quantity_stays_within_every_limit(priced: Path, tmp_path: Path, seed: int) -> None:
    seen = replayed_quantity(quantity_model(tmp_path / "model", quantity_table(1500 + 500 * (seed % 3), seed)), priced)
    assert seen.breaches == ()
    assert seen.distance > 0
    assert max(group.odds for group in seen.groups) < 1.5


QUANTITY_FAULTS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "columns swapped": (lambda rows: rows.assign(size=1.5 - rows["count"] / 10, count=15 - 8 * rows["size"].fillna(0)), " is "),
    "a unit changed": (lambda rows: rows.assign(price=rows["price"] / 1000), "of the answers differ clearly, most of them below"),
    "the label turned round": (lambda rows: rows.assign(price=rows["price"].max() - rows["price"]), "differ clearly"),
    "constant answers": (lambda rows: rows.assign(price=rows["price"].mean()), "distributed otherwise"),
}  # fmt: skip


@pytest.mark.parametrize("fault", QUANTITY_FAULTS)
def test_a_fault_of_a_challenger_of_a_quantity_is_over_a_limit(priced: Path, tmp_path: Path, fault: str) -> None:
    spoilt, named = QUANTITY_FAULTS[fault]
    seen = replayed_quantity(quantity_model(tmp_path / "model", spoilt(quantity_table(2000, 21))), priced)
    assert named in " ".join(seen.breaches)


def test_rows_of_requests_are_asked_again_of_a_quantity_too(priced: Path) -> None:
    rows = quantity_table(20, 6, missing=0).drop(columns="price").to_dict("records")
    expected = expected_of(priced, [{str(name): value for name, value in row.items()} for row in rows])
    assert len(expected) == 20
    assert all(low <= value <= high for value, low, high in (row.probabilities for row in expected))


MIXED = {"shop": "web", "web": "shop", "phone": "phone"}
FAULTS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "columns swapped": (lambda rows: rows.assign(basket=rows["visits"] * 10.0, visits=(rows["basket"] / 10).astype(int)), "basket"),
    "a unit changed": (lambda rows: rows.assign(basket=rows["basket"] / 1000), "basket"),
    "the label inverted": (lambda rows: rows.assign(outcome=rows["outcome"].map({"left": "bought", "bought": "left"})), "answers differ"),
    "constant answers": (lambda rows: rows.assign(basket=0.0, visits=0, channel="web"), "distributed otherwise"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_challenger_is_over_a_limit_and_its_place_is_named(models: dict[str, Path], tmp_path: Path, fault: str) -> None:
    spoilt, named = FAULTS[fault]
    seen = replayed(make_model(tmp_path / "model", spoilt(shops(6000, 1))), models["good"])
    told = " ".join([*seen.breaches, *(group.name for group in seen.groups)])
    assert seen.breaches
    assert named in told


def test_of_a_category_taken_for_another_its_rows_are_the_ones_that_moved_most(models: dict[str, Path], tmp_path: Path) -> None:
    rows = shops(6000, 1)
    seen = replayed(make_model(tmp_path / "model", rows.assign(channel=rows["channel"].map(MIXED))), models["good"])
    assert [group.name for group in seen.groups[:2]] == ["channel is web", "channel is shop"]


def test_a_threshold_that_is_ignored_shows_as_decisions_that_flip(models: dict[str, Path], tmp_path: Path) -> None:
    other = make_model(tmp_path / "model", shops(6000, 1))
    scoring = json.loads((other / SCORING).read_bytes())
    (other / SCORING).write_text(json.dumps({**scoring, "threshold": 0.02}))
    seen = replayed(other, models["good"])
    assert seen.distance == 0
    assert seen.flipped == 0
    assert "every decision is counted" in seen.breaches[0]


def test_figures_that_are_no_numbers_are_over_every_limit() -> None:
    seen = Replay(champion="1", source=REQUESTS, rows=10, flipped=float("nan"), flips={}, distance=float("nan"))
    assert len(with_breaches(seen, LIMITS).breaches) == 2


def test_rows_without_a_column_of_the_champion_can_not_be_asked(models: dict[str, Path]) -> None:
    with pytest.raises(CannotCompare, match="visits"):
        replayed(models["good"], models["good"], rows=shops(500, 1).drop(columns="visits"))


def test_the_newest_requests_are_asked_and_too_few_are_none(tmp_path: Path) -> None:
    rows = shops(250, 4).drop(columns="outcome")
    sent = rows.to_json(orient="records", lines=True).splitlines()
    lines = [json.dumps({"at": "2026-01-01T00:00:00Z", "model_version": "1", "row": json.loads(row)}) for row in sent]
    (tmp_path / "2026-01-01.jsonl").write_text("\n".join(lines[:199]))
    assert recent_requests(tmp_path, CONTRACT, 220) is None
    (tmp_path / "2026-01-01.jsonl").write_text("\n".join(lines))
    kept = recent_requests(tmp_path, CONTRACT, 220)
    assert kept is not None
    assert kept["visits"].tolist() == rows["visits"].tolist()[-220:]


@pytest.mark.slow
def test_a_challenger_over_a_limit_is_refused_at_register_with_the_reason(
    store: MlflowStore, models: dict[str, Path], holdout: Path
) -> None:
    rules = Promotion(rounds=100, minimum_gain=-0.1)
    first = register(trained(models["good"], holdout, log(store, models["good"])), store, rules, progress=print)
    store.set_champion_alias(first.version)

    def asked(limits: ReplayLimits) -> Callable[[Path, Path, str], Replay]:
        rows = shops(2000, 5)
        return lambda new, old, version: replay(new, old, rows, CONTRACT, limits, version=version, source=REQUESTS)

    strict = ReplayLimits(distance=0, odds=1, decisions=1)
    challenger = trained(models["like-good"], holdout, log(store, models["like-good"]))
    refused = register(challenger, store, rules, progress=print, replays=asked(strict))
    assert not refused.decision.accept
    assert "answers too much otherwise than the champion, on 2,000 requests" in refused.decision.reason
    assert store.version(refused.version).tags["accepted"] == "false"
    accepted = register(challenger, store, rules, progress=print, replays=asked(LIMITS))
    assert accepted.decision.accept
    assert accepted.replay is not None
    assert accepted.replay.champion == first.version
    assert np.isfinite(accepted.replay.distance)
