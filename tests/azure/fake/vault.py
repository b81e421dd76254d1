"""Key Vault: secrets with versions, and a role of their own to read or set them.

Sources at learn.microsoft.com: "Set Secret" and "Get Secret" of Key Vault, "Azure RBAC for Key Vault data plane operations".
"""

import time
from typing import TYPE_CHECKING, Any

from fake.resources import permitted
from fake.wire import Refusal, Request, Response, route
from fake.world import VAULT

if TYPE_CHECKING:
    from fake.world import World

HOST = f"{VAULT}.vault.azure.net"


def may(world: "World", request: Request, verb: str) -> None:
    action = f"Microsoft.KeyVault/vaults/secrets/{verb}/action"
    if not permitted(world, request.identity, action):
        raise Refusal(
            403,
            "Forbidden",
            f"Caller is not authorized to perform action on resource. Caller: appid={request.identity}. Action: '{action}'",
        )


def shown(name: str, version: dict[str, Any]) -> dict[str, Any]:
    attributes = {"enabled": True, "created": version["at"], "updated": version["at"], "recoveryLevel": "Recoverable+Purgeable"}
    answer = {"value": version["value"], "id": f"https://{HOST}/secrets/{name}/{version['id']}", "attributes": attributes}
    return {**answer, "tags": version.get("tags") or {}, "contentType": version.get("contentType")}


@route("GET", HOST, "/secrets/{name}/{version...}")
def read(world: "World", request: Request, name: str, version: str) -> Response:
    return found(world, request, name, version)


@route("GET", HOST, "/secrets/{name}")
def read_newest(world: "World", request: Request, name: str) -> Response:
    return found(world, request, name, "")


def found(world: "World", request: Request, name: str, version: str) -> Response:
    may(world, request, "getSecret")
    versions = [each for each in world.vault.get(name, []) if version in ("", each["id"])]
    if not versions:
        raise Refusal(404, "SecretNotFound", f"A secret with (name/id) {name} was not found in this key vault.")
    return Response(200, shown(name, versions[-1]))


@route("PUT", HOST, "/secrets/{name}")
def write(world: "World", request: Request, name: str) -> Response:
    may(world, request, "setSecret")
    made = {**request.json, "id": f"{world.number():032x}", "at": int(time.time())}
    world.vault.setdefault(name, []).append(made)
    return Response(200, shown(name, made))
