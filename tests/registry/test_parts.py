"""Old and new rows of a hold-out, apart."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pushline.registry.holdout import DataParts
from pushline.registry.mlflow_store import MlflowStore
from pushline.registry.register import register
from pushline.results import DataFile, RegisterResult
from pushline.settings import Promotion
from registry.models import log, make_model, shops, trained

RULES = Promotion(rounds=300)


def data_file(name: str, rows: int) -> DataFile:
    return DataFile(name=name, path=name, sha256="0" * 64, version=name * 4, rows=rows, origin="test")


def parts_of(place: Path, frames: dict[str, pd.DataFrame]) -> DataParts:
    table = place / f"{'-'.join(frames)}.parquet"
    pd.concat(frames.values(), ignore_index=True).to_parquet(table, index=False)
    return DataParts(files=tuple(data_file(name, len(frame)) for name, frame in frames.items()), table=lambda: table)


def test_a_row_is_old_where_a_known_file_holds_it(tmp_path: Path) -> None:
    first = pd.DataFrame({"a": [1.5, None, 3.0], 'b "quoted"': ["x", "y", None]})
    second = pd.DataFrame({"a": [4.0, None], 'b "quoted"': ["x", "z"]})
    parts = parts_of(tmp_path, {"one": first, "two": second})
    held = pd.concat([second, first]).sample(frac=1, random_state=3)
    mask = parts.old_rows(held, "oneoneoneone")
    assert mask is not None
    assert mask.tolist() == [any(row.equals(known) for _, known in first.iterrows()) for _, row in held.iterrows()]


@pytest.mark.parametrize("name", ["place", "rows", "old", "c0", "n", "label", "row", "score", "held", "select"])
@pytest.mark.parametrize("values", [[1, 2, 3, 4], ["a", "b", "c", "d"]], ids=["numbers", "texts"])
def test_a_column_may_be_called_like_anything_of_ours(name: str, values: list[object], tmp_path: Path) -> None:
    frame = pd.DataFrame({name: values, "b": [1.0, 2.0, 3.0, 4.0]})
    parts = parts_of(tmp_path, {"one": frame.head(2), "two": frame.tail(2)})
    mask = parts.old_rows(frame, "oneoneoneone")
    assert mask is not None
    assert mask.tolist() == [True, True, False, False]


def test_rows_that_can_not_be_told_apart_are_not(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, {"one": shops(10, 1), "two": shops(5, 2)})
    shorter = DataParts(files=(data_file("one", 9), data_file("two", 5)), table=parts.table)
    assert shorter.old_rows(shops(3, 1), "oneoneoneone") is None


@pytest.mark.parametrize(
    ("tag", "grown"),
    [("", False), ("oneoneoneone", True), ("oneoneoneone,twotwotwotwo", False), ("oneoneoneone,other", False), ("other", False)],
)
def test_data_has_grown_where_every_file_of_before_is_still_there(tag: str, grown: bool, tmp_path: Path) -> None:
    assert parts_of(tmp_path, {"one": shops(10, 1), "two": shops(5, 2)}).grown_since(tag) is grown


class Grown:
    """A champion of the first file, and a challenger of both."""

    def __init__(self, store: MlflowStore, place: Path) -> None:
        self.store, self.place = store, place
        self.first, self.holdout = shops(4000, 1), shops(2000, 50)
        self.registered({"one": self.first}, pd.concat([self.first, self.holdout]), "champion")
        store.set_champion_alias("1")

    def registered(
        self, frames: dict[str, pd.DataFrame], whole: pd.DataFrame, name: str, extra: pd.DataFrame | None = None
    ) -> RegisterResult:
        held = [self.holdout, *([extra] if extra is not None else [])]
        file = self.place / f"{name}.parquet"
        pd.concat(held).to_parquet(file, index=False)
        table = {key: pd.concat([frame, part]) for (key, frame), part in zip(frames.items(), held, strict=True)}
        model = make_model(self.place / name, pd.concat(frames.values(), ignore_index=True))
        run = log(self.store, model)
        return register(trained(model, file, run), self.store, RULES, progress=lambda line: None, parts=parts_of(self.place, table))


def test_a_good_increment_is_accepted_and_both_kinds_of_rows_are_told(store: MlflowStore, tmp_path: Path) -> None:
    grown = Grown(store, tmp_path)
    more, extra = shops(4000, 3), shops(1000, 60)
    result = grown.registered({"one": grown.first, "two": more}, more, "good", extra)
    assert result.decision.accept
    assert "on the 2,000 old rows" in result.decision.reason
    assert "on the 1,000 new rows" in result.decision.reason
    assert (result.decision.evidence["old_rows"], result.decision.evidence["new_rows"]) == (2000, 1000)
    assert store.version(result.version).tags["data_files"] == "oneoneoneone,twotwotwotwo"


def test_a_gain_on_new_rows_does_not_pay_for_a_loss_on_old_ones(store: MlflowStore, tmp_path: Path) -> None:
    grown = Grown(store, tmp_path)
    flip = {"bought": "left", "left": "bought"}
    poison, extra = shops(6000, 3), shops(3000, 60)
    poison["outcome"], extra["outcome"] = poison["outcome"].map(flip), extra["outcome"].map(flip)
    result = grown.registered({"one": grown.first, "two": poison}, poison, "poisoned", extra)
    evidence = result.decision.evidence
    assert not result.decision.accept
    assert isinstance(evidence["new_gain"], float)
    assert evidence["new_gain"] > 0
    assert "costs the rows that the champion knows" in result.decision.reason
    assert store.champion() == store.version("1")
    assert np.isfinite(float(str(evidence["old_gain"])))
