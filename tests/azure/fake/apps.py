"""Container Apps: an app with its revisions, whose containers are really started, behind an ingress that shares by weights.

Names, weights, secrets and states follow learn.microsoft.com ("Revisions", "Traffic splitting", "Manage secrets" and "Containers in
Azure Container Apps"). Where they leave something open, this one is the stricter: no weight for what does not run, no end for what
has weight, and a restarted replica does not answer meanwhile.
"""

import http.client
import json
import random
import re
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fake import containers, monitor
from fake.resources import ARM, GROUP_PATH, accepted, authorize, authorize_assigning, check, get, permitted
from fake.wire import Refusal, Request, Response, route
from fake.world import APPS_DOMAIN, REGION

if TYPE_CHECKING:
    from fake.world import World

ONE = GROUP_PATH + "/providers/Microsoft.App/containerApps/{app}"
REVISION = ONE + "/revisions/{revision}"
STREAMS = f"{REGION}.azurecontainerapps.dev"
CHOICE = random.Random(7)
NOT_PASSED_ON = {"connection", "keep-alive", "host", "content-length", "transfer-encoding"}
GONE = b"<html><body><h1>Azure Container App - Unavailable</h1></body></html>"


class Replica(containers.Group):
    """The one replica of a revision that is played here."""

    @property
    def keys(self) -> set[str]:
        said = {each["name"]: each.get("value") for each in self.containers[0]["environmentVariables"]}
        return set(json.loads(said["PUSHLINE_KEYS"]).values())


class Revision:
    """A revision: what it was made of, and what runs of it."""

    def __init__(self, world: "World", name: str, template: dict[str, Any]) -> None:
        self.world, self.name, self.template = world, name, template
        self.created = datetime.now(UTC).isoformat()
        self.active = False
        self.replica: Replica | None = None
        self.looked_at = 0  # a new one is not shown as running at once

    @property
    def fqdn(self) -> str:
        return f"{self.name}.{APPS_DOMAIN}"

    @property
    def behaviour(self) -> str:
        return self.world.behaviour.get(self.name.partition("--")[0], "")

    def start(self, secrets: dict[str, str]) -> None:
        """Start the replica with the values that the secrets have now."""
        [container] = self.template["containers"]
        variables = [
            {"name": each["name"], "value": secrets.get(each.get("secretRef", ""), each.get("value"))} for each in container["env"]
        ]
        properties = {**container, "environmentVariables": variables, "ports": [{"port": 8000}]}
        body = {"properties": {"ipAddress": {}, "containers": [{"name": container["name"], "properties": properties}]}}
        self.active, self.looked_at = True, 0
        self.replica = Replica(self.world, self.name, body, self.fqdn, self.behaviour)
        threading.Thread(target=self.replica.start, daemon=True).start()

    def stop(self) -> None:
        """End the replica; its lines stay in Log Analytics."""
        if self.replica is not None:
            said = self.replica.log_of("scoring")
            self.replica.stop()
            for line in said.splitlines():
                monitor.add(self.world, "ContainerAppConsoleLogs", ContainerAppName=self.name.partition("--")[0], Log=line)
        self.replica = None

    def end(self) -> None:
        self.active = False
        self.stop()

    @property
    def running(self) -> str:
        if not self.active:
            return "Stopped"
        if self.behaviour == "failed":
            return "Failed"
        settled = self.replica is not None and self.replica.settled.is_set() and self.looked_at > 1
        return "Running" if settled and self.behaviour != "crash" else "Processing"

    def shown(self, app: str, weight: int) -> dict[str, Any]:
        self.looked_at += 1
        running = self.running
        properties = {
            "createdTime": self.created,
            "fqdn": self.fqdn,
            "template": self.template,
            "active": self.active,
            "replicas": int(self.active),
            "trafficWeight": weight,
            "healthState": "Healthy" if running == "Running" else "None",
            "provisioningState": "Provisioned" if running != "Processing" else "Provisioning",
            "runningState": running,
            **({"provisioningError": "Container crashing: scoring"} if running == "Failed" else {}),
        }
        return {
            "id": f"{app}/revisions/{self.name}",
            "name": self.name,
            "type": "Microsoft.App/containerapps/revisions",
            "properties": properties,
        }


class AppRun:
    """A container app as it runs."""

    def __init__(self, world: "World", path: str) -> None:
        self.world, self.path, self.name = world, path, path.rpartition("/")[2]
        self.body: dict[str, Any] = {}
        self.revisions: dict[str, Revision] = {}
        self.latest = ""
        self.stopped = False
        self.operation = ""
        self.token = f"log-token-{world.number()}"
        self.fqdn = f"{self.name}.{APPS_DOMAIN}"

    def refuse_while_busy(self) -> None:
        """An operation goes on until it was asked for, or something else refused, as often as it takes."""
        if not self.operation:
            return
        going = self.world.operations[self.operation]
        if going.state == "InProgress":
            going.polls -= 1
            if going.polls < 0:
                going.state, going.outcome = going.finish()
                return
            message = f"Cannot modify a container app '{self.name}' because there is an ongoing provisioning operation."
            raise Refusal(409, "ContainerAppOperationInProgress", message)

    def begin(self, request: Request, *, status: int = 202) -> Response:
        self.operation = self.world.begin(lambda: ("Succeeded", self.shown()))
        return accepted(self.world, request, self.operation, status=status, content=self.shown() if status != 202 else None)

    @property
    def in_operation(self) -> bool:
        return bool(self.operation) and self.world.operations[self.operation].state == "InProgress"

    @property
    def configuration(self) -> dict[str, Any]:
        return dict(self.body["properties"]["configuration"])

    def weights(self, body: dict[str, Any] | None = None) -> dict[str, int]:
        found: dict[str, int] = {}
        for each in (body or self.body)["properties"]["configuration"]["ingress"]["traffic"]:
            name = self.latest if each.get("latestRevision") else each["revisionName"]
            found[name] = found.get(name, 0) + each["weight"]
        return found

    def secrets(self, body: dict[str, Any]) -> dict[str, str]:
        """The values of the app's secrets, those in a vault read with the identity that is named."""
        found = {}
        assigned = {each.lower() for each in (body.get("identity") or {}).get("userAssignedIdentities", {})}
        for each in body["properties"]["configuration"].get("secrets") or []:
            if "keyVaultUrl" not in each:
                found[each["name"]] = each["value"]
                continue
            identity = str(each["identity"])
            client = (self.world.resources.get(identity.lower()) or {}).get("properties", {}).get("clientId", "")
            read = re.fullmatch(r"https://[\w-]+\.vault\.azure\.net/secrets/([\w-]+)(?:/(\w+))?", each["keyVaultUrl"])
            versions = [] if read is None else [v for v in self.world.vault.get(read[1], []) if read[2] in (None, v["id"])]
            may = permitted(self.world, client, "Microsoft.KeyVault/vaults/secrets/getSecret/action")
            if identity.lower() not in assigned or not may or not versions:
                message = f"Unable to get value using Managed identity {identity} for secret {each['name']}."
                raise Refusal(400, "ContainerAppSecretKeyVaultUrlInvalid", message)
            found[each["name"]] = versions[-1]["value"]
        return found

    def shown(self) -> dict[str, Any]:
        """The app as a GET shows it: secrets by their names alone."""
        configuration = self.configuration
        configuration["secrets"] = [
            {name: value for name, value in each.items() if name != "value"} for each in configuration.get("secrets") or []
        ]
        configuration["ingress"] = {**configuration["ingress"], "fqdn": self.fqdn}
        properties = {
            **self.body["properties"],
            "configuration": configuration,
            "provisioningState": "InProgress" if self.in_operation else "Succeeded",
            "runningStatus": "Stopped" if self.stopped else "Running",
            "latestRevisionName": self.latest,
            "latestRevisionFqdn": f"{self.latest}.{APPS_DOMAIN}",
            "eventStreamEndpoint": f"https://{STREAMS}{self.path}/eventstream",
        }
        return {**self.body, "id": self.path, "name": self.name, "type": "Microsoft.App/containerApps", "properties": properties}

    def end(self) -> None:
        for revision in self.revisions.values():
            revision.end()


def run_of(world: "World", request: Request, app: str) -> AppRun:
    found = world.apps.get(app.lower())
    if found is None:
        raise Refusal(404, "ResourceNotFound", f"The Resource 'Microsoft.App/containerApps/{app}' was not found.")
    return found  # type: ignore[no-any-return]


@route("GET", ARM, ONE)
def read(world: "World", request: Request, app: str, **_: str) -> Response:
    authorize(world, request)
    return Response(200, run_of(world, request, app).shown())


@route("PUT", ARM, ONE)
def write(world: "World", request: Request, app: str, **_: str) -> Response:
    authorize(world, request)
    authorize_assigning(world, request)
    check(world, request)
    known = world.apps.get(app.lower())
    run = known or AppRun(world, request.path)
    run.refuse_while_busy()
    get(world, request.json["properties"]["environmentId"])
    join = "Microsoft.App/managedEnvironments/join/action"
    if not permitted(world, request.identity, join):
        raise Refusal(403, "LinkedAuthorizationFailed", f"The client '{request.identity}' may not perform action '{join}'.")
    take(world, run, request.json)
    world.apps[app.lower()] = run
    return run.begin(request, status=200 if known else 201)


@route("PATCH", ARM, ONE)
def correct(world: "World", request: Request, app: str, **_: str) -> Response:
    """A merge patch (RFC 7396); tags are replaced as a whole."""
    authorize(world, request)
    run = run_of(world, request, app)
    run.refuse_while_busy()
    changed = {**merged(run.body, request.json), "tags": request.json.get("tags", run.body.get("tags"))}
    check(world, request, changed)
    take(world, run, changed)
    return run.begin(request)


def merged(there: Any, wanted: Any) -> Any:
    if not isinstance(wanted, dict) or not isinstance(there, dict):
        return wanted
    made = {name: merged(there.get(name), value) for name, value in wanted.items() if value is not None}
    return {**{name: value for name, value in there.items() if name not in wanted}, **made}


def take(world: "World", run: AppRun, body: dict[str, Any]) -> None:
    """What the service refuses, and what it does."""
    template, configuration = body["properties"]["template"], body["properties"]["configuration"]
    name = f"{run.name}--{template['revisionSuffix']}"
    refuse_names(run.name, name)
    [container] = template["containers"]
    if container["image"].rpartition("@")[2] not in world.images:
        raise Refusal(
            400, "InvalidParameterValueInContainerTemplate", f"Field 'template.containers.scoring.image' is invalid: {container['image']}."
        )
    cpu, memory = container["resources"]["cpu"], container["resources"]["memory"]
    if cpu % 0.25 or not 0.25 <= cpu <= 4 or memory != f"{2 * cpu:g}Gi":
        raise Refusal(
            400, "ContainerAppInvalidResourceTotal", f"The total requested CPU and memory ({cpu}, {memory}) is no valid combination."
        )
    secrets = run.secrets(body)
    known = run.revisions.get(name)
    if known is not None and known.template != template:
        raise Refusal(400, "ContainerAppRevisionExists", f"A revision with the suffix of '{name}' exists and can't change.")
    wanted = [template, *(each.template for each in run.revisions.values() if each.active)]
    lacking = {each["secretRef"] for one in wanted for each in one["containers"][0]["env"] if "secretRef" in each} - set(secrets)
    if lacking:
        raise Refusal(400, "ContainerAppSecretRefNotFound", f"SecretRef {sorted(lacking)} not found.")
    if configuration["activeRevisionsMode"] != "Multiple" and len(configuration["ingress"]["traffic"]) > 1:
        raise Refusal(400, "ContainerAppSingleRevisionTraffic", "More than one revision can't have weight in the single revision mode.")
    latest, run.latest = run.latest, name
    weights = run.weights(body)
    run.latest = latest
    for each in weights:
        if each != name and (each not in run.revisions or not run.revisions[each].active):
            raise Refusal(400, "RevisionNotFound", f"The revision '{each}' that traffic names is not active in '{run.name}'.")
    if sum(weights.values()) != 100:
        raise Refusal(400, "ContainerAppTrafficWeightsInvalid", f"The traffic weights sum to {sum(weights.values())}, not to 100.")
    run.body, run.latest = body, name
    world.hosts.update((run.fqdn, f"{name}.{APPS_DOMAIN}"))
    if known is None:
        run.revisions[name] = Revision(world, name, template)
        run.revisions[name].start(secrets)


def refuse_names(app: str, revision: str) -> None:
    fits = re.fullmatch(r"[a-z][a-z0-9-]{0,30}[a-z0-9]", app) and "--" not in app
    suffix = revision.removeprefix(f"{app}--")
    if not fits or not re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", suffix) or "--" in suffix or len(revision) > 54:
        message = f"Invalid revision name '{revision}': small letters, digits and single dashes, a letter first, 54 characters at most."
        raise Refusal(400, "ContainerAppInvalidRevisionName", message)


@route("DELETE", ARM, ONE)
def delete(world: "World", request: Request, app: str, **_: str) -> Response:
    authorize(world, request)
    run = world.apps.get(app.lower())
    if run is None:
        return Response(204)
    run.refuse_while_busy()
    run.end()
    world.apps.pop(app.lower())
    return accepted(world, request, world.begin(lambda: ("Succeeded", None)))


@route("POST", ARM, ONE + "/{verb}")
def act(world: "World", request: Request, app: str, verb: str, **_: str) -> Response:
    authorize(world, request)
    run = run_of(world, request, app)
    if verb.lower() == "getauthtoken":
        return Response(200, {"properties": {"token": run.token, "expires": "2030-01-01T00:00:00Z"}})
    run.refuse_while_busy()
    active = [each for each in run.revisions.values() if each.active]
    for each in active:
        each.stop()
    run.stopped = verb == "stop"
    if verb == "start":
        for each in active:
            each.start(run.secrets(run.body))
    return run.begin(request)


@route("GET", ARM, ONE + "/revisions")
def revisions(world: "World", request: Request, app: str, **_: str) -> Response:
    authorize(world, request)
    run = run_of(world, request, app)
    weights = run.weights()
    return Response(200, {"value": [each.shown(run.path, weights.get(each.name, 0)) for each in run.revisions.values()]})


@route("GET", ARM, REVISION + "/replicas")
def replicas(world: "World", request: Request, app: str, revision: str, **_: str) -> Response:
    authorize(world, request)
    run = run_of(world, request, app)
    one = run.revisions[revision]
    if not one.active or run.stopped:
        return Response(200, {"value": []})
    name = f"{revision}-replica"
    stream = f"https://{STREAMS}{run.path}/revisions/{revision}/replicas/{name}/containers/scoring/logstream"
    crashed = one.behaviour == "crash"
    told = {"name": "scoring", "ready": not crashed, "restartCount": 3 if crashed else 0, "logStreamEndpoint": stream}
    return Response(200, {"value": [{"name": name, "properties": {"runningState": "Running", "containers": [told]}}]})


@route("POST", ARM, REVISION + "/{verb}")
def act_on(world: "World", request: Request, app: str, revision: str, verb: str, **_: str) -> Response:
    authorize(world, request)
    run = run_of(world, request, app)
    run.refuse_while_busy()
    one = run.revisions[revision]
    if verb == "deactivate":
        if run.weights().get(revision, 0):
            raise Refusal(400, "RevisionHasTraffic", f"The revision '{revision}' has traffic and can't be deactivated.")
        one.end()
    else:
        one.stop()
        one.start(run.secrets(run.body))
    return Response(200)


@route("GET", STREAMS, "/{path...}", token=False)
def log(world: "World", request: Request, path: str) -> Response:
    found = re.search(r"/containerApps/([^/]+)/revisions/([^/]+)/", f"/{path}")
    run = world.apps.get(found[1].lower()) if found else None
    if run is None or request.headers.get("authorization") != f"Bearer {run.token}":
        return Response(401)
    replica = run.revisions[found[2]].replica if found else None
    lines = replica.log_of("scoring").splitlines()[-int(request.query["tailLines"]) :] if replica else []
    return Response(
        200, "".join(f"{datetime.now(UTC).isoformat()} stdout F {line}\n" for line in lines).encode(), {"Content-Type": "text/plain"}
    )


@route("ANY", "{name}." + APPS_DOMAIN, "/{path...}", token=False)
def ingress(world: "World", request: Request, name: str, path: str) -> Response:
    """One request to a replica: of the revision that is named, or of one by the weights."""
    run = world.apps.get(name.partition("--")[0])
    one = None
    if run is not None and not run.stopped:
        if "--" not in name:
            weights = run.weights()
            [name] = CHOICE.choices(list(weights), list(weights.values()))
        one = run.revisions.get(name)
    if one is None or not one.active or one.replica is None:
        return Response(404, GONE, {"Content-Type": "text/html"})
    replica = one.replica
    if one.behaviour or not replica.settled.is_set():
        return Response(503, b"upstream connect error or disconnect/reset before headers", {"Content-Type": "text/plain"})
    if replica.light:
        return played(replica, request, path)
    connection = http.client.HTTPConnection("127.0.0.1", replica.ports.get(8000, 0), timeout=30)
    try:
        passed = {key: value for key, value in request.headers.items() if key not in NOT_PASSED_ON}
        passed |= {"host": request.host, "x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.7"}
        connection.request(request.method, request.target, request.body or None, passed)
        answer = connection.getresponse()
        return Response(answer.status, answer.read(), dict(answer.getheaders()))
    except (OSError, http.client.HTTPException) as error:
        return Response(503, f"upstream connect error: {error}".encode(), {"Content-Type": "text/plain"})
    finally:
        connection.close()


def played(replica: Any, request: Request, path: str) -> Response:
    """The service of a replica or group that is only played: it knows its keys and its release, and scores nothing."""
    headers = {"x-release": replica.release}
    if path == "readyz":
        return Response(200, None, headers)
    if request.headers.get("authorization", "").removeprefix("Bearer ") not in replica.keys:
        return Response(401, None, headers)
    return Response(200 if path == "metrics" else 422, None, headers)
