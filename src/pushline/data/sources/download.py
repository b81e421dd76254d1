"""Getting one file over HTTP: resumed where it broke off, verified before anybody reads it."""

import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit, urlunsplit

from msgspec import Struct

from pushline.errors import DataCorrupt, DataUnavailable, SettingsError
from pushline.files import cannot_write, sha256_of
from pushline.progress import Progress

if TYPE_CHECKING:
    import requests

CONNECT_S = 3.0  # all addresses of a host together: a machine without a network is told so at once
READ_S = 20.0  # without a byte
ATTEMPTS = 5
REDIRECTS = 5
PIECE = 1 << 14  # what a broken connection costs at most


class Terms(Struct, frozen=True, kw_only=True):
    """What a source may be. A lock that a stranger's pull request changed gets the narrow ones."""

    this_machine: bool = True  # http on loopback is allowed too
    inside: bool = True  # addresses that only this machine or its network reaches
    max_bytes: int | None = None


TRUSTED = Terms()
UNTRUSTED = Terms(this_machine=False, inside=False, max_bytes=2 << 30)


def download(url: str, sha256: str, folder: Path, name: str, progress: Progress, terms: Terms = TRUSTED) -> Path:
    """Get `url` into `folder` as `name` and verify it.

    What is there of an earlier, interrupted attempt is kept and continued. Raises DataUnavailable where the address does
    not give the file, DataCorrupt where it gives other bytes; those are kept aside under `refused/`.
    """
    part = folder / f"{sha256[:16]}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        continued = part.is_file() and part.stat().st_size > 0
        receive_all(url, part, progress, terms)
        found = sha256_of(part)
        if found != sha256 and continued:  # the earlier piece may be of another file
            part.unlink()
            receive_all(url, part, progress, terms)
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


def receive_all(url: str, part: Path, progress: Progress, terms: Terms) -> None:
    """Append to `part` until the server has said it all, reconnecting where the connection breaks."""
    import requests

    problem = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            progress(f"the connection broke ({problem}); continuing at {size_of(part):,} bytes")
            time.sleep(min(0.2 * 2**attempt, 3))
        try:
            receive(url, part, progress, terms)
        except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
            problem = type(error).__name__
        except requests.exceptions.RequestException as error:
            raise DataUnavailable(f"{url} can't be asked.", why=f"{error}.") from error
        else:
            return
    raise DataUnavailable(f"{url} did not give the whole file.", why=f"The connection broke {ATTEMPTS} times, last with {problem}.")


def receive(url: str, part: Path, progress: Progress, terms: Terms) -> None:
    """Ask once for what is missing of `part`, and append what comes."""
    have = size_of(part)
    answer = ask(url, terms, {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})})
    with answer:
        if answer.status_code == 416 and answer.headers.get("Content-Range", "") == f"bytes */{have}":
            return
        resumed = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if answer.status_code == 416 or (answer.status_code == 206 and not resumed):
            part.unlink()  # the server has another file, or another idea of a piece: start over
            receive(url, part, progress, terms)
            return
        if answer.status_code not in (200, 206):
            raise DataUnavailable(f"{url} does not give the file.", why=f"It answered {answer.status_code} {answer.reason}.")
        have = have if resumed else 0
        length = answer.headers.get("Content-Length", "")
        bar = Bar(have + int(length) if length.isdigit() else 0, progress)
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
    """The answer of `url` with its body unread; every address on the way is held to the terms.

    A name is resolved once: the request goes to the very address that was judged, whatever the name's server says next.
    """
    import requests

    with requests.Session() as session:
        for _ in range(REDIRECTS):
            permit(url, terms)
            address = reach(session, url, terms)
            parts = urlsplit(url)
            there, direct = url, {}
            if address and parts.scheme == "https":
                there, direct = at_address(session, url, address), {"no_proxy": address}
            known = {**headers, "Host": parts.netloc.rpartition("@")[2]}
            answer = session.get(there, headers=known, proxies=direct, stream=True, allow_redirects=False, timeout=(CONNECT_S, READ_S))
            if not answer.is_redirect:
                return answer
            answer.close()
            url = urljoin(url, answer.headers["Location"])
    raise DataUnavailable(f"{url} can't be reached.", why=f"It is behind more than {REDIRECTS} redirects.")


def at_address(session: "requests.Session", url: str, address: str) -> str:
    """`url` with the address in the place of its host, whose certificate the session asks for all the same."""
    from requests.adapters import HTTPAdapter

    parts = urlsplit(url)
    where = f"[{address}]" if ":" in address else address
    adapter = HTTPAdapter()
    adapter.init_poolmanager(1, 1, server_hostname=parts.hostname, assert_hostname=parts.hostname)
    session.mount("https://", adapter)
    return urlunsplit(parts._replace(netloc=f"{where}:{parts.port}" if parts.port else where))


def permit(url: str, terms: Terms) -> None:
    """Raises SettingsError for an address that is neither https nor on this machine, or that the terms leave out."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    rule = "Data travels over https, or http on this machine alone." if terms.this_machine else "Only https sources are taken here."
    if parts.scheme != "https" and not (terms.this_machine and parts.scheme == "http" and is_loopback(host)):
        raise SettingsError(f"{url} is not a source to download from.", why=rule, do="Correct data.lock.")
    if not terms.inside and (is_loopback(host) or (is_address(host) and is_inside(host))):
        raise inside(url, host)


def inside(url: str, address: str) -> SettingsError:
    return SettingsError(
        f"{url} is not a source to download from.",
        why=f"Its host is {address}, an address that only this network reaches.",
        do="Correct data.lock.",
    )


def addresses_of(host: str, port: int) -> list[str]:
    """What a name stands for now. Raises OSError where nothing is known."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def is_inside(address: str) -> bool:
    """Whether only this machine or its network reaches an address."""
    return not ip_address(address.split("%")[0]).is_global


def is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def reach(session: "requests.Session", url: str, terms: Terms) -> str:
    """An address of the host that answers and that the terms allow; empty where a proxy stands before it.

    Raises SettingsError where the terms leave out any of its addresses, DataUnavailable where within CONNECT_S seconds none, or
    not the proxy, can be reached. A resolver without a network may think for a minute, and a host has several addresses that are
    tried one after the other: the library's time limit covers neither, so a thread that may be left behind does the trying.
    """
    import requests

    proxy = requests.utils.select_proxy(url, session.merge_environment_settings(url, {}, None, None, None)["proxies"])
    asked, parts = urlsplit(url), urlsplit(proxy or url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    inner: list[str] = []
    outcome: list[tuple[str, str]] = []  # an address, or why there is none

    def try_it() -> None:
        try:
            addresses = judged = addresses_of(host, port)
            if proxy:
                judged = []
                with suppress(OSError):  # a name that only the proxy can resolve
                    judged = addresses_of(asked.hostname or "", asked.port or 443)
            inner.extend(address for address in judged if not terms.inside and is_inside(address))
            outcome.append(first_that_answers(() if inner else addresses, port))
        except OSError as error:
            outcome.append(("", error.strerror or str(error)))

    thread = threading.Thread(target=try_it, daemon=True)
    thread.start()
    thread.join(CONNECT_S)
    if inner:
        raise inside(url, inner[0])
    address, why = outcome[0] if outcome else ("", f"no answer within {CONNECT_S:g} s")
    if why:
        raise DataUnavailable(f"{parts.hostname} can't be reached.", why=f"{why[:1].upper()}{why[1:]}.")
    return "" if proxy else address


def first_that_answers(addresses: Iterable[str], port: int) -> tuple[str, str]:
    """The first address that takes a connection, or why the last one did not."""
    why = "it has no address"
    for address in addresses:
        try:
            socket.create_connection((address, port), timeout=CONNECT_S).close()
        except OSError as error:
            why = error.strerror or str(error)
        else:
            return address, ""
    return "", why


class Bar:
    """Says how far a download is, in tenths, so that it reads well on a terminal and in a log."""

    def __init__(self, total: int, progress: Progress) -> None:
        self.total = total
        self.progress = progress
        self.said = -1
        self.started = time.monotonic()

    def show(self, have: int) -> None:
        tenths = have * 10 // self.total if self.total else have // (10 << 20)
        if tenths <= self.said:
            return
        self.said = tenths
        speed = have / 1e6 / max(time.monotonic() - self.started, 1e-3)
        if self.total:
            self.progress(f"[{'#' * tenths}{'.' * (10 - tenths)}] {have / 1e6:.1f} of {self.total / 1e6:.1f} MB, {speed:.1f} MB/s")
        else:
            self.progress(f"{have / 1e6:.1f} MB, {speed:.1f} MB/s")
