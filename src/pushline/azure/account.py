"""An Azure account as it is: what of the estate stands, who holds which role, what is registered. Only reads."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from msgspec import Struct

from pushline.azure import estate as estates
from pushline.azure.arm import Arm
from pushline.azure.cloud import INSIGHTS_VERSION, WORKSPACE_VERSION, hush, name_of
from pushline.azure.credential import credential
from pushline.azure.estate import AUTHORIZATION_VERSION, Estate
from pushline.azure.packages import needs_azure
from pushline.errors import SettingsError, TargetError
from pushline.settings import PushlineSettings

SUBSCRIPTION_VERSION = "2022-12-01"
PROVIDER_VERSION = "2021-04-01"


class AccountState(Struct, frozen=True, kw_only=True):
    """The account as it is: resources by id (None: not there), roles held as (principal, role's id, scope)."""

    tenant: str
    estate: Estate
    found: Mapping[str, Mapping[str, Any] | None]
    unregistered: tuple[str, ...]
    role_ids: Mapping[str, str]
    held: frozenset[tuple[str, str, str]]


def completed(settings: PushlineSettings, subscription: str | None) -> PushlineSettings:
    """The settings with names for what has none. Raises SettingsError without a subscription."""
    azure = settings.azure
    if subscription:
        azure = msgspec.structs.replace(azure, subscription=subscription)
    if not azure.subscription:
        raise SettingsError(
            "No subscription is named.",
            why="Everything on Azure lives in one.",
            do="Give --subscription ID, or set subscription in [tool.pushline.azure].",
        )
    group = azure.resource_group or f"{settings.model_name}-rg"
    workspace = azure.workspace or f"{settings.model_name}-ws"
    named = msgspec.structs.replace(azure, resource_group=group, workspace=workspace)
    return msgspec.structs.replace(settings, azure=named)


def sign_in() -> Arm:
    needs_azure()
    hush()
    return Arm(credential())


def read(arm: Arm, settings: PushlineSettings, *, region: str, prefix: str) -> AccountState:
    """The account as it is now. Changes nothing.

    Raises SettingsError where the subscription is not this directory's, or a region is needed and not given.
    """
    azure = settings.azure
    with as_a_person():
        tenant = _tenant(arm, azure.subscription)
        group = arm.find(estates.group_of(azure), estates.GROUP_VERSION, what="reading the resource group")
        region = str(group["location"]) if group else region
        if not region:
            raise SettingsError(
                f"The resource group {azure.resource_group} is not there, and no region is named.",
                why="A resource group is made in a region.",
                do="Give --location, for example --location westeurope.",
            )
        workspace = arm.find(estates.workspace_of(azure), WORKSPACE_VERSION, what="reading the workspace") if group else None
        standing = _standing(arm, workspace)
        wanted = estates.estate(settings, region=region, tenant=tenant, prefix=prefix, standing=standing)
        known = {wanted.group: group, wanted.workspace: workspace}
        found: dict[str, Mapping[str, Any] | None] = {}
        for resource in wanted.resources:
            if resource.id in known:
                found[resource.id] = known[resource.id]
            else:
                found[resource.id] = arm.find(resource.id, resource.version, what=f"reading the {resource.what}")
        subscription = f"/subscriptions/{azure.subscription}"
        return AccountState(
            tenant=tenant,
            estate=wanted,
            found=found,
            unregistered=tuple(name for name in wanted.providers if not registered(arm, f"{subscription}/providers/{name}")),
            role_ids=_role_ids(arm, subscription, wanted),
            held=frozenset(_held(arm, subscription, wanted, found)),
        )


@contextmanager
def as_a_person() -> Iterator[None]:
    """Whoever sets an account up is a person: what Azure refuses them is solved by another person, or by a setting."""
    try:
        yield
    except TargetError as error:
        if "AuthorizationFailed" in error.why:
            do = "Run it as an Owner of the subscription or of the resource group (a Contributor may not give roles). "
        elif "uota" in error.why:
            do = "Lower max_nodes or change vm_size in [tool.pushline.azure], or ask for more quota in the portal. "
        else:
            raise
        again = "What was made stays; the same command then goes on there."
        raise TargetError(error.what, why=error.why, do=do + again) from error


def _standing(arm: Arm, workspace: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a workspace that is there was made with, and as `analytics` the Log Analytics behind its Application Insights."""
    properties = dict((workspace or {}).get("properties", {}))
    insights = properties.get("applicationInsights")
    there = arm.find(insights, INSIGHTS_VERSION, what="reading Application Insights") if insights else None
    return {**properties, "analytics": (there or {}).get("properties", {}).get("WorkspaceResourceId", "")}


def _tenant(arm: Arm, subscription: str) -> str:
    try:
        return str(arm.read(f"/subscriptions/{subscription}", SUBSCRIPTION_VERSION, what="reading the subscription")["tenantId"])
    except TargetError as error:
        if not any(code in error.why for code in ("SubscriptionNotFound", "InvalidAuthenticationTokenTenant", "InvalidSubscriptionId")):
            raise
        raise SettingsError(
            f"The subscription {subscription} can't be seen with this sign-in.",
            why=error.why,
            do="Correct --subscription, or sign in to the directory it belongs to (`az login --tenant`, or AZURE_TENANT_ID).",
        ) from error


def registered(arm: Arm, provider: str) -> bool:
    told = arm.read(provider, PROVIDER_VERSION, what=f"reading whether {name_of(provider)} is registered")
    return str(told.get("registrationState")) == "Registered"


def _role_ids(arm: Arm, subscription: str, wanted: Estate) -> dict[str, str]:
    """The ids of the roles by their names: those built in, and our own."""
    names = {grant.role for grant in wanted.grants}
    path = f"{subscription}/providers/Microsoft.Authorization/roleDefinitions"
    listed = arm.all(path, AUTHORIZATION_VERSION, what="listing the roles")
    known = {str(each["properties"]["roleName"]): str(each["id"]) for each in listed}
    return {name: identifier for name, identifier in known.items() if name in names}


def _held(arm: Arm, subscription: str, wanted: Estate, found: Mapping[str, Mapping[str, Any] | None]) -> Iterator[tuple[str, str, str]]:
    for identity in {grant.identity for grant in wanted.grants}:
        there = found.get(identity)
        if there is None:
            continue
        principal = str(there["properties"]["principalId"])
        path = f"{subscription}/providers/Microsoft.Authorization/roleAssignments"
        query = f"&$filter=principalId+eq+'{principal}'"
        for each in arm.all(path, AUTHORIZATION_VERSION, query=query, what=f"listing the roles of {name_of(identity)}"):
            said = each["properties"]
            yield principal, name_of(str(said["roleDefinitionId"])).lower(), str(said["scope"]).lower()
