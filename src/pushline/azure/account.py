"""An Azure account as it is: its directory, what of ours stands, which providers are registered. Only reads."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from msgspec import Struct

from pushline.azure import infrastructure
from pushline.azure.arm import Arm
from pushline.azure.cloud import INSIGHTS_VERSION, WORKSPACE_VERSION, hush, name_of
from pushline.azure.credential import credential
from pushline.azure.packages import needs_azure
from pushline.errors import SettingsError, TargetError
from pushline.settings import Azure, PushlineSettings

SUBSCRIPTION_VERSION = "2022-12-01"
PROVIDER_VERSION = "2021-04-01"


class AccountState(Struct, frozen=True, kw_only=True):
    """The account as it is, and the parameters with which the template makes it as wanted."""

    azure: Azure
    target: str
    tenant: str
    region: str
    has_group: bool
    unregistered: tuple[str, ...]
    parameters: Mapping[str, Any]
    elsewhere: tuple[str, ...]  # roles that are another's to give

    @property
    def subscription(self) -> str:
        return f"/subscriptions/{self.azure.subscription}"


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
    """The account as it is now. Changes nothing. `prefix` is that of the subjects of GitHub's id-tokens.

    Raises SettingsError where the subscription is not this directory's, or a region is needed and not given.
    """
    azure = settings.azure
    with as_a_person():
        tenant = _tenant(arm, azure.subscription)
        group = arm.find(infrastructure.group_of(azure), infrastructure.GROUP_VERSION, what="reading the resource group")
        region = str(group["location"]) if group else region
        if not region:
            raise SettingsError(
                f"The resource group {azure.resource_group} is not there, and no region is named.",
                why="A resource group is made in a region.",
                do="Give --location, for example --location westeurope.",
            )
        standing = _standing(arm, azure) if group else {}
        parameters = infrastructure.parameters(settings, prefix=prefix, standing=standing)
        subscription = f"/subscriptions/{azure.subscription}"
        needed = infrastructure.providers(parameters)
        return AccountState(
            azure=azure,
            target=settings.target if settings.on_azure else "aci",
            tenant=tenant,
            region=region,
            has_group=group is not None,
            unregistered=tuple(name for name in needed if not registered(arm, f"{subscription}/providers/{name}")),
            parameters=parameters,
            elsewhere=tuple(infrastructure.elsewhere(settings, parameters["existing"])),
        )


@contextmanager
def as_a_person() -> Iterator[None]:
    """Whoever sets an account up is a person: what they may not do is done by another one."""
    try:
        yield
    except TargetError as error:
        if "AuthorizationFailed" not in error.why and "Authorization failed" not in error.why:
            raise
        do = "Run it as an Owner of the subscription or of the resource group (a Contributor may not give roles). What was made stays."
        raise TargetError(error.what, why=error.why, do=do) from error


def registered(arm: Arm, provider: str) -> bool:
    told = arm.read(provider, PROVIDER_VERSION, what=f"reading whether {name_of(provider)} is registered")
    return str(told.get("registrationState")) == "Registered"


def _standing(arm: Arm, azure: Azure) -> dict[str, Any]:
    """What a workspace that is there was made with, and as `analytics` the Log Analytics behind its Application Insights."""
    workspace = arm.find(infrastructure.workspace_of(azure), WORKSPACE_VERSION, what="reading the workspace")
    properties = dict((workspace or {}).get("properties", {}))
    insights = properties.pop("applicationInsights", "")
    there = arm.find(insights, INSIGHTS_VERSION, what="reading Application Insights") if insights else None
    analytics = (there or {}).get("properties", {}).get("WorkspaceResourceId", "")
    # One of the old kind, without Log Analytics, can't be asked for logs: the workspace gets another.
    return {**properties, **({"applicationInsights": insights, "analytics": analytics} if analytics else {})}


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
