"""The pages beside the scores: the API document and Swagger UI, which asks nothing of any other host."""

import gzip
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files

import msgspec
from msgspec import Struct

HTML = b"text/html; charset=utf-8"
# Scripts and styles come from this service alone; Swagger UI sets style attributes and draws its icons from data addresses.
POLICY = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"  # noqa: E501


class Page(Struct, frozen=True, kw_only=True):
    """A page that is the same for everyone."""

    type: bytes
    content: bytes = b""
    packed: bytes | None = None
    etag: str
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()

    def plain(self) -> bytes:
        return unpacked(self.packed) if self.packed is not None else self.content

    def for_client(self, accepts: bytes) -> tuple[bytes, list[tuple[str, str]]]:
        """The content and its headers for a client with this `accept-encoding`."""
        headers = [*self.headers, ("etag", self.etag)]
        if self.packed is not None and takes_gzip(accepts):
            return self.packed, [*headers, ("content-encoding", "gzip")]
        return self.plain(), headers


def takes_gzip(accepts: bytes) -> bool:
    """Whether an `accept-encoding` names gzip, and not with a weight of 0."""
    for coding in accepts.replace(b" ", b"").lower().split(b","):
        name, _, weight = coding.partition(b";q=")
        if name == b"gzip" and (not weight or weight.strip(b"0.")):
            return True
    return False


def pages_of(openapi: bytes) -> dict[bytes, Page]:
    """Every page by its path."""
    title = msgspec.json.decode(openapi)["info"]["title"]
    packed = {"cache-control": "public, max-age=86400", "vary": "accept-encoding"}
    document = page(b"application/json", openapi, {"cache-control": "no-cache"})
    html = asset("docs.html").replace(b"TITLE", escape(title, quote=False).encode())
    return {
        b"/": Page(type=HTML, etag='"start"', status=302, headers=(("location", "docs"),)),
        b"/openapi.json": document,
        b"/swagger.json": document,
        b"/docs": page(HTML, html, {"cache-control": "no-cache", "content-security-policy": POLICY, "referrer-policy": "no-referrer"}),
        b"/docs/start.js": page(b"text/javascript; charset=utf-8", asset("start.js"), {"cache-control": "no-cache"}),
        b"/docs/page.css": page(b"text/css; charset=utf-8", asset("page.css"), {"cache-control": "no-cache"}),
        b"/docs/swagger-ui-bundle.js": vendored("swagger-ui-bundle.js.gz", b"text/javascript; charset=utf-8", packed),
        b"/docs/swagger-ui.css": vendored("swagger-ui.css.gz", b"text/css; charset=utf-8", packed),
    }


def page(kind: bytes, content: bytes, headers: dict[str, str]) -> Page:
    return Page(type=kind, content=content, etag=etag_of(content), headers=tuple(headers.items()))


@cache
def unpacked(content: bytes) -> bytes:
    """Unpacked once: at each request it would cost everyone milliseconds."""
    return gzip.decompress(content)


@cache
def asset(name: str) -> bytes:
    return files("pushline.serving").joinpath("static", name).read_bytes()


def vendored(name: str, kind: bytes, headers: dict[str, str]) -> Page:
    content = asset(name)
    return Page(type=kind, packed=content, etag=etag_of(content), headers=tuple(headers.items()))


def etag_of(content: bytes) -> str:
    return f'"{sha256(content).hexdigest()[:16]}"'
