"""The split that adopt proposes, on tables whose truth is known."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pandas as pd
import pytest

from pushline.adopt.columns import draft
from pushline.adopt.draft import AdoptRequest, Draft, draft_of
from pushline.adopt.facts import facts_of
from pushline.adopt.split import split_said, split_text
from pushline.adopt.text_table import read_text_table
from pushline.data.contract import Split, parse_contract
from pushline.errors import SettingsError
from pushline.project import Project


@pytest.fixture(scope="module")
def bench(repo: Path) -> Iterator[ModuleType]:
    sys.path.insert(0, str(repo / "scripts"))
    spec = importlib.util.spec_from_file_location("bench_estimates", repo / "scripts" / "bench_estimates.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_estimates"] = module
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(repo / "scripts"))
    del sys.modules["bench_estimates"], sys.modules["estimate_worlds"]


def drafted(frame: pd.DataFrame, folder: Path) -> Draft:
    scratch = folder / "scratch"
    scratch.mkdir()
    file = folder / "t.csv"
    frame.to_csv(file, index=False)
    return draft_of(Project(folder), AdoptRequest(file=file, label="y"), read_text_table(file, scratch), scratch, None, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("world", "split"),
    [
        ("rows apart", "by row"),
        ("dates that say nothing", "by time placed"),
        ("customers of 10 rows", "by group customer_id"),
        ("days with effects, shuffled", "by time placed"),
        ("customers in time", "by group customer_id and time visited"),
        ("coarse rows", "by row"),
        ("twins under new numbers", "by row"),
    ],
)
def test_the_hold_out_of_the_proposed_split_tells_the_loss_in_use(world: str, split: str, bench: ModuleType) -> None:
    found = bench.result_of(next(each for each in bench.WORLDS if each.name == world))
    assert found.split == split
    assert 1 / bench.WITHIN < found.ratio < bench.WITHIN
    if "customers" in world or "days" in world:
        assert max(found.at_random, 1 / found.at_random) > bench.WITHIN


def visits(rows: int = 1200) -> pd.DataFrame:
    """Visits of customers who are known by their height."""
    random = np.random.default_rng(1)
    customer = random.integers(0, 120, rows)
    height, likes = random.normal(170, 10, 120).round(2), random.random(120) < 0.5
    return pd.DataFrame(
        {
            "customer_id": customer + 5000,
            "height": height[customer],
            "hour": random.integers(8, 20, rows),
            "y": np.where(random.random(rows) < np.where(likes[customer], 0.9, 0.1), "yes", "no"),
        }
    )


def test_an_identifier_that_repeats_is_the_group_and_the_figures_are_told(tmp_path: Path) -> None:
    found = drafted(visits(), tmp_path)
    assert found.contract.split == Split(group="customer_id")
    column = found.contract.by_name["customer_id"]
    assert (column.type, column.role, column.missing_at_most) == ("integer", "identifier", 0.0)
    plain, flattered = found.split.split(" is ")[0], float(found.split.split(", ")[-1].split(" times")[0])
    assert plain == "by group customer_id; a quick model's log loss"
    assert flattered > 1.5


@pytest.mark.parametrize("name", ["customer_id", "user", "Device No", "machineId", "patient_number", "id"])
def test_what_is_called_like_one_and_repeats_is_a_group(name: str, tmp_path: Path) -> None:
    assert kinds(name, [f"k{n % 25}" for n in range(100)], tmp_path) == ("identifier", True)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("customer_id", [f"k{n % 5}" for n in range(100)]),
        ("city", [f"k{n % 25}" for n in range(100)]),
        ("rooms_number", [n % 25 for n in range(100)]),
        ("guests_id", [None if n == 7 else n % 25 for n in range(100)]),
    ],
)
def test_few_values_another_name_or_empty_cells_make_no_group(name: str, values: list[object], tmp_path: Path) -> None:
    assert not kinds(name, values, tmp_path)[1]


def kinds(name: str, values: list[object], folder: Path) -> tuple[str, bool]:
    file = folder / "t.csv"
    pd.DataFrame({name: pd.Series(values, dtype=object), "other": range(len(values))}).to_csv(file, index=False)
    source = read_text_table(file, folder)
    made = draft(facts_of(source, folder)[0], source)
    return made.column.role, made.is_group


def test_a_date_of_birth_is_no_time_to_split_by(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    frame = visits().drop(columns="customer_id")
    born = pd.Timestamp("1980-01-01") + pd.to_timedelta(random.integers(0, 9000, len(frame)), unit="D")
    found = drafted(frame.assign(born=born.strftime("%d.%m.%Y")), tmp_path)
    assert found.contract.split is None
    assert found.contract.by_name["born"].parts == ("year", "month", "weekday")
    assert "times that by time born" in found.split


@pytest.mark.slow
def test_a_table_adopted_again_keeps_its_split(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "again").mkdir()
    first = drafted(visits(), tmp_path / "first")
    file = tmp_path / "t.csv"
    visits().to_csv(file, index=False)
    source = read_text_table(file, tmp_path / "again")
    request, merge = AdoptRequest(file=file, label="y"), lambda contract: msgspec.structs.replace(contract, split=first.contract.split)
    again = draft_of(Project(tmp_path), request, source, tmp_path / "again", first.drafted, merge)
    assert again.drafted == first.drafted


def test_a_hold_out_of_groups_holds_enough_of_them(tmp_path: Path) -> None:
    found = drafted(visits(), tmp_path)
    assert found.holdout >= 0.2
    assert "about 30 groups" in found.why_held_out


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("row", None),
        ("group:shop", Split(group="shop")),
        ("time:at", Split(time="at")),
        ("group:shop,time:at", Split(group="shop", time="at")),
    ],
)
def test_a_split_is_said_and_read_in_one_form(text: str, split: Split | None) -> None:
    columns = [{"name": name, "type": "integer"} for name in ("shop", "at")]
    label = {"name": "y", "type": "integer", "role": "label", "allowed": ["0", "1"]}
    contract = parse_contract({"name": "visits", "positive": "1", "columns": [*columns, label]})
    assert (split_said(text, contract), split_text(split)) == (split, text)
    for wrong in ("shop", "group:", "time:gone", "group:y", ""):
        with pytest.raises(SettingsError, match="--split"):
            split_said(wrong, contract)
