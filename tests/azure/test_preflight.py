"""`pushline doctor --azure`: what only Azure decides is tried before it is paid for, and each planted defect is found and named."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fake.loopback import RELEASE, TRAINING, Empty, Loopback
from fake.world import GROUP, SUBSCRIPTION, WORKSPACE, Fault, World

from conftest import Command, Ended, project_with
from pushline.azure.infrastructure import own_parts
from pushline.azure.roles import Role
from pushline.project import Project
from pushline.settings import Azure

THERE = Azure(subscription=SUBSCRIPTION, resource_group=GROUP, workspace=WORKSPACE)
PAID = ("/containergroups/", "/jobs/", "/computes/", "/schedulerun")
LABEL = "bank-marketing"
ABOVE = Role(name="Reader", scope="subscription", actions=("*/read",), reason="see what the region has left")
Planted = Callable[[World], Any]


@dataclass(frozen=True)
class Found:
    """How the command ended, its lines by name, and the calls of it that would have cost."""

    ended: Ended
    lines: dict[str, dict[str, str]]
    paid: list[str]

    def says(self, name: str) -> str:
        return f"{self.lines[name]['says']} {self.lines[name]['do']}"


def tried(azure: Loopback, command: Command, client: str, *more: str, **variables: str) -> Found:
    began = len(azure.world.calls)
    settings = {"PUSHLINE_AZURE__MAX_NODES": "2", **variables}
    ended = command("doctor", "--azure", "--json", *(more or ("--wait", "1s")), client=client, **settings)
    lines = {line["name"]: line for line in json.loads(ended.out)}
    asked = [call.path.lower() for call in azure.world.calls[began:] if call.method in ("PUT", "POST")]
    return Found(ended, lines, [path for path in asked if any(part in path for part in PAID)])


@pytest.fixture(scope="module")
def ground(repo: Path, pinned: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One project for all of these: nothing is kept in it but the last preflight's lines."""
    return project_with(repo, tmp_path_factory.mktemp("preflight") / "project", pinned)


@pytest.fixture
def command(ground: Project, inside: Command) -> Command:
    return partial(inside, ground)


@pytest.fixture
def preflight(azure: Loopback, command: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Found]:
    """Run it as one of the two identities, who here may also read what the subscription has left."""
    monkeypatch.setattr("pushline.azure.preflight.LOOK_S", 0.05)
    monkeypatch.setattr("pushline.doctor.azure.AGAIN_S", 0.2)
    before = dict(azure.world.rights)

    def run(client: str = RELEASE, plant: Planted | None = None, *more: str, **variables: str) -> Found:
        azure.world.rights = {**before, client: (*before[client], ABOVE)}
        if plant is not None:
            plant(azure.world)
        try:
            return tried(azure, command, client, *more, **variables)
        finally:
            azure.world.rights = before

    return run


def refusing(method: str, where: str, status: int, code: str, message: str = "no") -> Planted:
    return lambda world: world.fault(method, where, status, content={"error": {"code": code, "message": message}}, times=999)


def without(client: str, name: str) -> Planted:
    def plant(world: World) -> None:
        world.rights[client] = tuple(role for role in world.rights[client] if not role.name.startswith(name))

    return plant


def behaving(name: str, behaviour: str) -> Planted:
    return lambda world: world.behaviour.update({name: behaviour})


def quota(name: str, limit: int) -> Planted:
    return lambda world: world.quota.update({name: limit})


# name of the defect: who, what is planted, variables, the line that finds it, and words that it says
FREE: dict[str, tuple[str, Planted | None, dict[str, str], str, str]] = {
    "subject nobody trusts": (
        RELEASE, lambda world: setattr(world.directory, "subject", "repo:someone/bank:ref:refs/heads/main"), {},
        "Azure sign-in", "subject repo:someone/bank:ref:refs/heads/main",
    ),
    "client of another directory": (
        RELEASE, None, {"AZURE_CLIENT_ID": "aaaa1111-0000-0000-0000-00000000ffff"},
        "Azure sign-in", "AZURE_CLIENT_ID",
    ),
    "unknown directory": (RELEASE, None, {"AZURE_TENANT_ID": "aaaa1111-0000-0000-0000-00000000ffff"}, "Azure sign-in", "AZURE_TENANT_ID"),
    "job without id-token": (RELEASE, None, {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "another"}, "Azure sign-in", "id-token: write"),
    "client id left out": (RELEASE, None, {"AZURE_CLIENT_ID": ""}, "Azure sign-in", "AZURE_CLIENT_ID"),
    "workspace that is not there": (RELEASE, None, {"PUSHLINE_AZURE__WORKSPACE": "nowhere"}, "workspace", "nowhere"),
    "training without its role on jobs": (TRAINING, without(TRAINING, "AzureML Data Scientist"), {}, "roles", "AzureML Data Scientist"),
    "training that makes no cluster": (TRAINING, without(TRAINING, "AzureML Compute"), {}, "roles", "AzureML Compute Operator"),
    "release without blobs": (RELEASE, without(RELEASE, "Storage Blob"), {}, "roles", "Storage Blob Data Contributor"),
    "release without keys": (RELEASE, without(RELEASE, "Key Vault"), {}, "roles", "Key Vault Secrets Officer"),
    "release that may not give the identity away": (
        RELEASE, without(RELEASE, "Managed Identity"), {},
        "roles", "Managed Identity Operator",
    ),
    "release without certificates": (RELEASE, without(RELEASE, "Storage Account"), {}, "roles", "Storage Account Contributor"),
    "release without its own role": (RELEASE, without(RELEASE, "Pushline"), {}, "roles", "Pushline Releaser"),
    "no identity that pulls": (RELEASE, None, {"PUSHLINE_AZURE__PULL_IDENTITY": "nobody"}, "workspace", "nobody"),
    "series without quota": (
        TRAINING, quota("Standard DSv3 Family Cluster Dedicated vCPUs", 6), {},
        "cluster quota", "8 cores and may have 6",
    ),
    "region without quota": (TRAINING, quota("Total Cluster Dedicated Regional vCPUs", 4), {}, "cluster quota", "max_nodes"),
    "size that the region has not": (TRAINING, None, {"PUSHLINE_AZURE__VM_SIZE": "Standard_Z9"}, "cluster quota", "vm_size"),
    "cores of groups used up": (RELEASE, quota("StandardCores", 2), {}, "container quota", "StandardCores"),
    "groups used up": (RELEASE, quota("ContainerGroups", 1), {}, "container quota", "ContainerGroups"),
    "group larger than any": (RELEASE, None, {"PUSHLINE_AZURE__CPU": "64"}, "container quota", "cpu or memory_gb"),
    "store closed to this network": (
        RELEASE, refusing("PUT", r"blob.core.*/pushline/preflight", 403, "AuthorizationFailure"), {},
        "upload", "AuthorizationFailure",
    ),
    "MLflow that takes no tags": (TRAINING, refusing("POST", "runs/set-tag", 400, "BadRequest"), {}, "MLflow run", "keep a run with tags"),
    "vault closed to this network": (
        RELEASE, refusing("GET", r"vault.azure.net/secrets", 403, "Forbidden", "ForbiddenByFirewall"), {},
        "Key Vault", "Forbidden",
    ),
    "key of Log Analytics withheld": (
        RELEASE, refusing("POST", "sharedKeys", 403, "AuthorizationFailed"), {},
        "telemetry", "key of Log Analytics",
    ),
    "share that may not be made": (
        RELEASE, refusing("PUT", "shares/", 403, "FeatureNotSupportedForAccount"), {},
        "certificates", "FeatureNotSupported",
    ),
    "keys of the certificates switched off": (
        RELEASE, refusing("POST", r"tls/listKeys", 409, "KeyBasedAuthenticationNotPermitted"), {},
        "certificates", "KeyBased",
    ),
    "Docker Hub that limits": (
        RELEASE, refusing("POST", "importImage", 400, "InvalidParameters", "toomanyrequests"),
        {"PUSHLINE_AZURE__SIDECAR": "docker.io/library/caddy:2.0"},
        "registry", "DOCKERHUB_TOKEN",
    ),
    "registry that lets nobody in": (RELEASE, refusing("POST", "oauth2/exchange", 401, "UNAUTHORIZED"), {}, "registry", "UNAUTHORIZED"),
}  # fmt: skip
# The same, found by what costs cents: nothing that comes after it is tried.
PAID_FOR: dict[str, tuple[str, Planted | None, dict[str, str], str, str]] = {
    "tasks of the registry not allowed": (
        RELEASE, refusing("POST", "scheduleRun", 403, "TasksOperationsNotAllowed"), {},
        "image build", 'image_builder = "docker"',
    ),
    "image that can't be pulled": (
        RELEASE, refusing("PUT", "containerGroups/", 400, "InaccessibleImage"), {},
        "container group", "AcrPull",
    ),
    "name that others have": (RELEASE, lambda world: world.taken.update((LABEL, f"{LABEL}-t")), {}, "container group", "another `label`"),
    "group that never starts": (
        RELEASE, behaving(f"{LABEL}-preflight", "pending"), {"PUSHLINE_AZURE__START_WITHIN": "2s"},
        "container group", "Pulling",
    ),
    "share that a container can't write": (RELEASE, behaving(f"{LABEL}-preflight", "share refused"), {}, "container group", "key access"),
    "step that fails on the node": (
        TRAINING, lambda world: world.sabotage.update(preflight="echo no room; exit 3"), {},
        "job on one node", "no room",
    ),
    "node that Azure refuses": (
        TRAINING, refusing("PUT", "/computes/", 400, "BadRequest", "ClusterCoreQuotaReached: uota"),
        {"PUSHLINE_AZURE__CLUSTER": "another"},
        "job on one node", "max_nodes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("defect", FREE)
def test_what_is_planted_is_found_and_named_before_anything_is_paid_for(preflight: Callable[..., Found], defect: str) -> None:
    client, plant, variables, name, words = FREE[defect]
    found = preflight(client, plant, **variables)
    assert found.ended.code == 1
    assert found.lines[name]["state"] == "missing", found.lines
    assert words in found.says(name)
    assert found.lines[name]["do"] or name == "roles"
    assert found.paid == []


@pytest.mark.parametrize("defect", PAID_FOR)
def test_what_only_a_try_shows_is_found_for_cents_and_nothing_after_it_is_tried(
    azure: Loopback, preflight: Callable[..., Found], defect: str
) -> None:
    client, plant, variables, name, words = PAID_FOR[defect]
    found = preflight(client, plant, **variables)
    assert found.ended.code == 1
    assert found.lines[name]["state"] == "missing", found.lines
    assert words in found.says(name)
    missing = [each for each, line in found.lines.items() if line["state"] == "missing"]
    assert missing == [name]
    assert not [group for group in azure.world.groups.values() if group.name.endswith("-preflight")]


@pytest.mark.parametrize("client", [TRAINING, RELEASE])
def test_a_sound_workspace_passes_and_leaves_nothing_once_cleaned(
    azure: Loopback, preflight: Callable[..., Found], command: Command, ground: Project, client: str
) -> None:
    found = preflight(client)
    assert {line["state"] for line in found.lines.values()} == {"works"}, found.lines
    assert found.ended.code == 0
    kept = json.loads((ground.state / "azure-preflight.json").read_text())
    assert [line["name"] for line in kept] == list(found.lines)
    assert command("doctor", "--clean", client=client).code == 0
    assert not [name for name in azure.world.jobs if name.startswith("pushline-preflight")]
    assert not [group for group in azure.world.groups.values() if group.name.endswith("-preflight")]
    assert "pushline-preflight:tried" not in azure.world.tags


def test_what_is_free_is_tried_alone_where_that_is_asked(preflight: Callable[..., Found]) -> None:
    found = preflight(TRAINING, None, "--wait", "1s", "--free")
    assert found.ended.code == 0, found.ended.err
    assert "MLflow run" in found.lines
    assert "job on one node" not in found.lines
    assert found.paid == []


def test_what_container_apps_do_not_stand_on_is_not_tried(azure: Loopback, preflight: Callable[..., Found]) -> None:
    began = len(azure.world.calls)
    found = preflight(RELEASE, PUSHLINE_TARGET="containerapps")
    assert found.ended.code == 0, found.lines
    assert {name for name, line in found.lines.items() if line["state"] == "not needed"} == {
        "container quota",
        "certificates",
        "container group",
    }
    assert not [call for call in azure.world.calls[began:] if call.method == "PUT" and "containergroups" in call.path.lower()]


def test_keys_that_are_mounted_for_root_alone_are_no_defect_and_are_told(preflight: Callable[..., Found]) -> None:
    found = preflight(RELEASE, behaving("secrets for root", "yes"))
    assert found.ended.code == 0
    assert "by its environment alone" in found.says("container group")


def test_who_may_not_read_the_subscription_is_told_so_and_the_rest_is_tried(azure: Loopback, command: Command) -> None:
    found = tried(azure, command, RELEASE)
    assert found.lines["container quota"]["state"] == "note"
    assert found.lines["container group"]["state"] == "works"


def test_a_role_that_is_too_new_is_waited_for(preflight: Callable[..., Found]) -> None:
    late: list[Fault] = []
    content = {"error": {"code": "Forbidden", "message": "Caller is not authorized. Action: 'secrets/getSecret/action'"}}

    def too_new(world: World) -> None:
        late.append(world.fault("GET", r"vault.azure.net/secrets", 403, content=content, times=2))

    found = preflight(RELEASE, too_new, "--wait", "10m")
    assert found.lines["Key Vault"]["state"] == "works", found.lines["Key Vault"]
    assert late[0].seen == 3


@pytest.mark.parametrize("kind", ["storageAccount", "keyVault", "containerRegistry"])
def test_a_name_that_somebody_else_has_is_told_before_anything_is_made(account: Empty, in_account: Command, kind: str) -> None:
    name = own_parts(THERE)[kind].rpartition("/")[2]
    account.world.taken.add(name)
    ended = in_account("doctor", "--azure", "--json", "--wait", "1s")
    names = [line for line in json.loads(ended.out) if line["name"] == "name"]
    assert ended.code == 1
    assert [line for line in names if name in line["says"]], names
    assert not [call for call in account.world.calls if call.method in ("PUT", "PATCH")]


def test_our_own_vault_that_was_deleted_is_no_taken_name(account: Empty, in_account: Command) -> None:
    account.world.deleted.add(own_parts(THERE)["keyVault"].rpartition("/")[2])
    ended = in_account("doctor", "--azure", "--json", "--wait", "1s")
    assert not [line for line in json.loads(ended.out) if line["name"] == "name"]
