"""What the targets on Azure stand on: the template beside this file, and its parameters for one repository.

A platform team reviews both (`pushline bootstrap azure --out FOLDER`); who may do what is `roles.py`.
"""

import uuid
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import msgspec

from pushline.azure import roles
from pushline.azure.cloud import name_of, stem_of
from pushline.azure.containerapps.definition import environment_name
from pushline.azure.roles import Role
from pushline.settings import Azure, PushlineSettings

TEMPLATE, PARAMETERS = "infrastructure.json", "infrastructure.parameters.json"
PARAMETERS_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#"
GROUP_VERSION = "2021-04-01"
VAULT_VERSION = "2023-07-01"
AUTHORIZATION_VERSION = "2022-04-01"
# Who acts, in which GitHub environment, with which roles. A third identity only pulls images.
ACTING = {"training": ("training", roles.TRAINING), "release": ("production", roles.RELEASE)}
# The scopes of roles that may lie in another resource group, by the template's name of the part.
PART_OF = {
    roles.BLOBS.scope: "storageAccount",
    roles.SECRETS.scope: "keyVault",
    roles.PULL.scope: "containerRegistry",
    roles.PULLER.scope: "pullIdentity",
}


def template() -> dict[str, Any]:
    """The deployment template, as ARM takes it."""
    return dict(msgspec.json.decode(files("pushline.azure").joinpath(TEMPLATE).read_bytes()))


def group_of(settings: Azure) -> str:
    return f"/subscriptions/{settings.subscription}/resourceGroups/{settings.resource_group}"


def workspace_of(settings: Azure) -> str:
    return f"{group_of(settings)}/providers/Microsoft.MachineLearningServices/workspaces/{settings.workspace}"


def identity_of(settings: Azure, name: str) -> str:
    return f"{group_of(settings)}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{settings.workspace}-{name}"


def own_parts(settings: Azure) -> dict[str, str]:
    """The ids by which the template makes what a workspace is made with."""
    above, stem = f"{group_of(settings)}/providers", stem_of(workspace_of(settings))
    return {
        "storageAccount": f"{above}/Microsoft.Storage/storageAccounts/{stem}",
        "keyVault": f"{above}/Microsoft.KeyVault/vaults/kv-{stem}",
        "containerRegistry": f"{above}/Microsoft.ContainerRegistry/registries/{stem}",
        "applicationInsights": f"{above}/Microsoft.Insights/components/{settings.workspace}-insights",
        "analytics": f"{above}/Microsoft.OperationalInsights/workspaces/{settings.workspace}-logs",
        "pullIdentity": identity_of(settings, "pull"),
    }


def parameters(settings: PushlineSettings, *, prefix: str, standing: Mapping[str, Any]) -> dict[str, Any]:
    """The template's parameters. `standing` are the ids of what a workspace that is there was made with: those stay."""
    azure = settings.azure
    own = own_parts(azure)
    other = {part: str(standing.get(part) or "") for part in own}
    existing = {part: "" if said.lower() == own[part].lower() else said for part, said in other.items()}
    if azure.pull_identity.startswith("/"):
        existing["pullIdentity"] = azure.pull_identity
    releaser = {
        "id": releaser_id(azure),
        "name": releaser_name(azure),
        "description": roles.RELEASER.reason,
        "actions": list(roles.RELEASER.actions),
    }
    given = [
        {"identity": who, "role": role.id or releaser["id"], "scope": role.scope, "reason": f"{role.name}: {role.reason}"}
        for who, role in assignments(settings.target)
        if PART_OF.get(role.scope) not in outside(azure, existing)
    ]
    return {
        "workspace": azure.workspace,
        "stem": stem_of(workspace_of(azure)),
        "subjectPrefix": prefix,
        "existing": existing,
        "pullIdentity": name_of(azure.pull_identity or own["pullIdentity"]),
        "cluster": azure.cluster,
        "vmSize": azure.vm_size,
        "minNodes": azure.min_nodes,
        "maxNodes": azure.max_nodes,
        "containerApps": settings.target == "containerapps",
        "appsEnvironment": environment_name(azure),
        "releaser": releaser,
        "grants": [each for each in given if each["scope"] != roles.READER.scope],
        "groupGrants": [each for each in given if each["scope"] == roles.READER.scope],
        "privateNetwork": azure.private_network,
    }


def outside(settings: Azure, existing: Mapping[str, str]) -> set[str]:
    """Those parts that lie in another resource group, where the template may not give roles."""
    here = f"{group_of(settings)}/".lower()
    return {part for part, said in existing.items() if said and not said.lower().startswith(here)}


def elsewhere(settings: PushlineSettings, existing: Mapping[str, str]) -> list[str]:
    """The roles that whoever owns another resource group has to give."""
    lying = outside(settings.azure, existing)
    return [
        f"Give {settings.azure.workspace}-{who} {role.name} on {existing[PART_OF[role.scope]]}, which lies outside of "
        f"{settings.azure.resource_group} ({role.reason})."
        for who, role in assignments(settings.target)
        if PART_OF.get(role.scope) in lying
    ]


def assignments(target: str) -> Iterator[tuple[str, Role]]:
    """Every identity with every role that it holds."""
    for name, (where, _) in ACTING.items():
        yield from ((name, role) for role in roles_in(where, target))
    yield from (("pull", role) for role in (roles.PULL, *(roles.PULL_FOR_APPS if target == "containerapps" else ())))


def roles_in(environment: str, target: str) -> tuple[Role, ...]:
    """What the identity of a GitHub environment must hold to deliver to a target."""
    held = next((all_roles for where, all_roles in ACTING.values() if where == environment), ())
    return (*held, *(roles.RELEASE_TO_APPS if (environment, target) == ("production", "containerapps") else ()))


def releaser_name(settings: Azure) -> str:
    """Names of one's own roles are taken for a whole directory, so ours carries its workspace's."""
    return f"{roles.RELEASER.name} of {settings.workspace} in {settings.resource_group}"


def releaser_id(settings: Azure) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{group_of(settings)}|{releaser_name(settings)}".lower()))


def providers(given: Mapping[str, Any]) -> list[str]:
    """The providers that have to be registered: those of the resources, and of what a release makes besides."""
    named = {str(each["type"]).partition("/")[0] for each in wanted(given)} - {"Microsoft.Authorization"}  # every subscription has it
    return sorted(named | {"Microsoft.ContainerInstance"})


def wanted(given: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The template's resources, without those whose condition is a parameter that is false."""
    off = {f"[parameters('{name}')]" for name, value in given.items() if value is False}
    return [each for each in template()["resources"].values() if each.get("condition") not in off]
