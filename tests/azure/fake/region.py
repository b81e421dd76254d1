"""What is told of a subscription and its region: quotas, sizes, names that are free. Reading it takes a right on the subscription."""

from typing import TYPE_CHECKING, Any

from fake.computes import QUOTA, SIZES
from fake.making import WORLDWIDE
from fake.resources import ARM, action_of, permitted
from fake.wire import Refusal, Request, Response, route

if TYPE_CHECKING:
    from fake.world import World

ABOVE = "/subscriptions/{subscription}/providers/"
HERE = ABOVE + "{provider}/locations/{region}/"
# learn.microsoft.com, "Location - List Capabilities" and "Service quotas and region limits for Azure Container Instances"
MOST = {"maxCpu": 4.0, "maxMemoryInGB": 16.0, "maxGpuCount": 0.0}


def authorize_above(world: "World", request: Request) -> None:
    """A role on a resource group says nothing of its subscription: only one that is held there counts."""
    action = action_of(request)
    above = [role for role in world.rights.get(request.identity, ()) if role.scope == "subscription"]
    if not above or not permitted(world, request.identity, action):
        message = f"The client '{request.identity}' does not have authorization to perform action '{action}' over scope '/subscriptions'."
        raise Refusal(403, "AuthorizationFailed", message)


def paged(request: Request, values: list[Any]) -> Response:
    """A list comes on two pages."""
    if "page" in request.query or len(values) < 2:
        return Response(200, {"value": values[1:] if "page" in request.query else values})
    return Response(200, {"value": values[:1], "nextLink": f"https://{ARM}{request.target}&page=2"})


def usage(name: str, current: int, limit: int) -> dict[str, Any]:
    return {"unit": "Count", "currentValue": current, "limit": limit, "name": {"value": name, "localizedValue": name}}


@route("GET", ARM, HERE + "usages")
def usages(world: "World", request: Request, provider: str, **_: str) -> Response:
    authorize_above(world, request)
    left = world.quota
    if provider.lower() == "microsoft.containerinstance":
        names = {"ContainerGroups": 100, "StandardCores": 100, "StandardK80Cores": 0}
        return paged(request, [usage(name, 1, left.get(name, limit)) for name, limit in names.items()])
    # Names as `az ml compute list-usage` shows them; -1 is a series without a limit of its own.
    names = {
        "Total Cluster Dedicated Regional vCPUs": QUOTA,
        "Standard DSv3 Family Cluster Dedicated vCPUs": QUOTA,
        "Standard DSv2 Family Cluster Dedicated vCPUs": -1,
        "Total Cluster LowPriority Regional vCPUs": 0,
    }
    return paged(request, [usage(name, 0, left.get(name, limit)) for name, limit in names.items()])


@route("GET", ARM, HERE + "vmSizes")
def sizes(world: "World", request: Request, **_: str) -> Response:
    authorize_above(world, request)
    series = {"standard_d4s_v3": "standardDSv3Family"}
    known = [{"name": name, "family": series.get(name, "standardDSv2Family"), "vCPUs": cores} for name, cores in SIZES.items()]
    return paged(request, known)


@route("GET", ARM, HERE + "capabilities")
def capabilities(world: "World", request: Request, region: str, **_: str) -> Response:
    authorize_above(world, request)
    kind = {"resourceType": "containerGroups", "location": region, "gpu": "None"}
    told = [{**kind, "osType": system, "ipAddressType": "Public", "capabilities": MOST} for system in ("Windows", "Linux")]
    return paged(request, told)


@route("GET", ARM, ABOVE + "Microsoft.KeyVault/deletedVaults")
def deleted_vaults(world: "World", request: Request, **_: str) -> Response:
    authorize_above(world, request)
    return paged(request, [{"name": name, "properties": {}} for name in sorted(world.deleted)])


@route("POST", ARM, ABOVE + "{provider}/checkNameAvailability")
def name_available(world: "World", request: Request, **_: str) -> Response:
    authorize_above(world, request)
    assert request.json["type"] in WORLDWIDE
    name = request.json["name"]
    free = name not in world.taken | world.deleted
    why = {} if free else {"reason": "AlreadyExists", "message": f"The name {name} is already taken."}
    return Response(200, {"nameAvailable": free, **why})
