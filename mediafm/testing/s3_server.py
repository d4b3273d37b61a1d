"""A bucket service for tests: a real moto server process, and a proxy in front of it that counts, throttles and cuts.

moto comes with the development requirements.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

from mediafm.errors import StoreError

START_SECONDS = 60.0
Fault = Literal["slow_down", "conflict", "cut", "cut_answer"]
"""slow_down, conflict: 503 or 409 instead of an answer. cut: the connection closes before one. cut_answer: it closes
half-way through, after the service has done what was asked."""
_REFUSALS = {
    "slow_down": (503, b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"),
    "conflict": (409, b"<Error><Code>ConditionalRequestConflict</Code><Message>Try again.</Message></Error>"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request that passed the proxy. sent_bytes: of the answer's body, as they left."""

    method: str
    path: str
    sent_bytes: int


@dataclass(kw_only=True)
class S3Proxy:
    """Args of one running proxy, which a test may change at any time.

    endpoint_url: where it listens.
    requests: what it passed on, in order of their answers.
    choose_fault: asked for each request with its number from 1, method and path.
    delay_seconds: before each answer, like the way to a real bucket.
    bytes_per_second: of all answers' bodies, each for itself; None: as fast as it goes.
    """

    endpoint_url: str = ""
    requests: list[Request] = field(default_factory=list)
    choose_fault: Callable[[int, str, str], Fault | None] = lambda number, method, path: None
    delay_seconds: float = 0.0
    bytes_per_second: float | None = None
    num_faults: int = 0
    num_seen: int = 0

    def sent_bytes(self, name: str = "") -> int:
        """Bytes of all answers to requests whose path holds `name`."""
        return sum(request.sent_bytes for request in self.requests if name in request.path)


@contextmanager
def moto_server() -> Iterator[str]:
    """A moto server on a free port of this machine alone, as a process of its own; its endpoint URL.

    Raises:
        StoreError: it did not start.
    """
    port = _free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextmanager
def s3_proxy(upstream: str) -> Iterator[S3Proxy]:
    """A proxy in front of the service at `upstream`.

    Conditional writes pass one at a time: S3 decides them atomically, moto looks first and writes then.
    """
    proxy = S3Proxy()
    guard, settling = threading.Lock(), threading.Lock()
    host, port = upstream.removeprefix("http://").split(":")

    class Handler(_Handler):
        def passed_on(self) -> None:
            with guard:
                proxy.num_seen += 1
                fault = proxy.choose_fault(proxy.num_seen, self.command, self.path)
                proxy.num_faults += fault is not None
            with settling if "If-None-Match" in self.headers else nullcontext():
                self.pass_on(proxy, fault, host, int(port))

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = passed_on

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    proxy.endpoint_url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self, proxy: S3Proxy, fault: Fault | None, host: str, port: int) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0) or 0))
        time.sleep(proxy.delay_seconds)
        if fault in _REFUSALS:
            status, answer = _REFUSALS[fault]
            self._answer(status, {"Content-Type": "application/xml"}, b"" if self.command == "HEAD" else answer)
            return
        if fault == "cut":
            self._cut()
            return
        status, headers, answer = self._asked(host, port, body)
        self._answer(status, headers, answer, proxy, is_cut=fault == "cut_answer")

    def _asked(self, host: str, port: int, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(host, port, timeout=60)
        try:
            connection.request(self.command, self.path, body, dict(self.headers))
            found = connection.getresponse()
            return found.status, dict(found.getheaders()), found.read()
        finally:
            connection.close()

    def _answer(
        self, status: int, headers: dict[str, str], body: bytes, proxy: S3Proxy | None = None, is_cut: bool = False
    ) -> None:
        self.send_response_only(status)
        left_out = {"transfer-encoding", "connection", "content-length"}
        for name, value in headers.items():
            if name.lower() not in left_out:
                self.send_header(name, value)
        length = len(body)
        if self.command == "HEAD":
            length = int(next((value for name, value in headers.items() if name.lower() == "content-length"), 0))
        self.send_header("Content-Length", str(length))
        if is_cut and not body:
            self._cut()
            return
        self.end_headers()
        sent = body[: len(body) // 2] if is_cut else body
        self._write(sent, proxy)
        if proxy is not None:
            proxy.requests.append(Request(method=self.command, path=self.path, sent_bytes=len(sent)))
        if is_cut:
            self._cut()

    def _write(self, body: bytes, proxy: S3Proxy | None) -> None:
        rate = proxy.bytes_per_second if proxy is not None else None
        step = 256 * 1024
        for start in range(0, len(body), step):
            piece = body[start : start + step]
            self.wfile.write(piece)
            if rate is not None:
                time.sleep(len(piece) / rate)

    def _cut(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests read `S3Proxy.requests`."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise StoreError(
        "moto did not start",
        rule=f"a test's server answers within {START_SECONDS:.0f} s",
        remedy="Install moto[server].",
    )
