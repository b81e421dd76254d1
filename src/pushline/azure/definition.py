"""What a container group is made of: a pure function from a release and its surroundings to the body of one PUT.

Two containers share localhost: the scoring service, and a Caddy that alone is public and ends TLS. Everything but the
secrets is recorded, so that any release can be put back exactly as it was.
"""

import base64
import hashlib
import re
from importlib.resources import files
from typing import Any

import msgspec
from msgspec import Struct

from pushline.results import Release
from pushline.serving.keys import HANDED, EndpointKeys
from pushline.settings import Serving

SCORING, SIDECAR = "scoring", "sidecar"
PORT = 8000
KEYS_AT, CADDY_AT, DATA_AT = "/run/pushline-keys", "/etc/pushline-caddy", "/data"
SIDECAR_CPU, SIDECAR_MEMORY_GB = 0.5, 0.5
SHARE = "pushline-certificates"
TAG = "pushline-"
NO_SITE = "not-yet-known.invalid"


class Definition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A container group without its secrets. `site` is the name the service gave the group; empty before it has."""

    name: str
    label: str
    scope: str
    site: str
    region: str
    image: str  # server/repository@sha256:...
    sidecar: str
    identity: str  # ARM id of the identity that pulls
    cpu: float
    memory_gb: float
    workers: int
    serving: dict[str, str] = {}  # the other settings of [tool.pushline.serving] that are not its defaults, as variables
    tls: str
    telemetry: bool
    storage_account: str
    analytics: str  # customer id of Log Analytics; empty where there is none
    release: Release

    @property
    def hash(self) -> str:
        """The same for the same content in any slot, on any machine."""
        plain = msgspec.structs.replace(self, name="", label="", site="", release=msgspec.structs.replace(self.release, model=""))
        return hashlib.sha256(msgspec.json.encode(plain)).hexdigest()[:32]

    @property
    def tags(self) -> dict[str, str]:
        """What the group says of itself in the portal and to `status`."""
        return {
            f"{TAG}release": self.release.id,
            f"{TAG}model": self.release.model_name,
            f"{TAG}model-version": self.release.model_version,
            f"{TAG}revision": self.release.git_revision,
            f"{TAG}image": self.image[-250:],
            f"{TAG}definition": self.hash,
        }


class Secrets(Struct, frozen=True, kw_only=True):
    """What every PUT must bring again, because no GET gives it back. Its repr shows nothing."""

    keys: EndpointKeys
    connection: str  # of Application Insights; empty where telemetry is off
    analytics_key: str
    storage_key: str

    def __repr__(self) -> str:
        return "Secrets(…)"


def caddyfile() -> str:
    """The sidecar's configuration."""
    return files("pushline.azure").joinpath("Caddyfile").read_text(encoding="utf-8")


def group_of(definition: Definition, secrets: Secrets) -> Any:
    """The whole body of a PUT."""
    from azure.mgmt.containerinstance import models

    identities = {definition.identity: models.UserAssignedIdentities()}
    diagnostics = None
    if definition.analytics:
        analytics = models.LogAnalytics(
            workspace_id=definition.analytics, workspace_key=secrets.analytics_key, log_type="ContainerInstanceLogs"
        )
        diagnostics = models.ContainerGroupDiagnostics(log_analytics=analytics)
    return models.ContainerGroup(
        location=definition.region,
        tags=definition.tags,
        identity=models.ContainerGroupIdentity(type="UserAssigned", user_assigned_identities=identities),
        containers=[scoring(definition, secrets), sidecar(definition)],
        image_registry_credentials=[
            models.ImageRegistryCredential(server=server, identity=definition.identity)
            for server in sorted({image.partition("/")[0] for image in (definition.image, definition.sidecar)})
        ],
        os_type="Linux",
        restart_policy="Always",
        ip_address=models.IpAddress(
            type="Public",
            ports=[models.Port(port=port, protocol="TCP") for port in (80, 443)],
            dns_name_label=definition.label,
            auto_generated_domain_name_label_scope=definition.scope,
        ),
        volumes=volumes(definition, secrets),
        diagnostics=diagnostics,
    )


def scoring(definition: Definition, secrets: Secrets) -> Any:
    """The scoring container."""
    from azure.mgmt.containerinstance import models

    variables = [models.EnvironmentVariable(name=name, value=value) for name, value in sorted(definition.serving.items())]
    # Whether the user of the image may read a mounted secret is not documented; where it may not, this is what it reads.
    variables.append(models.EnvironmentVariable(name=HANDED, secure_value=keys_of(secrets)))
    if definition.telemetry and secrets.connection:
        variables.append(models.EnvironmentVariable(name="APPLICATIONINSIGHTS_CONNECTION_STRING", secure_value=secrets.connection))
    return models.Container(
        name=SCORING,
        image=definition.image,
        command=serve_command(definition.release, definition.workers),
        ports=[models.ContainerPort(port=PORT, protocol="TCP")],
        environment_variables=variables,
        resources=resources(definition.cpu, definition.memory_gb),
        volume_mounts=[models.VolumeMount(name="keys", mount_path=KEYS_AT, read_only=True)],
        liveness_probe=probe("/healthz", PORT, failures=5),
        readiness_probe=probe("/readyz", PORT, failures=3),
    )


def serve_command(release: Release, workers: int) -> list[str]:
    """What a scoring container runs. It binds all addresses because probes come from outside it; its port is not public."""
    command = ["python", "-m", "pushline", "serve", "--model", "/model", "--release", release.id, "--model-version", release.model_version]
    command += ["--host", "0.0.0.0", "--port", str(PORT), "--workers", str(workers)]  # noqa: S104 - see above
    return [*command, "--keys", f"{KEYS_AT}/keys.json"]


def serving_variables(serving: Serving) -> dict[str, str]:
    """The settings by which a release answers, as the container reads them; where it listens is not theirs to say."""
    own, usual = ("host", "port", "workers", "record"), Serving()  # rows that a container records would end with it, and nobody reads them
    differing = [name for name in serving.__struct_fields__ if name not in own and getattr(serving, name) != getattr(usual, name)]
    return {f"PUSHLINE_SERVING__{name.upper()}": str(getattr(serving, name)) for name in differing}


def sidecar(definition: Definition) -> Any:
    """Caddy: the only public ports; its certificates lie on a share that outlives it."""
    from azure.mgmt.containerinstance import models

    variables = {
        "SITE": definition.site or NO_SITE,
        # Before the name is known no certificate can be asked for.
        "TLS_ISSUER": definition.tls if definition.site else "internal",
        "UPSTREAM": f"127.0.0.1:{PORT}",
        "CADDY_STORAGE": f"{DATA_AT}/caddy",
    }
    return models.Container(
        name=SIDECAR,
        image=definition.sidecar,
        command=["caddy", "run", "--config", f"{CADDY_AT}/Caddyfile", "--adapter", "caddyfile"],
        ports=[models.ContainerPort(port=port, protocol="TCP") for port in (80, 443)],
        environment_variables=[models.EnvironmentVariable(name=name, value=value) for name, value in variables.items()],
        resources=resources(SIDECAR_CPU, SIDECAR_MEMORY_GB),
        volume_mounts=[
            models.VolumeMount(name="caddyfile", mount_path=CADDY_AT, read_only=True),
            models.VolumeMount(name="certificates", mount_path=DATA_AT),
        ],
    )


def keys_of(secrets: Secrets) -> str:
    return msgspec.json.encode({"primary": secrets.keys.primary, "secondary": secrets.keys.secondary}).decode()


def volumes(definition: Definition, secrets: Secrets) -> list[Any]:
    from azure.mgmt.containerinstance import models

    share = models.AzureFileVolume(
        share_name=SHARE, storage_account_name=definition.storage_account, storage_account_key=secrets.storage_key
    )
    return [
        models.Volume(name="keys", secret={"keys.json": base64.b64encode(keys_of(secrets).encode()).decode()}),
        models.Volume(name="caddyfile", secret={"Caddyfile": base64.b64encode(caddyfile().encode()).decode()}),
        models.Volume(name="certificates", azure_file=share),
    ]


def resources(cpu: float, memory_gb: float) -> Any:
    from azure.mgmt.containerinstance import models

    return models.ResourceRequirements(requests=models.ResourceRequests(cpu=cpu, memory_in_gb=memory_gb))


def probe(path: str, port: int, *, failures: int) -> Any:
    from azure.mgmt.containerinstance import models

    return models.ContainerProbe(
        http_get=models.ContainerHttpGet(path=path, port=port, scheme="http"),
        initial_delay_seconds=5,
        period_seconds=10,
        timeout_seconds=3,
        failure_threshold=failures,
    )


def must_be_remade(standing: Any, definition: Definition) -> str:
    """What of a standing group a PUT can't change, so that it must be deleted first; empty where nothing is."""
    wanted = {SCORING: (definition.cpu, definition.memory_gb), SIDECAR: (SIDECAR_CPU, SIDECAR_MEMORY_GB)}
    seen = {}
    for container in standing.containers:
        requests = container.resources.requests
        seen[container.name] = (float(requests.cpu), float(requests.memory_in_gb))
    if seen != wanted:
        return "cores or memory"
    if standing.os_type != "Linux" or standing.restart_policy not in (None, "Always"):
        return "the restart policy"
    state = standing.instance_view.state if standing.instance_view else ""
    if state in ("Stopped", "Failed"):
        return f"that it is {state.lower()}"
    return ""


def label_fault(label: str) -> str:
    """Why a text can't be a DNS label, or nothing."""
    return "" if re.fullmatch(r"[a-z][a-z0-9-]{3,51}[a-z0-9]", label) else "5 to 53 small letters, digits and dashes, a letter first"
