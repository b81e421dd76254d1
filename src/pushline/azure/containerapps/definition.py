"""What a revision of a container app is made of: a pure function from a release and its surroundings to a part of one PUT.

A revision can't change, and it carries its definition in a variable, so any release can be made again exactly as it was.
"""

import hashlib
import re
from typing import Any

import msgspec
from msgspec import Struct

from pushline.azure.definition import PORT, SCORING, serve_command
from pushline.results import Release
from pushline.serving.keys import HANDED
from pushline.settings import Azure

APP_VERSION = "2025-07-01"
KEYS, CONNECTION = "keys", "insights"  # secrets of the app
RECORD = "RELEASE_DEFINITION"  # the variable; the prefix PUSHLINE_ is that of settings
GRACE_S = 30  # until what is in flight must be answered when a replica ends


class AppDefinition(Struct, frozen=True, kw_only=True):
    """A revision without its secrets."""

    image: str  # server/repository@sha256:...
    cpu: float
    workers: int
    serving: dict[str, str]  # the settings of [tool.pushline.serving] that are not their defaults, as variables
    telemetry: bool
    min_replicas: int
    max_replicas: int
    concurrent_requests: int
    release: Release

    def suffix(self, keys: str) -> str:
        """The revision's name behind the app's: of the same content it is the same, on any machine.

        `keys` is the version of the keys that it starts with: other keys make another revision. App and suffix have 54 characters
        together, and the app up to 32.
        """
        content = hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:8]
        number = re.sub(r"[^a-z0-9]", "", self.release.model_version.lower())[:5]
        return f"v{number}-{content}-{hashlib.sha256(keys.encode()).hexdigest()[:6]}"


def same_content(suffix: str, other: str) -> bool:
    """Whether two revisions differ in their keys at most."""
    return suffix.rpartition("-")[0] == other.rpartition("-")[0]


def template_of(definition: AppDefinition, suffix: str) -> dict[str, Any]:
    """The part of the body of a PUT that makes a revision."""
    scoring = {
        "name": SCORING,
        "image": definition.image,
        "command": serve_command(definition.release, definition.workers),
        "env": variables_of(definition),
        "resources": {"cpu": definition.cpu, "memory": f"{2 * definition.cpu:g}Gi"},
        "probes": [probe("Liveness", "/healthz", failures=5), probe("Readiness", "/readyz", failures=3)],
    }
    rule = {"name": "requests", "http": {"metadata": {"concurrentRequests": str(definition.concurrent_requests)}}}
    scale = {"minReplicas": definition.min_replicas, "maxReplicas": definition.max_replicas, "rules": [rule]}
    return {"revisionSuffix": suffix, "terminationGracePeriodSeconds": GRACE_S, "containers": [scoring], "scale": scale}


def variables_of(definition: AppDefinition) -> list[dict[str, str]]:
    variables = [{"name": name, "value": value} for name, value in sorted(definition.serving.items())]
    variables.append({"name": RECORD, "value": msgspec.json.encode(definition).decode()})
    variables.append({"name": HANDED, "secretRef": KEYS})
    if definition.telemetry:
        variables.append({"name": "APPLICATIONINSIGHTS_CONNECTION_STRING", "secretRef": CONNECTION})
    return variables


def probe(kind: str, path: str, *, failures: int) -> dict[str, Any]:
    times = {"initialDelaySeconds": 1, "periodSeconds": 10, "timeoutSeconds": 3, "failureThreshold": failures}
    return {"type": kind, "httpGet": {"path": path, "port": PORT, "scheme": "HTTP"}, **times}


def configuration_of(server: str, identity: str, keys: str, connection: str, traffic: list[dict[str, Any]]) -> dict[str, Any]:
    """What the app has beside its revisions.

    Its identity pulls images and reads the keys for the platform, and no container can ask for its tokens.
    """
    return {
        "activeRevisionsMode": "Multiple",
        "identitySettings": [{"identity": identity, "lifecycle": "None"}],
        "ingress": {"external": True, "targetPort": PORT, "transport": "auto", "allowInsecure": False, "traffic": traffic},
        "registries": [{"server": server, "identity": identity}],
        "secrets": secrets_of(identity, keys, connection),
    }


def secrets_of(identity: str, keys: str, connection: str) -> list[dict[str, str]]:
    """All secrets of the app; no GET gives them back, so whoever changes one brings all. `keys` is the address of a version."""
    kept = {"name": KEYS, "keyVaultUrl": keys, "identity": identity}
    return [kept, {"name": CONNECTION, "value": connection}] if connection else [kept]


def name_fault(name: str) -> str:
    """Why a text can't be the name of a container app, or nothing."""
    fits = re.fullmatch(r"[a-z][a-z0-9-]{0,30}[a-z0-9]", name) is not None and "--" not in name
    return "" if fits else "The name of a container app is 2 to 32 small letters, digits and single dashes, a letter first."


def cpu_fault(cpu: float) -> str:
    """Why a container can't have so many cores, or nothing."""
    return "" if 0.25 <= cpu <= 4 and cpu % 0.25 == 0 else "Container Apps gives 0.25 to 4 cores in steps of 0.25."


def environment_name(azure: Azure) -> str:
    return azure.environment or f"{azure.workspace}-apps"
