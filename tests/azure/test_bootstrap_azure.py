"""`pushline bootstrap azure` on fresh, half-made, complete and broken accounts; the loopback Azure deploys its template."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake.loopback import PERSON, Empty
from fake.making import roles_at
from fake.world import SUBSCRIPTION, WORKSPACE_ID, Call

from conftest import Ended
from pushline.azure import roles
from pushline.azure.cloud import stem_of
from pushline.project import Project

PREFIX = "repo:someone/bank"
NAMES = ("--subject-prefix", PREFIX, "--location", "westeurope")
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/bank-rg".lower()
Bootstrap = Callable[..., Ended]


@pytest.fixture
def bootstrap(in_account: Bootstrap) -> Bootstrap:
    return lambda *arguments, **variables: in_account("bootstrap", "azure", *(arguments or NAMES), **variables)


def changing(account: Empty) -> list[Call]:
    """The calls that would change something; asking for a token, validate and what-if change nothing."""
    asking = ("/validate", "/whatIf", "/token")
    return [call for call in account.world.calls if call.method != "GET" and not call.path.endswith(asking)]


def versions(account: Empty) -> dict[str, str]:
    """All that stands, each as text."""
    standing = {key: each for key, each in account.world.resources.items() if "/deployments/" not in key}
    return {key: json.dumps(each, sort_keys=True) for key, each in standing.items()}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Kind and name of what was made or corrected."""
    return {"/".join(key.split("/")[-2:]) for key, text in after.items() if before.get(key) != text}


def kinds(account: Empty) -> set[str]:
    return {str(each.get("type", "")) for each in account.world.resources.values()} - {""}


def test_without_apply_the_plan_is_printed_and_nothing_is_made(account: Empty, bootstrap: Bootstrap) -> None:
    ended = bootstrap()
    assert ended.code == 0, ended.err
    assert "make resource group bank-rg in westeurope" in ended.out
    assert "make Key Vault: the endpoint's keys" in ended.out
    assert f"{PREFIX}:environment:training" in ended.out
    assert "day and night" in ended.out
    assert "virtual network" not in ended.out
    assert changing(account) == []


def test_a_fresh_account_becomes_complete_and_a_second_apply_makes_no_changing_call(
    official: None, account: Empty, bootstrap: Bootstrap, project: Project
) -> None:
    ended = bootstrap(*NAMES, "--apply")
    assert ended.code == 0, ended.err
    assert [call.path.rpartition("/")[2] for call in changing(account)][-1] == "pushline-bank-ws"
    assert {
        "Microsoft.Insights/components",
        "Microsoft.OperationalInsights/workspaces",
        "Microsoft.Storage/storageAccounts",
        "Microsoft.KeyVault/vaults",
        "Microsoft.ContainerRegistry/registries",
        "Microsoft.MachineLearningServices/workspaces",
        "Microsoft.MachineLearningServices/workspaces/computes",
        "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials",
    } <= kinds(account)
    again = bootstrap(*NAMES, "--apply")
    assert (again.code, changing(account)) == (0, []), again.err
    assert "is as it should be" in again.out
    record = json.loads((project.state / "azure.json").read_text())
    assert record["workspace"] == "bank-ws"
    assert set(record["clients"]) == {"training", "production"}


def test_the_two_identities_hold_their_roles_and_no_more(account: Empty, bootstrap: Bootstrap) -> None:
    assert bootstrap(*NAMES, "--apply").code == 0
    training, release = roles_at(account.world, "bank-ws-training"), roles_at(account.world, "bank-ws-release")
    assert {name for name, _ in training} == {role.name for role in roles.TRAINING}
    releaser = "Pushline Releaser of bank-ws in bank-rg"
    assert {name for name, _ in release} == {role.name for role in roles.RELEASE if role.built_in} | {releaser}
    assert (releaser, "bank-rg") in release
    assert ("AzureML Data Scientist", "bank-ws") in training
    assert not any(name.startswith("Key Vault") for name, _ in training)
    assert {name for name, _ in roles_at(account.world, "bank-ws-pull")} == {"AcrPull"}


def test_for_container_apps_their_environment_its_logs_and_the_roles_for_both_are_made_too(
    official: None, account: Empty, bootstrap: Bootstrap, project: Project
) -> None:
    ended = bootstrap(*NAMES, "--apply", PUSHLINE_TARGET="containerapps")
    assert ended.code == 0, ended.err
    [environment] = [each for each in account.world.resources.values() if each.get("type") == "Microsoft.App/managedEnvironments"]
    assert (environment["name"], environment["location"]) == ("bank-ws-apps", "westeurope")
    [setting] = [each for each in account.world.resources.values() if each.get("type") == "Microsoft.Insights/diagnosticSettings"]
    assert setting["id"].startswith(environment["id"])
    assert setting["properties"]["workspaceId"].endswith("bank-ws-logs")
    assert {("Container Apps Contributor", "bank-rg")} <= roles_at(account.world, "bank-ws-release")
    assert {name for name, _ in roles_at(account.world, "bank-ws-pull")} == {"AcrPull", "Key Vault Secrets User"}
    assert json.loads((project.state / "azure.json").read_text())["target"] == "containerapps"
    again = bootstrap(*NAMES, "--apply", PUSHLINE_TARGET="containerapps")
    assert (again.code, changing(account)) == (0, []), again.err


def test_each_identity_trusts_the_subject_of_its_environment_alone(account: Empty, bootstrap: Bootstrap) -> None:
    assert bootstrap(*NAMES, "--apply").code == 0
    subjects = {each.name: each.subject for each in account.world.directory.applications.values() if each.name.startswith("bank-ws-")}
    assert subjects == {
        "bank-ws-training": f"{PREFIX}:environment:training",
        "bank-ws-release": f"{PREFIX}:environment:production",
        "bank-ws-pull": "",
    }


def test_a_subject_that_differs_in_one_capital_is_corrected(account: Empty, bootstrap: Bootstrap) -> None:
    assert bootstrap(*NAMES, "--apply").code == 0
    before = versions(account)
    ended = bootstrap("--subject-prefix", "repo:Someone/bank", "--apply")
    assert ended.code == 0, ended.err
    assert ended.out.count("subject: repo:someone/bank:environment") == 2
    named = {"github-training", "github-production"}
    assert changed(before, versions(account)) == {f"federatedidentitycredentials/{name}" for name in named}


def test_a_half_made_account_is_completed_where_it_stopped(account: Empty, bootstrap: Bootstrap) -> None:
    account.world.fault("PUT", "registries/", 400, content={"error": {"code": "BadRequest", "message": "no"}})
    stopped = bootstrap(*NAMES, "--apply")
    assert stopped.code == 4
    assert "BadRequest: no" in stopped.err
    made = kinds(account)
    assert "Microsoft.KeyVault/vaults" in made
    assert "Microsoft.MachineLearningServices/workspaces" not in made, "what depends on the registry is not tried"
    before = versions(account)
    ended = bootstrap(*NAMES, "--apply")
    assert ended.code == 0, ended.err
    assert not [each for each in changed(before, versions(account)) if each.startswith(("vaults/", "storageaccounts/"))]
    assert bootstrap().out.startswith("bank-ws in bank-rg is as it should be")


def test_what_someone_made_with_other_names_stays_and_is_completed(account: Empty, bootstrap: Bootstrap) -> None:
    """A workspace from the portal: its own vault, no registry; and of ours the storage account's keys switched off."""
    assert bootstrap(*NAMES, "--apply").code == 0
    world = account.world
    workspace = world.resources[f"{GROUP}/providers/microsoft.machinelearningservices/workspaces/bank-ws"]
    vault = world.resources.pop(next(key for key in world.resources if "/vaults/" in key and "authorization" not in key))
    own = {**vault, "id": vault["id"].rpartition("/")[0] + "/someones-vault", "tags": {"made": "by someone"}}
    world.resources[own["id"].lower()] = own
    workspace["properties"]["keyVault"] = own["id"]
    del workspace["properties"]["containerRegistry"]
    storage = next(each for key, each in world.resources.items() if "/storageaccounts/" in key and "authorization" not in key)
    storage["properties"]["allowSharedKeyAccess"] = False
    before = versions(account)
    ended = bootstrap(*NAMES, "--apply")
    assert ended.code == 0, ended.err
    kinds_changed = {each.split("/")[0] for each in changed(before, versions(account))}
    assert kinds_changed == {"workspaces", "storageaccounts", "roleassignments"}
    workspace = world.resources[f"{GROUP}/providers/microsoft.machinelearningservices/workspaces/bank-ws"]
    assert workspace["properties"]["containerRegistry"]
    assert workspace["properties"]["keyVault"] == own["id"]
    assert ("Key Vault Secrets Officer", "someones-vault") in roles_at(world, "bank-ws-release")
    again = bootstrap(*NAMES, "--apply")
    assert (again.code, changing(account)) == (0, []), again.out


def test_what_lies_in_another_group_is_used_and_its_roles_are_left_to_its_owner(account: Empty, bootstrap: Bootstrap) -> None:
    elsewhere = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shared/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pulls"
    account.world.resources[elsewhere.lower()] = {"id": elsewhere, "properties": {"clientId": "c", "principalId": "p"}}
    ended = bootstrap(*NAMES, "--apply", PUSHLINE_AZURE__PULL_IDENTITY=elsewhere)
    assert ended.code == 0, ended.err
    assert f"Give bank-ws-release Managed Identity Operator on {elsewhere}, which lies outside of bank-rg" in ended.out
    assert not [key for key in account.world.resources if key.startswith(elsewhere.lower() + "/")]
    assert not [key for key in account.world.resources if key.endswith("/bank-ws-pull")]


def test_the_clusters_limits_follow_the_settings_and_its_size_can_not(account: Empty, bootstrap: Bootstrap) -> None:
    assert bootstrap(*NAMES, "--apply").code == 0
    before = versions(account)
    ended = bootstrap(*NAMES, "--apply", PUSHLINE_AZURE__MAX_NODES="3")
    assert ended.code == 0, ended.err
    assert "properties.properties.scaleSettings.maxNodeCount: 2 → 3" in ended.out
    assert changed(before, versions(account)) == {"computes/cpu-cluster"}
    ended = bootstrap(*NAMES, "--apply", PUSHLINE_AZURE__MAX_NODES="3", PUSHLINE_AZURE__VM_SIZE="Standard_DS3_v2")
    assert ended.code == 4
    assert "a size can't change" in ended.err
    assert changing(account) == []


def test_identities_and_roles_that_are_not_known_everywhere_yet_are_waited_for(account: Empty, bootstrap: Bootstrap) -> None:
    ended = bootstrap(*NAMES, "--apply")
    assert ended.code == 0, ended.err
    assert len([call for call in changing(account) if "/deployments/" in call.path]) >= 2, "the stand-in knows new ones only after a while"
    assert "still may not read a blob or a secret" in ended.err


@pytest.mark.parametrize(("late_s", "code"), [(240.0, 0), (3600.0, 4)])
def test_what_takes_minutes_to_be_known_is_waited_for_ten_minutes_long(
    account: Empty, bootstrap: Bootstrap, monkeypatch: pytest.MonkeyPatch, late_s: float, code: int
) -> None:
    world = account.world
    world.late_s = late_s

    def pass_time(seconds: float) -> None:
        world.clock += seconds * 600  # a few long waits instead of many short ones

    monkeypatch.setattr("pushline.azure.bootstrap.time", SimpleNamespace(sleep=pass_time, monotonic=lambda: world.clock))
    ended = bootstrap(*NAMES, "--apply")
    assert ended.code == code, ended.err
    assert world.clock > 240
    assert code == 0 or "does not exist" in ended.err


def test_what_was_made_and_is_not_shown_yet_is_looked_for_again(account: Empty, bootstrap: Bootstrap) -> None:
    """A read may be answered by a region that has not heard of the write."""
    content = {"error": {"code": "ResourceNotFound", "message": "The resource was not found."}}
    late = account.world.fault("GET", r"/deployments/pushline-bank-ws$", 404, content=content, times=2)
    ended = bootstrap(*NAMES, "--apply")
    assert ended.code == 0, ended.err
    assert late.seen > 2


def test_a_vault_that_was_deleted_is_recovered(account: Empty, bootstrap: Bootstrap) -> None:
    vault = f"kv-{stem_of(WORKSPACE_ID)}"
    account.world.deleted.add(vault)
    ended = bootstrap(*NAMES, "--apply")
    assert ended.code == 0, ended.err
    standing = next(each for each in account.world.resources.values() if each.get("name") == vault)
    assert standing["properties"]["createMode"] == "recover"
    account.world.deleted.clear()
    again = bootstrap(*NAMES, "--apply")
    assert again.code == 0, again.err


def test_after_a_teardown_the_same_command_makes_it_again(account: Empty, bootstrap: Bootstrap) -> None:
    """Deleting a group deletes what is in it; the vault keeps its name, and new identities get other principals."""
    assert bootstrap(*NAMES, "--apply").code == 0
    first = versions(account).keys()
    world = account.world
    world.deleted.add(f"kv-{stem_of(WORKSPACE_ID)}")
    for key in [key for key in world.resources if key.startswith(GROUP)]:
        del world.resources[key]
    ended = bootstrap(*NAMES, "--apply")
    assert ended.code == 0, ended.err
    assert versions(account).keys() == first


def test_a_person_who_may_not_make_anything_is_told_which_right_is_missing(account: Empty, bootstrap: Bootstrap) -> None:
    account.world.rights[PERSON] = (roles.READER,)
    ended = bootstrap(*NAMES, "--apply")
    assert ended.code == 4
    assert "register/action" in ended.err
    assert "Owner" in ended.err
    assert kinds(account) == set()


def test_a_contributor_is_told_who_gives_the_roles_before_anything_is_made(account: Empty, bootstrap: Bootstrap) -> None:
    no_roles = roles.Role(name="Contributor", scope="", actions=("*",), excepted=("Microsoft.Authorization/*/write",), reason="")
    account.world.rights[PERSON] = (no_roles,)
    ended = bootstrap(*NAMES, "--apply")
    assert ended.code == 4
    assert "Microsoft.Authorization/roleDefinitions/write" in ended.err
    assert "a Contributor may not give roles" in ended.err
    assert kinds(account) == set()


def test_a_subscription_of_another_directory_is_told(bootstrap: Bootstrap) -> None:
    ended = bootstrap(*NAMES, PUSHLINE_AZURE__SUBSCRIPTION="99999999-2222-3333-4444-555555555555")
    assert ended.code == 2
    assert "az login --tenant" in ended.err


def test_a_tenant_that_is_not_there_is_told(bootstrap: Bootstrap) -> None:
    ended = bootstrap(*NAMES, AZURE_TENANT_ID="99999999-7777-8888-9999-000000000000")
    assert ended.code == 4
    assert "AZURE_TENANT_ID" in ended.err


def test_a_quota_that_is_too_small_names_the_setting(account: Empty, bootstrap: Bootstrap) -> None:
    ended = bootstrap(*NAMES, "--apply", PUSHLINE_AZURE__MAX_NODES="9")
    assert ended.code == 4
    assert "max_nodes" in ended.err
    assert "What was made stays" in ended.err


def test_a_name_that_is_taken_stops_it_with_what_azure_says(account: Empty, bootstrap: Bootstrap) -> None:
    account.world.taken.add(stem_of(WORKSPACE_ID))
    ended = bootstrap(*NAMES, "--apply")
    assert ended.code == 4
    assert "already taken" in ended.err


@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        (("--subject-prefix", PREFIX), {}, "--location"),
        (NAMES, {"PUSHLINE_AZURE__SUBSCRIPTION": ""}, "--subscription"),
    ],
)
def test_what_is_not_said_is_asked_for(bootstrap: Bootstrap, arguments: tuple[str, ...], variables: dict[str, str], told: str) -> None:
    ended = bootstrap(*arguments, **variables)
    assert ended.code == 2
    assert told in ended.err


def test_the_plan_as_json_is_what_azure_says_would_change(account: Empty, bootstrap: Bootstrap) -> None:
    assert bootstrap(*NAMES, "--apply").code == 0
    plan = json.loads(bootstrap(*NAMES, "--json", PUSHLINE_TARGET="containerapps").out)
    assert plan["changes"][0]["what"] == "Microsoft.App in the subscription"
    assert {change["what"] for change in plan["changes"]} >= {"workspace: data, jobs, models"}, "Azure can't be asked yet"
    account.world.resources["provider:microsoft.app"] = {"namespace": "Microsoft.App"}
    plan = json.loads(bootstrap(*NAMES, "--json", PUSHLINE_TARGET="containerapps").out)
    assert {change["what"].split()[0] for change in plan["changes"]} == {
        "Microsoft.App/managedEnvironments",
        "Microsoft.Insights/diagnosticSettings",
        "Microsoft.Authorization/roleAssignments",
    }
    assert changing(account) == []


def test_a_private_network_is_made_with_all_that_is_reached_over_it(official: None, account: Empty, bootstrap: Bootstrap) -> None:
    ended = bootstrap(*NAMES, "--apply", PUSHLINE_AZURE__PRIVATE_NETWORK="true", PUSHLINE_TARGET="containerapps")
    assert ended.code == 0, ended.err
    standing = account.world.resources.values()
    endpoints = [each for each in standing if each.get("type") == "Microsoft.Network/privateEndpoints"]
    assert {each["properties"]["privateLinkServiceConnections"][0]["properties"]["groupIds"][0] for each in endpoints} == {
        "amlworkspace",
        "vault",
        "blob",
        "file",
    }
    closed = {each["type"].split("/")[-1] for each in standing if each.get("properties", {}).get("publicNetworkAccess") == "Disabled"}
    assert closed == {"workspaces", "vaults", "storageAccounts"}
    [network] = [each for each in standing if each.get("type") == "Microsoft.Network/virtualNetworks"]
    assert {each["name"] for each in network["properties"]["subnets"]} == {"endpoints", "cluster", "apps", "runners"}
    [cluster] = [each for each in standing if str(each.get("type")).endswith("/computes")]
    assert cluster["properties"]["properties"]["subnet"]["id"].endswith("/subnets/cluster")
    again = bootstrap(*NAMES, "--apply", PUSHLINE_AZURE__PRIVATE_NETWORK="true", PUSHLINE_TARGET="containerapps")
    assert (again.code, changing(account)) == (0, []), again.out


def test_the_template_and_its_parameters_are_written_for_whoever_deploys_them(account: Empty, bootstrap: Bootstrap, tmp_path: Path) -> None:
    ended = bootstrap(*NAMES, "--out", str(tmp_path / "review"))
    assert ended.code == 0, ended.err
    assert "az deployment group what-if --resource-group bank-rg" in ended.err
    template = json.loads((tmp_path / "review" / "infrastructure.json").read_bytes())
    given = json.loads((tmp_path / "review" / "infrastructure.parameters.json").read_bytes())["parameters"]
    assert set(given) <= set(template["parameters"])
    assert {name for name, each in template["parameters"].items() if "defaultValue" not in each} <= set(given)
    assert changing(account) == []
