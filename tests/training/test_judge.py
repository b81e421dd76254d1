"""`pushline evaluate` on labelled files, through a registry."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from pushline.data.contract.encoding import encode_frame
from pushline.data.files.version import table_of
from pushline.data.sources.lock import DataLock, FileSource, PinnedFile, lock_text
from pushline.errors import CriticalFindings, DataError, RegistryError
from pushline.evaluation import load_evaluation
from pushline.project import Project
from pushline.registry.holdout import FILES
from pushline.registry.mlflow_store import MlflowStore
from pushline.serving.model_folder import MATRIX, read_scoring
from pushline.training.export import predict
from pushline.training.judge import JudgedVersion, judge, lines_of
from registry.models import log, make_model, shops

Judge = Callable[..., JudgedVersion]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Labelled files: one that the model learned from, one that it did not, and what can't be judged."""
    place = tmp_path_factory.mktemp("files")
    new = shops(1500, 9)
    tables = {
        "learned": shops(2000, 1),
        "new": new,
        "broken": pd.concat([new, new.head(7).assign(basket=-1.0)]),
        "all broken": new.assign(basket=-1.0),
        "one class": new[new["outcome"] == "left"],
        "unlabelled": new.drop(columns="outcome"),
    }
    for name, frame in tables.items():
        frame.to_csv(place / f"{name}.csv", index=False)
    return {name: place / f"{name}.csv" for name in tables}


@pytest.fixture(scope="module")
def store(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> MlflowStore:
    """A registry with two versions, of which the first is the champion; the second learned from two files."""
    place = tmp_path_factory.mktemp("judged")
    store = MlflowStore(f"sqlite:///{place / 'mlflow.db'}", "shops", artifacts=place / "mlartifacts", downloads=place / "downloads")
    model = make_model(place / "model", shops(2000, 1))
    first = store.register(log(store, model), {"metric": "roc_auc"})
    store.set_champion_alias(first.version)
    store.register(log(store, model), {FILES: f"{table_of(files['learned']).version},0000"})
    return store


@pytest.fixture
def judged(files: dict[str, Path], store: MlflowStore, tmp_path: Path) -> Judge:
    def run(name: str, version: str | None = None) -> JudgedVersion:
        return judge(Project(tmp_path), store, files[name], version, progress=lambda line: None)

    return run


@pytest.mark.slow
def test_the_champion_is_judged_by_its_own_metric_on_rows_it_never_saw(judged: Judge, store: MlflowStore):
    seen = judged("new")
    assert (seen.version, seen.metric, seen.rows, seen.rejected) == ("1", "roc_auc", 1500, {})
    folder = store.download("1")
    rows = shops(1500, 9)
    truth = (rows["outcome"] == "bought").to_numpy()
    chance = predict((folder / MATRIX).read_bytes(), encode_frame(read_scoring(folder).encoding, rows))[:, 1]
    assert seen.metrics["roc_auc"].value == pytest.approx(reference.roc_auc_score(truth, chance), abs=1e-4)
    assert seen.metrics["recall"].value == pytest.approx(reference.recall_score(truth, chance >= np.float32(0.3)), abs=5e-3)
    assert load_evaluation(Path(seen.evaluation)).metrics == seen.metrics
    assert not seen.worthless
    assert not seen.learned_from


@pytest.mark.slow
def test_a_file_that_the_version_learned_from_is_said_to_flatter_it(judged: Judge):
    assert judged("learned", "2").learned_from
    assert any("flatter" in line for line in lines_of(judged("learned", "2")))
    assert not judged("new", "2").learned_from


@pytest.mark.slow
def test_rows_that_the_version_was_made_from_are_counted(judged: Judge, files: dict[str, Path], tmp_path: Path):
    assert judged("new", "2").known_rows is None
    assert any("is not known" in line for line in lines_of(judged("new", "2")))
    table = table_of(files["learned"])
    source = FileSource(sha256=table.sha256)
    pinned = PinnedFile(name="learned.csv", version=table.version, rows=table.rows, columns=table.columns, sources=(source,))
    (tmp_path / "data.lock").write_text(lock_text(DataLock(files=(pinned,))))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "learned.csv").write_bytes(files["learned"].read_bytes())
    assert judged("new", "2").known_rows == 0
    files["some"] = tmp_path / "some.csv"
    pd.concat([pd.read_csv(files["learned"]).head(700), pd.read_csv(files["new"])]).to_csv(files["some"], index=False)
    seen = judged("some", "2")
    assert (seen.rows, seen.known_rows, seen.learned_from) == (2200, 700, False)
    assert any("700 of these 2,200 rows" in line for line in lines_of(seen))


@pytest.mark.slow
def test_rows_that_break_the_contract_are_counted_and_left_out(judged: Judge):
    seen = judged("broken")
    assert (seen.rows, sum(seen.rejected.values())) == (1500, 7)
    assert any("7 rows: basket" in line for line in lines_of(seen))


def test_what_can_not_be_judged_is_refused(judged: Judge):
    with pytest.raises(DataError, match="can't judge a model"):
        judged("one class")
    with pytest.raises(DataError) as broken:
        judged("all broken")
    assert "1,500 rows: basket" in broken.value.why
    with pytest.raises(CriticalFindings, match="not a labelled table") as refused:
        judged("unlabelled")
    assert "outcome" in refused.value.why
    with pytest.raises(RegistryError):
        judged("new", "17")
