"""What the stages need of a model registry, wherever it is."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from pushline.errors import RegistryError

CROWNED = "crowned"  # tag of a version that has been champion
TRAINING = "training"  # tag of a version: the identity of its training
TRAINED = "trained.json"  # the result of a training as it is logged beside its model, in an artifact folder `trained`
MANIFEST = "manifest"  # tag of a version: the digest of its model folder that was signed


class ModelVersion(Struct, frozen=True, kw_only=True):
    """One version of the model in the registry."""

    name: str
    version: str
    run_id: str
    made_at: datetime
    tags: dict[str, str]
    role: str = ""  # champion, challenger or neither


class ModelStore(Protocol):
    """A model registry. Local: MLflow on SQLite with aliases; on Azure the workspace's MLflow with tags."""

    def open(self) -> None:
        """Do now what the first question to it would do first: its packages are imported, a new one gets its tables."""

    def log_training(
        self,
        *,
        parameters: Mapping[str, Any],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        dataset: Mapping[str, str],  # name, version, digest, source
        model: Path,
        artifacts: Mapping[str, Path],  # artifact folder to a file or folder
    ) -> str:
        """Log a finished training run with its model folder; returns the run's id."""

    def logged(self, run_id: str, folder: str) -> Path:
        """An artifact folder of a training run, on this machine."""

    def knows(self, run_id: str) -> bool:
        """Whether the registry holds that training run."""

    def register(self, run_id: str, tags: Mapping[str, str]) -> ModelVersion:
        """Make a model version of the model that `run_id` logged; it becomes the challenger."""

    def champion(self) -> ModelVersion | None: ...
    def version(self, version: str) -> ModelVersion:
        """Raises RegistryError, listing the versions there are, where there is none of that number."""

    def versions(self) -> tuple[ModelVersion, ...]:
        """All versions, newest first."""

    def add_signature(self, run_id: str, model: Path) -> None:
        """Put the signature in `model` into the model that `run_id` logged, and into the versions made of it."""

    def tag(self, version: str, tags: Mapping[str, str]) -> None:
        """Add tags to a version."""

    def set_champion_alias(self, version: str) -> None:
        """Make `version` the champion."""

    def download(self, version: str) -> Path:
        """The model folder of `version` on this machine, unchanged since it was logged."""


def version_or_champion(store: ModelStore, version: str | None) -> ModelVersion:
    """The model version of that number, by default the champion. Raises RegistryError where there is none."""
    found = store.version(version) if version is not None else store.champion()
    if found is None:
        raise RegistryError(
            "There is no champion.",
            why="No release was promoted yet.",
            do="Make one with `pushline run`, or name a model version or a model folder.",
        )
    return found
