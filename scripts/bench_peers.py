"""The same scorer behind two well-kept servers, for `bench_serving.py`: raw ASGI for uvicorn, RSGI for Granian.

They score and answer, and do nothing else: no keys, limits, request ids, metrics or log.
"""

import os
from pathlib import Path
from typing import Any

import msgspec

from pushline.serving.scorer import Scorer

scorer = Scorer(Path(os.environ["BENCH_MODEL"]), max_rows=1000)
encode = msgspec.json.Encoder().encode
JSON = [(b"content-type", b"application/json")]


def answer(body: bytes) -> bytes:
    return encode({**scorer.fields(scorer.score(body)), **scorer.constants})


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body, more = b"", scope["method"] == "POST"
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    content = answer(body) if body else b"{}"
    await send({"type": "http.response.start", "status": 200, "headers": [*JSON, (b"content-length", b"%d" % len(content))]})
    await send({"type": "http.response.body", "body": content})


async def rsgi(scope: Any, protocol: Any) -> None:
    body = await protocol() if scope.method == "POST" else b""
    protocol.response_bytes(200, [("content-type", "application/json")], answer(body) if body else b"{}")
