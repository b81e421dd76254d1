"""What the targets on Azure stand on, each resource as the resource manager takes it: how it is made, and what it must have."""

import uuid
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from pushline.azure import cloud, roles
from pushline.azure.compute import IDLE_S
from pushline.azure.containerapps.definition import APP_VERSION, environment_name
from pushline.azure.credential import AUDIENCE
from pushline.azure.roles import Role
from pushline.settings import Azure, PushlineSettings

GROUP_VERSION = "2021-04-01"
VAULT_VERSION = "2023-07-01"
AUTHORIZATION_VERSION = "2022-04-01"
DIAGNOSTICS_VERSION = "2021-05-01-preview"
ISSUER = "https://token.actions.githubusercontent.com"
PROVIDERS = (
    "Microsoft.ContainerInstance",
    "Microsoft.ContainerRegistry",
    "Microsoft.Insights",
    "Microsoft.KeyVault",
    "Microsoft.MachineLearningServices",
    "Microsoft.ManagedIdentity",
    "Microsoft.OperationalInsights",
    "Microsoft.Storage",
)
# Who acts, in which GitHub environment, with which roles. The third one only pulls images.
ACTING = {"training": ("training", roles.TRAINING), "release": ("production", roles.RELEASE)}
PULL = Role(name="AcrPull", scope="container registry of the workspace", actions=(), reason="pull the images that run")


class Resource(Struct, frozen=True, kw_only=True):
    """One resource: `body` makes it, `must` is what a standing one has to have, `fixed` what can't be changed later."""

    what: str
    id: str
    version: str
    body: Mapping[str, Any]
    must: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    exact: bool = False  # whether capitals count
    mend: str = "PATCH"  # how a standing one is brought to `must`; PUT sends the whole body


class Grant(Struct, frozen=True, kw_only=True):
    """A role that one of our identities holds."""

    identity: str  # ARM id
    role: str
    scope: str
    reason: str

    def name(self, principal: str) -> str:
        """The assignment's own name: the same for the same three, so that it can't be given twice."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.scope}|{principal}|{self.role}".lower()))


class Estate(Struct, frozen=True, kw_only=True):
    """All of it, in the order in which it is made."""

    subscription: str
    group: str
    workspace: str
    registry: str
    target: str
    resources: tuple[Resource, ...]
    grants: tuple[Grant, ...]

    @property
    def providers(self) -> tuple[str, ...]:
        return (*PROVIDERS, "Microsoft.App") if self.target == "containerapps" else PROVIDERS

    def identity(self, name: str) -> str:
        return f"{self.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{cloud.name_of(self.workspace)}-{name}"


def group_of(settings: Azure) -> str:
    return f"/subscriptions/{settings.subscription}/resourceGroups/{settings.resource_group}"


def workspace_of(settings: Azure) -> str:
    return f"{group_of(settings)}/providers/Microsoft.MachineLearningServices/workspaces/{settings.workspace}"


def estate(settings: PushlineSettings, *, region: str, tenant: str, prefix: str, standing: Mapping[str, Any]) -> Estate:
    """What has to stand.

    `standing` are the properties of the workspace that is there already (empty where none is), and as `analytics` what stands
    behind its Application Insights: what it was made with stays. `prefix` is that of the subjects of GitHub's id-tokens.
    """
    azure = settings.azure
    group, workspace = group_of(azure), workspace_of(azure)
    stem = cloud.stem_of(workspace)

    def at(provider: str, name: str, linked: str = "") -> str:
        return str(standing.get(linked) or f"{group}/providers/{provider}/{name}")

    analytics = at("Microsoft.OperationalInsights/workspaces", f"{azure.workspace}-logs", "analytics")
    parts = {
        "applicationInsights": at("Microsoft.Insights/components", f"{azure.workspace}-insights", "applicationInsights"),
        "storageAccount": at("Microsoft.Storage/storageAccounts", stem, "storageAccount"),
        "keyVault": at("Microsoft.KeyVault/vaults", f"kv-{stem[:20]}", "keyVault"),
        "containerRegistry": at("Microsoft.ContainerRegistry/registries", stem, "containerRegistry"),
    }
    registry = parts["containerRegistry"]
    resources = [
        Resource(
            what=f"resource group {azure.resource_group}", id=group, version=GROUP_VERSION, body={"location": region, "properties": {}}
        ),
        *_parts(parts, analytics, region, tenant),
        _certificates(f"{group}/providers/Microsoft.Storage/storageAccounts/{stem}tls", region),
        _workspace(workspace, parts, region),
    ]
    named = [workspace, *parts.values()]
    target = settings.target if settings.on_azure else "aci"
    names = {"subscription": azure.subscription, "group": group, "workspace": workspace, "registry": registry, "target": target}
    made = Estate(**names, resources=(), grants=())
    pull = _pull_identity(azure, made)
    resources += [
        _identity(pull, "pulls images", region),
        _cluster(azure, workspace, pull, region),
        *(_identity(made.identity(name), f"acts in GitHub's environment {where}", region) for name, (where, _) in ACTING.items()),
        *(_trust(made.identity(name), where, prefix) for name, (where, _) in ACTING.items()),
        _releaser(group, azure),
    ]
    if target == "containerapps":
        resources += _environment(f"{group}/providers/Microsoft.App/managedEnvironments/{environment_name(azure)}", analytics, region)
    grants = _grants(made, pull, dict(zip(("workspace", *parts), named, strict=True)))
    return Estate(**names, resources=tuple(resources), grants=tuple(grants))


def roles_in(environment: str, target: str) -> tuple[Role, ...]:
    """What the identity of a GitHub environment must hold to deliver to a target."""
    held = next((all_roles for where, all_roles in ACTING.values() if where == environment), ())
    return (*held, *(roles.RELEASE_TO_APPS if (environment, target) == ("production", "containerapps") else ()))


def releaser_name(settings: Azure) -> str:
    """Names of one's own roles are taken for a whole directory, so ours carries its workspace's."""
    return f"{roles.RELEASER.name} of {settings.workspace} in {settings.resource_group}"


def _parts(parts: Mapping[str, str], analytics: str, region: str, tenant: str) -> list[Resource]:
    name_of = cloud.name_of
    logs = {"location": region, "properties": {"sku": {"name": "PerGB2018"}, "retentionInDays": 30}}
    behind = {"WorkspaceResourceId": analytics}
    insights = {"location": region, "kind": "web", "properties": {"Application_Type": "web", **behind}}
    keys = {"allowSharedKeyAccess": True}  # the workspace's own datastores use them
    storage = {"allowBlobPublicAccess": False, "minimumTlsVersion": "TLS1_2", "supportsHttpsTrafficOnly": True, **keys}
    by_role = {"enableRbacAuthorization": True}
    vault = {"tenantId": tenant, "sku": {"family": "A", "name": "standard"}, "enableSoftDelete": True, **by_role}
    return [
        Resource(what=f"Log Analytics {name_of(analytics)}", id=analytics, version=cloud.ANALYTICS_VERSION, body=logs),
        Resource(
            what=f"Application Insights {name_of(parts['applicationInsights'])}",
            id=parts["applicationInsights"],
            version=cloud.INSIGHTS_VERSION,
            body=insights,
            must={"properties": {"WorkspaceResourceId": ...}},
            mend="PUT",
        ),
        Resource(
            what=f"storage account {name_of(parts['storageAccount'])}",
            id=parts["storageAccount"],
            version=cloud.STORAGE_VERSION,
            body={"location": region, "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": storage},
            must={"properties": keys},
        ),
        Resource(
            what=f"Key Vault {name_of(parts['keyVault'])}",
            id=parts["keyVault"],
            version=VAULT_VERSION,
            body={"location": region, "properties": vault},
            must={"properties": by_role},
        ),
        Resource(
            what=f"container registry {name_of(parts['containerRegistry'])}",
            id=parts["containerRegistry"],
            version=cloud.REGISTRY_VERSION,
            body={"location": region, "sku": {"name": "Basic"}, "properties": {"adminUserEnabled": False}},
        ),
    ]


def _environment(resource: str, analytics: str, region: str) -> list[Resource]:
    """An environment of Container Apps. Its logs go to the workspace's Log Analytics by a diagnostic setting, which needs no key."""
    name = cloud.name_of(resource)
    logs = {"appLogsConfiguration": {"destination": "azure-monitor"}}
    profile = {"name": "Consumption", "workloadProfileType": "Consumption"}
    categories = [{"category": f"ContainerApp{kind}Logs", "enabled": True} for kind in ("Console", "System")]
    sent = {"workspaceId": analytics, "logs": categories}
    return [
        Resource(
            what=f"environment {name} of Container Apps",
            id=resource,
            version=APP_VERSION,
            body={"location": region, "properties": {**logs, "workloadProfiles": [profile]}},
            must={"properties": logs},
        ),
        Resource(
            what=f"diagnostic setting of {name}",
            id=f"{resource}/providers/Microsoft.Insights/diagnosticSettings/pushline",
            version=DIAGNOSTICS_VERSION,
            body={"properties": sent},
            must={"properties": sent},
            mend="PUT",
        ),
    ]


def _certificates(resource: str, region: str) -> Resource:
    """An account of its own for the certificates: who releases lists its key, and must not get at data or models by it."""
    keys = {"allowSharedKeyAccess": True}  # a container group mounts a file share in no other way
    properties = {"allowBlobPublicAccess": False, "minimumTlsVersion": "TLS1_2", "supportsHttpsTrafficOnly": True, **keys}
    return Resource(
        what=f"storage account {cloud.name_of(resource)} (certificates)",
        id=resource,
        version=cloud.STORAGE_VERSION,
        body={"location": region, "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": properties},
        must={"properties": keys},
    )


def _workspace(workspace: str, parts: Mapping[str, str], region: str) -> Resource:
    properties = {"friendlyName": cloud.name_of(workspace), "publicNetworkAccess": "Enabled", **parts}
    return Resource(
        what=f"workspace {cloud.name_of(workspace)}",
        id=workspace,
        version=cloud.WORKSPACE_VERSION,
        body={"location": region, "kind": "Default", "identity": {"type": "SystemAssigned"}, "properties": properties},
        must={"properties": {name: parts[name] for name in ("containerRegistry", "applicationInsights")}},
    )


def _pull_identity(azure: Azure, made: Estate) -> str:
    said = azure.pull_identity
    return said if said.startswith("/") else made.identity("pull").rpartition("/")[0] + f"/{said or azure.workspace + '-pull'}"


def _identity(resource: str, use: str, region: str) -> Resource:
    what = f"identity {cloud.name_of(resource)} ({use})"
    return Resource(what=what, id=resource, version=cloud.IDENTITY_VERSION, body={"location": region})


def _trust(identity: str, environment: str, prefix: str) -> Resource:
    subject = f"{prefix}:environment:{environment}"
    properties = {"issuer": ISSUER, "subject": subject, "audiences": [AUDIENCE]}
    return Resource(
        what=f"trust of {cloud.name_of(identity)} in {subject}",
        id=f"{identity}/federatedIdentityCredentials/github-{environment}",
        version=cloud.IDENTITY_VERSION,
        body={"properties": properties},
        must={"properties": properties},
        exact=True,  # Entra compares subjects letter by letter
        mend="PUT",
    )


def _cluster(azure: Azure, workspace: str, pull: str, region: str) -> Resource:
    """The registry has no admin user, so the nodes pull the training's image with the same identity."""
    nodes = {"minNodeCount": azure.min_nodes, "maxNodeCount": azure.max_nodes}
    scale = {"scaleSettings": {**nodes, "nodeIdleTimeBeforeScaleDown": f"PT{IDLE_S}S"}}
    body = {"computeType": "AmlCompute", "properties": {"vmSize": azure.vm_size, **scale}}
    return Resource(
        what=f"cluster {azure.cluster} ({azure.min_nodes} to {azure.max_nodes} nodes of {azure.vm_size})",
        id=f"{workspace}/computes/{azure.cluster}",
        version=cloud.WORKSPACE_VERSION,
        body={"location": region, "identity": {"type": "UserAssigned", "userAssignedIdentities": {pull: {}}}, "properties": body},
        must={"properties": {"properties": {"scaleSettings": nodes}}},
        fixed={"properties": {"properties": {"vmSize": azure.vm_size}}},
    )


def _releaser(group: str, azure: Azure) -> Resource:
    name = releaser_name(azure)
    permissions = [{"actions": list(roles.RELEASER.actions), "notActions": [], "dataActions": [], "notDataActions": []}]
    properties = {
        "roleName": name,
        "description": roles.RELEASER.reason,
        "type": "CustomRole",
        "permissions": permissions,
        "assignableScopes": [group],
    }
    return Resource(
        what=f"role {name}",
        id=f"{group}/providers/Microsoft.Authorization/roleDefinitions/{uuid.uuid5(uuid.NAMESPACE_URL, f'{group}|{name}'.lower())}",
        version=AUTHORIZATION_VERSION,
        body={"properties": properties},
        must={"properties": {"permissions": [{"actions": list(roles.RELEASER.actions)}], "assignableScopes": [group]}},
        mend="PUT",
    )


def _grants(made: Estate, pull: str, ids: Mapping[str, str]) -> list[Grant]:
    scopes = {
        "resource group": made.group,
        "workspace": ids["workspace"],
        "storage account of the workspace": ids["storageAccount"],
        "Key Vault of the workspace": ids["keyVault"],
        PULL.scope: ids["containerRegistry"],
        roles.CERTIFICATES.scope: f"{made.group}/providers/Microsoft.Storage/storageAccounts/{cloud.stem_of(made.workspace)}tls",
        roles.PULLER.scope: pull,
    }
    held = [(made.identity(name), role) for name, (where, _) in ACTING.items() for role in roles_in(where, made.target)]
    held += [(pull, role) for role in (PULL, *(roles.PULL_FOR_APPS if made.target == "containerapps" else ()))]
    return [Grant(identity=identity, role=role.name, scope=scopes[role.scope], reason=role.reason) for identity, role in held]
