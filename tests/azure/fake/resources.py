"""The resource manager: what every provider has in common. Ids, rights, storing, long-running operations."""

import fnmatch
import re
from typing import TYPE_CHECKING, Any

from fake import schemas
from fake.wire import Refusal, Request, Response, route

if TYPE_CHECKING:
    from fake.world import World

ARM = "management.azure.com"
GROUP_PATH = "/subscriptions/{subscription}/resourceGroups/{group}"
SOON = {"x-ms-retry-after-ms": "100"}


def authorize(world: "World", request: Request) -> None:
    """Refuse what the caller's roles do not allow: the action is read off the path, as the resource manager does."""
    action = action_of(request)
    if not permitted(world, request.identity, action, request.path):
        raise Refusal(
            403,
            "AuthorizationFailed",
            f"The client '{request.identity}' with object id '{request.identity}' does not have authorization to perform action "
            f"'{action}' over scope '{request.path.rpartition('/providers/')[0]}' or the scope is invalid.",
        )


def authorize_data(world: "World", request: Request, action: str, what: str) -> None:
    """Refuse a call of the workspace's data plane that the caller's roles do not allow."""
    action = f"Microsoft.MachineLearningServices/workspaces/{action}"
    if not permitted(world, request.identity, action):
        message = f"The client '{request.identity}' does not have authorization to perform action '{action}' ({what})."
        raise Refusal(403, "AuthorizationFailed", message)


def authorize_assigning(world: "World", request: Request) -> None:
    """Refuse a body with identities that the caller may not give away: the resource manager asks for that right on each of them.

    learn.microsoft.com, "Troubleshoot Azure RBAC", LinkedAuthorizationFailed.
    """
    for identity in (request.json.get("identity") or {}).get("userAssignedIdentities") or {}:
        action = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"
        if not permitted(world, request.identity, action, identity):
            message = (
                f"The client '{request.identity}' does not have permission to perform action '{action}' on the linked scope {identity}."
            )
            raise Refusal(403, "LinkedAuthorizationFailed", message)


def permitted(world: "World", identity: str, action: str, place: str = "") -> bool:
    """Whether one of the identity's roles has the action, does not except it, and is held there."""
    may = any(brings(role, action) and is_held_at(world, role, place) for role in world.rights.get(identity, ()))
    if may:
        world.used.setdefault(identity, set()).add(action)
    return may


def brings(role: Any, action: str) -> bool:
    return matches(action, role.actions) and not matches(action, role.excepted)


def is_held_at(world: "World", role: Any, place: str) -> bool:
    """Roles on one small resource count there alone; of the others the scope is left out here."""
    kind = {"storage account of the certificates": "tls", "identity that pulls images": "-pull"}.get(role.scope, "")
    return not kind or any(part.endswith(kind) for part in place.lower().split("/"))


def matches(action: str, patterns: tuple[str, ...]) -> bool:
    """Between two slashes a star stands for nothing, too: Managed Identity Operator has `userAssignedIdentities/*/assign/action`."""
    both = [form for pattern in patterns for form in (pattern, pattern.replace("/*/", "/"))]
    return any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in both)


def action_of(request: Request) -> str:
    """`Provider/type/subtype/read`, `/write`, `/delete` or `/NAME/action`, as roles name them."""
    tail = request.path.rpartition("/providers/")[2].strip("/").split("/")
    provider, rest = tail[0], tail[1:]
    if request.method == "POST":
        kinds, verb = rest[:-1:2], f"{rest[-1]}/action"
    else:
        kinds, verb = rest[::2], {"GET": "read", "HEAD": "read", "DELETE": "delete"}.get(request.method, "write")
    return "/".join([provider, *kinds, verb])


def kind_of(path: str) -> tuple[str, str, str]:
    """Provider, kind (`workspaces/jobs`) and own name of a resource's id."""
    tail = path.rpartition("/providers/")[2].strip("/").split("/")
    return tail[0], "/".join(tail[1::2]), tail[-1]


def check(world: "World", request: Request, body: Any = None) -> None:
    """Hold the body of a PUT to the official schema; what breaks it is refused, and remembered."""
    if schemas.archive() is None:
        return
    provider, kind, name = kind_of(request.path)
    wrong = schemas.departs(provider, kind, name, request.api_version, request.json if body is None else body)
    if wrong:
        world.invalid.append(f"{provider}/{kind} {request.api_version} {wrong}")
        raise Refusal(400, "InvalidRequestContent", f"The request content was invalid: {wrong}")


def get(world: "World", path: str) -> dict[str, Any]:
    """The resource with this id, or a 404 in Azure's words."""
    with world.lock:
        found = world.resources.get(path.rstrip("/").lower())
    if found is None:
        provider, kind, name = kind_of(path)
        raise Refusal(
            404,
            "ResourceNotFound",
            f"The Resource '{provider}/{kind}/{name}' under resource group '{group_of(path)}' was not found.",
        )
    return found


def group_of(path: str) -> str:
    return str(re.findall("resourceGroups/([^/]+)", path)[0])


def put(world: "World", path: str, body: dict[str, Any], **properties: Any) -> dict[str, Any]:
    """Store a resource as a whole and return it as a GET would."""
    provider, kind, name = kind_of(path)
    made = {**body, "id": path.rstrip("/"), "name": name, "type": f"{provider}/{kind}"}
    made["properties"] = {**(body.get("properties") or {}), **properties}
    with world.lock:
        world.resources[path.rstrip("/").lower()] = made
    return made


def children(world: "World", path: str) -> list[dict[str, Any]]:
    """The resources right below a collection's path."""
    prefix = path.rstrip("/").lower() + "/"
    with world.lock:
        return [value for key, value in world.resources.items() if key.startswith(prefix) and "/" not in key.removeprefix(prefix)]


def accepted(world: "World", request: Request, operation: str, *, status: int = 202, content: Any = None) -> Response:
    """Say that it takes a while, and where to ask."""
    subscription = re.findall("/subscriptions/([^/]+)", request.path)[0]
    where = f"https://{ARM}/subscriptions/{subscription}/providers/loopback/operations/{operation}?api-version={request.api_version}"
    return Response(status, content, {"Azure-AsyncOperation": where, "Location": where + "&result=1", **SOON})


@route("GET", ARM, "/subscriptions/{subscription}/providers/loopback/operations/{name}")
def operation(world: "World", request: Request, subscription: str, name: str) -> Response:
    with world.lock:
        asked = world.operations[name]
        if asked.state == "InProgress":
            asked.polls -= 1
            if asked.polls < 0:
                asked.state, asked.outcome = asked.finish()
    if "result" in request.query:
        if asked.state == "InProgress":
            return Response(202, None, {"Location": f"https://{ARM}{request.target}", **SOON})
        return Response(200, asked.outcome)
    content: dict[str, Any] = {"status": asked.state, "id": request.path, "name": name}
    if asked.state == "Failed":
        content["error"] = asked.outcome
    return Response(200, content, SOON)


@route("GET", ARM, GROUP_PATH)
def group(world: "World", request: Request, subscription: str, group: str) -> Response:
    return Response(200, get(world, f"/subscriptions/{subscription}/resourceGroups/{group}"))


def plain(provider: str, kind: str) -> str:
    """The path of one resource of a top-level kind."""
    return f"{GROUP_PATH}/providers/{provider}/{kind}/{{name}}"
