"""Requests to a service of ours, the way a client makes them."""

import http.client
import ipaddress
import secrets
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

TIMEOUT_S = 10.0
AFTER_A_TIMEOUT_S = 1.0  # a release that hangs is not waited for a dozen times
TIMED_OUT = "timed out"


class Answer(Struct, frozen=True, kw_only=True):
    """What came back. Where nothing did, `status` is 0 and `failure` says why."""

    status: int
    headers: dict[str, str] = {}  # names in lower case
    body: bytes = b""
    failure: str = ""

    @property
    def content(self) -> Any:
        """The body's JSON; None where it is not JSON."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            return None

    def __str__(self) -> str:
        return f"status {self.status}" if self.status else f"no answer ({self.failure})"


class Client:
    """Asks one service. Proxies of the environment are used, except for this machine."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S, marked: str = "") -> None:
        """`marked`: how the ids of its scoring requests begin."""
        self.url = url
        self.marked = marked
        self.timeout_s = timeout_s
        proxies = {} if is_loopback(url) else urllib.request.getproxies()
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), AllAnswers())

    def get(self, path: str, key: str | None = None) -> Answer:
        return self.ask("GET", path, key)

    def score(self, rows: list[Any], key: str | None, *, explain: int = 0) -> Answer:
        """With `explain` so many reasons for each row."""
        return self.ask("POST", f"/score?explain={explain}" if explain else "/score", key, {"data": rows})

    def ask(self, method: str, path: str, key: str | None, content: Any = None) -> Answer:
        """Ask with a key, if any, and a content, if any, as JSON."""
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        if content is None:
            return self.send(method, path, headers)
        marks = {"x-request-id": self.marked + secrets.token_hex(8)} if self.marked else {}
        return self.send(method, path, {"content-type": "application/json", **marks, **headers}, msgspec.json.encode(content))

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        request = urllib.request.Request(self.url + path, data=body, headers=dict(headers), method=method)  # noqa: S310 - http(s) of a service
        try:
            with self.opener.open(request, timeout=self.timeout_s) as got:
                return Answer(status=got.status, headers={n.lower(): v for n, v in got.headers.items()}, body=got.read())
        except (OSError, http.client.HTTPException) as error:
            failure = reason_of(error)
            if failure == TIMED_OUT:
                self.timeout_s = AFTER_A_TIMEOUT_S
            return Answer(status=0, failure=failure)


class AllAnswers(urllib.request.HTTPErrorProcessor):
    """A status from 300 up is an answer like any other."""

    def http_response(self, request: urllib.request.Request, response: Any) -> Any:
        return response

    https_response = http_response


def is_loopback(url: str) -> bool:
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def reason_of(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return TIMED_OUT
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror.lower()
    return str(reason) or type(reason).__name__
