"""The workspace's assets: data, code, environments, components, models; each a container with versions."""

import re
from typing import TYPE_CHECKING, Any

from fake import storage
from fake.resources import ARM, GROUP_PATH, authorize, check, children, get, put
from fake.wire import Refusal, Request, Response, route
from fake.world import REGION, STORAGE, WORKSPACE_ID

if TYPE_CHECKING:
    from fake.world import World

WORKSPACE = GROUP_PATH + "/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
KINDS = ("data", "codes", "environments", "components", "models")
CONTAINER = "workspaceblobs"
ARTIFACTS = "azureml"
CREATED = {"createdAt": "2026-01-01T00:00:00+00:00", "createdBy": "someone", "createdByType": "Application"}


@route("GET", ARM, WORKSPACE)
def workspace(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    return Response(200, get(world, request.path))


@route("GET", ARM, WORKSPACE + "/datastores")
def datastores(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    return Response(200, {"value": [datastore_named("workspaceblobstore")]})


@route("GET", ARM, WORKSPACE + "/datastores/{name}")
def datastore(world: "World", request: Request, name: str, **_: str) -> Response:
    authorize(world, request)
    if name not in ("workspaceblobstore", "workspaceartifactstore"):
        raise Refusal(404, "UserError", f"No datastore {name}.")
    return Response(200, datastore_named(name))


def datastore_named(name: str) -> dict[str, Any]:
    return {
        "id": f"{WORKSPACE_ID}/datastores/{name}",
        "name": name,
        "type": "Microsoft.MachineLearningServices/workspaces/datastores",
        "properties": {
            "datastoreType": "AzureBlob",
            "accountName": STORAGE,
            "containerName": CONTAINER if name == "workspaceblobstore" else ARTIFACTS,
            "endpoint": "core.windows.net",
            "protocol": "https",
            "isDefault": name == "workspaceblobstore",
            "credentials": {"credentialsType": "AccountKey"},
            "tags": {},
            "properties": {},
        },
        "systemData": CREATED,
    }


@route("POST", ARM, WORKSPACE + "/datastores/{name}/listSecrets")
def datastore_secrets(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    return Response(200, {"secretsType": "Sas", "sasToken": storage.sas(world)})


def versions_of(kind: str) -> None:
    """The routes of one kind of asset."""
    container = WORKSPACE + f"/{kind}/{{name}}"

    @route("GET", ARM, container)
    def read_container(world: "World", request: Request, **_: str) -> Response:
        authorize(world, request)
        return Response(200, get(world, request.path))

    @route("GET", ARM, container + "/versions")
    def list_versions(world: "World", request: Request, **_: str) -> Response:
        authorize(world, request)
        if "hash" in request.query:  # any name will do: the service looks for the content
            known = list(world.resources.values())
            found = [each for each in known if "number" in each and hash_of(each) == request.query["hash"]]
        else:
            found = sorted(children(world, request.path), key=lambda each: each["number"], reverse=True)
        if "$top" in request.query:
            found = found[: int(request.query["$top"])]
        return Response(200, {"value": found})

    @route("GET", ARM, container + "/versions/{version}")
    def read_version(world: "World", request: Request, **_: str) -> Response:
        authorize(world, request)
        return Response(200, get(world, request.path))

    @route("PUT", ARM, container + "/versions/{version}")
    def write_version(world: "World", request: Request, name: str, version: str, **_: str) -> Response:
        authorize(world, request)
        check(world, request)
        return store_version(world, request, kind, name, version)

    @route("POST", ARM, container + "/versions/{version}/startPendingUpload")
    def pending_upload(world: "World", request: Request, name: str, version: str, **_: str) -> Response:
        authorize(world, request)
        place = f"pending-{kind}-{name}-{version}".lower()[:62]
        storage.make_container(world, place)
        uri = f"https://{STORAGE}.blob.core.windows.net/{place}"
        credential = {"credentialType": "SAS", "sasUri": f"{uri}?{storage.sas(world)}"}
        reference = {"blobUri": uri, "storageAccountArmId": "", "credential": credential}
        return Response(
            200, {"blobReferenceForConsumption": reference, "pendingUploadId": place, "pendingUploadType": "TemporaryBlobReference"}
        )


def hash_of(asset: dict[str, Any]) -> str:
    properties = asset["properties"].get("properties") or {}
    return str(properties.get("hash_sha256", ""))


def store_version(world: "World", request: Request, kind: str, name: str, version: str) -> Response:
    """A version does not change: the same body again is fine, another is refused in the service's words."""
    body = request.json
    with world.lock:
        known = world.resources.get(request.path.lower())
        if known is not None and differs(known["sent"], body["properties"]):
            raise Refusal(
                409,
                "UserError",
                f"The specified asset {kind}/{name} version {version} already exists and it is different from the one given.",
            )
        if known is not None:
            return Response(200, known)
        parent = request.path.rpartition("/versions/")[0]
        put(world, parent, {"systemData": CREATED}, latestVersion=version, nextVersion=following(version), isArchived=False)
        made = put(world, request.path, {**body, "systemData": CREATED}, provisioningState="Succeeded", **extras(kind, name, version, body))
        made["sent"], made["number"] = body["properties"], world.number()
    return Response(201, made)


def extras(kind: str, name: str, version: str, body: dict[str, Any]) -> dict[str, Any]:
    if kind == "components":
        spec = body["properties"]["componentSpec"]
        return {"componentSpec": {**spec, "id": f"azureml:{name}:{version}"}}
    return {}


def differs(old: dict[str, Any], new: dict[str, Any]) -> bool:
    fixed = ("dataUri", "codeUri", "modelUri", "image", "condaFile", "componentSpec")
    return any(old.get(name) != new.get(name) for name in fixed)


def following(version: str) -> str:
    return str(int(version) + 1) if re.fullmatch(r"\d+", version) else "1"


for each_kind in KINDS:
    versions_of(each_kind)


def address(uri: str) -> tuple[str, str]:
    """Container and blob prefix of any of the addresses that assets and outputs carry."""
    if uri.startswith("azureml://") and "/paths/" in uri:
        return CONTAINER, uri.partition("/paths/")[2]
    found = re.fullmatch(r"https://[^/]+/([^/?]+)/?([^?]*)(\?.*)?", uri)
    if found is None:
        raise ValueError(f"{uri} is no address of the workspace's storage")
    return found[1], found[2]


def region() -> str:
    return REGION
