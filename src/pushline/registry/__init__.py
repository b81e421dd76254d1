"""The model registry: training runs, model versions, champion and challenger, the promotion decision.

- `store.py`: what the stages need of a registry; `mlflow_store.py`: MLflow's
- `register.py`, `decision.py`: a model version, and whether it may replace the champion
- `holdout.py`, `measures.py`: two models on the same rows, and figures of many resamples at once
- `replay.py`: what would have changed, asked of kept requests
- `travel.py`: a local registry on its way to the next machine
- `signature.py`: signatures that come after a model was logged
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pushline.project import Project
    from pushline.registry.store import ModelStore
    from pushline.settings import PushlineSettings


def open_store(project: "Project", settings: "PushlineSettings") -> "ModelStore":
    """The registry of the project: on Azure the workspace's; else its own on SQLite, or the one that `MLFLOW_TRACKING_URI` names.

    Nothing is touched before the first question.
    """
    if settings.on_azure:
        from pushline.azure.cloud import Cloud
        from pushline.azure.store import WorkspaceStore

        return WorkspaceStore(Cloud(settings.azure), settings.model_name, downloads=project.state.resolve() / "models")
    from pushline.registry.mlflow_store import MlflowStore

    said = os.environ.get("MLFLOW_TRACKING_URI")
    state = project.state.resolve()  # a run of a published pipeline reaches it through a link
    downloads = state / "models"
    if said:
        return MlflowStore(said, settings.model_name, downloads=downloads)
    database, artifacts = state / "mlflow.db", state / "mlartifacts"
    return MlflowStore(f"sqlite:///{database}", settings.model_name, artifacts=artifacts, downloads=downloads)
