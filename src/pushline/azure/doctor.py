"""The account as `pushline doctor` sees it: everything for a person, its own identity for a job."""

import base64
import fnmatch
import os
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from pushline.azure import account, bootstrap, infrastructure
from pushline.azure.arm import SCOPE, Arm
from pushline.azure.cloud import REGISTRY_VERSION, STORAGE_VERSION, Cloud
from pushline.azure.credential import ENDPOINT, assertion, credential
from pushline.azure.failures import asking
from pushline.azure.packages import needs_azure
from pushline.azure.roles import CERTIFICATES, DATA_ROLES, PULLER, RELEASER, Role
from pushline.settings import PushlineSettings


def in_a_job() -> bool:
    """Whether this is a job that may ask GitHub for an id-token."""
    return bool(os.environ.get(ENDPOINT))


def sign_in() -> str:
    """Sign in and say as whom. Raises TargetError or SettingsError where Azure does not let us in."""
    needs_azure()
    with asking("signing in"):
        claims = claims_of(credential().get_token(SCOPE).token)
    who = claims.get("upn") or claims.get("unique_name") or claims.get("appid") or "someone"
    return f"{who} of the directory {claims.get('tid', 'unknown')}"


def subject() -> str:
    """What GitHub says this job is, as an identity of Azure has to trust it."""
    return str(claims_of(assertion()).get("sub", ""))


def environment() -> str:
    """The GitHub environment whose identity this is; empty for a person."""
    said = subject() if in_a_job() else ""
    return said.rpartition(":environment:")[2] if ":environment:" in said else ""


def claims_of(token: str) -> dict[str, Any]:
    """What a token says of its bearer; nothing where it is sealed. Nobody is let in by this, so its signature does not matter."""
    part = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        return dict(msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))
    except (ValueError, msgspec.DecodeError):
        return {}


def shortcomings(settings: PushlineSettings, prefix: str) -> list[str]:
    """What a whole account would need; what `bootstrap azure` would change."""
    arm = account.sign_in()
    plan = bootstrap.plan(arm, account.read(arm, settings, region="-", prefix=prefix))
    return [str(change) for change in plan.changes] + list(plan.blocked)


def names_taken(settings: PushlineSettings) -> Iterator[tuple[str, str]]:
    """Of what is still to be made and needs a name that nobody else on Azure has: whose name is not free, and why."""
    arm, above = account.sign_in(), f"/subscriptions/{settings.azure.subscription}/providers"
    # Our own vault that was deleted is recovered by `bootstrap azure`.
    deleted = arm.all(f"{above}/Microsoft.KeyVault/deletedVaults", infrastructure.VAULT_VERSION, what="listing the deleted vaults")
    ours = {str(each["name"]) for each in deleted}
    own = infrastructure.own_parts(settings.azure)
    for resource, version in ((own["storageAccount"], STORAGE_VERSION), (own["keyVault"], infrastructure.VAULT_VERSION),
                              (f"{own['storageAccount']}tls", STORAGE_VERSION), (own["containerRegistry"], REGISTRY_VERSION)):  # fmt: skip
        provider, kind, name = resource.split("/")[-3:]
        if name in ours or arm.find(resource, version, what=f"looking for {name}"):
            continue
        body = {"name": name, "type": f"{provider}/{kind}"}
        told = arm.act(f"{above}/{provider}", "checkNameAvailability", version, body, what=f"asking whether the name {name} is free")
        if not told["nameAvailable"]:
            yield f"{provider}/{kind} {name}", str(told.get("message") or told.get("reason"))


def workspace(settings: PushlineSettings) -> str:
    """The workspace with its parts, as every command finds them. Raises what those commands would raise."""
    cloud = Cloud(settings.azure)
    facts = cloud.facts
    return f"{settings.azure.workspace} in {facts.region}, images in {cloud.login_server}"


def roles_lacking(settings: PushlineSettings, environment: str) -> Iterator[str]:
    """The roles that the identity of a GitHub environment should have here and has not, judged by the actions it may do."""
    wanted = infrastructure.roles_in(environment, settings.target)
    cloud = Cloud(settings.azure)
    scopes = {
        "resource group": infrastructure.group_of(settings.azure),
        "workspace": cloud.facts.id,
        "storage account of the workspace": cloud.facts.storage,
        "Key Vault of the workspace": cloud.facts.vault,
        CERTIFICATES.scope: cloud.certificates,
        PULLER.scope: cloud.pull_identity,
    }
    held: dict[str, list[dict[str, Any]]] = {}
    for role in wanted:
        scope = scopes[role.scope]
        if scope not in held:
            held[scope] = permissions(cloud.arm, scope)
        if not covered(role, held[scope]):
            yield f"{infrastructure.releaser_name(settings.azure) if role is RELEASER else role.name} on the {role.scope} ({role.reason})"


def permissions(arm: Arm, scope: str) -> list[dict[str, Any]]:
    path = f"{scope}/providers/Microsoft.Authorization/permissions"
    return arm.all(path, infrastructure.AUTHORIZATION_VERSION, what="asking what this identity may do")


def covered(role: Role, held: list[dict[str, Any]]) -> bool:
    """Whether every action of the role is among what is held. Data actions are apart from the others: an Owner has none of them."""
    given, taken = ("dataActions", "notDataActions") if role in DATA_ROLES else ("actions", "notActions")

    def among(action: str, said: Mapping[str, Any]) -> bool:
        return matched(action, said.get(given) or []) and not matched(action, said.get(taken) or [])

    return all(any(among(action, said) for said in held) for action in role.actions)


def matched(action: str, patterns: list[str]) -> bool:
    """Whether an action is among the patterns of a role; between two slashes a star stands for nothing, too."""
    both = [form.lower() for pattern in patterns for form in (str(pattern), str(pattern).replace("/*/", "/"))]
    return any(fnmatch.fnmatchcase(action.lower(), pattern) for pattern in both)
