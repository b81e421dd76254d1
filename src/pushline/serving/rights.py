"""What each key may do: the one table of it. A route that is not here does not exist."""

from typing import Literal

Holder = Literal["anyone", "scoring", "pipelines"]

PAGES = ("GET /", "GET /docs", "GET /docs/start.js", "GET /docs/page.css", "GET /docs/swagger-ui-bundle.js", "GET /docs/swagger-ui.css",
         "GET /openapi.json", "GET /swagger.json")  # fmt: skip

RIGHTS: dict[Holder, tuple[str, ...]] = {
    "anyone": ("GET /healthz", "GET /readyz", *PAGES),
    # .pushline/keys.json, or Key Vault
    "scoring": ("POST /score", "GET /metrics"),
    # .pushline/pipelines-keys.json
    "pipelines": (
        "GET /pipelines",
        "GET /pipelines/{name}",
        "GET /pipelines/{name}/versions/{version}",
        "POST /pipelines/{name}/runs",
        "GET /runs",
        "GET /runs/{run}",
        "GET /runs/{run}/logs",
        "POST /runs/{run}/cancel",
    ),
}
HOLDER_OF: dict[str, Holder] = {route: holder for holder, routes in RIGHTS.items() for route in routes}


def needs_key(route: str) -> bool:
    """Whether a route, `METHOD /path`, is for holders of a key alone. Raises KeyError for one that nobody may use."""
    return HOLDER_OF[route] != "anyone"
