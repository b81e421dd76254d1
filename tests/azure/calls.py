"""What a delivery asked of Azure, by kind of call."""

import re
from collections.abc import Iterable

from fake.world import Call

ARM = "management.azure.com"
REPORTED = ".in.applicationinsights.azure.com"
# Hosts whose paths are not those of resources, and what they are.
PLACES = (
    (r"login\.microsoftonline\.com", "Entra: a token"),
    (r"token\.actions\.githubusercontent\.com|.*actions.*", "GitHub: an assertion"),
    (r".*\.blob\.core\.windows\.net", "blob storage"),
    (r".*\.vault\.azure\.net", "Key Vault: secrets"),
    (r".*\.azurecr\.io", "container registry: tokens and manifests"),
    (r".*\.loganalytics\.io", "Log Analytics: query"),
)


def kind_of(call: Call) -> tuple[str, str, str, str]:
    """Method, what it is about, version, and whether its body was held against the official schema."""
    if call.host == ARM:
        provider, _, tail = call.path.rpartition("/providers/")[2].partition("/")
        words = tail.strip("/").split("/")
        about = "/".join(words[:-1:2] + words[-1:] if call.method == "POST" else words[::2])
        if provider == "loopback":
            provider, about = "the operation under way", ""
        if "/providers/" not in call.path:
            provider, about = "the cloud's addresses", ""
        checked = "yes" if call.method == "PUT" and call.status < 300 else ""
        return call.method, f"{provider}/{about}".rstrip("/"), call.api_version, checked
    if "/mlflow/" in call.path:
        return call.method, "MLflow: " + "/".join(call.path.partition("/api/2.0/mlflow/")[2].split("/")[:2]), "2.0", ""
    if "/history/" in call.path:
        return call.method, "run history: " + re.sub(r".*/(runs)/[^/]+/", r"\1/", call.path), "1.0", ""
    if call.host.endswith(".api.azureml.ms"):
        return call.method, "run history: addresses", "", ""
    place = next((name for host, name in PLACES if re.fullmatch(host, call.host)), call.host)
    return call.method, place, "", ""


def kinds_of(calls: Iterable[Call]) -> set[str]:
    """Each kind once, as a row of the table. What was refused or asked again for is no kind of its own; what a container
    reports is none of ours; what was not there yet was asked for all the same.
    """
    ours = [call for call in calls if (0 < call.status < 400 or call.status == 404) and not call.host.endswith(REPORTED)]
    return {f"| {' | '.join(kind_of(call))} |" for call in ours}


def table_of(kinds: set[str]) -> str:
    rows = sorted(kinds, key=lambda row: [row.split(" | ")[place] for place in (1, 2, 0)])
    return "\n".join(["", "| method | resource | api-version | schema-valid |", "|---|---|---|---|", *rows, "", ""])
