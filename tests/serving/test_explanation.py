"""An explanation adds up to the answer, names what moved it most, and is the same for the same row."""

import hashlib
import itertools
import json
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from pushline.errors import ModelUnreadable
from pushline.files import write_json
from pushline.serving.model_folder import EXPLAINED_AT_MOST, EXPLANATION, read_scoring
from pushline.serving.problems import Problem
from pushline.serving.scorer import Scorer
from pushline.training.explanation import by_sample
from serving.test_scorer import folder_of, softmax

ROWS = [{"colour": "blue", "size": 3.5}, {"colour": "red", "size": 9}, {"colour": "green", "size": 0}]
BODY = json.dumps({"data": ROWS}).encode()


def sampled(place: Path, classes: tuple[str, ...] = ("no", "yes"), content: bytes = b"", **more: Any) -> Path:
    """A model folder whose explanation compares with four generated rows."""
    folder = folder_of(place, classes, **more)
    scoring = read_scoring(folder)
    rows = np.array([[0, 1], [1, 8], [2, 2], [0, 5]], dtype=np.float32)
    content = content or by_sample(scoring.encoding, rows, "log-odds" if len(classes) == 2 else "probability")
    (folder / EXPLANATION).write_bytes(content)
    digests = {**scoring.sha256, EXPLANATION: hashlib.sha256(content).hexdigest()}
    write_json(folder / "scoring.json", msgspec.structs.replace(scoring, sha256=digests))
    return folder


@pytest.mark.parametrize("classes", [("no", "yes"), ("circle", "square", "star")])
def test_a_sampled_explanation_adds_up_to_the_answer(tmp_path: Path, classes: tuple[str, ...]) -> None:
    scorer = Scorer(sampled(tmp_path, classes), max_rows=10, explain=True)
    shown, said = scorer.explained(BODY, 1)
    assert said["explained"] == {"method": "sampled Shapley", "scale": "log-odds" if len(classes) == 2 else "probability"}
    for row, answer, found in zip(ROWS, shown, said["explanations"], strict=True):
        assert found["score"] == pytest.approx(math.log(answer / (1 - answer)) if len(classes) == 2 else max(answer), abs=1e-6)
        [reason] = found["reasons"]
        assert found["base"] + reason["contribution"] + found["others"] == pytest.approx(found["score"], abs=1e-9)
        assert abs(reason["contribution"]) >= abs(found["others"])
        assert reason["error"] > 0, row


def test_a_sampled_contribution_is_within_its_error_of_the_true_one(tmp_path: Path) -> None:
    scorer = Scorer(sampled(tmp_path), max_rows=10, explain=True)
    _, said = scorer.explained(BODY, 2)
    background = [(0, 1), (1, 8), (2, 2), (0, 5)]
    for row, found in zip(ROWS, said["explanations"], strict=True):
        code = ["red", "green", "blue"].index(row["colour"])
        answer = {}
        for colour, size in itertools.product((False, True), repeat=2):  # the row's own, or those of the generated rows
            between = [softmax(code if colour else z, row["size"] if size else s, 2) for z, s in background]
            answer[colour, size] = np.mean([np.log(yes / no) for no, yes in between])
        true = (answer[True, False] - answer[False, False] + answer[True, True] - answer[False, True]) / 2
        [reason] = [reason for reason in found["reasons"] if reason["feature"] == "colour"]
        assert abs(reason["contribution"] - true) < 4 * reason["error"] + 1e-9


def test_the_same_row_has_the_same_explanation_wherever_it_stands(tmp_path: Path) -> None:
    scorer = Scorer(sampled(tmp_path), max_rows=10, explain=True)
    _, said = scorer.explained(json.dumps({"data": [ROWS[2], ROWS[0], ROWS[2]]}).encode(), 2)
    assert said["explanations"][0] == said["explanations"][2] == scorer.explained(BODY, 2)[1]["explanations"][2]


def test_so_many_rows_are_explained_at_a_time(tmp_path: Path) -> None:
    scorer = Scorer(sampled(tmp_path), max_rows=1000, explain=True)
    rows = [ROWS[0]] * EXPLAINED_AT_MOST
    assert len(scorer.explained(json.dumps({"data": rows}).encode(), 1)[0]) == EXPLAINED_AT_MOST
    with pytest.raises(Problem, match="100 are explained at a time"):
        scorer.explained(json.dumps({"data": [*rows, ROWS[0]]}).encode(), 1)


def test_a_damaged_explanation_is_refused_where_it_would_be_used(tmp_path: Path) -> None:
    folder = sampled(tmp_path, content=b"nothing that can be read")
    Scorer(folder, max_rows=10)
    with pytest.raises(ModelUnreadable, match=EXPLANATION):
        Scorer(folder, max_rows=10, explain=True)
    (folder / EXPLANATION).write_bytes(b"another file")
    with pytest.raises(ModelUnreadable, match="sha256"):
        Scorer(folder, max_rows=10, explain=True)
