"""The Azure side of a repository: read, planned, made so, twice without harm."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pushline import costs
from pushline.azure import estate as estates
from pushline.azure.account import PROVIDER_VERSION, AccountState, as_a_person, registered
from pushline.azure.arm import Arm
from pushline.azure.cloud import IDENTITY_VERSION, name_of
from pushline.azure.estate import AUTHORIZATION_VERSION, Grant, Resource
from pushline.azure.roles import DATA_ROLES, RELEASER
from pushline.errors import SettingsError, TargetError
from pushline.files import write_json
from pushline.settings import PushlineSettings

RECORD = "azure.json"  # under .pushline: what `bootstrap github` makes variables of
REGISTERING_S = 300.0
KNOWN_S = 600.0  # until the directory knows an identity or a role that was just made
UNKNOWN = ("PrincipalNotFound", "RoleDefinitionDoesNotExist")
DELETED = "deleted state"  # a vault keeps its name for 90 days after it was deleted
BETWEEN_S = 2.0
DOING = {"make": "making", "correct": "correcting", "give": "giving", "register": "registering"}


class AzureConnection(Struct, frozen=True, kw_only=True):
    """Names and ids that jobs need, none of them a secret."""

    tenant: str
    subscription: str
    resource_group: str
    workspace: str
    clients: dict[str, str]  # client id by GitHub environment
    target: str = "aci"

    def variables(self) -> dict[str, str]:
        """The variables of the repository."""
        names = {name: getattr(self, name) for name in ("subscription", "resource_group", "workspace")}
        said = {f"PUSHLINE_AZURE__{name.upper()}": value for name, value in names.items()}
        return {"PUSHLINE_TARGET": self.target, **said, "AZURE_TENANT_ID": self.tenant}

    def environment_variables(self) -> dict[str, dict[str, str]]:
        """Those of each environment: who its jobs are."""
        return {where: {"AZURE_CLIENT_ID": client} for where, client in self.clients.items()}


class AzureChange(Struct, frozen=True, kw_only=True):
    """One call that makes something so."""

    what: str
    method: str
    path: str
    version: str
    body: Mapping[str, Any] | None = None
    grant: Grant | None = None  # its body is only known once its identity is made


class AzurePlan(Struct, frozen=True, kw_only=True):
    """What will be changed, and what can't be."""

    changes: tuple[AzureChange, ...]
    blocked: tuple[str, ...] = ()


def plan(state: AccountState) -> AzurePlan:
    """The changes that make the account as wanted, in their order; none where it is."""
    subscription = f"/subscriptions/{state.estate.subscription}"
    changes = [
        AzureChange(
            what=f"register {name} in the subscription",
            method="POST",
            path=f"{subscription}/providers/{name}/register",
            version=PROVIDER_VERSION,
        )
        for name in state.unregistered
    ]
    blocked = []
    for resource in state.estate.resources:
        there = state.found[resource.id]
        if there is None:
            changes.append(_call(resource, f"make the {resource.what}", "PUT", resource.body))
            continue
        if not holds(there, resource.fixed):
            blocked.append(
                f"The {resource.what} stands with another size, and a size can't change: name another `cluster` in "
                "[tool.pushline.azure], or delete that one."
            )
        if not holds(there, resource.must, exact=resource.exact):
            body = resource.body if resource.mend == "PUT" else resource.must
            changes.append(_call(resource, f"correct the {resource.what}", resource.mend, body))
    changes += [_give(state, grant) for grant in state.estate.grants if not _given(state, grant)]
    return AzurePlan(changes=tuple(changes), blocked=tuple(blocked))


def apply(arm: Arm, plan: AzurePlan, progress: Callable[[str], None]) -> None:
    """Make the changes, in their order. What was made stays where one fails: the same command then goes on there.

    Raises TargetError at the end where something stands that can't be changed.
    """
    for change in plan.changes:
        with as_a_person():
            if change.grant is not None:
                _assign(arm, change, change.grant)
            elif change.method == "POST":
                provider, _, action = change.path.rpartition("/")
                arm.act(provider, action, change.version, what=_doing(change.what))
                _wait_registered(arm, provider)
            else:
                _make(arm, change)
        progress(f"done: {change.what}")
    if plan.blocked:
        raise TargetError(plan.blocked[0], why="The rest is as it should be.")


def connected(arm: Arm, state: AccountState) -> AzureConnection:
    """What jobs need to know of a complete account."""
    wanted = state.estate
    clients = {
        where: str(arm.read(wanted.identity(name), IDENTITY_VERSION, what="reading an identity")["properties"]["clientId"])
        for name, (where, _) in estates.ACTING.items()
    }
    return AzureConnection(
        tenant=state.tenant,
        subscription=wanted.subscription,
        resource_group=name_of(wanted.group),
        workspace=name_of(wanted.workspace),
        clients=clients,
        target=wanted.target,
    )


def remember(folder: Path, facts: AzureConnection) -> Path:
    write_json(folder / RECORD, facts)
    return folder / RECORD


def recall(folder: Path) -> AzureConnection | None:
    """What `remember` has left here; None where it has not."""
    try:
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=AzureConnection)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError(
            f"{folder / RECORD} can't be read.", why=str(error), do="Run `pushline bootstrap azure` again; it writes the file anew."
        ) from error


def lines(state: AccountState, plan: AzurePlan, settings: PushlineSettings) -> list[str]:
    """The plan for a person."""
    where = f"{name_of(state.estate.workspace)} in {name_of(state.estate.group)}"
    said = [f"{where} needs {len(plan.changes)} changes:"] if plan.changes else [f"{where} is as it should be."]
    said += [f"  {change.method:5} {change.what}" for change in plan.changes]
    said += [f"  left alone: {line}" for line in plan.blocked]
    price = costs.prices()
    standing = costs.standing(settings if settings.on_azure else msgspec.structs.replace(settings, target="aci"), price)
    return [*said, f"What it costs ({price.date}; `pushline costs` says more):", *costs.lines_of(standing)]


def next_steps(facts: AzureConnection) -> list[str]:
    """What remains to be done on GitHub and on a laptop."""
    return [
        "Next: `pushline bootstrap github --reviewer LOGIN --apply` makes the variables of the repository from this.",
        "For a laptop, in pyproject.toml:",
        f'  target = "{facts.target}"',
        "  [tool.pushline.azure]",
        *(f'  {name} = "{getattr(facts, name)}"' for name in ("subscription", "resource_group", "workspace")),
        "and for yourself, in the portal under Access control: " + " and ".join(f"{role.name} on the {role.scope}" for role in DATA_ROLES),
        "(an Owner may give roles, and still may not read a blob or a secret). A role takes up to ten minutes to reach all of Azure.",
    ]


def holds(there: Any, wanted: Any, *, exact: bool = False) -> bool:
    """True where all that is wanted is there. Azure adds fields of its own, and unless `exact` writes names in letters of
    its liking; `...` stands for anything that is not empty."""
    if wanted is ...:
        return bool(there)
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(holds(there.get(name), value, exact=exact) for name, value in wanted.items())
    if isinstance(wanted, list | tuple):
        found = isinstance(there, list) and len(there) == len(wanted)
        return found and all(any(holds(t, w, exact=exact) for t in there) for w in wanted)
    if isinstance(wanted, str) and not exact:
        return isinstance(there, str) and there.lower() == wanted.lower()
    return bool(there == wanted)


def _wait_registered(arm: Arm, provider: str) -> None:
    until = time.monotonic() + REGISTERING_S
    while not registered(arm, provider):
        if time.monotonic() > until:
            raise TargetError(f"{name_of(provider)} is still being registered after {REGISTERING_S:g} s.", do="Run the same command again.")
        time.sleep(BETWEEN_S)


def _role_id(state: AccountState, grant: Grant) -> str:
    if grant.role != RELEASER.name:
        return state.role_ids.get(grant.role, "")
    own = next(resource for resource in state.estate.resources if "/roleDefinitions/" in resource.id)
    return f"/subscriptions/{state.estate.subscription}/providers/Microsoft.Authorization/roleDefinitions/{name_of(own.id)}"


def _given(state: AccountState, grant: Grant) -> bool:
    there = state.found.get(grant.identity)
    if there is None:
        return False
    role = name_of(_role_id(state, grant)).lower()
    return (str(there["properties"]["principalId"]), role, grant.scope.lower()) in state.held


def _give(state: AccountState, grant: Grant) -> AzureChange:
    what = f"give {name_of(grant.identity)} the role {grant.role} on {name_of(grant.scope)} ({grant.reason})"
    role = _role_id(state, grant)
    if not role:
        raise TargetError(
            f"Azure lists no role {grant.role}.",
            why="It is looked for by its name among the roles of the subscription.",
            do="Check that the sign-in may read roles (Microsoft.Authorization/roleDefinitions/read).",
        )
    path = f"{grant.scope}/providers/Microsoft.Authorization/roleAssignments"
    return AzureChange(what=what, method="PUT", path=path, version=AUTHORIZATION_VERSION, grant=grant, body={"roleDefinitionId": role})


def _call(resource: Resource, what: str, method: str, body: Mapping[str, Any]) -> AzureChange:
    return AzureChange(what=what, method=method, path=resource.id, version=resource.version, body=body)


def _assign(arm: Arm, change: AzureChange, grant: Grant) -> None:
    told = arm.read(grant.identity, IDENTITY_VERSION, what=f"reading the identity {name_of(grant.identity)}")
    principal = str(told["properties"]["principalId"])
    body = {"properties": {**(change.body or {}), "principalId": principal, "principalType": "ServicePrincipal"}}
    until = time.monotonic() + KNOWN_S
    while True:
        try:
            arm.make("PUT", f"{change.path}/{grant.name(principal)}", change.version, body, what=_doing(change.what))
        except TargetError as error:
            # The directory learns of a new identity, and each region of a new role, a little later than the resource manager.
            if not any(code in error.why for code in UNKNOWN) or time.monotonic() > until:
                raise
            time.sleep(BETWEEN_S)
        else:
            return


def _make(arm: Arm, change: AzureChange) -> None:
    """Make or correct a resource. A vault that was deleted comes back as it was: its name is taken for as long as it could."""
    body = dict(change.body or {})
    try:
        arm.make(change.method, change.path, change.version, body, what=_doing(change.what))
    except TargetError as error:
        if DELETED not in error.why or "/vaults/" not in change.path:
            raise
        recovered = {**body, "properties": {**body["properties"], "createMode": "recover"}}
        arm.make(change.method, change.path, change.version, recovered, what=_doing(change.what))


def _doing(what: str) -> str:
    verb, _, rest = what.partition(" ")
    return f"{DOING[verb]} {rest}"
