"""The registry on MLflow: what is logged, kept, found again and refused."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from command import Ran, clean_environment, forked
from pushline.errors import ModelUnreadable, RegistryError
from pushline.files import content_hash
from pushline.project import Project
from pushline.registry import open_store
from pushline.registry.mlflow_store import MlflowStore
from pushline.settings import PushlineSettings
from registry.models import log


def test_a_version_carries_its_run_tags_and_unchanged_model(store: MlflowStore, models: dict[str, Path]) -> None:
    run = log(store, models["good"], data_version="d1")
    version = store.register(run, {"accepted": "true"})
    assert (version.name, version.version, version.run_id, version.role) == ("shops", "1", run, "challenger")
    assert version.tags["accepted"] == "true"
    assert content_hash(store.download("1")) == content_hash(models["good"])
    logged = store.client.get_run(run)
    assert logged.info.status == "FINISHED"
    assert logged.data.params["seed"] == "7"
    assert logged.data.metrics["average_precision"] == 0.5
    assert logged.data.tags["data_version"] == "d1"
    (data,) = logged.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("shops", "d1")


def test_mlflow_itself_scores_with_a_registered_model(store: MlflowStore, models: dict[str, Path]) -> None:
    from pushline.registry.mlflow_store import quietly
    from registry.models import shops

    store.register(log(store, models["good"]), {})
    with quietly():
        import mlflow

        mlflow.set_tracking_uri(store.uri)
        loaded = mlflow.pyfunc.load_model("models:/shops/1")
        answers = loaded.predict(shops(5, 4).drop(columns="outcome"))
    assert len(next(iter(answers.values())) if isinstance(answers, dict) else answers) == 5


@pytest.mark.parametrize("aliases", [True, False], ids=["aliases", "tags"])
def test_roles_pass_from_version_to_version(aliases: bool, store: MlflowStore, models: dict[str, Path]) -> None:
    store.aliases = aliases
    first, second = (store.register(log(store, models[name]), {}).version for name in ("poor", "good"))
    store.set_champion_alias(first)
    assert [(one.version, one.role) for one in store.versions()] == [(second, "challenger"), (first, "champion")]
    store.set_champion_alias(second)
    champion = store.champion()
    assert champion is not None
    assert champion.version == second
    assert "challenger" not in [version.role for version in store.versions()]
    assert store.version(first).role == ""


def test_an_unknown_version_is_told_with_those_there_are(store: MlflowStore, models: dict[str, Path]) -> None:
    with pytest.raises(RegistryError, match="There is none yet"):
        store.version("1")
    store.register(log(store, models["good"]), {})
    with pytest.raises(RegistryError) as refusal:
        store.set_champion_alias("9")
    assert "It has version 1." in str(refusal.value)


@pytest.mark.parametrize("fault", ["changed", "a file gone", "gone", "one more file"])
def test_a_model_that_is_not_what_was_logged_is_refused(fault: str, store: MlflowStore, models: dict[str, Path]) -> None:
    store.register(log(store, models["good"]), {})
    folder = store.download("1")
    if fault == "gone":
        shutil.rmtree(folder)
    elif fault == "a file gone":
        (folder / "scoring.json").unlink()
    elif fault == "changed":
        (folder / "contract.json").write_text("{}")
    else:
        (folder / "extra.py").write_text("")
    with pytest.raises(ModelUnreadable, match="Version 1 of shops"):
        store.download("1")


def test_a_registry_that_was_moved_with_its_project_finds_its_models(store: MlflowStore, models: dict[str, Path], tmp_path: Path) -> None:
    store.register(log(store, models["good"]), {})
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("mlflow.db", "mlartifacts"):
        shutil.move(tmp_path / name, moved / name)
    again = MlflowStore(f"sqlite:///{moved / 'mlflow.db'}", "shops", artifacts=moved / "mlartifacts", downloads=moved / "downloads")
    assert content_hash(again.download("1")) == content_hash(models["good"])


def test_a_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    store = MlflowStore("sqlite:////nowhere/mlflow.db", "shops", artifacts=tmp_path / "state" / "artifacts", downloads=tmp_path)
    with pytest.raises(Exception, match="can't be written"):
        store.open()


def test_a_damaged_registry_is_told_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"this is no database" * 100)
    store = MlflowStore(f"sqlite:///{tmp_path / 'mlflow.db'}", "shops", artifacts=tmp_path / "a", downloads=tmp_path)
    with pytest.raises(RegistryError, match="could not be opened"):
        store.versions()


@pytest.mark.slow
def test_the_variable_of_mlflow_names_another_registry(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
    assert open_store(project, PushlineSettings()).versions() == ()
    assert (tmp_path / "other.db").is_file()
    assert not project.state.exists()


@pytest.mark.slow
def test_two_processes_may_open_a_new_registry_at_once_and_say_nothing(tmp_path: Path) -> None:
    def opened(number: int) -> Ran:
        return forked(Project(tmp_path), (), clean_environment(), 120, None, "registry.opening")

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(opened, range(2))) == [Ran(0, "()\n", "")] * 2


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A tracking server of MLflow on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
         "--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}", "--artifacts-destination", str(tmp_path / "served")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env=clean_environment({"MLFLOW_DISABLE_TELEMETRY": "true"}),
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=10).close()
            break
        except OSError:
            assert time.monotonic() < deadline, "the tracking server did not start"
            time.sleep(0.3)
    yield url
    os.killpg(process.pid, 15)
    process.wait(60)


@pytest.mark.slow
def test_a_registry_behind_a_tracking_server_keeps_and_gives_models(server: str, models: dict[str, Path], tmp_path: Path) -> None:
    store = MlflowStore(server, "shops", downloads=tmp_path / "downloads")
    version = store.register(log(store, models["good"]), {"accepted": "true"})
    store.set_champion_alias(version.version)
    folder = store.download(version.version)
    assert content_hash(folder) == content_hash(models["good"])
    (folder / "scoring.json").write_text("{}")
    assert content_hash(store.download(version.version)) == content_hash(models["good"])  # fetched again


@pytest.mark.slow
def test_a_registry_that_does_not_answer_is_asked_four_times_and_told(tmp_path: Path) -> None:
    asked: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def hang_up() -> None:
            with suppress(OSError):
                while True:
                    connection, address = silent.accept()
                    asked.append(address)
                    connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        store = MlflowStore(f"http://127.0.0.1:{silent.getsockname()[1]}", "shops", downloads=tmp_path)
        with pytest.raises(RegistryError, match="could not"):
            store.versions()
        silent.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert len(asked) == 4
