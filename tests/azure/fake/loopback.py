"""Start and stop a whole loopback Azure, and say which variables let a program reach it."""

from pathlib import Path

from fake import (  # noqa: F401 - importing them registers their routes
    apps,
    assets,
    computes,
    deployments,
    directory,
    endpoints,
    estate,
    groups,
    history,
    images,
    jobs,
    making,
    monitor,
    region,
    storage,
    tracking,
    vault,
)
from fake.directory import GITHUB, Application
from fake.proxy import Proxy
from fake.resources import ARM
from fake.wire import Request, Response, route
from fake.world import GROUP, REGISTRY, SUBSCRIPTION, TENANT, WORKSPACE, World
from pushline.azure import roles

TRAINING = "aaaa1111-0000-0000-0000-000000000001"
RELEASE = "aaaa1111-0000-0000-0000-000000000002"
PERSON = "aaaa1111-0000-0000-0000-000000000003"
REPOSITORY = "repo:someone/bank"


@route("GET", ARM, "/metadata/endpoints", token=False)
def clouds(world: World, request: Request) -> Response:
    """The public cloud's addresses, as azureml-mlflow asks for them."""
    suffixes = {"storage": "core.windows.net", "acrLoginServer": "azurecr.io", "keyVaultDns": "vault.azure.net"}
    sign_in = {"loginEndpoint": f"https://{directory.LOGIN}/", "audiences": ["https://management.core.windows.net/"], "tenant": "common"}
    cloud = {"name": "AzureCloud", "portal": "https://portal.azure.com", "authentication": sign_in, "suffixes": suffixes}
    return Response(200, [{**cloud, "resourceManager": f"https://{ARM}/", "graphAudience": "https://graph.windows.net/"}])


class Loopback:
    """A world with its proxy and its services. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        estate.build(self.world)
        for client, name, held in (
            (TRAINING, "training", roles.TRAINING),
            (RELEASE, "production", (*roles.RELEASE, *roles.RELEASE_TO_APPS)),
            (PERSON, "laptop", (*roles.TRAINING, *roles.RELEASE, *roles.RELEASE_TO_APPS)),
        ):
            secret = f"{name}-secret-that-stays-secret"
            self.world.directory.applications[client] = Application(client, name, f"{REPOSITORY}:environment:{name}", secret)
            self.world.rights[client] = held
        self.world.rights[estate.PULLER] = roles.PULL_FOR_APPS
        self.proxy = Proxy(self.world)
        self.world.reach = self.reach()

    def __enter__(self) -> "Loopback":
        self.world.services["tracking"] = tracking.Tracking(self.world.folder / "mlflow")
        script = storage.azurite()
        if script is not None:
            self.world.services["blobs"] = storage.Blobs(script, estate.STORAGE_KEY)
            self.world.services["blobs"].wait()
            for container in (assets.CONTAINER, assets.ARTIFACTS):
                storage.make_container(self.world, container)
        self.proxy.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.proxy.stop()
        for job in self.world.jobs.values():
            job.cancelled = True
            jobs.end_process(job)
        for group in self.world.groups.values():
            group.stop()
        for app in self.world.apps.values():
            app.end()
        for service in self.world.services.values():
            service.stop()

    def reach(self) -> dict[str, str]:
        """The variables by which any program's HTTPS comes here."""
        trust = str(self.world.authority.bundle)
        return {
            "HTTPS_PROXY": self.proxy.address,
            "https_proxy": self.proxy.address,
            "NO_PROXY": "localhost,127.0.0.1,::1",
            "no_proxy": "localhost,127.0.0.1,::1",
            "REQUESTS_CA_BUNDLE": trust,
            "SSL_CERT_FILE": trust,
            "CURL_CA_BUNDLE": trust,
        }

    def settings(self) -> dict[str, str]:
        """The settings that make the loopback workspace the target."""
        return {
            "PUSHLINE_TARGET": "aci",
            "PUSHLINE_AZURE__SUBSCRIPTION": SUBSCRIPTION,
            "PUSHLINE_AZURE__RESOURCE_GROUP": GROUP,
            "PUSHLINE_AZURE__WORKSPACE": WORKSPACE,
        }

    def as_laptop(self) -> dict[str, str]:
        """A person's machine: a client secret in the environment."""
        application = self.world.directory.applications[PERSON]
        said = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": PERSON, "AZURE_CLIENT_SECRET": application.secret}
        return {**self.reach(), **self.settings(), **said}

    def as_job(self, client: str = RELEASE) -> dict[str, str]:
        """A job in GitHub Actions that may ask for an id-token."""
        return {
            **self.reach(),
            **self.settings(),
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": client,
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"https://{GITHUB}/{client}/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self.world.directory.runner_token,
        }


class Empty(Loopback):
    """A subscription of its own with nothing in it, and a person who owns it. Nothing runs behind it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.world.resources.clear()
        self.world.rights = {PERSON: (roles.Role(name="Owner", scope="subscription", actions=("*",), reason=""),)}

    def __enter__(self) -> "Empty":
        self.proxy.start()
        return self


def registry_host() -> str:
    return f"{REGISTRY}.azurecr.io"
