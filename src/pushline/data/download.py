"""Getting one file over HTTP: resumed where it broke off, verified before anybody reads it."""

import socket
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from msgspec import Struct

from pushline.errors import DataCorrupt, DataUnavailable, SettingsError
from pushline.files import cannot_write, sha256_of

if TYPE_CHECKING:
    import requests

CONNECT_S = 3.0  # all addresses of a host together: a machine without a network is told so at once
READ_S = 20.0  # without a byte
ATTEMPTS = 5
REDIRECTS = 5
PIECE = 1 << 14  # what a broken connection costs at most

Tell = Callable[[str], None]


class Terms(Struct, frozen=True, kw_only=True):
    """What a source may be. A lock that a stranger's pull request changed gets the narrow ones."""

    this_machine: bool = True  # http on loopback is allowed too
    inside: bool = True  # addresses that only this machine or its network reaches
    max_bytes: int | None = None


TRUSTED = Terms()
UNTRUSTED = Terms(this_machine=False, inside=False, max_bytes=2 << 30)


def download(url: str, sha256: str, folder: Path, name: str, tell: Tell, terms: Terms = TRUSTED) -> Path:
    """Get `url` into `folder` as `name` and verify it.

    What is there of an earlier, interrupted attempt is kept and continued. Raises DataUnavailable where the address does
    not give the file, DataCorrupt where it gives other bytes; those are kept aside under `refused/`.
    """
    part = folder / f"{sha256[:16]}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        continued = part.is_file() and part.stat().st_size > 0
        receive_all(url, part, tell, terms)
        found = sha256_of(part)
        if found != sha256 and continued:  # the earlier piece may be of another file
            part.unlink()
            receive_all(url, part, tell, terms)
            found = sha256_of(part)
        if found != sha256:
            raise refused(url, part, folder / "refused" / f"{found[:16]}-{name}", sha256, found)
        return part.replace(folder / name)
    except OSError as error:
        raise cannot_write(part, error) from error


def refused(url: str, part: Path, aside: Path, expected: str, found: str) -> DataCorrupt:
    aside.parent.mkdir(parents=True, exist_ok=True)
    part.replace(aside)
    return DataCorrupt(
        f"{url} gave other bytes than data.lock pins.",
        why=f"Their sha256 is {found}, not {expected}. They were kept aside as {aside}.",
        do="If the source has moved on, look at the file and add it with `pushline data add FILE`.",
    )


def receive_all(url: str, part: Path, tell: Tell, terms: Terms) -> None:
    """Append to `part` until the server has said it all, reconnecting where the connection breaks."""
    import requests

    problem = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            tell(f"the connection broke ({problem}); continuing at {size_of(part):,} bytes")
            time.sleep(min(0.2 * 2**attempt, 3))
        try:
            receive(url, part, tell, terms)
        except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
            problem = type(error).__name__
        except requests.exceptions.RequestException as error:
            raise DataUnavailable(f"{url} can't be asked.", why=f"{error}.") from error
        else:
            return
    raise DataUnavailable(f"{url} did not give the whole file.", why=f"The connection broke {ATTEMPTS} times, last with {problem}.")


def receive(url: str, part: Path, tell: Tell, terms: Terms) -> None:
    """Ask once for what is missing of `part`, and append what comes."""
    have = size_of(part)
    answer = ask(url, terms, {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})})
    with answer:
        if answer.status_code == 416 and answer.headers.get("Content-Range", "") == f"bytes */{have}":
            return
        resumed = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if answer.status_code == 416 or (answer.status_code == 206 and not resumed):
            part.unlink()  # the server has another file, or another idea of a piece: start over
            receive(url, part, tell, terms)
            return
        if answer.status_code not in (200, 206):
            raise DataUnavailable(f"{url} does not give the file.", why=f"It answered {answer.status_code} {answer.reason}.")
        have = have if resumed else 0
        length = answer.headers.get("Content-Length", "")
        bar = Bar(have + int(length) if length.isdigit() else 0, tell)
        with part.open("ab" if resumed else "wb") as stream:
            for piece in answer.iter_content(PIECE):
                have += len(piece)
                if terms.max_bytes is not None and have > terms.max_bytes:
                    raise DataUnavailable(f"{url} is not downloaded.", why=f"It holds more than {terms.max_bytes:,} bytes.")
                stream.write(piece)
                bar.show(have)


def size_of(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def ask(url: str, terms: Terms, headers: dict[str, str]) -> "requests.Response":
    """The answer of `url` with its body unread; every address on the way is held to the rule of `permit`."""
    import requests

    with requests.Session() as session:
        for _ in range(REDIRECTS):
            permit(url, terms)
            reach(session, url)
            answer = session.get(url, headers=headers, stream=True, allow_redirects=False, timeout=(CONNECT_S, READ_S))
            if not answer.is_redirect:
                return answer
            answer.close()
            url = urljoin(url, answer.headers["Location"])
    raise DataUnavailable(f"{url} can't be reached.", why=f"It is behind more than {REDIRECTS} redirects.")


def permit(url: str, terms: Terms) -> None:
    """Raises SettingsError for an address that is neither https nor on this machine, or that the terms leave out."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    rule = "Data travels over https, or http on this machine alone." if terms.this_machine else "Only https sources are taken here."
    if parts.scheme != "https" and not (terms.this_machine and parts.scheme == "http" and is_loopback(host)):
        raise SettingsError(f"{url} is not a source to download from.", why=rule, do="Correct data.lock.")
    if not terms.inside and (inner := inside_address(host, parts.port or 443)):
        why = f"{host} is {inner}, an address that only this network reaches."
        raise SettingsError(f"{url} is not a source to download from.", why=why, do="Correct data.lock.")


def inside_address(host: str, port: int) -> str:
    """An address of the host that is not a public one; empty where all are, or none is known."""
    try:
        addresses = [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except OSError:
        return ""  # what can't be resolved can't be reached either
    return next((address for address in addresses if not ip_address(address.split("%")[0]).is_global), "")


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def reach(session: "requests.Session", url: str) -> None:
    """Raises DataUnavailable within CONNECT_S seconds where the host, or the proxy before it, can't be reached.

    A resolver without a network may think for a minute, and a host has several addresses that are tried one after the
    other: the library's time limit covers neither, so a thread that may be left behind does the trying.
    """
    import requests

    proxy = requests.utils.select_proxy(url, session.merge_environment_settings(url, {}, None, None, None)["proxies"])
    parts = urlsplit(proxy or url)
    where = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    outcome: list[str] = []

    def try_it() -> None:
        try:
            socket.create_connection(where, timeout=CONNECT_S).close()
            outcome.append("")
        except OSError as error:
            outcome.append(error.strerror or str(error))

    thread = threading.Thread(target=try_it, daemon=True)
    thread.start()
    thread.join(CONNECT_S)
    why = outcome[0] if outcome else f"no answer within {CONNECT_S:g} s"
    if why:
        raise DataUnavailable(f"{parts.hostname} can't be reached.", why=f"{why[:1].upper()}{why[1:]}.")


class Bar:
    """Says how far a download is, in tenths, so that it reads well on a terminal and in a log."""

    def __init__(self, total: int, tell: Tell) -> None:
        self.total = total
        self.tell = tell
        self.said = -1
        self.started = time.monotonic()

    def show(self, have: int) -> None:
        tenths = have * 10 // self.total if self.total else have // (10 << 20)
        if tenths <= self.said:
            return
        self.said = tenths
        speed = have / 1e6 / max(time.monotonic() - self.started, 1e-3)
        if self.total:
            self.tell(f"[{'#' * tenths}{'.' * (10 - tenths)}] {have / 1e6:.1f} of {self.total / 1e6:.1f} MB, {speed:.1f} MB/s")
        else:
            self.tell(f"{have / 1e6:.1f} MB, {speed:.1f} MB/s")
