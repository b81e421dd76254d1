"""The account as `pushline doctor` sees it: everything for a person, its own identity for a job."""

import base64
import fnmatch
import os
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from pushline.azure import account, bootstrap, estate
from pushline.azure.arm import SCOPE, Arm
from pushline.azure.cloud import Cloud
from pushline.azure.credential import ENDPOINT, assertion, credential
from pushline.azure.failures import asking
from pushline.azure.packages import needs_azure
from pushline.azure.roles import CERTIFICATES, PULLER, RELEASER, Role
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


def claims_of(token: str) -> dict[str, Any]:
    """What a token says of its bearer; nothing where it is sealed. Nobody is let in by this, so its signature does not matter."""
    part = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        return dict(msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))
    except (ValueError, msgspec.DecodeError):
        return {}


def shortcomings(settings: PushlineSettings, prefix: str) -> list[str]:
    """What a whole account would need; what `bootstrap azure` would change."""
    state = account.read(account.sign_in(), settings, region="-", prefix=prefix)
    plan = bootstrap.plan(state)
    return [change.what for change in plan.changes] + list(plan.blocked)


def workspace(settings: PushlineSettings) -> str:
    """The workspace with its parts, as every command finds them. Raises what those commands would raise."""
    cloud = Cloud(settings.azure)
    facts = cloud.facts
    return f"{settings.azure.workspace} in {facts.region}, images in {cloud.login_server}"


def roles_lacking(settings: PushlineSettings, environment: str) -> Iterator[str]:
    """The roles that the identity of a GitHub environment should have here and has not, judged by the actions it may do."""
    wanted = next((all_roles for where, all_roles in estate.ACTING.values() if where == environment), ())
    cloud = Cloud(settings.azure)
    scopes = {
        "resource group": estate.group_of(settings.azure),
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
            yield f"{estate.releaser_name(settings.azure) if role is RELEASER else role.name} on the {role.scope} ({role.reason})"


def permissions(arm: Arm, scope: str) -> list[dict[str, Any]]:
    path = f"{scope}/providers/Microsoft.Authorization/permissions"
    return arm.all(path, estate.AUTHORIZATION_VERSION, what="asking what this identity may do")


def covered(role: Role, held: list[dict[str, Any]]) -> bool:
    """Whether every action of the role is among what is held. Azure lists data actions apart from the others."""

    def among(action: str, said: Mapping[str, Any]) -> bool:
        given = [*said.get("actions", ()), *said.get("dataActions", ())]
        taken = [*said.get("notActions", ()), *said.get("notDataActions", ())]
        return matched(action, given) and not matched(action, taken)

    return all(any(among(action, said) for said in held) for action in role.actions)


def matched(action: str, patterns: list[str]) -> bool:
    """Whether an action is among the patterns of a role; between two slashes a star stands for nothing, too."""
    both = [form.lower() for pattern in patterns for form in (str(pattern), str(pattern).replace("/*/", "/"))]
    return any(fnmatch.fnmatchcase(action.lower(), pattern) for pattern in both)
