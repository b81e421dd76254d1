"""What only Azure itself decides, each tried once: all that is free, then what costs cents, before a delivery pays for it.

A probe says what it saw, or raises what a command would have raised an hour later. What it makes it removes again; a job stays
to be looked at until `clean`.
"""

import base64
import io
import math
import re
import secrets
import tarfile
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import msgspec
from msgspec import Struct

from pushline.azure.cloud import STORAGE_VERSION, WORKSPACE_VERSION, name_of, quietly, spoken
from pushline.azure.compute import ensure_cluster
from pushline.azure.container_registry import ContainerRegistry
from pushline.azure.definition import DATA_AT, KEYS_AT, SHARE, SIDECAR_CPU, SIDECAR_MEMORY_GB
from pushline.azure.failures import NEW_RIGHTS, asking
from pushline.azure.groups import API, LOOK_S
from pushline.azure.image import add_bytes, engine_for
from pushline.azure.pipeline import STORE, load
from pushline.azure.store import WorkspaceStore
from pushline.azure.target import AciTarget
from pushline.azure.training import ENDED, AzureTraining, TrainingJob
from pushline.errors import PushlineError, SettingsError, TargetError
from pushline.progress import Progress
from pushline.project import Project
from pushline.settings import PushlineSettings, seconds

NAME = "pushline-preflight"
BLOB = "pushline/preflight"
USER = "10001"  # of the scoring image
JOB_S = 1800.0  # an image is built for the first one
PORT = 80
# Runs in the sidecar's image, as root, which is how a share is mounted; the secret is read as the scoring image's user.
SCRIPT = (
    'printf %s "$4" > "$2/preflight" && printf "share " && cat "$2/preflight" && rm "$2/preflight"; echo; '
    'adduser -D -H -u "$3" preflight && su preflight -s /bin/sh -c "printf \'secret \' && cat $1"; echo'
)


class MayNotLook(Exception):
    """This identity may not read what lies above its resource group."""


class Preflight:
    """One workspace that is tried with the settings of a repository."""

    def __init__(self, project: Project, settings: PushlineSettings, progress: Progress) -> None:
        self.project = project
        self.settings = settings
        self.progress = progress
        self.target = AciTarget(project, settings)
        self.cloud = self.target.cloud
        self.group = f"{self.target.label}-preflight"

    @cached_property
    def image(self) -> str:
        """The sidecar's image in the workspace's registry."""
        return ContainerRegistry(self.cloud).copied(self.settings.azure.sidecar, self.progress)

    def told_of_region(self, provider: str, what: str, version: str) -> list[dict[str, Any]]:
        """What a provider lists of the workspace's region. Raises MayNotLook where the right ends at the resource group."""
        subscription, region = self.settings.azure.subscription, self.cloud.facts.region
        place = f"/subscriptions/{subscription}/providers/Microsoft.{provider}/locations/{region}/{what}"
        try:
            return self.cloud.arm.all(place, version, what=f"reading the {what} of the region")
        except TargetError as error:
            if "AuthorizationFailed" in error.why:
                raise MayNotLook from error
            raise


class Probe(Struct, frozen=True):
    """One thing to try, and the GitHub environments whose identity has to be able to do it."""

    name: str
    attempt: Callable[[Preflight], str]
    who: tuple[str, ...]
    paid: bool = False
    groups: bool = False  # of container groups: the target aci alone needs it


def cluster_quota(run: Preflight) -> str:
    azure, region = run.settings.azure, run.cloud.facts.region
    sizes = run.told_of_region("MachineLearningServices", "vmSizes", WORKSPACE_VERSION)
    size = next((each for each in sizes if str(each["name"]).lower() == azure.vm_size.lower()), None)
    if size is None:
        raise SettingsError(f"Azure ML has no {azure.vm_size} in {region}.", do="Change vm_size in [tool.pushline.azure].")
    wanted, series = int(size["vCPUs"]) * azure.max_nodes, (str(size["family"]).lower(), "totalclusterdedicated")
    for each in run.told_of_region("MachineLearningServices", "usages", WORKSPACE_VERSION):
        name = str(each["name"]["value"])  # such as: Standard DSv3 Family Cluster Dedicated vCPUs
        if name.replace(" ", "").lower().startswith(series) and 0 <= each["limit"] < wanted:
            raise TargetError(
                f"The cluster wants {wanted} cores and may have {each['limit']}.",
                why=f"{azure.max_nodes} nodes of {azure.vm_size}, and {region} limits {name}.",
                do="Lower max_nodes or change vm_size in [tool.pushline.azure], or ask for more quota in the portal.",
            )
    return f"{wanted} cores for {azure.max_nodes} nodes of {azure.vm_size} are within the quota"


def container_quota(run: Preflight) -> str:
    azure = run.settings.azure
    cores, memory = azure.cpu + SIDECAR_CPU, azure.memory_gb + SIDECAR_MEMORY_GB
    more = 1 if run.target.groups.find(run.target.label) else 2  # the candidate stands beside the live release
    for each in run.told_of_region("ContainerInstance", "capabilities", API):
        most = each["capabilities"]
        ours = (each.get("osType"), each.get("gpu"), each.get("ipAddressType")) == ("Linux", "None", "Public")
        if ours and (cores > most["maxCpu"] or memory > most["maxMemoryInGB"]):
            raise SettingsError(
                f"A container group may have {most['maxCpu']:g} cores and {most['maxMemoryInGB']:g} GB in this region.",
                why=f"With its sidecar ours wants {cores:g} and {memory:g} GB.",
                do="Lower cpu or memory_gb in [tool.pushline.azure].",
            )
    wanted = {"ContainerGroups": more, "StandardCores": math.ceil(cores * more)}
    for each in run.told_of_region("ContainerInstance", "usages", API):
        name, left = str(each["name"]["value"]), each["limit"] - each["currentValue"]
        if name in wanted and left < wanted[name]:
            raise TargetError(
                f"{wanted[name]} more of {name} are wanted, and {left} of {each['limit']} are left.",
                why="That is the region's quota of container groups.",
                do="Lower cpu or memory_gb in [tool.pushline.azure], remove groups nobody needs, or ask for more in the portal.",
            )
    return f"{more} more container groups of {cores:g} cores are within the quota"


def blob(run: Preflight) -> str:
    box = run.cloud.container(STORE)
    with asking("writing, reading and deleting a blob of the workspace's store"):
        box.upload_blob(BLOB, b"tried", overwrite=True)
        box.download_blob(BLOB).readall()
        box.delete_blob(BLOB)
    return f"{STORE} takes an upload, and gives it back"


def tracked_run(run: Preflight) -> str:
    WorkspaceStore(run.cloud, run.settings.model_name, downloads=run.project.state / "models").try_run()
    return "a run with tags and a figure was kept, and removed again"


def vault(run: Preflight) -> str:
    return "the endpoint's keys are there" if run.target.vault.read() else "may be read; the first release makes the keys"


def telemetry(run: Preflight) -> str:
    if not run.cloud.facts.insights:
        return "the workspace has no Application Insights, so none is sent"
    run.cloud.analytics_key()
    return "Application Insights and its Log Analytics give what a container group needs"


def share(run: Preflight) -> str:
    place = f"{run.cloud.certificates}/fileServices/default/shares/{SHARE}"
    run.cloud.arm.put(place, STORAGE_VERSION, {"properties": {}}, what="making the share that keeps certificates")
    run.cloud.certificates_key()
    return f"{SHARE} is there, and may be mounted"


def registry(run: Preflight) -> str:
    return f"signed in; the sidecar is {name_of(run.image).partition('@')[0]}"


def build(run: Preflight) -> str:
    engine = engine_for(run.settings.azure.image_builder)
    if engine:
        return f"{engine} of this machine builds"
    dockerfile = run.project.root / "Dockerfile"
    base = re.search(r"^ARG BASE=(\S+)", dockerfile.read_text(encoding="utf-8") if dockerfile.is_file() else "", re.MULTILINE)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        add_bytes(archive, f"FROM {base[1] if base else run.settings.azure.sidecar}\nUSER {USER}\n".encode(), "Dockerfile")
    ContainerRegistry(run.cloud).build(packed.getvalue(), {}, NAME, "tried", push=False)
    return "the registry's tasks build on the image that ours begins with"


def container_group(run: Preflight) -> str:
    """Started with what a release mounts. Where the live name is still to be taken it is taken for as long."""
    cloud, groups, word = run.cloud, run.target.groups, secrets.token_hex(8)
    label = run.target.label + ("-t" if groups.find(run.target.label) else "")
    place = cloud.id_of("Microsoft.ContainerInstance", "containerGroups", run.group)
    until = time.monotonic() + seconds(run.settings.azure.start_within)
    run.progress(f"Putting the container group {run.group}; it is removed when it has ended.")
    try:
        cloud.arm.put(place, API, group_body(run, label, word), what=f"putting the container group {run.group}")
        while not ended(standing := groups.find(run.group)):
            if time.monotonic() > until or (standing is not None and standing.provisioning_state == "Failed"):
                why = groups.last_event(run.group) or "It says nothing of why."
                do = "Look at the group's events in the portal, or raise start_within in [tool.pushline.azure]."
                raise TargetError(f"A container group did not start within {run.settings.azure.start_within}.", why=why, do=do)
            time.sleep(LOOK_S / 4)
        said = groups.log(run.group, "preflight", 20)
    finally:
        groups.remove(run.group)
    if f"share {word}" not in said:
        raise TargetError(
            "A container could not write to the share that keeps certificates.",
            why=f"It said: {' | '.join(said.split(chr(10))[-3:]).strip() or 'nothing'}",
            do=f"Allow key access and this network on the storage account {name_of(cloud.certificates)}.",
        )
    keys = "mounted keys" if f"secret {word}" in said else "keys by its environment alone (it may not read mounted ones), which is enough,"
    return f"pulled, started, wrote to the share; user {USER} gets its {keys} and {label} is ours"


def ended(group: Any) -> bool:
    """Whether the one container of a group has ended."""
    view = group.containers[0].instance_view if group is not None else None
    return view is not None and view.current_state is not None and view.current_state.state == "Terminated"


def group_body(run: Preflight, label: str, word: str) -> dict[str, Any]:
    cloud, azure = run.cloud, run.settings.azure
    mounts = [{"name": "keys", "mountPath": KEYS_AT, "readOnly": True}, {"name": "certificates", "mountPath": DATA_AT}]
    port = {"port": PORT, "protocol": "TCP"}
    container = {
        "image": run.image,
        "command": ["/bin/sh", "-c", SCRIPT, "sh", f"{KEYS_AT}/word", DATA_AT, USER, word],
        "ports": [port],
        "resources": {"requests": {"cpu": SIDECAR_CPU, "memoryInGB": SIDECAR_MEMORY_GB}},
        "volumeMounts": mounts,
    }
    account = {"storageAccountName": name_of(cloud.certificates), "storageAccountKey": cloud.certificates_key(), "shareName": SHARE}
    return {
        "location": cloud.facts.region,
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {cloud.pull_identity: {}}},
        "properties": {
            "containers": [{"name": "preflight", "properties": container}],
            "imageRegistryCredentials": [{"server": cloud.login_server, "identity": cloud.pull_identity}],
            "osType": "Linux",
            "restartPolicy": "Never",
            "ipAddress": {
                "type": "Public", "ports": [port], "dnsNameLabel": label, "autoGeneratedDomainNameLabelScope": azure.label_scope,
            },
            "volumes": [
                {"name": "keys", "secret": {"word": base64.b64encode(word.encode()).decode()}},
                {"name": "certificates", "azureFile": account},
            ],
        },
    }  # fmt: skip


def job(run: Preflight) -> str:
    """A pipeline of one step with the code and the environment of training, on one node."""
    cloud, began, file = run.cloud, time.monotonic(), run.project.pipelines / "components" / "prepare.yml"
    ensure_cluster(cloud, run.progress)
    component = msgspec.yaml.decode(file.read_text(encoding="utf-8"))
    step = {"type": "command", "command": "python -c \"print('tried')\"", **{key: component[key] for key in ("code", "environment")}}
    document = {"type": "pipeline", "name": f"{NAME}-{secrets.token_hex(6)}", "jobs": {"preflight": step}}
    document["settings"] = {"default_compute": f"azureml:{run.settings.azure.cluster}"}
    made = load(document, file, experiment=run.settings.model_name, tags={NAME: "yes"})
    with asking("submitting a job of one step"), quietly():
        sent = cloud.ml.jobs.create_or_update(made)
    training = AzureTraining(run.project, run.settings, file, {"budget": "1m"})
    submitted = TrainingJob(sent.name, spoken(sent.status or "NotStarted"), str(sent.studio_url or ""))
    try:
        submitted = training.follow(submitted, run.progress, beside_s=JOB_S)
    finally:
        if submitted.status not in ENDED:
            with asking(f"cancelling {submitted.name}"), quietly():
                cloud.ml.jobs.begin_cancel(submitted.name)
    if submitted.status != "Completed":
        raise training.failed(submitted, run.project.state / "logs")
    return f"{submitted.name} ran on one node, {time.monotonic() - began:.0f} s after it was asked for"


TRAINING, RELEASE = ("training",), ("production",)
PROBES = (
    Probe("cluster quota", cluster_quota, TRAINING),
    Probe("container quota", container_quota, RELEASE, groups=True),
    Probe("upload", blob, (*TRAINING, *RELEASE)),
    Probe("MLflow run", tracked_run, TRAINING),
    Probe("Key Vault", vault, RELEASE),
    Probe("telemetry", telemetry, RELEASE),
    Probe("certificates", share, RELEASE, groups=True),
    Probe("registry", registry, RELEASE),
    Probe("image build", build, RELEASE, paid=True),
    Probe("container group", container_group, RELEASE, paid=True, groups=True),
    Probe("job on one node", job, TRAINING, paid=True),
)


def patiently(probe: Probe, run: Preflight, until: float) -> str:
    """Attempt it; what may only be too new is attempted again until then."""
    while True:
        try:
            return probe.attempt(run)
        except PushlineError as error:
            left = until - time.monotonic()
            if NEW_RIGHTS not in error.do or left <= 0:
                raise
            run.progress(f"{probe.name}: {error.what} What was given lately takes minutes to be known; {left:.0f} s are left.")
            time.sleep(min(left, LOOK_S * 5))


def clean(run: Preflight, environment: str) -> Iterator[str]:
    """Remove what preflights have left. `environment` says whose identity this is; empty is a person, who may all."""
    if environment != "training" and run.target.groups.remove(run.group):
        yield f"the container group {run.group}"
    if environment != "production":
        jobs = f"{run.cloud.workspace_id}/jobs"
        for each in run.cloud.arm.all(jobs, WORKSPACE_VERSION, query=f"&tag={NAME}", what="listing the jobs of preflights"):
            if str(each["name"]).startswith(NAME):
                run.cloud.arm.delete(str(each["id"]), WORKSPACE_VERSION, what=f"deleting the job {each['name']}")
                yield f"the job {each['name']}"
