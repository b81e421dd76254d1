"""Container instances: a group's containers are really started, from what lies in their images.

The scoring container is the scoring service, the sidecar a real Caddy; both as processes of this machine, with their
ports moved to free ones. Names, updates, secrets and failures follow the service's documented rules.

Sources at learn.microsoft.com: "Container Groups - Create Or Update", "Update containers in Azure Container Instances", "Mount a secret
volume in Azure Container Instances", "Troubleshoot common issues in Azure Container Instances".
"""

import hashlib
import re
import threading
from typing import TYPE_CHECKING, Any

from fake import apps, containers
from fake.resources import ARM, GROUP_PATH, accepted, authorize, authorize_assigning, check, children, get, put
from fake.wire import Refusal, Request, Response, route
from fake.world import REGION, SUFFIX, TENANT

if TYPE_CHECKING:
    from fake.world import World

GROUPS = GROUP_PATH + "/providers/Microsoft.ContainerInstance/containerGroups"
ONE = GROUPS + "/{name}"
CORES = 10  # learn.microsoft.com, "Service quotas and region limits for Azure Container Instances"; here of one group
FIXED = ("osType", "restartPolicy", "subnetIds", "zones")  # a change needs delete and create
SECRET = ("secureValue", "workspaceKey", "storageAccountKey", "password", "secret")


@route("GET", ARM, GROUPS)
def list_groups(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    return Response(200, {"value": [shown(world, each) for each in children(world, request.path)]})


@route("GET", ARM, ONE)
def read(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    return Response(200, shown(world, get(world, request.path)))


@route("PUT", ARM, ONE)
def write(world: "World", request: Request, name: str, **_: str) -> Response:
    authorize(world, request)
    authorize_assigning(world, request)
    check(world, request)
    body = request.json
    key = request.path.lower()
    old = world.groups.get(key)
    if old is not None:
        refuse_while_transitioning(world, name, old)
    refuse_what_the_service_refuses(world, name, body, old)
    if old is not None:
        old.stop()
    fqdn = fqdn_of(world, name, body)
    properties = {"ipAddress": {**body["properties"]["ipAddress"], "ip": "20.1.2.3", "fqdn": fqdn}}
    put(world, request.path, body, **properties)
    group = containers.Group(world, name, body, fqdn, world.behaviour.get(name, ""))
    world.groups[key] = group
    world.hosts.add(fqdn)
    threading.Thread(target=group.start, daemon=True).start()
    made = shown(world, get(world, request.path))

    def finish() -> tuple[str, Any]:
        if not group.settled.is_set():
            return "InProgress", None
        return "Succeeded", shown(world, get(world, request.path))

    return accepted(world, request, world.begin(finish, polls=0), status=200 if old is not None else 201, content=made)


def refuse_what_the_service_refuses(world: "World", name: str, body: dict[str, Any], old: Any) -> None:
    wanted = body["properties"]
    public = {port["port"] for port in wanted["ipAddress"]["ports"]}
    inside = {port["port"] for container in wanted["containers"] for port in container["properties"].get("ports") or []}
    if not public <= inside:
        raise Refusal(400, "PublicPortNotInContainer", f"Ports {sorted(public - inside)} of the group's IP address are no container's.")
    for container in wanted["containers"]:
        image = container["properties"]["image"]
        found = re.fullmatch(r"[\w.]+/[\w\-/]+@(sha256:[0-9a-f]{64})", image)
        if found is None or found[1] not in world.images:
            raise Refusal(
                400, "InaccessibleImage", f"The image '{image}' in container group '{name}' is not accessible. Please check the image."
            )
    cores = sum(container["properties"]["resources"]["requests"]["cpu"] for container in wanted["containers"])
    if cores > CORES:
        message = f"Resource type 'Microsoft.ContainerInstance/containerGroups' container group quota 'StandardCores' exceeded: {CORES}."
        raise Refusal(409, "ContainerGroupQuotaReached", message)
    label = wanted["ipAddress"].get("dnsNameLabel", "")
    if label in world.taken:
        raise Refusal(409, "DnsNameLabelNotAvailable", f"The DNS name label '{label}' is not available in region '{REGION}'.")
    if old is not None:
        for field in FIXED:
            if old.body["properties"].get(field) != wanted.get(field):
                raise Refusal(400, "InvalidUpdate", f"The updates on container group '{name}' are invalid: '{field}' can't change.")
        if resources_of(old.body) != resources_of(body):
            raise Refusal(
                400, "ContainerGroupUpdateNotSupported", f"The resources of container group '{name}' can't change; delete it first."
            )
    held_by_others = [key for key, group in world.groups.items() if group.label == label and not key.endswith(f"/{name.lower()}")]
    if held_by_others:
        raise Refusal(409, "DnsNameLabelNotAvailable", f"The DNS name label '{label}' is not available in region '{REGION}'.")


def resources_of(body: dict[str, Any]) -> list[Any]:
    return [container["properties"]["resources"] for container in body["properties"]["containers"]]


def fqdn_of(world: "World", name: str, body: dict[str, Any]) -> str:
    address = body["properties"]["ipAddress"]
    scope = address.get("autoGeneratedDomainNameLabelScope", "TenantReuse")
    hashed = "" if scope == "Unsecure" else "." + hashlib.sha256(f"{TENANT}{scope}".encode()).hexdigest()[:16]
    return f"{address['dnsNameLabel']}{hashed}.{REGION}.{SUFFIX}"


@route("DELETE", ARM, ONE)
def delete(world: "World", request: Request, name: str, **_: str) -> Response:
    """Accepted, and done a while later, as containerInstance.json of 2023-05-01 says (200, 202 or 204); refused while it transitions."""
    authorize(world, request)
    group = world.groups.get(request.path.lower())
    if group is None:
        return Response(204)
    refuse_while_transitioning(world, name, group)
    world.groups.pop(request.path.lower())
    shown_last = shown(world, get(world, request.path))
    group.stop()
    world.hosts.discard(group.fqdn)
    world.resources.pop(request.path.lower(), None)
    return accepted(world, request, world.begin(lambda: ("Succeeded", shown_last)), content=shown_last)


def refuse_while_transitioning(world: "World", name: str, group: Any) -> None:
    if group.state in ("Pending", "Creating") and not group.settled.is_set() and name not in world.behaviour:
        raise Refusal(409, "ContainerGroupTransitioning", f"The container group '{name}' is still transitioning, please retry later.")


@route("POST", ARM, ONE + "/{verb}")
def act(world: "World", request: Request, name: str, verb: str, **_: str) -> Response:
    authorize(world, request)
    group = world.groups.get(request.path.rpartition("/")[0].lower())
    if group is None:
        raise Refusal(404, "ResourceNotFound", f"The container group {name} was not found.")
    refuse_while_transitioning(world, name, group)
    if verb == "stop":
        group.stop()
        return Response(204)
    threading.Thread(target=group.start, daemon=True).start()
    return accepted(world, request, world.begin(lambda: ("Succeeded", None)))


@route("GET", ARM, ONE + "/containers/{container}/logs")
def logs(world: "World", request: Request, name: str, container: str, **_: str) -> Response:
    authorize(world, request)
    group = world.groups.get(request.path.rpartition("/containers/")[0].lower())
    if group is None:
        raise Refusal(404, "ResourceNotFound", f"The container group {name} was not found.")
    lines = group.log_of(container).splitlines()
    tail = int(request.query.get("tail", "0"))
    return Response(200, {"content": "\n".join(lines[-tail:] if tail else lines) + "\n"})


def shown(world: "World", resource: dict[str, Any]) -> dict[str, Any]:
    """The group as a GET shows it: with its state, without its secrets."""
    group = world.groups.get(resource["id"].lower())
    clean = without_secrets(resource)
    if group is None:
        return clean
    properties = clean["properties"]
    properties["provisioningState"] = group.provisioning
    properties["instanceView"] = {"state": group.state, "events": group.events}
    for container in properties["containers"]:
        container["properties"]["instanceView"] = group.view_of(container["name"])
    return clean


def without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_secrets(inner) for name, inner in value.items() if name not in SECRET or (name == "secret" and inner is None)}
    return [without_secrets(inner) for inner in value] if isinstance(value, list) else value


@route("ANY", "{name}.{hash}." + f"{REGION}.{SUFFIX}", "/{path...}", token=False)
def played(world: "World", request: Request, path: str, **_: str) -> Response:
    [group] = [each for each in world.groups.values() if each.fqdn == request.host]
    return apps.played(group, request, path)
