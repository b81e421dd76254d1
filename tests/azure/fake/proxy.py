"""The CONNECT proxy: ends TLS for every host it knows and hands the requests inside to the world."""

import contextlib
import ctypes
import signal
import socket
import socketserver
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from fake.wire import Refusal, Request, Response, dispatch

if TYPE_CHECKING:
    from fake.world import World

HOP_BY_HOP = {"connection", "keep-alive", "proxy-authenticate", "te", "trailers", "transfer-encoding", "upgrade", "content-length"}


class Tunnel(BaseHTTPRequestHandler):
    """One client connection: a CONNECT, then requests of one host over TLS."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Proxy"
    host = ""

    def do_CONNECT(self) -> None:
        host, _, port = self.path.lower().rpartition(":")
        inside = self.server.world.port_of(host, port)
        if inside is not None:
            self.pass_on(inside)
            return
        if not self.server.world.knows(host):
            self.server.world.outside.append(host)
            self.send_error(502, "No such host in the loopback Azure")
            return
        self.send_response(200, "Connection established")
        self.end_headers()
        self.wfile.flush()
        self.connection = self.server.world.authority.context(host).wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb", -1)
        self.wfile = socketserver._SocketWriter(self.connection)  # type: ignore[attr-defined]
        self.host = host
        self.close_connection = False

    def pass_on(self, port: int) -> None:
        """Bytes to and from a container's own port: whoever ends TLS there ends it."""
        try:
            other = socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError:
            self.send_error(502, "Nothing listens there")
            return
        self.send_response(200, "Connection established")
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        with other:
            other.settimeout(None)
            other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=pour, args=(other, self.connection), daemon=True)
            back.start()
            pour(self.connection, other)
            back.join(5)

    def answer(self) -> None:
        world = self.server.world
        request = Request(self.command, self.host, self.path, {name.lower(): value for name, value in self.headers.items()}, self.body())
        started = time.monotonic()
        fault = world.fault_for(request)
        if fault is not None and fault.silent is not None:
            world.record(request, 0, started)
            time.sleep(fault.silent)
            self.close_connection = True
            return
        try:
            response = fault.response() if fault is not None else dispatch(world, request)
        except Refusal as refusal:
            response = refusal.response
        except Exception as error:  # noqa: BLE001 - a fault of the fake itself must be seen, not hang the client
            world.broken.append(f"{request.method} {request.host}{request.target}: {type(error).__name__}: {error}")
            response = Response(500, {"error": {"code": "FakeBroken", "message": f"{type(error).__name__}: {error}"}})
        world.record(request, response.status, started)
        self.reply(request, response)

    def body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reply(self, request: Request, response: Response) -> None:
        payload = response.payload()
        self.send_response_only(response.status)
        headers = {name: value for name, value in response.headers.items() if name.lower() not in HOP_BY_HOP}
        if "content-type" not in {name.lower() for name in headers} and payload and not isinstance(response.content, bytes):
            headers["Content-Type"] = "application/json"
        if request.method == "HEAD" and "content-length" in {name.lower() for name in response.headers}:
            length = next(value for name, value in response.headers.items() if name.lower() == "content-length")
        else:
            length = str(len(payload))
        headers["Content-Length"] = length
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if request.method != "HEAD":
            self.wfile.write(payload)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer  # noqa: N815

    def handle(self) -> None:
        # A client that goes away, or does not trust us, is that client's business.
        with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()
        with contextlib.suppress(OSError):
            self.connection.close()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: what was asked is in the world's record."""


def pour(source: socket.socket, sink: socket.socket) -> None:
    """Copy until the source ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


class Proxy(ThreadingHTTPServer):
    """Listens on a free loopback port; `address` is what HTTPS_PROXY takes."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, world: "World") -> None:
        self.world = world
        super().__init__(("127.0.0.1", 0), Tunnel)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Said in the world's record where it matters; never on a test's output."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join(5)
        self.server_close()


def free_port() -> int:
    """A loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end_with_us() -> None:
    """For a service's start: the kernel ends it when the test run ends, however that does. Only Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
