"""The cluster that trains: made from the settings where it is missing, brought to them where it differs."""

from pushline.azure.cloud import WORKSPACE_VERSION, Cloud
from pushline.errors import TargetError
from pushline.progress import Progress

IDLE_S = 600  # before a node is given back


def ensure_cluster(cloud: Cloud, progress: Progress) -> None:
    """Raises TargetError, with the setting to change, where the size or the quota is refused."""
    wanted, place = cloud.settings, f"{cloud.workspace_id}/computes/{cloud.settings.cluster}"
    standing = cloud.arm.find(place, WORKSPACE_VERSION, what=f"looking for the cluster {wanted.cluster}")
    scale = {"minNodeCount": wanted.min_nodes, "maxNodeCount": wanted.max_nodes}
    if standing is None:
        progress(f"Making the cluster {wanted.cluster}: {wanted.min_nodes} to {wanted.max_nodes} nodes of {wanted.vm_size}.")
        properties = {"vmSize": wanted.vm_size, "scaleSettings": {**scale, "nodeIdleTimeBeforeScaleDown": f"PT{IDLE_S}S"}}
        # Without the identity the nodes can't pull the training's image: the registry has no admin user.
        body = {
            "location": cloud.facts.region,
            "identity": {"type": "UserAssigned", "userAssignedIdentities": {cloud.pull_identity: {}}},
            "properties": {"computeType": "AmlCompute", "properties": properties},
        }
        cloud.arm.make("PUT", place, WORKSPACE_VERSION, body, what=f"making the cluster {wanted.cluster}")
        return
    state, there = standing["properties"].get("provisioningState"), standing["properties"]["properties"]
    if state == "Succeeded" and scale.items() <= there["scaleSettings"].items():
        return
    if there["vmSize"].lower() != wanted.vm_size.lower():
        raise TargetError(
            f"The cluster {wanted.cluster} is of {there['vmSize']}, the settings say {wanted.vm_size}.",
            why="The size of a cluster can't change.",
            do="Name another `cluster` in [tool.pushline.azure], or delete that one.",
        )
    progress(f"Setting the cluster {wanted.cluster} to {wanted.min_nodes} to {wanted.max_nodes} nodes.")
    nodes = {"properties": {"properties": {"scaleSettings": scale}}}  # nothing else, so that what it has, such as its identity, stays
    cloud.arm.make("PATCH", place, WORKSPACE_VERSION, nodes, what=f"setting the nodes of the cluster {wanted.cluster}")
