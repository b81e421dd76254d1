"""The Azure side of a repository: what-if of one template, then its deployment, twice without harm."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pushline import costs
from pushline.azure import infrastructure
from pushline.azure.account import PROVIDER_VERSION, AccountState, as_a_person, registered
from pushline.azure.arm import Arm
from pushline.azure.cloud import IDENTITY_VERSION, name_of
from pushline.azure.roles import DATA_ROLES
from pushline.errors import SettingsError, TargetError
from pushline.files import write_json
from pushline.settings import PushlineSettings

RECORD = "azure.json"  # under .pushline: what `bootstrap github` makes variables of
DEPLOYMENTS_VERSION = "2024-07-01"
REGISTERING_S = 300.0
DEPLOYING_S = 3600.0
KNOWN_S = 600.0  # until the directory knows an identity or a role that was just made
UNKNOWN = ("PrincipalNotFound", "RoleDefinitionDoesNotExist")
DELETED = "deleted state"  # a vault keeps its name for 90 days after it was deleted
BETWEEN_S = 10.0
VERBS = {"Create": "make", "Modify": "correct", "Deploy": "deploy again", "Register": "register"}


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
    """One thing that will be made or corrected, and in what it differs now."""

    kind: str  # as what-if says it: Create, Modify, Deploy; or Register
    what: str
    differs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{VERBS[self.kind]} {self.what}" + "".join(f"\n        {line}" for line in self.differs)


class AzurePlan(Struct, frozen=True, kw_only=True):
    """What will be changed, what can't be, and what is another's to do."""

    changes: tuple[AzureChange, ...]
    blocked: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()


class Deployment:
    """One deployment of the template into the resource group."""

    def __init__(self, arm: Arm, state: AccountState) -> None:
        self.arm = arm
        self.id = f"{infrastructure.group_of(state.azure)}/providers/Microsoft.Resources/deployments/pushline-{state.azure.workspace}"
        self.parameters = dict(state.parameters)
        self.template = infrastructure.template()

    def body(self) -> dict[str, Any]:
        given = {name: {"value": value} for name, value in self.parameters.items()}
        return {"properties": {"mode": "Incremental", "template": self.template, "parameters": given}}

    def validate(self) -> None:
        """Ask whether Azure would take it: names, rights, policies. A vault that was deleted comes back as it was."""
        try:
            self._act("validate", "validating the template")
        except TargetError as error:
            if DELETED not in error.why or self.parameters.get("recoverVault"):
                raise
            self.parameters["recoverVault"] = True
            self.validate()

    def what_if(self) -> tuple[AzureChange, ...]:
        told = self._act("whatIf", "asking what the template would change")
        return tuple(changes_of(told["properties"]["changes"]))

    def run(self, progress: Callable[[str], None]) -> None:
        """Deploy, again for as long as what was just made is not known everywhere."""
        until = time.monotonic() + KNOWN_S
        while True:
            try:
                self.arm.make("PUT", self.id, DEPLOYMENTS_VERSION, self.body(), what="deploying the template", within_s=DEPLOYING_S)
            except TargetError as error:
                # The directory learns of a new identity, and each region of a new role, a little later than the resource manager.
                lag = all(any(code in cause for code in UNKNOWN) for cause in error.why.split("; "))
                if not lag or time.monotonic() > until:
                    raise
                progress("Azure does not know everywhere what was just made; the template is deployed again.")
                time.sleep(BETWEEN_S)
            else:
                return

    def _act(self, action: str, what: str) -> dict[str, Any]:
        return self.arm.act(self.id, action, DEPLOYMENTS_VERSION, self.body(), what=what)


def plan(arm: Arm, state: AccountState) -> AzurePlan:
    """What would change. Where there is no group yet Azure can't be asked, and all of the template would be made."""
    changes = [AzureChange(kind="Register", what=f"{name} in the subscription") for name in state.unregistered]
    if state.has_group and not state.unregistered:
        with as_a_person():
            deployment = Deployment(arm, state)
            deployment.validate()
            changes += deployment.what_if()
    else:
        group = () if state.has_group else (f"resource group {state.azure.resource_group} in {state.region}",)
        comments = (str(each["comments"]) for each in infrastructure.wanted(state.parameters))
        changes += [AzureChange(kind="Create", what=what) for what in (*group, *comments)]
    blocked = [
        f"{change.what} stands with another size, and a size can't change: name another `cluster` in [tool.pushline.azure], "
        "or delete that one."
        for change in changes
        if any("vmSize" in line for line in change.differs)
    ]
    return AzurePlan(changes=tuple(changes), blocked=tuple(blocked), elsewhere=state.elsewhere)


def apply(arm: Arm, state: AccountState, plan: AzurePlan, progress: Callable[[str], None]) -> None:
    """Make it so. What was made stays where one fails: the same command then goes on there.

    Raises TargetError, and changes nothing, where something stands that can't be changed.
    """
    if plan.blocked:
        raise TargetError(plan.blocked[0], why="Nothing was changed.")
    if not plan.changes:
        return
    with as_a_person():
        for name in state.unregistered:
            provider = f"{state.subscription}/providers/{name}"
            arm.act(provider, "register", PROVIDER_VERSION, what=f"registering {name} in the subscription")
            _wait_registered(arm, provider)
        if not state.has_group:
            group = infrastructure.group_of(state.azure)
            arm.make(
                "PUT", group, infrastructure.GROUP_VERSION, {"location": state.region, "properties": {}}, what="making the resource group"
            )
        deployment = Deployment(arm, state)
        deployment.validate()
        progress("Deploying the template; that takes some minutes, and the portal shows them under Deployments of the resource group.")
        deployment.run(progress)


def changes_of(told: list[dict[str, Any]]) -> Iterator[AzureChange]:
    """What what-if lists, without what stays, and without its noise."""
    for each in told:
        kind = str(each["changeType"])
        differs = tuple(differences(each.get("delta") or []))
        if kind in ("Create", "Deploy") or (kind == "Modify" and differs):
            yield AzureChange(kind=kind, what=shown(str(each["resourceId"])), differs=differs)


def differences(delta: list[dict[str, Any]], above: str = "") -> Iterator[str]:
    """The properties that would be others.

    learn.microsoft.com, "ARM template deployment what-if operation": what the service sets by itself is shown as deleted, and what
    only a deployment can know (`reference`) is shown as its expression. Neither is a change.
    """
    for each in delta:
        path = f"{above}{each['path']}"
        after = each.get("after")
        if each.get("children"):
            yield from differences(each["children"], f"{path}.")
        elif each["propertyChangeType"] in ("Create", "Modify") and not str(after).startswith("["):
            yield f"{path}: {each.get('before')} → {after}"


def shown(resource: str) -> str:
    """Kind and name of a resource, without the group that all have in common."""
    provider, _, rest = resource.rpartition("/providers/")[2].partition("/")
    words = rest.split("/")
    return f"{provider}/{'/'.join(words[::2])} {'/'.join(words[1::2])}"


def connected(arm: Arm, state: AccountState) -> AzureConnection:
    """What jobs need to know of a complete account."""
    azure = state.azure
    clients = {
        where: str(
            arm.read(infrastructure.identity_of(azure, name), IDENTITY_VERSION, what="reading an identity")["properties"]["clientId"]
        )
        for name, (where, _) in infrastructure.ACTING.items()
    }
    named = {name: getattr(azure, name) for name in ("subscription", "resource_group", "workspace")}
    return AzureConnection(tenant=state.tenant, clients=clients, target=state.target, **named)


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
    where = f"{state.azure.workspace} in {state.azure.resource_group}"
    said = [f"{where} needs {len(plan.changes)} changes:"] if plan.changes else [f"{where} is as it should be."]
    said += [f"  {change}" for change in plan.changes]
    said += [f"  left alone: {line}" for line in (*plan.blocked, *plan.elsewhere)]
    trusted = f"Jobs are let in as {state.parameters['subjectPrefix']}:environment:training and …:environment:production."
    price = costs.prices()
    standing = costs.standing(settings if settings.on_azure else msgspec.structs.replace(settings, target="aci"), price)
    return [*said, trusted, f"What it costs ({price.date}; `pushline costs` says more):", *costs.lines_of(standing)]


def write(folder: Path, state: AccountState) -> list[str]:
    """Put the template and its parameters into a folder, for whoever reviews or deploys them; returns how."""
    template, given = folder / infrastructure.TEMPLATE, folder / infrastructure.PARAMETERS
    folder.mkdir(parents=True, exist_ok=True)
    write_json(template, infrastructure.template())
    values = {name: {"value": value} for name, value in state.parameters.items()}
    write_json(given, {"$schema": infrastructure.PARAMETERS_SCHEMA, "contentVersion": "1.0.0.0", "parameters": values})
    named = f"--resource-group {state.azure.resource_group} --template-file {template} --parameters @{given}"
    return [f"Written: {template} and {given}.", f"az deployment group what-if {named}", f"az deployment group create {named}"]


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


def _wait_registered(arm: Arm, provider: str) -> None:
    until = time.monotonic() + REGISTERING_S
    while not registered(arm, provider):
        if time.monotonic() > until:
            raise TargetError(f"{name_of(provider)} is still being registered after {REGISTERING_S:g} s.", do="Run the same command again.")
        time.sleep(BETWEEN_S / 5)
