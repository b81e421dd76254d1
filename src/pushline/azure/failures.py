"""What Azure said, in the house's three lines: what stopped, Azure's own words, and the exact thing to do."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pushline.errors import PushlineError, SettingsError, TargetError

NEW_RIGHTS = "A role or trust that was given in the last ten minutes may not have reached every part of Azure yet: then run it again."
AGAIN = "Run the same command again; it goes on where it stopped."
# What Azure says, and what helps there. The first that fits counts.
HELPS = (
    (
        "TasksOperationsNotAllowed",
        'This subscription may not use the registry\'s tasks (those on credit may not). Set image_builder = "docker" in '
        "[tool.pushline.azure] and deploy where an engine runs, such as on GitHub's hosted runners.",
    ),
    (
        "toomanyrequests",
        "Docker Hub limits who asks without a name. Wait an hour, or set DOCKERHUB_USERNAME and DOCKERHUB_TOKEN, or push the image into "
        "the workspace's registry and name it there as `sidecar` in [tool.pushline.azure].",
    ),
    (
        "container group.*quota|quota.*container group|ContainerGroupQuotaReached",
        "Lower cpu or memory_gb in [tool.pushline.azure] (the candidate needs as much beside the live release), run `pushline discard`, "
        "or ask for more cores of Container Instances in the portal.",
    ),
    (
        "ClusterCoreQuota|quota.*vCPU|VM ?size",
        "Lower max_nodes or change vm_size in [tool.pushline.azure], or ask for more quota in the portal. What was made stays.",
    ),
    (
        "InaccessibleImage",
        "Give the identity that pulls images AcrPull on the workspace's registry: `pushline bootstrap azure --apply` does. " + NEW_RIGHTS,
    ),
    ("DnsNameLabelNotAvailable", "Set another `label` in [tool.pushline.azure]: another container group of the region has that name."),
    (
        "ResourceNotFound.*managedEnvironments|Unable to get value using Managed identity",
        'Run `pushline bootstrap azure --apply` with target = "containerapps": it makes the environment, and lets the identity that pulls '
        f"images read the keys. {NEW_RIGHTS}",
    ),
    (
        "RoleAssignmentExists|RoleDefinitionWithSameNameExists",
        "Someone, or an earlier version, gave that under another name: remove it under Access control of what Azure names. " + AGAIN,
    ),
    ("soft.?deleted workspace", "Delete the workspace for good in the portal (Recently deleted), or name another one. " + AGAIN),
)
BUSY = frozenset({429, 500, 502, 503, 504})


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Turn what the SDK raises while `what` (such as "reading the workspace") into an error of the house."""
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

    try:
        yield
    except PushlineError:
        raise
    except ClientAuthenticationError as error:
        raise not_let_in(what, error) from error
    except HttpResponseError as error:
        raise refused(what, error) from error
    except AzureError as error:  # no connection, no answer in time, or the ML client's own
        if is_of_ml(error):
            raise TargetError(f"Azure ML stopped while {what}.", why=first_line(error), do=AGAIN) from error
        inner = house_error_in(error)
        if inner is not None:
            raise inner from error
        raise TargetError(f"Azure did not answer while {what}.", why=first_line(error), do=f"Check the network. {AGAIN}") from error


def is_of_ml(error: BaseException) -> bool:
    """Whether the ML client raised it. Where that was never imported nothing is; importing it takes seconds."""
    known = sys.modules.get("azure.ai.ml.exceptions")
    return known is not None and isinstance(error, known.MlException)


def house_error_in(error: BaseException) -> PushlineError | None:
    """The house's own error that the SDK has wrapped, such as that of the runner's id-token."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, PushlineError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def not_let_in(what: str, error: Any) -> PushlineError:
    """Signing in failed: each of Entra's numbers has one thing that is to be set."""
    inner = house_error_in(error)
    if inner is not None:
        return inner
    text = str(error)
    client, tenant = os.environ.get("AZURE_CLIENT_ID", ""), os.environ.get("AZURE_TENANT_ID", "")
    subject = re.search(r"assertion subject '([^']+)'", text)
    if "AADSTS700213" in text or subject:
        do = (
            f"Add a federated credential to the identity {client}: issuer https://token.actions.githubusercontent.com, "
            f"audience api://AzureADTokenExchange, subject {subject[1] if subject else 'of this job'}. {NEW_RIGHTS}"
        )
    elif "AADSTS700016" in text:
        do = f"Set AZURE_CLIENT_ID to an identity of the tenant {tenant}; it is {client!r}."
    elif "AADSTS90002" in text:
        do = f"Set AZURE_TENANT_ID to your directory's id; it is {tenant!r}."
    elif "AADSTS7000215" in text:
        do = "Set AZURE_CLIENT_SECRET to a secret of the identity that is still valid."
    elif "DefaultAzureCredential" in text:
        do = "Sign in (for example with `az login`), or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET."
    else:
        do = AGAIN
    return TargetError(f"Azure did not let us in while {what}.", why=first_line(error), do=do)


def refused(what: str, error: Any) -> PushlineError:
    """The service answered with a no."""
    status, code = error.status_code, code_of(error)
    why = f"Azure says {code or f'status {status}'}: {message_of(error)}"
    known = help_for(f"{what} {code} {error}")
    if known:
        return TargetError(f"Azure refused while {what}.", why=why, do=known)
    if status in (401, 403):
        action = re.search(r"action:? '([^']+)'", str(error), re.IGNORECASE)  # Key Vault spells it in its own way
        do = f"Give the identity a role that has {action[1] if action else 'this right'}: see `pushline docs azure`. {NEW_RIGHTS}"
        return TargetError(f"Azure refused while {what}.", why=why, do=do)
    if status == 404 and code in ("ResourceGroupNotFound", "SubscriptionNotFound", "ResourceNotFound") and "workspace" in what:
        do = "Correct subscription, resource_group and workspace in [tool.pushline.azure], or PUSHLINE_AZURE__WORKSPACE and its like."
        return SettingsError(f"Azure knows no such workspace ({what}).", why=why, do=do)
    if status in BUSY:
        return TargetError(f"Azure is busy or broken: it gave up on us while {what}.", why=why, do=f"Wait a little. {AGAIN}")
    return TargetError(f"Azure refused while {what}.", why=why, do=f"Correct what it names. {AGAIN}")


def help_for(said: str) -> str:
    """What to do about something that Azure says in one way only; nothing where that is not known."""
    return next((do for mark, do in HELPS if re.search(mark, said, re.IGNORECASE | re.DOTALL)), "")


def code_of(error: Any) -> str:
    """The service's own code, such as `AuthorizationFailed`."""
    return str(getattr(getattr(error, "error", None), "code", "") or "")


def message_of(error: Any) -> str:
    told = getattr(error, "error", None)
    inner = [first_line(f"{each.code}: {each.message}") for each in getattr(told, "details", None) or []]
    said = "; ".join(inner) or getattr(told, "message", "") or getattr(error, "message", "") or str(error)
    return first_line(said, 1200)


def causes(error: dict[str, Any]) -> str:
    """What an operation failed of: a deployment fails of each of its resources, whose own words lie within."""
    inner = [causes(each) for each in error.get("details") or []]
    return "; ".join(inner) or f"{error.get('code')}: {error.get('message')}".rstrip(".")


def first_line(error: Any, most: int = 400) -> str:
    """The first line that says something, without tokens or signatures that an address may carry."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return re.sub(r"([?&](?:sig|code|token)=)[^&\s]+", r"\1…", lines[0] if lines else type(error).__name__)[:most]
