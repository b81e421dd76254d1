import re
from dataclasses import replace

import msgspec
import pytest
import yaml

from pushline.training.card import card_of
from pushline.training.export import Origin
from training.judged import ORIGIN, Judged, judged


@pytest.fixture(scope="module")
def binary() -> Judged:
    return judged()


def card_with(made: Judged, **changes: object) -> str:
    """The card that a model would have whose record differs in this."""
    best = msgspec.structs.replace(made.best, **changes)
    return card_of(made.evaluation, best, made.contract, ORIGIN, objective="f1", chosen=made.chosen, use_known_after=False)


def section(card: str, name: str) -> str:
    return card.split(f"\n## {name}\n")[1].split("\n## ")[0]


def rows_of(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_number_of_the_figures_table_is_the_evaluations(binary: Judged):
    rows = rows_of(section(binary.card, "Figures"))
    seen = binary.evaluation.metrics
    assert len(rows) == len(seen)
    for (_, text, nothing), (name, figure) in zip(rows, seen.items(), strict=True):
        value, low, high = (float(number) for number in re.findall(r"\d+\.\d+", text))
        assert (value, low, high) == (
            pytest.approx(figure.value, abs=1e-4),
            pytest.approx(figure.low, abs=1e-4),
            pytest.approx(figure.high, abs=1e-4),
        )
        if name in binary.evaluation.baseline:
            assert float(nothing) == pytest.approx(binary.evaluation.baseline[name], abs=1e-4)


def test_the_threshold_section_says_value_objective_and_both_sides(binary: Judged):
    text = section(binary.card, "Threshold")
    assert f"**{binary.chosen.threshold:.4f}**" in text
    assert "`f1`" in text
    assert f"precision {binary.evaluation.at_threshold['precision']:.3f} at recall {binary.evaluation.at_threshold['recall']:.3f}" in text
    counts = [[int(cell.replace(",", "")) for cell in row[1:]] for row in rows_of(text)]
    assert tuple(map(tuple, counts)) == binary.evaluation.confusion


def test_groups_and_their_sizes_are_on_the_card(binary: Judged):
    rows = rows_of(section(binary.card, "Groups"))
    assert [(row[1], int(row[2].replace(",", ""))) for row in rows] == [(group.value, group.rows) for group in binary.evaluation.groups]


def test_the_front_matter_is_the_standard_of_model_hubs(binary: Judged):
    front = yaml.safe_load(binary.card.split("---\n")[1])
    (entry,) = front["model-index"]
    (results,) = entry["results"]
    assert results["task"]["type"] == "tabular-classification"
    assert results["dataset"]["revision"] == ORIGIN.data_version
    values = {one["type"]: one["value"] for one in results["metrics"]}
    assert values["average_precision"] == pytest.approx(binary.evaluation.metrics["average_precision"].value, abs=1e-5)


def test_the_card_says_where_the_model_comes_from_and_how_to_make_it_again(binary: Judged):
    assert ORIGIN.data_version in section(binary.card, "Data")
    again = section(binary.card, "How to make it again")
    assert ORIGIN.git_revision in again
    assert "PUSHLINE_TRAINING__METRIC=average_precision PUSHLINE_TRAINING__OBJECTIVE=f1 PUSHLINE_TRAINING__IMBALANCE=none " in again
    assert "PUSHLINE_TRAINING__SEED=1 PUSHLINE_TRAINING__USE_KNOWN_AFTER=false pushline train\n" in again
    assert "to the digit" not in again


def test_the_limits_that_the_contract_names_stand_among_the_known_ones(binary: Judged):
    sentence = "Held out by time it says yes four times as often."
    card = card_with(replace(binary, contract=msgspec.structs.replace(binary.contract, limits=(sentence,))))
    assert f"- {sentence}\n" in section(card, "Known limits")
    assert sentence not in binary.card


def test_a_search_that_a_clock_ended_is_said_not_to_repeat_to_the_digit(binary: Judged):
    again = section(card_with(binary, budget=90.0, stopped="the time was over"), "How to make it again")
    assert "pushline train --budget 90s\n" in again
    assert "not to the digit" in again


def test_what_the_time_did_not_allow_is_said(binary: Judged):
    card = card_with(binary, learned_share=0.075, judged_folds=1)
    assert "800, of which the time allowed 60 (7.5%)" in section(card, "Data")
    assert "on 1 of 3 folds" in section(card, "What it was compared with")


def test_nothing_is_claimed_of_a_search_that_was_not_ours(binary: Judged):
    card = card_with(binary, folds=0, judged_folds=0)
    assert "not weighted" not in card
    assert "PUSHLINE_TARGET=aci" in section(card, "How to make it again")
    assert "not weighted" in binary.card


def test_the_leaderboard_with_its_failures_is_on_the_card(binary: Judged):
    text = section(binary.card, "What it was compared with")
    assert rows_of(text)[1][-1] == "timeout"
    assert "2 trials, 1 timeout, in 3 seconds" in text


def test_a_shuffled_label_gives_a_card_that_says_worthless(binary: Judged):
    assert "**This model is worthless.**" in judged(shuffled=True).card
    assert "worthless" not in binary.card


@pytest.mark.slow
def test_columns_known_after_put_a_warning_on_top():
    card = judged(use_known_after=True).card
    assert "> **Leakage.** `later` is known only after the event" in card
    assert "`later` is not an input" not in card
    assert "Leakage" not in judged().card
    assert "`later` is not an input" in judged().card


def test_a_generated_sample_is_plainly_labelled():
    card = judged(origin=Origin(data_version="sample", git_revision="x", generated_sample=True)).card
    assert "**Made from a generated sample.**" in card
    assert "generated-sample" in yaml.safe_load(card.split("---\n")[1])["tags"]


@pytest.mark.slow
def test_three_classes_have_a_card_without_a_threshold():
    card = judged(classes=3).card
    assert "most probable one is the answer" in section(card, "Threshold")
    assert section(card, "Calibration").count("Predicted probability of") == 3
    assert "| Positive |" not in section(card, "Groups")
    assert "threshold" not in section(card, "Intended use") + section(card, "The rare class")
