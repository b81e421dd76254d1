"""The workspace's MLflow as the model registry: the same store as the local one, signed in as we sign in everywhere."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from pushline.azure.cloud import Cloud
from pushline.azure.failures import asking
from pushline.errors import TargetError
from pushline.registry.mlflow_store import MlflowStore, quietly

ADDRESS = "MLFLOW_TRACKING_URI"


class WorkspaceStore(MlflowStore):
    """Roles are tags: whether the workspace's MLflow keeps aliases is not known. Nothing is asked before the first question."""

    def __init__(self, cloud: Cloud, name: str, *, downloads: Path) -> None:
        self.cloud = cloud
        super().__init__("", name, downloads=downloads, aliases=False)

    @cached_property
    def client(self) -> Any:
        self.uri = self.cloud.facts.tracking
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")  # about half a minute; seven are four minutes
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        with quietly():
            logging.getLogger("mlflow").setLevel(logging.ERROR)
            from azureml.mlflow._internal.service_context_loader import _AzureMLServiceContextLoader
            from azureml.mlflow._internal.utils import ServiceContext

            context = ServiceContext(
                host_url=f"https://{self.uri.removeprefix('azureml://').partition('/')[0]}",
                subscription_id=self.cloud.settings.subscription,
                workspace_name=self.cloud.settings.workspace,
                resource_group_name=self.cloud.settings.resource_group,
                auth=self.cloud.credential,
            )
            # The plugin would sign in with a chain of its own, which knows no fresh assertion and asks for a browser.
            _AzureMLServiceContextLoader.add_service_context(self.uri, context)
        return self.opened()

    def try_run(self) -> None:
        """Keep a run with tags and a figure, read it back, and remove it. Raises TargetError where something of it is not kept."""
        with self._asked("keep a run with tags"):
            run = self.client.create_run(self._experiment(), tags={"pushline.preflight": "yes"}).info.run_id
            try:
                self.client.set_tag(run, "pushline.tried", "yes")
                self.client.log_metric(run, "tried", 1.0)
                kept = self.client.get_run(run).data
                self.client.set_terminated(run)
            finally:
                self.client.delete_run(run)
        lost = {"pushline.preflight", "pushline.tried"} - set(kept.tags) | {"tried"} - set(kept.metrics)
        if lost:
            raise TargetError(f"The workspace's MLflow keeps a run without {', '.join(sorted(lost))}.", do="Look at the run in the studio.")

    @contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        with self._addressed(), asking(f"the registry was to {what}"), super()._asked(what):
            yield

    @contextmanager
    def _addressed(self) -> Iterator[None]:
        """The plugin finds the way to artifacts by MLflow's global address alone: it is ours for as long as we ask."""
        address, before = self.cloud.facts.tracking, os.environ.get(ADDRESS)
        with quietly():
            import mlflow
        mlflow.set_tracking_uri(address)
        try:
            yield
        finally:
            mlflow.set_tracking_uri(before)
            if before is None:
                os.environ.pop(ADDRESS, None)
