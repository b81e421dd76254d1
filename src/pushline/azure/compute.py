"""The cluster that trains: made from the settings where it is missing, brought to them where it differs."""

from typing import Any

from pushline.azure.cloud import WORKSPACE_VERSION, Cloud, quietly
from pushline.azure.failures import asking, first_line
from pushline.errors import TargetError
from pushline.progress import Progress

MAKING_S = 900
IDLE_S = 600  # before a node is given back


def ensure_cluster(cloud: Cloud, progress: Progress) -> None:
    """Raises TargetError, with the setting to change, where the size or the quota is refused."""
    from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

    with quietly():
        from azure.ai.ml.entities import AmlCompute, IdentityConfiguration, ManagedIdentityConfiguration
    wanted = cloud.settings
    with asking(f"looking for the cluster {wanted.cluster}"), quietly():
        try:
            standing: Any = cloud.ml.compute.get(wanted.cluster)
        except ResourceNotFoundError:
            standing = None
    if standing is not None:
        same = (standing.min_instances, standing.max_instances) == (wanted.min_nodes, wanted.max_nodes)
        if same and str(standing.provisioning_state).lower().rpartition(".")[2] == "succeeded":
            return
        if str(standing.size).lower() != wanted.vm_size.lower():
            raise TargetError(
                f"The cluster {wanted.cluster} is of {standing.size}, the settings say {wanted.vm_size}.",
                why="The size of a cluster can't change.",
                do="Name another `cluster` in [tool.pushline.azure], or delete that one.",
            )
        progress(f"Setting the cluster {wanted.cluster} to {wanted.min_nodes} to {wanted.max_nodes} nodes.")
        scale = {"scaleSettings": {"minNodeCount": wanted.min_nodes, "maxNodeCount": wanted.max_nodes}}
        place = f"{cloud.workspace_id}/computes/{wanted.cluster}"
        body = {"properties": {"properties": scale}}  # nothing else, so that what it has, such as its identity, stays
        cloud.arm.make("PATCH", place, WORKSPACE_VERSION, body, what=f"setting the nodes of the cluster {wanted.cluster}")
        return
    progress(f"Making the cluster {wanted.cluster}: {wanted.min_nodes} to {wanted.max_nodes} nodes of {wanted.vm_size}.")
    cluster = AmlCompute(
        name=wanted.cluster,
        size=wanted.vm_size,
        min_instances=wanted.min_nodes,
        max_instances=wanted.max_nodes,
        idle_time_before_scale_down=IDLE_S,
        identity=IdentityConfiguration(  # without it the nodes can't pull the training's image: the registry has no admin user
            type="user_assigned", user_assigned_identities=[ManagedIdentityConfiguration(resource_id=cloud.pull_identity)]
        ),
    )
    with asking(f"making the cluster {wanted.cluster}"), quietly():
        try:
            cloud.ml.compute.begin_create_or_update(cluster).result(MAKING_S)
        except HttpResponseError as error:
            text = str(error)
            if "uota" in text or "VM size" in text or "VmSize" in text:
                raise TargetError(
                    f"The cluster {wanted.cluster} can't be made as the settings want it.",
                    why=f"Azure says: {first_line(getattr(error, 'message', '') or error)}",
                    do="Lower max_nodes or change vm_size in [tool.pushline.azure], or ask for more quota in the portal.",
                ) from error
            raise
