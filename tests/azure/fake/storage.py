"""Blob storage: azurite behind the account's host name, with tokens of the loopback directory turned into SAS.

Sources: learn.microsoft.com, "Use the Azurite emulator for local Azure Storage development" and "Create a user delegation SAS".
"""

import contextlib
import fcntl
import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fake.proxy import end_with_us, free_port
from fake.wire import Refusal, Request, Response, route
from fake.world import STORAGE

if TYPE_CHECKING:
    from fake.world import World

HERE = Path(__file__).resolve().parent.parent
HOST = f"{STORAGE}.blob.core.windows.net"
DROPPED = {"authorization", "content-length", "transfer-encoding", "connection", "expect"}


def azurite() -> Path | None:
    """The emulator's script, installed on first use where npm is there; None where it can't be had."""
    script = HERE / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    said = os.environ.get("LOOPBACK_AZURITE")
    if said and Path(said).is_file():
        return Path(said)
    if shutil.which("npm") and shutil.which("node"):
        with (HERE / "package.json").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two workers that install at once undo each other's work
            if not script.is_file():
                subprocess.run(
                    ["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=HERE, check=False, timeout=280, capture_output=True
                )
    return script if script.is_file() and shutil.which("node") else None


class Blobs:
    """One azurite, in memory, with the account and key of the estate."""

    def __init__(self, script: Path, key: str) -> None:
        self.port = free_port()
        self.key = key
        self.process = subprocess.Popen(
            ["node", str(script), "--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--inMemoryPersistence", "--skipApiVersionCheck",
             "--disableTelemetry", "--silent"],
            env={**os.environ, "AZURITE_ACCOUNTS": f"{STORAGE}:{key}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=end_with_us,  # noqa: PLW1509 - started before any thread of ours
        )  # fmt: skip

    def wait(self, seconds: float = 120) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError("azurite ended at once") from None
                time.sleep(0.1)
        raise TimeoutError("azurite does not answer")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def ask(self, request: Request) -> Response:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {name: value for name, value in request.headers.items() if name not in DROPPED}
        connection.request(request.method, request.target, body=request.body, headers={**headers, "host": HOST})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return Response(answer.status, content, dict(answer.getheaders()))


def sas(world: "World", *, hours: float = 1) -> str:
    """A SAS for everything in the account, as the service would give for one container."""
    from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

    permissions = AccountSasPermissions(read=True, write=True, delete=True, list=True, add=True, create=True)
    kinds = ResourceTypes(service=True, container=True, object=True)
    return generate_account_sas(STORAGE, world.services["blobs"].key, kinds, permissions, datetime.now(UTC) + timedelta(hours=hours))


@route("ANY", HOST, "/{rest...}", token=False)
def blob(world: "World", request: Request, rest: str) -> Response:
    """Pass on to azurite; a bearer token is checked here, and becomes a SAS."""
    if request.headers.get("authorization", "").lower().startswith("bearer "):
        request = world.directory.admit(request)
        joined = "&" if "?" in request.target else "?"
        request = Request(
            request.method, request.host, request.target + joined + sas(world), request.headers, request.body, request.identity
        )
    return Response(*_of(world.services["blobs"].ask(request)))


def _of(response: Response) -> tuple[int, Any, dict[str, str]]:
    return response.status, response.content, response.headers


def client(world: "World") -> Any:
    """A client of the account for the fake's own hands, straight to azurite."""
    from azure.storage.blob import BlobServiceClient

    return BlobServiceClient(f"http://127.0.0.1:{world.services['blobs'].port}/{STORAGE}", credential=world.services["blobs"].key)


def make_container(world: "World", name: str) -> None:
    from azure.core.exceptions import ResourceExistsError

    with contextlib.suppress(ResourceExistsError):
        client(world).create_container(name)


def fetch(world: "World", container: str, prefix: str, to: Path) -> Path:
    """Bring a blob, or all blobs below a prefix, to a local path; returns the file or folder."""
    box = client(world).get_container_client(container)
    names = [each.name for each in box.list_blobs(name_starts_with=prefix)]
    names = [name for name in names if not prefix or name == prefix or name.startswith(prefix.rstrip("/") + "/")]
    if not names:
        raise Refusal(404, "BlobNotFound", f"Nothing lies at {container}/{prefix}.")
    if names == [prefix]:
        file = to / Path(prefix).name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(box.download_blob(prefix).readall())
        return file
    for name in names:
        file = to / name.removeprefix(prefix).lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(box.download_blob(name).readall())
    return to


def keep(world: "World", container: str, prefix: str, folder: Path) -> None:
    """Put a folder's files (or one file) below a prefix."""
    box = client(world).get_container_client(container)
    if folder.is_file():
        box.upload_blob(prefix, folder.read_bytes(), overwrite=True)
        return
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            box.upload_blob(f"{prefix}/{file.relative_to(folder)}", file.read_bytes(), overwrite=True)


def put_text(world: "World", container: str, name: str, text: str) -> None:
    client(world).get_container_client(container).upload_blob(name, text.encode(), overwrite=True)


def state_of(content: bytes) -> Any:
    return json.loads(content)
