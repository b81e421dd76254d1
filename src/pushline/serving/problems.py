"""RFC 9457 problem documents: the one shape of every refusal."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

TYPE = "application/problem+json"
ERRORS_AT_MOST = 50  # of one request: enough to correct a file, too few to make a small request cost a large answer

TITLES: dict[str, tuple[int, str]] = {
    "bad-request": (400, "The request is not valid HTTP"),
    "malformed-json": (400, "The body is not JSON"),
    "invalid-query": (400, "The query of the address can't be used"),
    "no-key": (401, "A key is required"),
    "wrong-key": (401, "The key is not valid"),
    "not-found": (404, "There is nothing at this address"),
    "method-not-allowed": (405, "The method is not allowed here"),
    "timeout": (408, "The request took too long to arrive"),
    "no-explanation": (409, "This release does not explain its answers"),
    "body-too-large": (413, "The body is too large"),
    "too-many-rows": (413, "The request holds too many rows"),
    "address-too-long": (414, "The address is too long"),
    "unsupported-media-type": (415, "The body is not declared as JSON"),
    "unmet-expectation": (417, "The expectation can't be met"),
    "invalid-rows": (422, "The rows do not match the contract"),
    "headers-too-large": (431, "The header section is too large"),
    "internal": (500, "The service failed"),
    "overloaded": (503, "The service is busy"),
}
# Refusals that only the service of published pipelines has.
PIPELINE_TITLES: dict[str, tuple[int, str]] = {
    "invalid-inputs": (422, "The inputs do not match the pipeline"),
    "retired": (409, "The version can't be started"),
}

# What a refusal that needs no model says where nothing else is said; `limits` are the settings of the service.
EXAMPLES = {
    "bad-request": "The header host is missing.",
    "no-key": "Send a key in the header Authorization: Bearer KEY.",
    "wrong-key": "The key of the Authorization header is not one of this endpoint's.",
    "timeout": "A request must arrive within {limits.timeout:g} seconds.",
    "body-too-large": "A body may have {limits.max_bytes} bytes. Send several requests.",
    "address-too-long": "An address may have 4096 bytes.",
    "unsupported-media-type": "Send JSON with the header content-type: application/json.",
    "unmet-expectation": "Only 100-continue can be expected.",
    "headers-too-large": "The header section may have 16384 bytes.",
    "overloaded": "All connections are in use.",
}

# The same of refusals that only the scoring service has.
SCORING_EXAMPLES = {
    "invalid-query": "explain is a number of features, such as explain=3.",
    "no-explanation": (
        "Its owner switches explanations on with `explain = true` in [tool.pushline.serving]; a model that was trained before there were "
        "any has to be trained again."
    ),
}


class RowError(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong with one value of one row."""

    row: int | None = None  # position in `data`, from 0
    column: str | None = None
    message: str


class Problem(Exception):
    """A refusal: what the client is told, as a problem document."""

    def __init__(
        self,
        kind: str,
        detail: str = "",
        *,
        errors: Sequence[RowError] = (),
        headers: Sequence[tuple[str, str]] = (),
        close: bool = False,
    ) -> None:
        detail = detail or (EXAMPLES | SCORING_EXAMPLES)[kind]
        super().__init__(detail)
        self.kind = kind
        self.status, self.title = (TITLES | PIPELINE_TITLES)[kind]
        self.detail = detail
        self.errors = errors
        self.headers = headers
        self.close = close  # the connection can't be used any further

    def document(self, request_id: str) -> bytes:
        """The JSON of the answer. It never holds a key, nor a value of the request beyond the quoted ones."""
        content: dict[str, Any] = {
            "type": f"urn:pushline:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
        }
        if self.errors:
            content["errors"] = self.errors[:ERRORS_AT_MOST]
        return msgspec.json.encode(content)


def quoted(value: Any) -> str:
    """A value of the request as JSON in ASCII, cut to a length that can be read."""
    import json

    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
