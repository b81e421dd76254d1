"""Who may do what on Azure: the roles of the two identities, at the smallest scope that is enough.

`bootstrap` and docs/azure.md say these; the loopback Azure of the tests grants exactly these and no more.
"""

from msgspec import Struct

ML = "Microsoft.MachineLearningServices/workspaces"
ACR = "Microsoft.ContainerRegistry/registries"


class Role(Struct, frozen=True, kw_only=True):
    """A role, built in or of our own, and where an identity holds it."""

    name: str
    id: str = ""  # of a role that is built in: the same in every directory
    scope: str
    actions: tuple[str, ...]
    excepted: tuple[str, ...] = ()
    reason: str

    @property
    def built_in(self) -> bool:
        return bool(self.id)


READER = Role(
    name="Reader",
    id="acdd72a7-3385-48ef-bd42-f606fba81ae7",
    scope="resource group",
    actions=("*/read",),
    reason="find the workspace and what belongs to it",
)
BLOBS = Role(
    name="Storage Blob Data Contributor",
    id="ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    scope="storage account of the workspace",
    actions=("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/*",),
    reason="bring the outputs of a training, keep the record of releases",
)
DATA_SCIENTIST = Role(
    name="AzureML Data Scientist",
    id="f6c7c914-8db3-469d-8ca1-694a8f32e121",
    scope="workspace",
    actions=(f"{ML}/*/read", f"{ML}/*/action", f"{ML}/*/delete", f"{ML}/*/write"),
    excepted=(f"{ML}/delete", f"{ML}/write", f"{ML}/computes/*/write", f"{ML}/computes/*/delete", f"{ML}/computes/listKeys/action"),
    reason="data assets, jobs, the registry",
)
COMPUTE = Role(
    name="AzureML Compute Operator",
    id="e503ece1-11d0-4e8e-8e2c-7a6c3bf38815",
    scope="workspace",
    actions=(f"{ML}/computes/*", f"{ML}/computes/write"),
    reason="make the cluster that trains",
)
RELEASER = Role(
    name="Pushline Releaser",
    scope="resource group",
    actions=(
        *(f"Microsoft.ContainerInstance/containerGroups/{verb}" for verb in ("write", "delete", "stop/action")),
        f"{ACR}/listBuildSourceUploadUrl/action",
        f"{ACR}/scheduleRun/action",
        f"{ACR}/runs/listLogSasUrl/action",
        f"{ACR}/importImage/action",
        f"{ACR}/push/write",
        "Microsoft.OperationalInsights/workspaces/sharedKeys/action",
        f"{ML}/models/write",
        f"{ML}/models/*/write",
        f"{ML}/experiments/runs/*",
    ),
    reason="container groups, the image they run, the champion's tag",
)
APPS = Role(
    name="Container Apps Contributor",
    id="358470bc-b998-42bd-ab17-a7e34c199c0f",
    scope="resource group",
    actions=("Microsoft.App/containerApps/*", "Microsoft.App/managedEnvironments/join/action"),
    reason="the container app whose revisions are releases",
)
CERTIFICATES = Role(
    name="Storage Account Contributor",
    id="17d1049b-9a84-46fb-8f53-869881c3d3ab",
    scope="storage account of the certificates",
    actions=("Microsoft.Storage/storageAccounts/*",),
    reason="the share that keeps certificates: a container group mounts it with this account's key, and nothing else lies there",
)
PULLER = Role(
    name="Managed Identity Operator",
    id="f1a07417-d97a-45cb-824c-7a7467783830",
    scope="identity that pulls images",
    actions=("Microsoft.ManagedIdentity/userAssignedIdentities/*/read", "Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action"),
    reason="let nodes and container groups pull their image",
)
SECRETS = Role(
    name="Key Vault Secrets Officer",
    id="b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    scope="Key Vault of the workspace",
    actions=("Microsoft.KeyVault/vaults/secrets/*",),
    reason="the endpoint's keys",
)
SECRETS_USER = Role(
    name="Key Vault Secrets User",
    id="4633458b-17de-408a-b874-0445c86b69e6",
    scope="Key Vault of the workspace",
    actions=("Microsoft.KeyVault/vaults/secrets/getSecret/action",),
    reason="give a container app its keys",
)
LOGS = Role(
    name="Log Analytics Reader",
    id="73c42c96-874c-492b-b04d-ab87d138a893",
    scope="resource group",
    actions=("*/read", "Microsoft.OperationalInsights/workspaces/search/action"),
    reason="find the workspace and what belongs to it; `pushline logs`",  # it reads all that Reader does
)
PULL = Role(
    name="AcrPull",
    id="7f951dda-4ed3-4680-a7ca-43fe172d538d",
    scope="container registry of the workspace",
    actions=(f"{ACR}/pull/read",),
    reason="pull the images that run",
)

DATA_ROLES = (BLOBS, SECRETS)  # what no role over resources brings with it, an Owner's neither
TRAINING = (READER, BLOBS, DATA_SCIENTIST, COMPUTE, PULLER)
RELEASE = (BLOBS, RELEASER, CERTIFICATES, PULLER, SECRETS, LOGS)
RELEASE_TO_APPS = (APPS,)  # what the target containerapps adds for who releases,
PULL_FOR_APPS = (SECRETS_USER,)  # and for the identity that pulls images
