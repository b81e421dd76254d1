"""The deployment template by itself: each resource by Microsoft's own schema, in every form, and nothing in it that is not used."""

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from fake import schemas
from fake.making import UNPUBLISHED
from fake.resources import kind_of
from fake.template import NotATemplate, Resource, Template
from fake.world import SUBSCRIPTION, TENANT

from pushline.azure import infrastructure, roles
from pushline.azure.cloud import stem_of
from pushline.settings import Azure, PushlineSettings

AZURE = Azure(subscription=SUBSCRIPTION, resource_group="bank-rg", workspace="bank-ws")
FORMS = {
    "container groups": PushlineSettings(target="aci", azure=AZURE),
    "container apps": PushlineSettings(target="containerapps", azure=AZURE),
    "private network": PushlineSettings(target="containerapps", azure=msgspec.structs.replace(AZURE, private_network=True)),
}


def deployed(settings: PushlineSettings, **standing: str) -> list[Resource]:
    """The resources that the template makes with the parameters of these settings, those that only Azure knows played."""
    given = infrastructure.parameters(settings, prefix="repo:someone/bank", standing=standing)
    values = {name: {"value": value} for name, value in given.items()}
    group = settings.azure.resource_group
    template = Template(infrastructure.template(), values, SUBSCRIPTION, TENANT, group, "westeurope", lambda _: {"principalId": TENANT})
    return [each for symbol in template.order() for each in template.resources(symbol)]


@pytest.mark.parametrize("form", FORMS)
def test_every_resource_is_valid_by_the_official_schema(official: None, form: str) -> None:
    wrong, held = [], 0
    for resource in deployed(FORMS[form]):
        provider, kind, name = kind_of(resource.id)
        if not f"{provider}/{kind}".startswith(UNPUBLISHED):
            held += 1
            wrong += [
                f"{provider}/{kind}: {said}"
                for said in [schemas.departs(provider, kind, name, resource.api_version, resource.body)]
                if said
            ]
    assert (wrong, held > 20) == ([], True)


@pytest.mark.parametrize("form", FORMS)
def test_no_two_resources_have_one_id(form: str) -> None:
    ids = [each.id.lower() for each in deployed(FORMS[form])]
    assert len(ids) == len(set(ids))


def test_what_is_used_is_declared_and_what_is_declared_is_used() -> None:
    template = infrastructure.template()
    text = json.dumps({name: template[name] for name in ("variables", "resources", "outputs")})
    for kind in ("parameters", "variables"):
        assert set(re.findall(rf"{kind}\('(\w+)'\)", text)) == set(template[kind])


def test_every_resource_says_what_it_is_for() -> None:
    assert [name for name, each in infrastructure.template()["resources"].items() if not each.get("comments")] == []


@pytest.mark.parametrize("form", FORMS)
def test_a_resource_depends_on_each_other_one_that_it_names(form: str) -> None:
    """Otherwise the order would be chance."""
    entries: Mapping[str, Any] = infrastructure.template()["resources"]
    above: dict[str, set[str]] = {}
    for symbol in Template({"resources": entries}, {}, SUBSCRIPTION, TENANT, "g", "r").order():
        direct = set(entries[symbol].get("dependsOn", []))
        above[symbol] = direct.union(*(above[each] for each in direct))
    resources = deployed(FORMS[form])
    for one in resources:
        said = json.dumps([one.body, one.id.rpartition("/providers/")[0]]).lower()
        named = {other.symbol for other in resources if re.search(re.escape(other.id.lower()) + r"[\"/]", said)} - {one.symbol}
        assert named <= above[one.symbol], one.id


def test_the_roles_that_are_given_are_those_of_the_table() -> None:
    given = {
        (each.body["properties"]["roleDefinitionId"].rpartition("/")[2], each.body["properties"]["description"].partition(":")[0])
        for each in deployed(FORMS["container apps"])
        if "/roleAssignments/" in each.id
    }
    table = (*roles.TRAINING, *roles.RELEASE, *roles.RELEASE_TO_APPS, *roles.PULL_FOR_APPS, roles.PULL)
    assert given == {(role.id or infrastructure.releaser_id(AZURE), role.name) for role in table}


def test_two_workspaces_of_one_name_have_different_names_in_all_of_azure() -> None:
    other = msgspec.structs.replace(AZURE, resource_group="other-rg")
    names = [{name.rpartition("/")[2] for name in list(infrastructure.own_parts(each).values())[:3]} for each in (AZURE, other)]
    assert not names[0] & names[1]
    assert all(3 <= len(name) <= 24 for name in names[0])
    assert len(f"{stem_of(infrastructure.workspace_of(AZURE))}tls") <= 24


def test_a_part_that_stands_under_another_name_is_not_made() -> None:
    vault = f"{infrastructure.group_of(AZURE)}/providers/Microsoft.KeyVault/vaults/someones"
    made = deployed(FORMS["container groups"], keyVault=vault)
    assert not [each.id for each in made if each.id.rpartition("/")[0].endswith("/vaults")]
    [workspace] = [each for each in made if each.symbol == "workspace"]
    assert workspace.body["properties"]["keyVault"] == vault


def test_a_function_that_is_not_there_is_no_template() -> None:
    with pytest.raises(NotATemplate, match="nonsense"):
        Template({"parameters": {"a": {"type": "string", "defaultValue": "[nonsense('b')]"}}}, {}, SUBSCRIPTION, TENANT, "g", "r")
