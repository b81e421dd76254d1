"""Compute clusters: made in a while, refused where the quota or the size says no.

Sources at learn.microsoft.com: "Compute - Create Or Update", "Manage and increase quotas and limits for resources with Azure Machine
Learning".
"""

from typing import TYPE_CHECKING, Any

from fake.assets import WORKSPACE
from fake.resources import ARM, accepted, authorize, authorize_assigning, check, get, put
from fake.wire import Refusal, Request, Response, route

if TYPE_CHECKING:
    from fake.world import World

SIZES = {"standard_d4s_v3": 4, "standard_ds12_v2": 4, "standard_ds3_v2": 4, "standard_d2_v3": 2}
QUOTA = 24  # cores


@route("GET", ARM, WORKSPACE + "/computes/{name}")
def read(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    return Response(200, get(world, request.path))


@route("PUT", ARM, WORKSPACE + "/computes/{name}")
def write(world: "World", request: Request, name: str, **_: str) -> Response:
    authorize(world, request)
    authorize_assigning(world, request)
    check(world, request)
    body = request.json
    wanted = body["properties"]["properties"]
    size = wanted["vmSize"]
    if size.lower() not in SIZES:
        raise Refusal(400, "BadRequest", f"The specified VM size {size} is not supported in this region.")
    cores = SIZES[size.lower()] * wanted["scaleSettings"]["maxNodeCount"]
    known = request.path.lower() in world.resources
    made = put(world, request.path, body, provisioningState="Creating")

    def finish() -> tuple[str, Any]:
        if cores > QUOTA:
            made["properties"]["provisioningState"] = "Failed"
            message = f"The specified subscription has a {size} vCPU quota of {QUOTA} and cannot accommodate the {cores} vCPUs requested."
            world.resources.pop(request.path.lower(), None)
            return "Failed", {"code": "ClusterCoreQuotaReached", "message": message}
        made["properties"]["provisioningState"] = "Succeeded"
        return "Succeeded", made

    return accepted(world, request, world.begin(finish), status=200 if known else 201, content=made)
