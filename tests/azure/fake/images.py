"""The container registry: source upload, ACR tasks, and the data plane that tells a tag's digest.

An image is its build context: whoever starts a container of it starts what lies there.

Sources at learn.microsoft.com: "Registries - Get Build Source Upload Url", "Registries - Schedule Run", "Runs - Get Log Sas Url",
"Registries - Import Image"; the data plane is that of the OCI distribution specification.
"""

import hashlib
import io
import re
import secrets
import tarfile
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from fake import storage
from fake.resources import ARM, GROUP_PATH, accepted, authorize, permitted
from fake.wire import Refusal, Request, Response, route
from fake.world import REGISTRY, STORAGE

if TYPE_CHECKING:
    from fake.world import World

HOST = f"{REGISTRY}.azurecr.io"
ACR = GROUP_PATH + "/providers/Microsoft.ContainerRegistry/registries/{registry}"
SOURCES = "acr-sources"


@route("POST", ARM, ACR + "/listBuildSourceUploadUrl")
def upload_url(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    storage.make_container(world, SOURCES)
    path = f"tasks/{world.number()}.tar.gz"
    url = f"https://{STORAGE}.blob.core.windows.net/{SOURCES}/{path}?{storage.sas(world)}"
    return Response(200, {"uploadUrl": url, "relativePath": path})


@route("POST", ARM, ACR + "/scheduleRun")
def schedule_run(world: "World", request: Request, **_: str) -> Response:
    authorize(world, request)
    wanted = request.json
    if wanted.get("type") != "DockerBuildRequest":
        raise Refusal(400, "InvalidRequest", "Only docker builds are known here.")
    content = storage.client(world).get_blob_client(SOURCES, wanted["sourceLocation"]).download_blob().readall()
    run = f"run{world.number()}"
    error = build(world, content, wanted)
    names = wanted["imageNames"] if wanted["isPushEnabled"] and not error else []
    log = f"{run}.txt"
    storage.put_text(world, SOURCES, log, error or "Successfully built and pushed\n")
    world.builds[run] = {
        "polls": 0,
        "error": error,
        "log": log,
        "images": [pushed(world, name) for name in names],
    }
    return Response(202, run_seen(world, run, request.path.rpartition("/")[0]))


def build(world: "World", content: bytes, wanted: dict[str, Any]) -> str:
    """Unpack a build context as an image; an empty string, or what the build says went wrong."""
    told = repr(sorted((each["name"], each["value"]) for each in wanted.get("arguments", [])))
    digest = f"sha256:{hashlib.sha256(content + told.encode()).hexdigest()}"
    folder = world.folder / "images" / digest.removeprefix("sha256:")[:16]
    if not folder.is_dir():
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            archive.extractall(folder, filter="data")
    dockerfile = folder / wanted.get("dockerFilePath", "Dockerfile")
    if not dockerfile.is_file():
        return f"unable to prepare context: unable to evaluate symlinks in Dockerfile path: {dockerfile.name}: no such file or directory"
    given = {each["name"]: each["value"] for each in wanted.get("arguments", [])}
    dockerfile.write_text(filled(dockerfile.read_text(), given))
    for source in copied(dockerfile.read_text()):
        if not list(folder.glob(source)):
            return f"COPY failed: file not found in build context: stat {source}: file does not exist"
    world.images[digest] = folder
    world.tags.update(dict.fromkeys(wanted["imageNames"] if wanted["isPushEnabled"] else (), digest))
    return ""


def filled(dockerfile: str, given: dict[str, str]) -> str:
    """The text with the build's arguments, or their defaults, in the place of their names."""
    known = dict(re.findall(r"^ARG (\w+)=(\S+)$", dockerfile, re.MULTILINE)) | given
    return re.sub(r"\$\{(\w+)\}", lambda found: known.get(found[1], found[0]), dockerfile)


def copied(dockerfile: str) -> list[str]:
    """The sources of COPY lines that come from the context."""
    joined = dockerfile.replace("\\\n", " ")
    found = []
    for line in joined.splitlines():
        words = line.split()
        if words[:1] == ["COPY"] and not any(word.startswith("--from") for word in words):
            found += [word.rstrip("/") for word in words[1:-1] if not word.startswith("--")]
    return [source for source in found if source not in (".", "./")]


def pushed(world: "World", name: str) -> dict[str, str]:
    repository, _, tag = name.partition(":")
    return {"registry": HOST, "repository": repository, "tag": tag, "digest": world.tags[name]}


@route("GET", ARM, ACR + "/runs/{run}")
def read_run(world: "World", request: Request, run: str, **_: str) -> Response:
    authorize(world, request)
    world.builds[run]["polls"] -= 1
    return Response(200, run_seen(world, run, request.path.rpartition("/runs/")[0]))


def run_seen(world: "World", run: str, registry: str) -> dict[str, Any]:
    held = world.builds[run]
    status = "Running" if held["polls"] >= 0 or "builds" in world.behaviour else "Failed" if held["error"] else "Succeeded"
    images = held["images"] if status == "Succeeded" else []
    properties = {"runId": run, "status": status, "runType": "QuickBuild", "provisioningState": "Succeeded", "outputImages": images}
    return {"id": f"{registry}/runs/{run}", "name": run, "type": "Microsoft.ContainerRegistry/registries/runs", "properties": properties}


@route("POST", ARM, ACR + "/runs/{run}/listLogSasUrl")
def log_url(world: "World", request: Request, run: str, **_: str) -> Response:
    authorize(world, request)
    log = world.builds[run]["log"]
    return Response(200, {"logLink": f"https://{STORAGE}.blob.core.windows.net/{SOURCES}/{log}?{storage.sas(world)}"})


@route("POST", HOST, "/oauth2/exchange", token=False)
def exchange(world: "World", request: Request) -> Response:
    form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    try:
        claims = world.directory.read(form.get("access_token", ""))
    except ValueError:
        raise Refusal(401, "UNAUTHORIZED", "authentication required") from None
    refresh = secrets.token_urlsafe(24)
    world.registry_tokens[refresh] = claims["appid"]
    return Response(200, {"refresh_token": refresh})


@route("POST", HOST, "/oauth2/token", token=False)
def access_token(world: "World", request: Request) -> Response:
    form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    if form.get("refresh_token") not in world.registry_tokens:
        raise Refusal(401, "UNAUTHORIZED", "authentication required")
    access = secrets.token_urlsafe(24)
    kind, repository, asked = form["scope"].split(":")
    who = world.registry_tokens[form["refresh_token"]]
    # Of what is asked for the token holds what the caller's roles allow (docs.docker.com, "Token scope documentation").
    verbs = {"pull": "pull/read", "push": "push/write"}
    held = [verb for verb in asked.split(",") if permitted(world, who, f"Microsoft.ContainerRegistry/registries/{verbs[verb]}")]
    world.registry_tokens[access] = f"{kind}:{repository}:{','.join(held)}"
    return Response(200, {"access_token": access})


@route("ANY", HOST, "/v2/{repository}/manifests/{tag}", token=False)
def manifest(world: "World", request: Request, repository: str, tag: str) -> Response:
    scope = world.registry_tokens.get(request.headers.get("authorization", "").partition(" ")[2], "")
    if not re.fullmatch(rf"repository:{re.escape(repository)}:[\w,]*pull[\w,]*", scope):
        raise Refusal(401, "UNAUTHORIZED", "authentication required")
    digest = tag if tag in world.images else world.tags.get(f"{repository}:{tag}")
    if digest is None:
        raise Refusal(404, "MANIFEST_UNKNOWN", f"manifest tagged by '{tag}' is not found")
    return Response(200, b"{}", {"Docker-Content-Digest": digest, "Content-Type": "application/vnd.oci.image.manifest.v1+json"})


@route("POST", ARM, ACR + "/importImage")
def import_image(world: "World", request: Request, **_: str) -> Response:
    """Bring an image of a public registry here; only Caddy's is known."""
    authorize(world, request)
    source, names = request.json["source"], request.json["targetTags"]
    if source.get("registryUri") != "docker.io" or not source["sourceImage"].startswith("library/caddy:"):
        raise Refusal(400, "InvalidParameters", f"The source image {source['sourceImage']} was not found.")
    digest = f"sha256:{hashlib.sha256(source['sourceImage'].encode()).hexdigest()}"

    def finish() -> tuple[str, Any]:
        folder = world.folder / "images" / "caddy"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "Dockerfile").write_text(
            'FROM scratch\nCMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]\n'
        )
        world.images[digest] = folder
        world.tags.update(dict.fromkeys(names, digest))
        return "Succeeded", None

    return accepted(world, request, world.begin(finish))
