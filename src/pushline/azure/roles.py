"""Who may do what on Azure: the roles of the two identities, at the smallest scope that is enough.

`bootstrap` and docs/azure.md say these; the loopback Azure of the tests grants exactly these and no more.
"""

from msgspec import Struct

ML = "Microsoft.MachineLearningServices/workspaces"
ACR = "Microsoft.ContainerRegistry/registries"


class Role(Struct, frozen=True, kw_only=True):
    """A role, built in or of our own, and where an identity holds it."""

    name: str
    scope: str
    actions: tuple[str, ...]
    excepted: tuple[str, ...] = ()
    built_in: bool = True
    reason: str


READER = Role(name="Reader", scope="resource group", actions=("*/read",), reason="find the workspace and what belongs to it")
BLOBS = Role(
    name="Storage Blob Data Contributor",
    scope="storage account of the workspace",
    actions=("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/*",),
    reason="bring the outputs of a training, keep the record of releases",
)
DATA_SCIENTIST = Role(
    name="AzureML Data Scientist",
    scope="workspace",
    actions=(f"{ML}/*/read", f"{ML}/*/action", f"{ML}/*/delete", f"{ML}/*/write"),
    excepted=(f"{ML}/delete", f"{ML}/write", f"{ML}/computes/*/write", f"{ML}/computes/*/delete", f"{ML}/computes/listKeys/action"),
    reason="data assets, jobs, the registry",
)
COMPUTE = Role(
    name="AzureML Compute Operator",
    scope="workspace",
    actions=(f"{ML}/computes/*", f"{ML}/computes/write"),
    reason="make the cluster that trains",
)
RELEASER = Role(
    name="Pushline Releaser",
    scope="resource group",
    built_in=False,
    actions=(
        "Microsoft.ContainerInstance/containerGroups/*",
        f"{ACR}/listBuildSourceUploadUrl/action",
        f"{ACR}/scheduleRun/action",
        f"{ACR}/runs/listLogSasUrl/action",
        f"{ACR}/importImage/action",
        f"{ACR}/pull/read",
        f"{ACR}/push/write",
        "Microsoft.OperationalInsights/workspaces/sharedKeys/action",
        f"{ML}/models/*",
        f"{ML}/experiments/*",
    ),
    reason="container groups, the image they run, the champion's tag",
)
APPS = Role(
    name="Container Apps Contributor",
    scope="resource group",
    actions=("Microsoft.App/containerApps/*", "Microsoft.App/managedEnvironments/join/action"),
    reason="the container app whose revisions are releases",
)
CERTIFICATES = Role(
    name="Storage Account Contributor",
    scope="storage account of the certificates",
    actions=("Microsoft.Storage/storageAccounts/*",),
    reason="the share that keeps certificates: a container group mounts it with this account's key, and nothing else lies there",
)
PULLER = Role(
    name="Managed Identity Operator",
    scope="identity that pulls images",
    actions=("Microsoft.ManagedIdentity/userAssignedIdentities/*/read", "Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action"),
    reason="let nodes and container groups pull their image",
)
SECRETS = Role(
    name="Key Vault Secrets Officer",
    scope="Key Vault of the workspace",
    actions=("Microsoft.KeyVault/vaults/secrets/*",),
    reason="the endpoint's keys",
)
SECRETS_USER = Role(
    name="Key Vault Secrets User",
    scope="Key Vault of the workspace",
    actions=("Microsoft.KeyVault/vaults/secrets/getSecret/action",),
    reason="give a container app its keys",
)
LOGS = Role(
    name="Log Analytics Reader", scope="resource group", actions=("*/read", "Microsoft.OperationalInsights/workspaces/search/action"),
    reason="`pushline logs`",
)  # fmt: skip

DATA_ROLES = (BLOBS, SECRETS)  # what no role over resources brings with it, an Owner's neither
TRAINING = (READER, BLOBS, DATA_SCIENTIST, COMPUTE, PULLER)
RELEASE = (READER, BLOBS, RELEASER, CERTIFICATES, PULLER, SECRETS, LOGS)
RELEASE_TO_APPS = (APPS,)  # what the target containerapps adds for who releases,
PULL_FOR_APPS = (SECRETS_USER,)  # and for the identity that pulls images
