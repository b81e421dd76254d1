"""Entra ID and GitHub's OIDC endpoint: who may ask for what, and for how long a token is good.

Sources: learn.microsoft.com, "OAuth 2.0 client credentials flow on the Microsoft identity platform" (its third case is a federated
assertion) and "Workload identity federation"; docs.github.com, "OpenID Connect reference".
"""

import base64
import dataclasses
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from fake.wire import Refusal, Request, Response, route

if TYPE_CHECKING:
    from fake.world import World

LOGIN = "login.microsoftonline.com"
GITHUB = "pipelines.actions.githubusercontent.com"


@dataclass(frozen=True)
class Application:
    """An app registration: the one federated subject it trusts, and its secret where it has one."""

    client_id: str
    name: str
    subject: str = ""
    secret: str = ""


@dataclass
class Directory:
    """Issues and checks tokens. `lifetime` is that of the next token, in seconds."""

    tenant: str
    signing_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    lifetime: float = 3600.0
    assertion_lifetime: float = 300.0
    applications: dict[str, Application] = field(default_factory=dict)
    runner_token: str = field(default_factory=lambda: "runner-" + secrets.token_urlsafe(24))
    subject: str = ""  # of the next assertion, instead of the job's own
    revoked_before: float = 0.0
    issued: list[str] = field(default_factory=list)
    assertions: list[str] = field(default_factory=list)

    def sign(self, claims: dict[str, Any]) -> str:
        head = _b64(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        body = _b64(json.dumps(claims).encode())
        mac = _b64(hmac.new(self.signing_key, f"{head}.{body}".encode(), hashlib.sha256).digest())
        return f"{head}.{body}.{mac}"

    def read(self, token: str) -> dict[str, Any]:
        """The claims of a token that is ours; ValueError otherwise."""
        head, body, mac = token.split(".")
        if not hmac.compare_digest(mac, _b64(hmac.new(self.signing_key, f"{head}.{body}".encode(), hashlib.sha256).digest())):
            raise ValueError("not signed by this directory")
        return dict(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))

    def issue(self, application: Application, audience: str) -> str:
        now = time.time()
        claims = {
            "iss": f"https://sts.windows.net/{self.tenant}/",
            "aud": audience,
            "appid": application.client_id,
            "oid": application.client_id,
            "tid": self.tenant,
            "iat": now,
            "nbf": now,
            "exp": now + self.lifetime,
            "jti": secrets.token_hex(8),
        }
        token = self.sign(claims)
        self.issued.append(token)
        return token

    def admit(self, request: Request) -> Request:
        """The request with its caller's client id; a Refusal where its token is missing, foreign, old or for another audience."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        challenge = {"WWW-Authenticate": f'Bearer authorization="https://{LOGIN}/{self.tenant}", resource="https://vault.azure.net"'}
        if kind.lower() != "bearer":
            raise Refusal(401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.", challenge)
        try:
            claims = self.read(token)
        except ValueError as error:
            raise Refusal(401, "InvalidAuthenticationToken", "The access token is invalid.", challenge) from error
        if claims["exp"] < time.time():
            raise Refusal(401, "ExpiredAuthenticationToken", "The access token expiry is earlier than the current time.", challenge)
        if claims["iat"] < self.revoked_before:
            raise Refusal(401, "InvalidAuthenticationToken", "The access token has been revoked.", challenge)
        if claims["aud"] not in audiences_of(request.host):
            raise Refusal(
                401, "InvalidAuthenticationTokenAudience", f"The access token is for {claims['aud']}, not for {request.host}.", challenge
            )
        return dataclasses.replace(request, identity=claims["appid"])


def audiences_of(host: str) -> set[str]:
    """The token audiences a host takes."""
    if host == "management.azure.com":
        return {"https://management.azure.com", "https://management.core.windows.net", "https://management.core.windows.net/"}
    if host.endswith(".api.azureml.ms") or host.endswith(".inference.ml.azure.com"):
        return {"https://management.azure.com", "https://ml.azure.com", "https://management.core.windows.net"}
    if host.endswith(".vault.azure.net"):
        return {"https://vault.azure.net"}
    if host.endswith(".core.windows.net"):
        return {"https://storage.azure.com", "https://storage.azure.com/"}
    if host == "api.loganalytics.io":
        return {"https://api.loganalytics.io"}
    if host.endswith(".azurecr.io"):
        return {"https://containerregistry.azure.net", "https://management.azure.com"}
    return set()


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _no(code: str, number: str, message: str) -> Response:
    return Response(
        400 if code != "invalid_client" else 401, {"error": code, "error_description": f"{number}: {message}", "error_codes": []}
    )


@route("GET", GITHUB, "/{job}/token", token=False)
def oidc(world: "World", request: Request, job: str) -> Response:
    """An id-token of a job; the job is named by the identity whose environment it runs in."""
    directory = world.directory
    if request.headers.get("authorization", "").partition(" ")[2] != directory.runner_token:
        raise Refusal(401, "Unauthorized", "The runner's token is wrong.")
    now = time.time()
    assertion = directory.sign(
        {
            "iss": "https://token.actions.githubusercontent.com",
            "aud": request.query.get("audience", ""),
            "sub": directory.subject or directory.applications[job].subject,
            "iat": now,
            "exp": now + directory.assertion_lifetime,
            "jti": secrets.token_hex(8),
        }
    )
    directory.assertions.append(assertion)
    return Response(200, {"count": 1, "value": assertion})


@route("GET", LOGIN, "/{tenant}/v2.0/.well-known/openid-configuration", token=False)
def discovery(world: "World", request: Request, tenant: str) -> Response:
    here = f"https://{LOGIN}/{tenant}"
    return Response(
        200,
        {
            "token_endpoint": f"{here}/oauth2/v2.0/token",
            "authorization_endpoint": f"{here}/oauth2/v2.0/authorize",
            "issuer": f"{here}/v2.0",
            "device_authorization_endpoint": f"{here}/oauth2/v2.0/devicecode",
        },
    )


@route("GET", LOGIN, "/common/discovery/instance", token=False)
def instance(world: "World", request: Request) -> Response:
    aliases = [LOGIN, "login.windows.net", "sts.windows.net"]
    metadata = [{"preferred_network": LOGIN, "preferred_cache": "login.windows.net", "aliases": aliases}]
    return Response(
        200,
        {
            "tenant_discovery_endpoint": f"https://{LOGIN}/{world.directory.tenant}/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": metadata,
        },
    )


@route("POST", LOGIN, "/{tenant}/oauth2/v2.0/token", token=False)
def token(world: "World", request: Request, tenant: str) -> Response:
    directory = world.directory
    form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    if tenant != directory.tenant:
        return _no("invalid_request", "AADSTS90002", f"Tenant '{tenant}' not found.")
    application = directory.applications.get(form.get("client_id", ""))
    if application is None:
        return _no("unauthorized_client", "AADSTS700016", f"Application with identifier '{form.get('client_id')}' was not found.")
    if "client_assertion" in form:
        refused = _assertion_refused(directory, application, form["client_assertion"])
        if refused:
            return refused
    elif not application.secret or not hmac.compare_digest(form.get("client_secret", ""), application.secret):
        return _no("invalid_client", "AADSTS7000215", "Invalid client secret provided.")
    audience = form.get("scope", "").split()[0].removesuffix("/.default")
    return Response(
        200,
        {
            "token_type": "Bearer",
            "expires_in": int(directory.lifetime),
            "ext_expires_in": int(directory.lifetime),
            "access_token": directory.issue(application, audience),
        },
    )


def _assertion_refused(directory: Directory, application: Application, assertion: str) -> Response | None:
    try:
        claims = directory.read(assertion)
    except ValueError:
        return _no("invalid_client", "AADSTS50027", "JWT token is invalid or malformed.")
    if claims["exp"] < time.time():
        return _no("invalid_client", "AADSTS700024", "Client assertion is not within its valid time range.")
    if claims["aud"] != "api://AzureADTokenExchange":
        return _no("invalid_request", "AADSTS700212", "No matching federated identity record found for presented assertion audience.")
    if claims["sub"] != application.subject:
        return _no(
            "invalid_request",
            "AADSTS700213",
            f"No matching federated identity record found for presented assertion subject '{claims['sub']}'.",
        )
    return None
