"""The one credential: a fresh OIDC assertion whenever Azure wants one, or what this machine has."""

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from pushline.azure.packages import needs_azure
from pushline.errors import SettingsError, TargetError

AUDIENCE = "api://AzureADTokenExchange"
ENDPOINT = "ACTIONS_ID_TOKEN_REQUEST_URL"
BEARER = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"


def credential() -> Any:
    """What every client of Azure signs in with.

    In GitHub Actions (where a job may ask for an id-token) an assertion is fetched anew each time Azure wants one, so
    a job may outlive any token. Elsewhere it is azure-identity's chain: environment, workload identity, managed
    identity, az, and so on. Raises SettingsError where a variable is missing, or the azure packages are.
    """
    needs_azure()
    if not os.environ.get(ENDPOINT):
        from azure.identity import DefaultAzureCredential

        return DefaultAzureCredential()
    from azure.identity import ClientAssertionCredential

    return ClientAssertionCredential(_said("AZURE_TENANT_ID"), _said("AZURE_CLIENT_ID"), assertion)


def _said(variable: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise SettingsError(
            f"{variable} is not set, so Azure can't know who asks.",
            why="This job may ask GitHub for an id-token, but nothing says which identity of Azure it stands for.",
            do=f"Set the variable {variable} of the GitHub environment this job runs in; `pushline bootstrap` does that.",
        )
    return value


def assertion() -> str:
    """A fresh id-token of this job, from the runner's own endpoint."""
    address = f"{os.environ[ENDPOINT]}&audience={urllib.parse.quote(AUDIENCE, safe='')}"
    request = urllib.request.Request(address, headers={"Authorization": f"bearer {os.environ.get(BEARER, '')}"})  # noqa: S310 - the runner's address
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            return str(json.load(answer)["value"])
    except (OSError, ValueError, KeyError) as error:
        said = f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else str(error) or type(error).__name__
        raise TargetError(
            "GitHub gave this job no id-token.",
            why=f"Its endpoint answered: {said}.",
            do="Give the job `permissions: id-token: write`, and run it again if the endpoint was only busy.",
        ) from error
