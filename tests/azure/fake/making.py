"""An account in the making: a subscription, providers, groups, the resources `bootstrap` makes, identities and who may do what.

What is given here counts: a role that is assigned gives its actions, a federated credential lets its subject in.
"""

import re
import uuid
from typing import TYPE_CHECKING, Any

from fake import schemas
from fake.assets import WORKSPACE
from fake.directory import Application
from fake.estate import CONNECTION, CUSTOMER
from fake.resources import ARM, GROUP_PATH, accepted, authorize, check, get, kind_of, plain, put
from fake.wire import Refusal, Request, Response, route
from fake.world import HISTORY, SUBSCRIPTION, TENANT
from pushline.azure import roles
from pushline.azure.roles import Role

if TYPE_CHECKING:
    from fake.world import World

GIVEN = (*roles.TRAINING, *roles.RELEASE, *roles.RELEASE_TO_APPS, *roles.PULL_FOR_APPS, roles.PULL)
AUTHORIZATION = "/providers/Microsoft.Authorization"
IDENTITY = plain("Microsoft.ManagedIdentity", "userAssignedIdentities")
DIAGNOSTICS = plain("Microsoft.App", "managedEnvironments") + "/providers/Microsoft.Insights/diagnosticSettings/{setting}"
TRUST = IDENTITY + "/federatedIdentityCredentials/{trust}"
# What the service adds to a resource of a kind once it is made.
ADDED: dict[str, Any] = {
    "Microsoft.Insights/components": lambda name: {"ConnectionString": CONNECTION, "AppId": "app-id"},
    "Microsoft.OperationalInsights/workspaces": lambda name: {"customerId": CUSTOMER},
    "Microsoft.KeyVault/vaults": lambda name: {"vaultUri": f"https://{name}.vault.azure.net/"},
    "Microsoft.ContainerRegistry/registries": lambda name: {"loginServer": f"{name}.azurecr.io"},
    "Microsoft.MachineLearningServices/workspaces": lambda name: {"mlFlowTrackingUri": f"azureml://{HISTORY}/mlflow/v1.0/{name}"},
}
LAG = 2  # questions until something new is known everywhere
# Microsoft's archive holds no schema of these at any version.
UNPUBLISHED = ("Microsoft.Insights/components", "Microsoft.Network/")
NETWORK = (
    *(plain("Microsoft.Network", kind) for kind in ("publicIPAddresses", "natGateways", "virtualNetworks", "privateDnsZones")),
    plain("Microsoft.Network", "privateEndpoints"),
    GROUP_PATH + "/providers/Microsoft.Network/privateDnsZones/{zone}/virtualNetworkLinks/{name}",
    GROUP_PATH + "/providers/Microsoft.Network/privateEndpoints/{endpoint}/privateDnsZoneGroups/{name}",
)
WORLDWIDE = ("Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults", "Microsoft.ContainerRegistry/registries")


@route("GET", ARM, "/subscriptions/{subscription}")
def subscription_of(world: "World", request: Request, subscription: str) -> Response:
    if subscription != SUBSCRIPTION:
        raise Refusal(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
    return Response(200, {"subscriptionId": subscription, "tenantId": TENANT, "state": "Enabled", "displayName": "A subscription"})


@route("GET", ARM, "/subscriptions/{subscription}/providers/{provider}")
def provider_of(world: "World", request: Request, subscription: str, provider: str) -> Response:
    state = "Registered" if world.resources.get(f"provider:{provider.lower()}") else "NotRegistered"
    return Response(200, {"namespace": provider, "registrationState": state})


@route("POST", ARM, "/subscriptions/{subscription}/providers/{provider}/register")
def register(world: "World", request: Request, subscription: str, provider: str) -> Response:
    authorize(world, request)
    world.resources[f"provider:{provider.lower()}"] = {"namespace": provider}
    return Response(200, {"namespace": provider, "registrationState": "Registering"})


@route("PUT", ARM, GROUP_PATH)
def make_group(world: "World", request: Request, subscription: str, group: str) -> Response:
    authorize(world, request)
    wrong = schemas.archive() and schemas.departs("Microsoft.Resources", "resourceGroups", group, request.api_version, request.json)
    if wrong:
        world.invalid.append(wrong)
        raise Refusal(400, "InvalidRequestContent", wrong)
    made = {**request.json, "id": request.path, "name": group, "properties": {"provisioningState": "Succeeded"}}
    world.resources[request.path.lower()] = made
    return Response(201, made)


def need_group(world: "World", request: Request) -> None:
    group = re.match("/subscriptions/[^/]+/resourceGroups/[^/]+", request.path, re.IGNORECASE)
    if group is not None and group[0].lower() not in world.resources:
        raise Refusal(404, "ResourceGroupNotFound", f"Resource group '{group[0].rpartition('/')[2]}' could not be found.")
    provider = request.path.rpartition("/providers/")[2].partition("/")[0]
    if f"provider:{provider.lower()}" not in world.resources:
        raise Refusal(409, "MissingSubscriptionRegistration", f"The subscription is not registered to use namespace '{provider}'.")


def makeable(path: str) -> None:
    """Let a kind of resource be made and corrected; it takes the service a while."""

    @route("PUT", ARM, path)
    def make(world: "World", request: Request, name: str = "", workspace: str = "", **_: str) -> Response:
        authorize(world, request)
        need_group(world, request)
        provider, kind, own = kind_of(request.path)
        if not f"{provider}/{kind}".startswith(UNPUBLISHED):
            check(world, request)
        if f"{provider}/{kind}" in WORLDWIDE and own in world.taken:
            raise Refusal(409, "NameAlreadyTaken", f"The name {own} is already taken by someone else.")
        if own in world.deleted and request.json["properties"].get("createMode") != "recover":
            # learn.microsoft.com, "Azure Key Vault recovery management": the name stays taken until the vault is purged or recovered.
            message = f"A vault with the same name {own} already exists in deleted state. You need to either recover or purge it."
            raise Refusal(409, "ConflictError", message)
        known = request.path.lower() in world.resources
        made = put(world, request.path, request.json, provisioningState="Creating", **ADDED.get(f"{provider}/{kind}", lambda _: {})(own))

        def finish() -> tuple[str, Any]:
            made["properties"]["provisioningState"] = "Succeeded"
            return "Succeeded", made

        if kind == "storageAccounts":  # says nothing but where to ask
            answer = accepted(world, request, world.begin(finish))
            return Response(202, None, {name: value for name, value in answer.headers.items() if name != "Azure-AsyncOperation"})
        return accepted(world, request, world.begin(finish), status=200 if known else 201, content=made)


def merged(there: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    return {**there, **{name: merged(there[name], value) if isinstance(value, dict) else value for name, value in wanted.items()}}


for path in (
    plain("Microsoft.Insights", "components"),
    plain("Microsoft.OperationalInsights", "workspaces"),
    plain("Microsoft.Storage", "storageAccounts"),
    plain("Microsoft.KeyVault", "vaults"),
    plain("Microsoft.ContainerRegistry", "registries"),
    plain("Microsoft.App", "managedEnvironments"),
    DIAGNOSTICS,
    WORKSPACE,
    *NETWORK,
):
    makeable(path)


@route("GET", ARM, DIAGNOSTICS)
def read_diagnostics(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    return Response(200, get(world, request.path))


@route("PATCH", ARM, WORKSPACE + "/computes/{name}")
def scale(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    made = get(world, request.path)
    made["properties"] = merged(made["properties"], request.json["properties"])
    return Response(200, made)


@route("PUT", ARM, IDENTITY)
def make_identity(world: "World", request: Request, name: str, **_: str) -> Response:
    authorize(world, request)
    need_group(world, request)
    check(world, request)
    ids = {kind: str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}{request.path}")) for kind in ("clientId", "principalId")}
    if request.path.lower() not in world.resources:
        world.directory.applications[ids["clientId"]] = Application(ids["clientId"], name)
        begin_settling(world, ids["principalId"])
    return Response(201, put(world, request.path, request.json, tenantId=TENANT, **ids))


@route("GET", ARM, TRUST)
def trust(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    return Response(200, get(world, request.path))


@route("PUT", ARM, TRUST)
def make_trust(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    check(world, request)
    identity = get(world, request.path.partition("/federatedIdentityCredentials/")[0])
    client = identity["properties"]["clientId"]
    body = request.json["properties"]
    world.directory.applications[client] = Application(client, identity["name"], body["subject"])
    return Response(201, put(world, request.path, request.json))


@route("GET", ARM, GROUP_PATH + AUTHORIZATION + "/roleDefinitions/{name}")
def role_definition(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    return Response(200, get(world, request.path))


@route("PUT", ARM, GROUP_PATH + AUTHORIZATION + "/roleDefinitions/{name}")
def make_role(world: "World", request: Request, subscription: str, group: str, name: str) -> Response:
    authorize(world, request)
    check(world, request)
    scope = request.path.partition(AUTHORIZATION)[0]
    if scope not in request.json["properties"]["assignableScopes"]:
        raise Refusal(400, "RoleDefinitionScopeInvalid", f"The role can't be made at {scope}.")
    if request.path.lower() not in world.resources:
        begin_settling(world, name.lower())
    return Response(201, put(world, request.path, request.json))


@route("PUT", ARM, "/subscriptions/{scope...}" + AUTHORIZATION + "/roleAssignments/{name}")
def assign(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    check(world, request)
    body = request.json["properties"]
    known = [each for each in world.resources.values() if each.get("properties", {}).get("principalId") == body["principalId"]]
    if not known or unsettled(world, body["principalId"]):
        raise Refusal(400, "PrincipalNotFound", f"Principal {body['principalId']} does not exist in the directory {TENANT}.")
    if unsettled(world, body["roleDefinitionId"].rpartition("/")[2].lower()):
        raise Refusal(400, "RoleDefinitionDoesNotExist", f"The role {body['roleDefinitionId']} does not exist.")
    scope = request.path.partition(AUTHORIZATION)[0]
    same = {"principalId": body["principalId"], "roleDefinitionId": body["roleDefinitionId"], "scope": scope}
    for key, each in world.resources.items():
        if "/roleassignments/" in key and same.items() <= each["properties"].items():
            if key != request.path.lower():  # learn.microsoft.com, "Troubleshoot Azure RBAC": the three can be given once, by one name
                raise Refusal(409, "RoleAssignmentExists", "The role assignment already exists.")
            return Response(200, put(world, request.path, request.json, scope=scope))
    made = put(world, request.path, request.json, scope=scope)
    client = known[0]["properties"]["clientId"]
    world.rights[client] = (*world.rights.get(client, ()), role_called(world, body["roleDefinitionId"]))
    return Response(201, made)


@route("GET", ARM, "/subscriptions/{scope...}" + AUTHORIZATION + "/roleAssignments/{name}")
def assignment(world: "World", request: Request, scope: str, name: str) -> Response:
    authorize(world, request)
    return Response(200, get(world, request.path))


@route("GET", ARM, "/subscriptions/{scope...}" + AUTHORIZATION + "/permissions")
def permissions(world: "World", request: Request, scope: str) -> Response:
    """What the caller may do, actions on data apart from the others; of the real one's answer the scope alone is left out."""

    def shown(role: Role) -> dict[str, list[str]]:
        data = role in roles.DATA_ROLES
        given = {"actions": [], "notActions": [], "dataActions": list(role.actions), "notDataActions": []}
        return (
            given if data else {"actions": list(role.actions), "notActions": list(role.excepted), "dataActions": [], "notDataActions": []}
        )

    return Response(200, {"value": [shown(role) for role in world.rights.get(request.identity, ())]})


def begin_settling(world: "World", name: str) -> None:
    world.unsettled[name], world.settled_at[name] = LAG, world.clock + world.late_s


def unsettled(world: "World", name: str) -> bool:
    """Whether something new has not reached this part of Azure yet: so many questions long, and so long by the clock.

    learn.microsoft.com, "Troubleshoot Azure RBAC": changes take up to ten minutes, and a new principal or role may not be found.
    """
    left = world.unsettled.get(name, 0)
    world.unsettled[name] = max(0, left - 1)
    return left > 0 or world.clock < world.settled_at.get(name, 0.0)


def role_called(world: "World", identifier: str) -> Role:
    number = identifier.rpartition("/")[2]
    for role in GIVEN:
        if role.id == number.lower():
            return role
    own = next((each for key, each in world.resources.items() if key.endswith(f"/roledefinitions/{number.lower()}")), None)
    if own is None:
        raise Refusal(400, "RoleDefinitionDoesNotExist", f"The role {identifier} does not exist.")
    said = own["properties"]
    return Role(name=said["roleName"], scope="", actions=tuple(said["permissions"][0]["actions"]), reason="")


def roles_at(world: "World", name: str) -> set[tuple[str, str]]:
    """Name of the role and last part of its scope, of all that an identity of this name holds."""
    identity = next(each for key, each in world.resources.items() if key.endswith(f"/userassignedidentities/{name}"))
    given = [each["properties"] for key, each in world.resources.items() if "/roleassignments/" in key]
    principal = identity["properties"]["principalId"]
    return {
        (role_called(world, each["roleDefinitionId"]).name, each["scope"].rpartition("/")[2])
        for each in given
        if each["principalId"] == principal
    }
