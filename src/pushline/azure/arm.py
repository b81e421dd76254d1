"""Calls of the resource manager for which no client is installed: read a resource, act on it, put a small one."""

import time
from typing import Any

from pushline.azure.failures import AGAIN, asking, causes, help_for
from pushline.errors import TargetError

HOST = "https://management.azure.com"
SCOPE = f"{HOST}/.default"
# Bounded: about a minute of trying, never minutes of waiting for one answer.
PATIENCE: dict[str, Any] = {
    "retry_total": 6,
    "retry_backoff_factor": 0.5,
    "retry_backoff_max": 20,
    "connection_timeout": 15,
    "read_timeout": 60,
}
OPERATION_S = 600.0
LOOK_S = 2.0
DONE = frozenset({"succeeded", "failed", "canceled", ""})


class Arm:
    """The resource manager, signed in."""

    def __init__(self, credential: Any) -> None:
        from azure.core.pipeline.policies import HeadersPolicy, RetryPolicy, UserAgentPolicy
        from azure.mgmt.core import ARMPipelineClient
        from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

        self.client = ARMPipelineClient(
            base_url=HOST,
            policies=[
                HeadersPolicy({"Accept": "application/json"}),
                UserAgentPolicy("pushline"),
                RetryPolicy(**PATIENCE),
                ARMChallengeAuthenticationPolicy(credential, SCOPE),
            ],
            **PATIENCE,
        )

    def read(self, resource: str, version: str, *, what: str) -> dict[str, Any]:
        """The resource with this id. Raises TargetError or SettingsError where Azure says no."""
        with asking(what):
            return dict(self._send("GET", resource, version, None).json())

    def put(self, resource: str, version: str, body: dict[str, Any], *, what: str) -> dict[str, Any]:
        with asking(what):
            return dict(self._send("PUT", resource, version, body).json())

    def delete(self, resource: str, version: str, *, what: str) -> None:
        """Ask for a resource to be deleted; nobody waits for it to be gone."""
        with asking(what):
            self._send("DELETE", resource, version, None)

    def find(self, resource: str, version: str, *, what: str) -> dict[str, Any] | None:
        """The resource with this id; None where there is none."""
        from azure.core.exceptions import HttpResponseError

        with asking(what):
            try:
                return dict(self._send("GET", resource, version, None).json())
            except HttpResponseError as error:
                if error.status_code == 404:
                    return None
                raise

    def all(self, collection: str, version: str, *, query: str = "", what: str) -> list[dict[str, Any]]:
        """The members of a collection, page by page."""
        found: list[dict[str, Any]] = []
        address = f"{HOST}{collection}?api-version={version}{query}"
        with asking(what):
            while address:
                page = self._send("GET", address, version, None).json()
                found += page.get("value", [])
                address = page.get("nextLink") or ""
        return found

    def make(
        self, method: str, resource: str, version: str, body: dict[str, Any], *, what: str, within_s: float = OPERATION_S
    ) -> dict[str, Any]:
        """PUT or PATCH a resource, and wait until it is as asked."""
        with asking(what):
            answer = self._send(method, resource, version, body)
            where = answer.headers.get("Azure-AsyncOperation") or (answer.headers.get("Location") if answer.status_code == 202 else None)
            if where:
                self._followed(where, what, within_s)
        until = time.monotonic() + OPERATION_S
        while True:
            made = self.find(resource, version, what=what)  # none where the one who answers has not heard of it yet
            state = "not seen" if made is None else str((made.get("properties") or {}).get("provisioningState") or "").lower()
            if state in ("failed", "canceled") or (state not in DONE and time.monotonic() > until):
                raise TargetError(f"Azure did not finish {what}.", why=f"Its state is {state}.", do="Run the same command again.")
            if made is not None and state in DONE:
                return made
            time.sleep(LOOK_S)

    def remove(self, resource: str, version: str, *, what: str) -> None:
        """DELETE a resource and wait until it is gone; one that is not there is."""
        with asking(what):
            answer = self._send("DELETE", resource, version, None)
            where = answer.headers.get("Azure-AsyncOperation") or answer.headers.get("Location")
            if answer.status_code == 202 and where:
                self._followed(where, what)

    def act(
        self, resource: str, action: str, version: str, body: dict[str, Any] | None = None, *, what: str, follow: bool = True
    ) -> dict[str, Any]:
        """POST an action; `follow` waits for its end where it takes a while."""
        with asking(what):
            answer = self._send("POST", f"{resource}/{action}", version, body)
            where = answer.headers.get("Azure-AsyncOperation") or answer.headers.get("Location")
            if follow and answer.status_code == 202 and where:
                return self._followed(where, what)
            return dict(answer.json()) if answer.content else {}

    def _send(self, method: str, path: str, version: str, body: dict[str, Any] | None) -> Any:
        from azure.core.rest import HttpRequest

        address = path if path.startswith("https://") else f"{HOST}{path}?api-version={version}"
        answer = self.client.send_request(HttpRequest(method, address, json=body))
        answer.raise_for_status()
        return answer

    def _followed(self, where: str, what: str, within_s: float = OPERATION_S) -> dict[str, Any]:
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            answer = self._send("GET", where, "", None)
            state = dict(answer.json()) if answer.content else {}
            status = state.get("status", "Succeeded" if answer.status_code == 200 else "InProgress")
            if status == "Succeeded":
                return state
            if status in ("Failed", "Canceled"):
                why = f"It says {causes(state.get('error') or {})}."
                raise TargetError(f"Azure failed while {what}.", why=why, do=help_for(f"{what} {why}") or AGAIN)
            time.sleep(pause(answer))
        raise TargetError(f"Azure did not finish while {what}.", why=f"It had {within_s:g} s.", do="Run the same command again.")


def pause(answer: Any) -> float:
    """How long the service wants us to wait before the next question, in seconds; 5 where it does not say."""
    exact = answer.headers.get("x-ms-retry-after-ms") or answer.headers.get("retry-after-ms")
    if exact and exact.isdigit():
        return int(exact) / 1000
    coarse = answer.headers.get("Retry-After", "")
    return min(float(coarse), 60.0) if coarse.isdigit() else 5.0
