"""What the two identities may do, read off their roles."""

import pytest
from fake.resources import brings

from pushline.azure.roles import RELEASE, TRAINING, Role

NOT_FOR_TRAINING = [
    *(
        f"Microsoft.ContainerInstance/containerGroups/{verb}"
        for verb in ("write", "delete", "start/action", "stop/action", "restart/action")
    ),
    "Microsoft.ContainerInstance/containerGroups/containers/exec/action",
    *(f"Microsoft.KeyVault/vaults/secrets/{verb}/action" for verb in ("getSecret", "setSecret", "delete", "backup")),
    "Microsoft.KeyVault/vaults/write",
    "Microsoft.KeyVault/vaults/secrets/write",
    *(f"Microsoft.ContainerRegistry/registries/{verb}" for verb in ("push/write", "scheduleRun/action", "importImage/action")),
    "Microsoft.Storage/storageAccounts/listKeys/action",
]
NOT_FOR_ANYONE = [
    "Microsoft.Authorization/roleAssignments/write",
    "Microsoft.Authorization/roleDefinitions/write",
    "Microsoft.MachineLearningServices/workspaces/delete",
    "Microsoft.KeyVault/vaults/delete",
    "Microsoft.Resources/subscriptions/resourceGroups/delete",
]


def may(roles: tuple[Role, ...], action: str) -> bool:
    return any(brings(role, action) for role in roles)


@pytest.mark.parametrize("action", NOT_FOR_TRAINING)
def test_training_may_not(action: str) -> None:
    assert not may(TRAINING, action)


@pytest.mark.parametrize("action", NOT_FOR_ANYONE)
def test_neither_may(action: str) -> None:
    assert not may(TRAINING, action)
    assert not may(RELEASE, action)


def test_each_may_do_its_own() -> None:
    assert may(TRAINING, "Microsoft.MachineLearningServices/workspaces/jobs/write")
    assert may(RELEASE, "Microsoft.ContainerInstance/containerGroups/write")
    assert may(RELEASE, "Microsoft.KeyVault/vaults/secrets/getSecret/action")


@pytest.mark.parametrize("action", ["Microsoft.Storage/storageAccounts/listKeys/action", "Microsoft.Storage/storageAccounts/write"])
def test_release_has_the_key_of_no_account_but_that_of_the_certificates(action: str) -> None:
    assert {role.scope for role in RELEASE if may((role,), action)} <= {"storage account of the certificates"}


def test_no_identity_may_be_given_away_but_the_one_that_pulls_images() -> None:
    action = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"
    assert {role.scope for role in (*TRAINING, *RELEASE) if may((role,), action)} == {"identity that pulls images"}
