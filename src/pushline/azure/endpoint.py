"""What every target on Azure has: a workspace, a name, two keys in Key Vault, and the image of a release."""

import time
from collections.abc import Callable
from functools import cached_property

from pushline.azure.cloud import Cloud
from pushline.azure.container_registry import ContainerRegistry
from pushline.azure.image import scoring_image
from pushline.azure.keyvault import VaultKeys
from pushline.errors import SettingsError, TargetError
from pushline.progress import Progress
from pushline.project import Project
from pushline.results import Release
from pushline.serving.client import Client
from pushline.serving.keys import EndpointKeys
from pushline.settings import PushlineSettings


class AzureEndpoint:
    """One endpoint of the workspace, named `label`."""

    def __init__(self, project: Project, settings: PushlineSettings) -> None:
        self.project = project
        self.settings = settings
        self.azure = settings.azure
        self.cloud = Cloud(settings.azure)
        self.label = settings.azure.label or settings.model_name
        fault = self.label_fault()
        if fault:
            raise SettingsError(
                f"{self.label!r} can't be the name of an endpoint.", why=fault, do="Set another `label` in [tool.pushline.azure]."
            )

    def label_fault(self) -> str:
        """Why the label can't be the name of such an endpoint, or nothing."""
        raise NotImplementedError

    @cached_property
    def vault(self) -> VaultKeys:
        return VaultKeys(self.cloud, self.label)

    @cached_property
    def registry(self) -> ContainerRegistry:
        return ContainerRegistry(self.cloud)

    @property
    def telemetry(self) -> bool:
        return self.azure.telemetry and bool(self.cloud.facts.insights)

    @property
    def connection(self) -> str:
        """What a service needs to report to Application Insights; empty where the workspace has none."""
        return str(self.cloud.insights["ConnectionString"]) if self.cloud.facts.insights else ""

    def keys(self) -> EndpointKeys:
        return self.vault.read_or_make()

    def keys_place(self) -> str:
        return self.vault.place

    def image_of(self, release: Release, progress: Progress) -> str:
        """The release's image in the workspace's registry, built where it is not there yet."""
        return scoring_image(self.project, release, self.registry, self.azure.image_builder, progress)


def wait_until_ready(
    url: str, release: str, until: float, *, every_s: float, fault: Callable[[], str], not_up: Callable[[str], TargetError]
) -> None:
    """Until /readyz says 200 over TLS, and that it is this release; what will not come up by itself is told at once."""
    client, started = Client(url, timeout_s=5), time.monotonic()
    while (answer := client.get("/readyz")).status != 200 or answer.headers.get("x-release", release) != release:
        why = fault()
        if not why and time.monotonic() > until:
            why = f"{url}/readyz gave {answer} for {time.monotonic() - started:.0f} s"
        if why:
            raise not_up(why)
        time.sleep(every_s)
