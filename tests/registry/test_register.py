"""The promotion decision on real models, through a real registry."""

import shutil
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from pushline.data.contract import parse_contract
from pushline.data.contract.split import split_id, split_of
from pushline.errors import DataError, ModelUnreadable
from pushline.registry.mlflow_store import MlflowStore
from pushline.registry.register import register
from pushline.results import RegisterResult
from pushline.settings import Promotion
from registry.models import CONTRACT, log, make_model, shops, trained

RULES = Promotion(rounds=300)


def silent(line: str) -> None:
    pass


def registered(store: MlflowStore, model: Path, holdout: Path, rules: Promotion = RULES, *, generated: bool = False) -> RegisterResult:
    run = log(store, model)
    return register(trained(model, holdout, run, generated=generated), store, rules, progress=silent)


def crowned(store: MlflowStore, model: Path, holdout: Path, *, generated: bool = False) -> RegisterResult:
    result = registered(store, model, holdout, generated=generated)
    store.set_champion_alias(result.version)
    return result


def test_a_first_version_that_beats_the_floor_is_accepted(store: MlflowStore, models: dict[str, Path], holdout: Path) -> None:
    result = registered(store, models["good"], holdout)
    assert result.decision.accept
    assert result.champion is None
    assert "no champion yet" in result.decision.reason
    assert store.version(result.version).role == "challenger"
    assert store.version(result.version).tags["accepted"] == "true"


def test_a_model_of_shuffled_labels_does_not_reach_the_floor(store: MlflowStore, models: dict[str, Path], holdout: Path) -> None:
    result = registered(store, models["shuffled"], holdout)
    assert not result.decision.accept
    assert "floor" in result.decision.reason
    assert store.version(result.version).tags["accepted"] == "false"


def test_too_few_rows_to_tell_from_chance_are_refused(store: MlflowStore, models: dict[str, Path], holdout: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.parquet"
    rows = pd.read_parquet(holdout)
    pd.concat([rows[rows["outcome"] == "bought"].head(2), rows[rows["outcome"] == "left"].head(4)]).to_parquet(few)
    result = registered(store, models["poor"], few)
    assert not result.decision.accept


def test_a_worse_challenger_is_refused_with_the_figures(store: MlflowStore, models: dict[str, Path], holdout: Path) -> None:
    champion = crowned(store, models["good"], holdout)
    result = registered(store, models["poor"], holdout)
    assert not result.decision.accept
    assert result.champion == champion.version
    assert "worse than the champion beyond chance" in result.decision.reason
    evidence = result.decision.evidence
    assert isinstance(evidence["gain_high"], float)
    assert evidence["gain_high"] < 0
    assert evidence["rows"] == 3000
    assert store.champion() == store.version(champion.version)


def test_a_better_challenger_is_accepted(store: MlflowStore, models: dict[str, Path], holdout: Path) -> None:
    crowned(store, models["poor"], holdout)
    result = registered(store, models["good"], holdout)
    assert result.decision.accept
    assert "better than the champion beyond chance" in result.decision.reason


def test_the_champions_own_model_is_accepted_again(store: MlflowStore, models: dict[str, Path], holdout: Path) -> None:
    crowned(store, models["good"], holdout)
    strict = msgspec.structs.replace(RULES, minimum_gain=0.01)
    assert registered(store, models["good"], holdout).decision.accept
    again = registered(store, models["good"], holdout, strict)
    assert again.decision.accept
    assert "bit for bit" in again.decision.reason


@pytest.mark.slow
def test_an_equal_challenger_needs_progress_only_where_the_settings_say_so(
    store: MlflowStore, models: dict[str, Path], holdout: Path
) -> None:
    crowned(store, models["good"], holdout)
    tolerant = msgspec.structs.replace(RULES, minimum_gain=-0.05)
    strict = msgspec.structs.replace(RULES, minimum_gain=0.05)
    assert registered(store, models["like-good"], holdout, tolerant).decision.accept
    refused = registered(store, models["like-good"], holdout, strict).decision
    assert not refused.accept
    assert "minimum gain of +0.050" in refused.reason


@pytest.mark.slow
def test_the_same_models_get_the_same_decision_every_time(store: MlflowStore, models: dict[str, Path], holdout: Path) -> None:
    crowned(store, models["good"], holdout)
    first, second = (registered(store, models["like-good"], holdout).decision for _ in range(2))
    assert first == second


def test_registering_the_same_run_again_makes_no_second_version(store: MlflowStore, models: dict[str, Path], holdout: Path) -> None:
    run = log(store, models["good"])
    results = [register(trained(models["good"], holdout, run), store, RULES, progress=silent) for _ in range(2)]
    assert results[0].version == results[1].version
    assert len(store.versions()) == 1


def test_a_champion_of_another_contract_gives_way_to_the_floor_with_the_reason(
    store: MlflowStore, models: dict[str, Path], holdout: Path, tmp_path: Path
) -> None:
    wider = parse_contract(
        {
            "name": "shops",
            "positive": "bought",
            "columns": [{"name": "weather", "type": "number"}, *msgspec.to_builtins(CONTRACT)["columns"]],
        }
    )
    old = make_model(tmp_path / "old", shops(2000, 5).assign(weather=1.0), contract=wider)
    run = log(store, old)
    store.set_champion_alias(store.register(run, {}).version)
    result = registered(store, models["good"], holdout)
    assert result.decision.accept
    assert "can't be compared with it: it wants the column weather" in result.decision.reason
    assert not registered(store, models["shuffled"], holdout).decision.accept


def test_a_model_of_generated_rows_never_replaces_one_of_real_rows(store: MlflowStore, models: dict[str, Path], holdout: Path) -> None:
    crowned(store, models["poor"], holdout)
    result = registered(store, models["good"], holdout, generated=True)
    assert not result.decision.accept
    assert "generated rows" in result.decision.reason
    assert store.version(result.version).tags["generated_sample"] == "true"


def test_a_model_of_real_rows_meets_the_floor_where_the_champion_learned_from_generated_ones(
    store: MlflowStore, models: dict[str, Path], holdout: Path
) -> None:
    crowned(store, models["good"], holdout, generated=True)
    result = registered(store, models["poor"], holdout)
    assert result.decision.accept
    assert "learned from generated rows" in result.decision.reason


@pytest.mark.slow
def test_many_small_losses_do_not_add_up(store: MlflowStore, models: dict[str, Path], holdout: Path, tmp_path: Path) -> None:
    tolerant = msgspec.structs.replace(RULES, minimum_gain=-0.05)
    best = crowned(store, models["good"], holdout)
    store.set_champion_alias(registered(store, make_model(tmp_path / "less", shops(500, 5)), holdout, tolerant).version)
    assert store.champion() != store.version(best.version)
    poorer = make_model(tmp_path / "poorer", shops(300, 6))
    result = registered(store, poorer, holdout, tolerant)
    assert not result.decision.accept
    assert "small losses would add up" in result.decision.reason
    assert result.decision.evidence["best_version"] == best.version


@pytest.mark.slow
def test_a_version_that_was_rolled_back_is_not_held_against_anyone(store: MlflowStore, models: dict[str, Path], holdout: Path) -> None:
    first = crowned(store, models["poor"], holdout)
    crowned(store, models["good"], holdout)
    store.set_champion_alias(first.version)
    assert "best_version" not in registered(store, models["like-good"], holdout).decision.evidence


@pytest.mark.slow
@pytest.mark.parametrize("split", ["features-of-another-day", ""])
def test_a_champion_that_may_have_learned_from_these_rows_gives_way_to_the_floor(
    split: str, store: MlflowStore, models: dict[str, Path], holdout: Path
) -> None:
    champion = crowned(store, models["good"], holdout)
    store.tag(champion.version, {"split": split})
    result = registered(store, models["poor"], holdout)
    assert result.decision.accept
    assert "it may have learned from these rows" in result.decision.reason
    assert not registered(store, models["shuffled"], holdout).decision.accept


@pytest.mark.slow
def test_a_champion_that_held_out_less_is_met_on_the_rows_that_neither_has_seen(
    store: MlflowStore, models: dict[str, Path], holdout: Path
) -> None:
    champion = crowned(store, models["good"], holdout)
    store.tag(champion.version, {"held_out": "0.05"})
    rows = pd.read_parquet(holdout)
    evidence = registered(store, models["like-good"], holdout).decision.evidence
    assert evidence["rows"] == split_of(rows, CONTRACT, 0.05).sum()


@pytest.mark.slow
def test_in_time_they_meet_on_the_rows_that_neither_has_seen(store: MlflowStore, models: dict[str, Path], tmp_path: Path) -> None:
    contract = parse_contract({**msgspec.to_builtins(CONTRACT), "split": {"time": "visits"}})
    rows = shops(3000, 99)
    file = tmp_path / "holdout.parquet"
    rows[rows["visits"] >= 70].to_parquet(file)

    def told(name: str, since: str, seed: int) -> RegisterResult:
        model = make_model(tmp_path / name, shops(2000, seed), contract=contract)
        run = msgspec.structs.replace(trained(model, file, log(store, model)), split=split_id(contract), held_from=since)
        return register(run, store, RULES, progress=silent)

    store.set_champion_alias(told("champion", "80", 1).version)
    evidence = told("challenger", "70", 2).decision.evidence
    assert evidence["rows"] == (rows["visits"] >= 80).sum()


def test_a_damaged_champion_stops_the_decision(store: MlflowStore, models: dict[str, Path], holdout: Path) -> None:
    champion = crowned(store, models["good"], holdout)
    matrix = store.download(champion.version) / "matrix.onnx"
    matrix.write_bytes(matrix.read_bytes()[:-10])
    with pytest.raises(ModelUnreadable, match=f"Version {champion.version}"):
        registered(store, models["poor"], holdout)


@pytest.mark.parametrize("fault", ["absent", "empty", "not parquet", "another label"])
def test_a_holdout_that_decides_nothing_is_refused(
    fault: str, store: MlflowStore, models: dict[str, Path], holdout: Path, tmp_path: Path
) -> None:
    file = tmp_path / "holdout.parquet"
    rows = pd.read_parquet(holdout)
    if fault == "empty":
        rows.head(0).to_parquet(file)
    elif fault == "not parquet":
        file.write_bytes(b"PAR1 and nothing behind it")
    elif fault == "another label":
        rows.assign(outcome="stolen").to_parquet(file)
    with pytest.raises(DataError):
        registered(store, models["good"], file)
    assert store.versions() == ()


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["roc_auc", "accuracy", "log_loss"])
def test_every_metric_of_the_settings_decides_the_same_way(metric: str, store: MlflowStore, models: dict[str, Path], holdout: Path) -> None:
    def told(name: str) -> RegisterResult:
        run = log(store, models[name])
        return register(trained(models[name], holdout, run, metric=metric), store, RULES, progress=silent)

    assert not told("shuffled").decision.accept
    first = told("good")
    assert first.decision.accept
    store.set_champion_alias(first.version)
    assert not told("shuffled").decision.accept
    assert told("good").decision.accept


def test_nothing_is_left_of_a_model_folder_that_was_moved_away(
    store: MlflowStore, models: dict[str, Path], holdout: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(models["good"], copy)
    result = registered(store, copy, holdout)
    shutil.rmtree(copy)
    assert (store.download(result.version) / "model.onnx").is_file()
