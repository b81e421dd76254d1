"""What stands before Pushline comes: a workspace and what belongs to it, as a person or `bootstrap` made them.

Source: learn.microsoft.com, "Workspaces - Create Or Update" of Azure Machine Learning.
"""

from typing import TYPE_CHECKING

from fake import world as names
from fake.resources import ARM, authorize, check, get, plain, put
from fake.wire import Request, Response, route
from fake.world import SUBSCRIPTION, arm
from pushline.azure.cloud import stem_of

if TYPE_CHECKING:
    from fake.world import World

INSIGHTS = arm("Microsoft.Insights", "components", "bank-insights")
ANALYTICS = arm("Microsoft.OperationalInsights", "workspaces", "bank-logs")
CERTIFICATES = arm("Microsoft.Storage", "storageAccounts", f"{stem_of(names.WORKSPACE_ID)}tls")
STORAGE = arm("Microsoft.Storage", "storageAccounts", names.STORAGE)
VAULT = arm("Microsoft.KeyVault", "vaults", names.VAULT)
REGISTRY = arm("Microsoft.ContainerRegistry", "registries", names.REGISTRY)
IDENTITY = arm("Microsoft.ManagedIdentity", "userAssignedIdentities", "bank-ws-pull")
PULLER = "99999999-0000-0000-0000-000000000001"
ENVIRONMENT = arm("Microsoft.App", "managedEnvironments", f"{names.WORKSPACE}-apps")
CUSTOMER = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
ANALYTICS_KEY = "bG9nLWFuYWx5dGljcy1zaGFyZWQta2V5LXN0YXlzLXNlY3JldA=="
STORAGE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
INSTRUMENTATION = "12345678-1234-1234-1234-123456789abc"
CONNECTION = f"InstrumentationKey={INSTRUMENTATION};IngestionEndpoint=https://{names.REGION}-1.in.applicationinsights.azure.com/"


def build(world: "World") -> None:
    """Put the estate in place."""
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{names.GROUP}"
    world.resources[group.lower()] = {
        "id": group,
        "name": names.GROUP,
        "location": names.REGION,
        "properties": {"provisioningState": "Succeeded"},
    }
    here = {"location": names.REGION, "tags": {}}
    workspace = {**here, "identity": {"type": "SystemAssigned", "principalId": "f" * 8, "tenantId": names.TENANT}, "kind": "Default"}
    put(
        world,
        names.WORKSPACE_ID,
        workspace,
        workspaceId="0f0f0f0f-1111-2222-3333-444444444444",
        friendlyName=names.WORKSPACE,
        provisioningState="Succeeded",
        storageAccount=STORAGE,
        keyVault=VAULT,
        applicationInsights=INSIGHTS,
        containerRegistry=REGISTRY,
        discoveryUrl=f"https://{names.HISTORY}/discovery",
        mlFlowTrackingUri=f"azureml://{names.HISTORY}/mlflow/v1.0{names.WORKSPACE_ID}",
        publicNetworkAccess="Enabled",
        hbiWorkspace=False,
    )
    put(world, INSIGHTS, here, ConnectionString=CONNECTION, WorkspaceResourceId=ANALYTICS, AppId="app-id", provisioningState="Succeeded")
    put(world, ANALYTICS, here, customerId=CUSTOMER, provisioningState="Succeeded")
    put(world, STORAGE, here, provisioningState="Succeeded", allowSharedKeyAccess=True)
    put(world, CERTIFICATES, here, provisioningState="Succeeded", allowSharedKeyAccess=True)
    put(world, VAULT, here, vaultUri=f"https://{names.VAULT}.vault.azure.net/", enableRbacAuthorization=True, tenantId=names.TENANT)
    put(world, REGISTRY, here, loginServer=f"{names.REGISTRY}.azurecr.io", provisioningState="Succeeded", adminUserEnabled=False)
    put(world, ENVIRONMENT, here, defaultDomain=names.APPS_DOMAIN, provisioningState="Succeeded")
    put(world, IDENTITY, here, clientId=PULLER, principalId="p", tenantId=names.TENANT)


def readable(provider: str, kind: str) -> None:
    """Let a kind of resource be read by its id."""

    @route("GET", ARM, plain(provider, kind))
    def read(world: "World", request: Request, **_: str) -> Response:
        authorize(world, request)
        return Response(200, get(world, request.path))


for provider, kind in (
    ("Microsoft.Insights", "components"),
    ("Microsoft.OperationalInsights", "workspaces"),
    ("Microsoft.Storage", "storageAccounts"),
    ("Microsoft.KeyVault", "vaults"),
    ("Microsoft.ContainerRegistry", "registries"),
    ("Microsoft.ManagedIdentity", "userAssignedIdentities"),
    ("Microsoft.App", "managedEnvironments"),
):
    readable(provider, kind)


@route("POST", ARM, plain("Microsoft.OperationalInsights", "workspaces") + "/sharedKeys")
def shared_keys(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    return Response(200, {"primarySharedKey": ANALYTICS_KEY, "secondarySharedKey": ANALYTICS_KEY})


@route("POST", ARM, plain("Microsoft.Storage", "storageAccounts") + "/listKeys")
def storage_keys(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    return Response(200, {"keys": [{"keyName": "key1", "value": STORAGE_KEY, "permissions": "FULL"}]})


@route("PUT", ARM, plain("Microsoft.Storage", "storageAccounts") + "/fileServices/default/shares/{share}")
def share(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    check(world, request)
    known = request.path.lower() in world.resources
    return Response(200 if known else 201, put(world, request.path, request.json))
