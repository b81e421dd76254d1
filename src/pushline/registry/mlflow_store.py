"""A model registry on MLflow: SQLite below `.pushline/`, or whatever `MLFLOW_TRACKING_URI` names.

Uses only calls that Azure ML's MLflow answers too: a model is saved to a folder by training, logged as artifacts, and made
a version from there (`log_model` and `register_model("runs:/…")` fail there with MLflow 3).
"""

import logging
import os
import shutil
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import msgspec

from pushline.errors import ModelUnreadable, RegistryError
from pushline.files import content_hash, whole_folder
from pushline.locks import locked
from pushline.registry.store import CROWNED, MANIFEST, ModelVersion
from pushline.signing.manifest import SIGNATURE
from pushline.signing.verification import manifest_of

CHAMPION, CHALLENGER = "champion", "challenger"
FORMER = "former"  # where roles are tags: not every backend takes an empty one
MODEL_FOLDER = "model"
CONTENT = "pushline.content"  # sha256 of the model folder as it was logged
SIGNED = "pushline.signature"  # of a run whose artifacts can't be replaced: where the newest signature lies
WAIT_S = 60.0  # to make a new registry's tables
MAX_PARAMETER = 500  # characters that every MLflow backend takes


def quiet_mlflow() -> None:
    """No telemetry, no news, no chatter of migrations: only what goes wrong is worth a line."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # its own 7 keep a person waiting for minutes
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    logging.getLogger("alembic").setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it raises what it logs, and logs a page of calls


@contextmanager
def quietly() -> Iterator[None]:
    """Import and use MLflow without the deprecations inside it and its dependencies: those are theirs to mend."""
    quiet_mlflow()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class MlflowStore:
    """Training runs and model versions of one model name. Roles are aliases, or tags where a backend has none."""

    def __init__(self, uri: str, name: str, *, artifacts: Path | None = None, downloads: Path, aliases: bool = True) -> None:
        """`artifacts`: where a local registry keeps files; `downloads`: where remote ones are put for use here."""
        self.uri = uri
        self.name = name
        self.artifacts = artifacts
        self.downloads = downloads
        self.aliases = aliases

    @cached_property
    def client(self) -> Any:
        return self.opened()

    def open(self) -> None:
        assert self.client

    def opened(self) -> Any:
        """A client of the registry that answers. MLflow's own global address stays what it is."""
        with quietly():
            from mlflow import MlflowClient

            with self._alone(), self._asked("be opened"):
                client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
                client.search_experiments(max_results=1)
        return client

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The tables of a new local registry are made by one process at a time."""
        if self.artifacts is None:
            yield
            return
        with locked(self.artifacts.parent / "mlflow.lock", wait_s=WAIT_S):
            yield

    @contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        """Turn MLflow's failures into one of ours."""
        with quietly():
            from mlflow.exceptions import MlflowException
            from sqlalchemy.exc import SQLAlchemyError

            try:
                yield
            except (MlflowException, SQLAlchemyError, OSError) as error:
                raise RegistryError(
                    f"The model registry could not {what}.",
                    why=f"{where(self.uri)}: {str(error).splitlines()[0] if str(error) else type(error).__name__}.",
                    do="Look whether the registry can be reached and its disk has room, then run the same command again.",
                ) from error

    def log_training(
        self,
        *,
        parameters: Mapping[str, Any],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        dataset: Mapping[str, str],
        model: Path,
        artifacts: Mapping[str, Path],
    ) -> str:
        client = self.client
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
        from mlflow.exceptions import MlflowException

        digest = content_hash(model)
        now = int(time.time() * 1000)
        with self._asked("log the training run"):
            run = client.create_run(self._experiment(), run_name="train").info
            try:
                client.log_batch(
                    run.run_id,
                    metrics=[Metric(key, float(value), now, 0) for key, value in metrics.items()],
                    params=[Param(key, str(value)[:MAX_PARAMETER]) for key, value in parameters.items()],
                    tags=[RunTag(key, value) for key, value in {**tags, CONTENT: digest}.items()],
                )
                data = Dataset(
                    name=dataset["name"],
                    digest=dataset["digest"][:36],
                    source_type="local",
                    source=msgspec.json.encode({"uri": dataset["source"], "version": dataset["version"]}).decode(),
                )
                with suppress(NotImplementedError, MlflowException):  # a backend without data sets has the version among the tags
                    client.log_inputs(run.run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
                client.log_artifacts(run.run_id, str(model), MODEL_FOLDER)
                for folder, path in artifacts.items():
                    (client.log_artifacts if path.is_dir() else client.log_artifact)(run.run_id, str(path), folder)
            except BaseException:
                with suppress(Exception):
                    client.set_terminated(run.run_id, "FAILED")
                raise
            client.set_terminated(run.run_id)
        return str(run.run_id)

    def _experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.name)
        if found is not None:
            return str(found.experiment_id)
        location = self.artifacts.as_uri() if self.artifacts is not None else None
        return str(self.client.create_experiment(self.name, artifact_location=location))

    def knows(self, run_id: str) -> bool:
        client = self.client
        from mlflow.exceptions import MlflowException

        with self._asked("look for the training run"):
            try:
                client.get_run(run_id)
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return False
                raise
        return True

    def register(self, run_id: str, tags: Mapping[str, str]) -> ModelVersion:
        client = self.client
        tags = {key: value for key, value in tags.items() if value}  # not every backend takes an empty one
        with self._asked("make a model version"):
            run = client.get_run(run_id)
            for version in self._search():
                if version.run_id == run_id:  # the same command again continues, it does not duplicate
                    for key, value in tags.items():
                        client.set_model_version_tag(self.name, version.version, key, value)
                    self._give(CHALLENGER, str(version.version))
                    return self.version(str(version.version))
            self._ensure_name()
            made = client.create_model_version(
                self.name,
                source=f"{run.info.artifact_uri}/{MODEL_FOLDER}",
                run_id=run_id,
                tags={**tags, CONTENT: run.data.tags[CONTENT]} if CONTENT in run.data.tags else tags,
            )
            self._give(CHALLENGER, str(made.version))
        return self.version(str(made.version))

    def _ensure_name(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _give(self, role: str, version: str) -> None:
        if self.aliases:
            self.client.set_registered_model_alias(self.name, role, version)
            return
        self.client.set_model_version_tag(self.name, version, "role", role)  # first: cut off here, there are two and never none
        for other in self._search():
            if other.tags.get("role") == role and str(other.version) != version:
                self.client.set_model_version_tag(self.name, other.version, "role", FORMER)

    def champion(self) -> ModelVersion | None:
        return next((version for version in self.versions() if version.role == CHAMPION), None)

    def version(self, version: str) -> ModelVersion:
        known = self.versions()
        for found in known:
            if found.version == version:
                return found
        raise RegistryError(
            f"There is no version {version} of {self.name}.",
            why=f"It has version{'s' * (len(known) > 1)} {', '.join(found.version for found in known)}." if known else "There is none yet.",
            do="Name one of them." if known else "Train and register one with `pushline run`.",
        )

    def versions(self) -> tuple[ModelVersion, ...]:
        if self.artifacts is not None and not Path(self.uri.removeprefix("sqlite:///")).exists():
            return ()  # a registry that is not there yet holds none, and is not made to say so
        with self._asked("list its versions"):
            found = self._search()
            roles = self._roles(found)
        return tuple(
            ModelVersion(
                name=self.name,
                version=str(version.version),
                run_id=version.run_id or "",
                made_at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
                tags={key: value for key, value in version.tags.items() if key != "role"},
                role=roles.get(str(version.version), ""),
            )
            for version in sorted(found, key=lambda version: int(version.version), reverse=True)
        )

    def _search(self) -> list[Any]:
        found: list[Any] = []
        page: Any = None
        while page is None or page.token:
            page = self.client.search_model_versions(f"name='{self.name}'", page_token=page and page.token)
            found += [version for version in page if version.name == self.name]
        return found

    def _roles(self, found: list[Any]) -> dict[str, str]:
        """The role of each version that has one; champion goes before challenger."""
        if not found:
            return {}
        if not self.aliases:
            said = {str(version.version): version.tags.get("role", "") for version in found}
            return {version: role for version, role in said.items() if role in (CHAMPION, CHALLENGER)}
        aliases = self.client.get_registered_model(self.name).aliases
        return {str(aliases[role]): role for role in (CHALLENGER, CHAMPION) if role in aliases}

    def set_champion_alias(self, version: str) -> None:
        self.version(version)
        with self._asked("make the version champion"):
            self.client.set_model_version_tag(self.name, version, CROWNED, "true")
            self._give(CHAMPION, version)

    def tag(self, version: str, tags: Mapping[str, str]) -> None:
        """Add tags to a version; those of its origin stay."""
        with self._asked("tag the version"):
            for key, value in tags.items():
                self.client.set_model_version_tag(self.name, version, key, value)

    def add_signature(self, run_id: str, model: Path) -> None:
        """Azure ML replaces no artifact, so away from this machine each signature has a place of its own."""
        digest = content_hash(model)
        with self._asked("take the signature"):
            here = self._local(str(self.client.get_run(run_id).info.artifact_uri)) is not None
            place = MODEL_FOLDER if here else f"signatures/{uuid.uuid4().hex}"
            self.client.log_artifact(run_id, str(model / SIGNATURE), place)
            if place != MODEL_FOLDER:
                self.client.set_tag(run_id, SIGNED, place)
            self.client.set_tag(run_id, CONTENT, digest)
        for version in self.versions():
            if version.run_id == run_id:
                self.tag(version.version, {CONTENT: digest, MANIFEST: manifest_of(model)})

    def download(self, version: str) -> Path:
        """The model folder of `version`. Raises ModelUnreadable where it is not what was logged."""
        known = self.version(version)
        wanted = known.tags.get(CONTENT, "")
        with self._asked("give the model folder"):
            source = str(self.client.get_model_version(self.name, version).source)
        folder = self._local(source)
        if folder is None:
            home = self.downloads / f"{self.name}-{version}-{wanted[:12]}"
            there = home.is_dir() and content_hash(home) == wanted
            folder = home if there else self._fetched(source, home, self._signature(known.run_id))
        try:
            seen = content_hash(folder)
        except OSError as error:
            raise self._damaged(version, f"{folder}: {error.strerror or error}") from error
        if seen != wanted:
            raise self._damaged(version, f"{folder} is not what was logged (sha256 {seen[:12]}, expected {wanted[:12]})")
        return folder

    def _local(self, source: str) -> Path | None:
        """The folder of a version whose files lie on this machine, also after the project was moved."""
        parsed = urlparse(source)
        if parsed.scheme not in ("", "file"):
            return None
        folder = Path(unquote(parsed.path))
        if self.artifacts is not None and not folder.exists() and len(folder.parts) >= 3:
            moved = self.artifacts.joinpath(*folder.parts[-3:])
            return moved if moved.exists() else folder
        return folder

    def _signature(self, run_id: str) -> str:
        """The address of a signature that came after the model; empty where there is none."""
        with self._asked("say where the signature is"):
            run = self.client.get_run(run_id) if run_id else None
        return f"{run.info.artifact_uri}/{run.data.tags[SIGNED]}/{SIGNATURE}" if run and SIGNED in run.data.tags else ""

    def _fetched(self, source: str, home: Path, signature: str = "") -> Path:
        """Files of a remote registry, put into `home` whole, with the signature at another address in the place of their own."""
        from mlflow.artifacts import download_artifacts

        with (
            self._asked("give what a run has logged"),
            whole_folder(home) as half,
            tempfile.TemporaryDirectory(dir=self.downloads) as place,
        ):
            found = download_artifacts(artifact_uri=source, dst_path=place, tracking_uri=self.uri)
            shutil.copytree(found, half, dirs_exist_ok=True)
            if signature:
                newest = download_artifacts(artifact_uri=signature, dst_path=Path(place) / "signed", tracking_uri=self.uri)
                shutil.copyfile(newest, half / SIGNATURE)
        return home

    def logged(self, run_id: str, folder: str) -> Path:
        with self._asked("give what a run has logged"):
            source = f"{self.client.get_run(run_id).info.artifact_uri}/{folder}"
        home = self.downloads / f"{run_id}-{folder}"
        return self._local(source) or (home if home.is_dir() else self._fetched(source, home))

    def _damaged(self, version: str, why: str) -> ModelUnreadable:
        return ModelUnreadable(
            f"Version {version} of {self.name} can't be used.",
            why=f"{why}.",
            do="Train and register it again, or use another version.",
        )


def where(uri: str) -> str:
    """A registry's address without a password that may be in it."""
    parsed = urlparse(uri)
    return uri.replace(f"{parsed.username}:{parsed.password}@", "") if parsed.password else uri
