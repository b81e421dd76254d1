"""One workspace of Azure: its clients, made when first asked for, and what it knows about its surroundings."""

import contextlib
import hashlib
import io
import logging
import re
import warnings
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec import Struct

from pushline.azure.arm import PATIENCE, Arm
from pushline.azure.credential import credential
from pushline.azure.failures import asking
from pushline.azure.packages import needs_azure
from pushline.errors import SettingsError
from pushline.progress import Progress
from pushline.settings import Azure

WORKSPACE_VERSION = "2024-10-01"
INSIGHTS_VERSION = "2020-02-02"
ANALYTICS_VERSION = "2023-09-01"
STORAGE_VERSION = "2023-05-01"
REGISTRY_VERSION = "2023-07-01"
IDENTITY_VERSION = "2023-01-31"


class WorkspaceFacts(Struct, frozen=True, kw_only=True):
    """What the workspace says of itself; ids are ARM ids."""

    id: str
    region: str
    storage: str
    vault: str
    insights: str
    registry: str
    tracking: str


class Cloud:
    """The workspace that the settings name."""

    def __init__(self, settings: Azure) -> None:
        needs_azure()
        for name in ("subscription", "resource_group", "workspace"):
            if not getattr(settings, name):
                raise SettingsError(
                    f"The setting azure.{name} is empty.",
                    why="A target on Azure needs to know which workspace it belongs to.",
                    do=f"Set {name} in [tool.pushline.azure] of pyproject.toml, or the variable PUSHLINE_AZURE__{name.upper()}.",
                )
        self.settings = settings
        hush()

    @cached_property
    def credential(self) -> Any:
        return credential()

    @cached_property
    def arm(self) -> Arm:
        return Arm(self.credential)

    @cached_property
    def ml(self) -> Any:
        with quietly():
            from azure.ai.ml import MLClient

            return MLClient(
                self.credential,
                self.settings.subscription,
                self.settings.resource_group,
                self.settings.workspace,
                show_progress=False,
                enable_telemetry=False,
                **PATIENCE,
            )

    def id_of(self, provider: str, *parts: str) -> str:
        """The ARM id of a resource in the workspace's resource group."""
        group = f"/subscriptions/{self.settings.subscription}/resourceGroups/{self.settings.resource_group}"
        return "/".join([group, "providers", provider, *parts])

    @property
    def workspace_id(self) -> str:
        return self.id_of("Microsoft.MachineLearningServices", "workspaces", self.settings.workspace)

    @cached_property
    def facts(self) -> WorkspaceFacts:
        told = self.arm.read(self.workspace_id, WORKSPACE_VERSION, what=f"reading the workspace {self.settings.workspace}")
        properties = told["properties"]
        if not properties.get("containerRegistry"):
            raise SettingsError(
                f"The workspace {self.settings.workspace} has no container registry.",
                why="Azure makes one only when a workspace first builds an image.",
                do="Attach one to the workspace; `pushline docs azure` says how.",
            )
        return WorkspaceFacts(
            id=told["id"],
            region=told["location"],
            storage=properties["storageAccount"],
            vault=properties["keyVault"],
            insights=properties.get("applicationInsights") or "",
            registry=properties["containerRegistry"],
            tracking=properties["mlFlowTrackingUri"].replace("/mlflow/v1.0", "/mlflow/v2.0"),
        )

    @cached_property
    def pull_identity(self) -> str:
        """The ARM id of the identity that pulls images, which must be there before."""
        said = self.settings.pull_identity or f"{self.settings.workspace}-pull"
        resource = said if said.startswith("/") else self.id_of("Microsoft.ManagedIdentity", "userAssignedIdentities", said)
        return str(self.arm.read(resource, IDENTITY_VERSION, what=f"reading the identity {name_of(resource)} that pulls images")["id"])

    @property
    def certificates(self) -> str:
        """The ARM id of the storage account whose one share keeps the certificates of the endpoints."""
        return self.id_of("Microsoft.Storage", "storageAccounts", f"{stem_of(self.workspace_id)}tls")

    @cached_property
    def login_server(self) -> str:
        told = self.arm.read(self.facts.registry, REGISTRY_VERSION, what="reading the workspace's container registry")
        return str(told["properties"]["loginServer"])

    @cached_property
    def vault_address(self) -> str:
        told = self.arm.read(self.facts.vault, "2023-07-01", what="reading the workspace's Key Vault")
        return str(told["properties"]["vaultUri"]).rstrip("/")

    @cached_property
    def insights(self) -> dict[str, Any]:
        told = self.arm.read(self.facts.insights, INSIGHTS_VERSION, what="reading the workspace's Application Insights")
        return dict(told["properties"])

    @cached_property
    def analytics(self) -> tuple[str, str]:
        """Customer id of the Log Analytics workspace behind Application Insights, and its ARM id."""
        resource = str(self.insights["WorkspaceResourceId"])
        told = self.arm.read(resource, ANALYTICS_VERSION, what="reading the Log Analytics workspace")
        return str(told["properties"]["customerId"]), resource

    def analytics_key(self) -> str:
        answer = self.arm.act(self.analytics[1], "sharedKeys", "2020-08-01", what="asking for the key of Log Analytics")
        return str(answer["primarySharedKey"])

    def certificates_key(self) -> str:
        answer = self.arm.act(self.certificates, "listKeys", STORAGE_VERSION, what="asking for the key of the account of the certificates")
        return str(answer["keys"][0]["value"])

    def container(self, datastore: str) -> Any:
        """A client of the blob container behind a datastore of the workspace."""
        from azure.storage.blob import ContainerClient

        # Of the resource manager, not of the ML client: that takes seconds to import, and most commands need it for nothing else.
        told = self.arm.read(f"{self.workspace_id}/datastores/{datastore}", WORKSPACE_VERSION, what=f"reading the datastore {datastore}")
        found = told["properties"]
        address = f"{found.get('protocol') or 'https'}://{found['accountName']}.blob.{found.get('endpoint') or 'core.windows.net'}"
        return ContainerClient(address, found["containerName"], credential=self.credential, **PATIENCE)

    def download(self, datastore: str, prefix: str, folder: Path, *, left_out: Collection[str] = ()) -> int:
        """Put what lies below `prefix` into `folder`, but for files of the names `left_out`; returns how many files that were."""
        box = self.container(datastore)
        names = [blob.name for blob in box.list_blobs(name_starts_with=prefix) if Path(blob.name).name not in left_out]
        for name in names:
            file = folder / name.removeprefix(prefix)
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as stream:
                box.download_blob(name).readinto(stream)
        return len(names)

    def steps(self, job: str) -> list[Any]:
        """The steps of a job."""
        with asking(f"looking at the steps of {job}"), quietly():
            return list(self.ml.jobs.list(parent_job_name=job))

    def tell_steps(self, job: str, told: dict[str, str], progress: Progress) -> None:
        """Say of each step what it does now where that is not what was `told` before."""
        for step in self.steps(job):
            state = spoken(step.status)
            if told.get(step.display_name) != state:
                told[step.display_name] = state
                progress(f"{step.display_name}: {state.lower()}")

    def deploy_batch(self, endpoint: str, description: str, deployment: Any, *, new: bool) -> None:
        """Make a deployment of a batch endpoint and the default of it; the endpoint too where it is `new`."""
        from azure.ai.ml.entities import BatchEndpoint

        if new:
            self.ml.batch_endpoints.begin_create_or_update(BatchEndpoint(name=endpoint, description=description)).result()
        self.ml.batch_deployments.begin_create_or_update(deployment).result()
        newest = BatchEndpoint(name=endpoint, description=description, defaults={"deployment_name": deployment.name})
        self.ml.batch_endpoints.begin_create_or_update(newest).result()


def spoken(status: Any) -> str:
    """A status as the service spells it; the SDK gives text or a member of an enumeration."""
    return str(getattr(status, "value", status))


def stem_of(workspace: str) -> str:
    """A name that no one else on Azure has, of a workspace's id: letters and digits, at most 20."""
    own = re.sub(r"[^a-z0-9]", "", name_of(workspace).lower())[:11] or "pushline"
    return f"{own}{hashlib.sha256(workspace.lower().encode()).hexdigest()[:9]}"


def name_of(resource: str) -> str:
    """The last part of an ARM id."""
    return resource.rstrip("/").rpartition("/")[2]


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """The SDK prints progress bars, notices and blank lines; a stage speaks for itself."""
    nowhere, before = io.StringIO(), logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            contextlib.redirect_stderr(nowhere),
            contextlib.redirect_stdout(nowhere),
            warnings.catch_warnings(action="ignore"),
        ):
            yield
    finally:
        logging.disable(before)


def hush() -> None:
    """The SDKs' own chatter is not for our users; what goes wrong is raised."""
    for name in ("azure", "azureml", "msal", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
