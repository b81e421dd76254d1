import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pushline.data.contract.encoding import encode_frame
from pushline.errors import TargetError
from pushline.serving.model_folder import MATRIX, PORTABLE, read_contract, read_golden, read_scoring
from pushline.training.export import predict, result_of, write_model_folder
from training.judged import ORIGIN, Judged, judged


@pytest.fixture(scope="module")
def made() -> Judged:
    return judged()


def write(made: Judged, folder: Path) -> Path:
    golden = made.holdout.head(12)
    write_model_folder(
        folder,
        made.model,
        made.contract,
        made.encoding,
        threshold=made.evaluation.threshold,
        algorithm="GradientBoosting",
        golden=golden,
        origin=ORIGIN,
        card=made.card,
    )
    return folder


@pytest.fixture(scope="module")
def folder(made: Judged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(made, tmp_path_factory.mktemp("export") / "model")


def test_the_folder_says_what_it_is_and_its_hashes_hold(made: Judged, folder: Path):
    scoring = read_scoring(folder)
    assert read_contract(folder) == made.contract
    assert (scoring.encoding, scoring.classes, scoring.positive) == (made.encoding, ("bad", "good"), "good")
    assert scoring.threshold == made.evaluation.threshold
    assert (scoring.data_version, scoring.git_revision) == (ORIGIN.data_version, ORIGIN.git_revision)
    for name in (MATRIX, PORTABLE):
        assert scoring.sha256[name] == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    assert (folder / "card.md").read_text() == made.card


def test_golden_rows_are_what_the_served_graph_answers(made: Judged, folder: Path):
    golden = read_golden(folder)
    assert len(golden) == 12
    frame = pd.DataFrame([one.row for one in golden])
    probabilities = predict((folder / MATRIX).read_bytes(), encode_frame(made.encoding, frame))
    assert np.abs(probabilities - [one.probabilities for one in golden]).max() <= 1e-6
    assert [one.result for one in golden] == result_of(probabilities, made.contract.classes, made.evaluation.threshold)
    assert any(value is None for one in golden for value in one.row.values())


@pytest.mark.slow
def test_mlflow_loads_the_folder_and_answers_alike(made: Judged, folder: Path):
    import mlflow.pyfunc

    rows = made.holdout.dropna()[list(made.encoding.names)].head(50).astype({"seen": float})
    answered = mlflow.pyfunc.load_model(str(folder)).predict(rows)
    served = predict(made.model, encode_frame(made.encoding, rows.astype({"seen": bool})))
    assert np.abs(answered["probability_good"].to_numpy() - served[:, 1]).max() <= 1e-5
    assert answered["label_"].tolist() == result_of(served, made.contract.classes, made.evaluation.threshold)


def test_an_older_folder_is_replaced_whole(made: Judged, folder: Path, tmp_path: Path):
    place = tmp_path / "model"
    place.mkdir()
    (place / "stale.txt").write_text("old")
    write(made, place)
    assert {file.name for file in place.iterdir()} == {file.name for file in folder.iterdir()}
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_a_place_that_can_not_be_written_is_an_error_that_leaves_nothing(made: Judged, tmp_path: Path):
    if os.geteuid() == 0:
        place = Path("/proc/none/model")
    else:
        (tmp_path / "locked").mkdir(mode=0o500)
        place = tmp_path / "locked" / "model"
    with pytest.raises(TargetError, match="can't be written"):
        write(made, place)
