"""Deployments of templates into a resource group: validate, what-if, and the deployment itself, which puts what the template says.

learn.microsoft.com, "Deployments - Validate / What If / Create Or Update" and "ARM template deployment what-if operation".
"""

import dataclasses
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fake.making import WORLDWIDE, need_group
from fake.resources import ARM, GROUP_PATH, accepted, action_of, authorize, get, kind_of, permitted
from fake.template import NotATemplate, Resource, Template
from fake.wire import Refusal, Request, Response, dispatch, route
from fake.world import TENANT

if TYPE_CHECKING:
    from fake.world import World

DEPLOYMENT = GROUP_PATH + "/providers/Microsoft.Resources/deployments/{name}"
TOP = {"$schema", "languageVersion", "contentVersion", "metadata", "parameters", "variables", "resources", "outputs"}
# What a service sets by itself and a template does not say: what-if shows it as deleted, and the manual calls that noise.
BY_THE_SERVICE = ("provisioningState", "vaultUri", "loginServer", "customerId", "ConnectionString", "AppId", "mlFlowTrackingUri")


def template_of(world: "World", request: Request, subscription: str, group: str) -> Template:
    """The template of a request, read. Raises Refusal where it is none, or its group is not there."""
    authorize(world, request)
    if f"/subscriptions/{subscription}/resourcegroups/{group}".lower() not in world.resources:
        raise Refusal(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")
    said = request.json["properties"]
    assert said["mode"] == "Incremental", "a complete deployment would delete what releases made"
    if set(said["template"]) - TOP:
        raise Refusal(400, "InvalidTemplate", f"Could not find member {sorted(set(said['template']) - TOP)} on object of type 'Template'.")
    region = world.resources[f"/subscriptions/{subscription}/resourcegroups/{group}".lower()]["location"]
    try:
        return Template(said["template"], said["parameters"], subscription, TENANT, group, region)
    except NotATemplate as error:
        raise Refusal(400, "InvalidTemplate", f"Deployment template validation failed: '{error}'") from error


def resources_of(template: Template) -> list[Resource]:
    try:
        return [resource for symbol in template.order() for resource in template.resources(symbol)]
    except NotATemplate as error:
        raise Refusal(400, "InvalidTemplate", f"Deployment template validation failed: '{error}'") from error


def inner(request: Request, resource: Resource) -> Request:
    """The PUT that a deployment makes of a resource, with the caller's own rights."""
    target = f"{resource.id}?api-version={resource.api_version}"
    return dataclasses.replace(request, method="PUT", target=target, body=json.dumps(resource.body).encode())


def preflight(world: "World", request: Request, resources: list[Resource]) -> None:
    """What is refused before anything is made: no right, a provider that is not registered, a body or a name that can't be."""
    wrong = []
    for resource in resources:
        put = inner(request, resource)
        provider, kind, name = kind_of(resource.id)
        action = action_of(put)
        if not permitted(world, request.identity, action, put.path):
            message = (
                f"Authorization failed for template resource '{name}' of type '{provider}/{kind}'. The client '{request.identity}' does "
                f"not have permission to perform action '{action}' at scope '{put.path}'."
            )
            raise Refusal(403, "InvalidTemplateDeployment", f"Deployment failed with multiple errors: '{message}'")
        if provider != "Microsoft.Authorization":
            need_group(world, put)
        if f"{provider}/{kind}" in WORLDWIDE and name in world.taken:
            wrong.append({"code": "NameAlreadyTaken", "message": f"The name {name} is already taken by someone else."})
        if name in world.deleted and resource.body["properties"].get("createMode") != "recover":
            # learn.microsoft.com, "Azure Key Vault recovery management": the name stays taken until the vault is purged or recovered.
            said = f"A vault with the same name {name} already exists in deleted state. You need to either recover or purge it."
            wrong.append({"code": "ConflictError", "message": said})
    if wrong:
        answer = Refusal(400, "InvalidTemplateDeployment", "The template deployment failed with error(s). See inner errors for details.")
        answer.response.content["error"]["details"] = wrong
        raise answer


@route("POST", ARM, DEPLOYMENT + "/validate")
def validate(world: "World", request: Request, subscription: str, group: str, name: str) -> Response:
    template = template_of(world, request, subscription, group)
    preflight(world, request, resources_of(template))
    return Response(200, {"id": request.path, "name": name, "properties": {"provisioningState": "Succeeded", "mode": "Incremental"}})


@route("POST", ARM, DEPLOYMENT + "/whatIf")
def what_if(world: "World", request: Request, subscription: str, group: str, name: str) -> Response:
    """Takes a while: 202 and a place to ask, which gives 202 until it gives the result."""
    template = template_of(world, request, subscription, group)
    resources = resources_of(template)
    changes = [change_of(world, resource) for resource in resources]
    known, here = {each["resourceId"].lower() for each in changes}, f"{template.scope}/providers/".lower()
    for key, there in world.resources.items():
        if key.startswith(here) and key not in known and "/deployments/" not in key:
            changes.append({"resourceId": there["id"], "changeType": "Ignore", "before": there, "after": there})
    told = {"status": "Succeeded", "properties": {"correlationId": "c", "changes": changes}}
    answer = accepted(world, request, world.begin(lambda: ("Succeeded", told)))
    return Response(202, None, {key: value for key, value in answer.headers.items() if key != "Azure-AsyncOperation"})


def change_of(world: "World", resource: Resource) -> dict[str, Any]:
    there = world.resources.get(resource.id.lower())
    if there is None:
        return {"resourceId": resource.id, "changeType": "Create", "before": None, "after": resource.body}
    delta = list(delta_of(there, resource.body))
    kind = "Modify" if delta else "NoChange"
    return {"resourceId": resource.id, "changeType": kind, "before": there, "after": resource.body, "delta": delta}


def delta_of(there: dict[str, Any], wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, value in wanted.items():
        before = there.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            children = list(delta_of(before, value))
            if children:
                yield {"path": name, "propertyChangeType": "Modify", "before": before, "after": value, "children": children}
        elif before != value and not (name == "createMode" and before is None):
            yield {"path": name, "propertyChangeType": "Create" if before is None else "Modify", "before": before, "after": value}
    for name in set(there) & set(BY_THE_SERVICE):
        yield {"path": name, "propertyChangeType": "Delete", "before": there[name], "after": None}


@route("PUT", ARM, DEPLOYMENT)
def deploy(world: "World", request: Request, subscription: str, group: str, name: str) -> Response:
    template = template_of(world, request, subscription, group)
    preflight(world, request, resources_of(template))
    template.reference = lambda resource: get(world, resource)["properties"]
    made = {**request.json, "id": request.path, "name": name, "type": "Microsoft.Resources/deployments"}
    made["properties"] = {"mode": "Incremental", "provisioningState": "Running"}
    known = request.path.lower() in world.resources
    world.resources[request.path.lower()] = made

    def finish() -> tuple[str, Any]:
        failed = [error for symbol in template.order() for error in put_all(world, request, template, symbol)]
        state = "Failed" if failed else "Succeeded"
        made["properties"]["provisioningState"] = state
        if failed:
            message = "At least one resource deployment operation failed. Please list deployment operations for details."
            return state, {"code": "DeploymentFailed", "message": message, "details": failed}
        outputs = template.text.get("outputs", {})
        made["properties"]["outputs"] = {
            key: {"type": each["type"], "value": template.value(each["value"])} for key, each in outputs.items()
        }
        return state, made

    return accepted(world, request, world.begin(finish), status=200 if known else 201, content=made)


@route("GET", ARM, DEPLOYMENT)
def deployment(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    return Response(200, get(world, request.path))


def put_all(world: "World", request: Request, template: Template, symbol: str) -> Iterator[dict[str, Any]]:
    """Put the resources of one entry, each until it is done; yields what failed. What depends on a failed one is not tried."""
    if template.failed & set(template.text["resources"][symbol].get("dependsOn", [])):
        template.failed.add(symbol)
        return
    for resource in template.resources(symbol):
        error = put_one(world, inner(request, resource))
        if error:
            template.failed.add(symbol)
            yield error


def put_one(world: "World", asked: Request) -> dict[str, Any] | None:
    fault = world.fault_for(asked)
    try:
        answer = fault.response() if fault else dispatch(world, asked)
    except Refusal as refused:
        answer = refused.response
    if answer.status >= 400:
        said = (answer.content or {}).get("error", {})
        return {"code": said.get("code"), "message": said.get("message")}
    where = answer.headers.get("Azure-AsyncOperation") or answer.headers.get("Location") or ""
    operation = world.operations.get(where.partition("/operations/")[2].partition("?")[0])
    if operation is not None:
        operation.state, operation.outcome = operation.finish()
        if operation.state == "Failed":
            return dict(operation.outcome)
    return None
