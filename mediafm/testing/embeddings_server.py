"""A local server that speaks the embeddings API of OpenAI: for tests, and to try `openai-text` without a key.

    python -m mediafm.testing.embeddings_server --port 8080

and in the profile

    [text]
    name = "openai-text"
    settings = {base_url = "http://127.0.0.1:8080/v1", api_key_env = ""}

Its vectors are made up from hashed words: deterministic, of unit length, nearer where texts share words. It keeps the
limits of the real API, counts what it is asked, and does on request everything that goes wrong with the real one.
"""

from __future__ import annotations

import argparse
import base64
import json
import signal
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

LOOPBACK = "127.0.0.1"
PATH = "/v1/embeddings"
FULL_WIDTH = 3072
"""Numbers per vector when a request names no `dimensions`, as of text-embedding-3-large."""
MAX_INPUTS = 2048
MAX_INPUT_TOKENS = 8192
MAX_REQUEST_TOKENS = 300_000
BYTES_PER_TOKEN = 4
OWN_SHARE = 0.1
"""How much of a vector is the text's own rather than its words'."""

Defect = Literal["truncated", "not_json", "wrong_width", "wrong_count", "shuffled", "nan", "no_usage"]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong with one request.

    status: answered instead of vectors, if given.
    code: the error's code in the body ("insufficient_quota").
    headers: of the answer ({"Retry-After": "2"}).
    delay_seconds: before the answer.
    defect: of an answer that holds vectors: the connection is cut half-way, the body is no JSON, vectors are one number
        too long, the last is missing, they come in another order, one holds a NaN, or no usage is told.
    """

    status: int | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    defect: Defect | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """One request: what was asked, never the key.

    num_bytes: size of its body.
    is_authorised: a key was sent.
    header_names: in lower case.
    """

    inputs: tuple[str, ...]
    num_bytes: int
    is_authorised: bool
    header_names: frozenset[str]


def count_tokens(text: str) -> int:
    """The server's own count: a token for every four bytes, rounded up."""
    return -(-len(text.encode("utf-8")) // BYTES_PER_TOKEN)


def made_up_vector(text: str, width: int = FULL_WIDTH) -> NDArray[np.float32]:
    """The vector of a text, float32 [width], of unit length: the sum of its words' vectors and a little of its own.

    As with the real API, a narrower vector is the beginning of the full one, normed.
    """
    words = text.casefold().split()
    total = sum((_direction(f"word {word}") for word in words), np.zeros(FULL_WIDTH))
    norm = np.linalg.norm(total) or 1.0
    mixed = (total / norm + OWN_SHARE * _direction(f"text {text}"))[:width]
    return np.asarray(mixed / np.linalg.norm(mixed), np.float32)


@lru_cache(maxsize=4096)
def _direction(name: str) -> NDArray[np.float64]:
    seed = int.from_bytes(blake2b(name.encode("utf-8"), digest_size=8).digest(), "little")
    drawn = np.random.default_rng(seed).standard_normal(FULL_WIDTH)
    return np.asarray(drawn / np.linalg.norm(drawn))


class EmbeddingsServer:
    """The server, on a loopback port of its own while the context lasts.

    Args:
        port: 0 takes a free one.
        api_key: the only key that is let in; None lets everybody in.

    received: every request, in the order in which they came.
    peak_concurrency: how many requests were under way at once.
    """

    def __init__(self, port: int = 0, api_key: str | None = None) -> None:
        self.api_key = api_key
        self.received: list[Received] = []
        self.peak_concurrency = 0
        self._under_way = 0
        self._faults: deque[Fault] = deque()
        self._standing: Fault | None = None
        self._lock = threading.Lock()
        self._http = _Server((LOOPBACK, port), _Handler, self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://{LOOPBACK}:{self._http.server_address[1]}/v1"

    @property
    def num_requests(self) -> int:
        return len(self.received)

    @property
    def texts(self) -> list[str]:
        """All that was asked for, in order, repetitions included."""
        return [text for request in self.received for text in request.inputs]

    def plan(self, faults: Iterable[Fault | None]) -> None:
        """What befalls the next requests, one each; None lets one pass."""
        self._faults.extend(fault or Fault() for fault in faults)

    def always(self, fault: Fault | None) -> None:
        """What befalls every request that nothing is planned for; None ends it."""
        self._standing = fault

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def begin(self, request: Received) -> Fault:
        """Counts a request; what befalls it."""
        with self._lock:
            self.received.append(request)
            self._under_way += 1
            self.peak_concurrency = max(self.peak_concurrency, self._under_way)
            return self._faults.popleft() if self._faults else self._standing or Fault()

    def end(self) -> None:
        """A request is answered."""
        with self._lock:
            self._under_way -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], owner: EmbeddingsServer):
        super().__init__(address, handler)
        self.owner = owner


class _RefusedError(Exception):
    """A request that the real API would refuse."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


class _Handler(BaseHTTPRequestHandler):
    """One connection. Answers are written whole, with their length, so that a connection serves many requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        owner = self.server.owner
        fault = owner.begin(self._received(body))
        try:
            time.sleep(fault.delay_seconds)
            self._answer(body, fault)
        except _RefusedError as refusal:
            self._send(refusal.status, _error(refusal.message, refusal.code), fault.headers)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            owner.end()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: requests are kept in `received`."""

    def _answer(self, body: bytes, fault: Fault) -> None:
        self._check_key()
        if fault.status is not None:
            raise _RefusedError(fault.status, f"planned: {HTTPStatus(fault.status).phrase}", fault.code)
        if self.path != PATH:
            raise _RefusedError(404, f"Unknown request URL: POST {self.path}", "unknown_url")
        asked = _checked(body)
        answer = json.dumps(_spoiled(_vectors(asked), fault.defect)).encode()
        if fault.defect == "not_json":
            answer = b"<html>gateway</html>"
        self._send(200, answer, fault.headers, is_cut=fault.defect == "truncated")

    def _check_key(self) -> None:
        """As the real API does it, a refused key is told in the answer, here all of it."""
        sent = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.server.owner.api_key is not None and sent != self.server.owner.api_key:
            raise _RefusedError(401, f"Incorrect API key provided: {sent}.", "invalid_api_key")

    def _received(self, body: bytes) -> Received:
        asked = _read_json(body).get("input", ())
        inputs = tuple(map(str, asked)) if isinstance(asked, list) else (str(asked),)
        names = frozenset(name.lower() for name in self.headers)
        return Received(inputs, len(body), "authorization" in names, names)

    def _send(self, status: int, answer: bytes, headers: Mapping[str, str], is_cut: bool = False) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer[: len(answer) // 2] if is_cut else answer)
        self.close_connection = self.close_connection or is_cut


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that keeps the API's limits."""

    model: str
    inputs: tuple[str, ...]
    width: int
    is_base64: bool


def _checked(body: bytes) -> _Asked:
    asked = _read_json(body)
    if not isinstance(asked.get("model"), str) or "input" not in asked:
        raise _RefusedError(400, "We could not parse the JSON body of your request.")
    inputs = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
    _check_inputs(inputs)
    width = asked.get("dimensions", FULL_WIDTH)
    if not isinstance(width, int) or not 1 <= width <= FULL_WIDTH:
        raise _RefusedError(400, f"Invalid value for 'dimensions' = {width}. Must be at most {FULL_WIDTH}.")
    encoding = asked.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise _RefusedError(400, f"Invalid value for 'encoding_format': {encoding!r}.")
    return _Asked(asked["model"], tuple(inputs), width, encoding == "base64")


def _read_json(body: bytes) -> dict[str, Any]:
    """The body's object; an empty one for anything else, which then lacks what it must hold."""
    try:
        asked = json.loads(body)
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _check_inputs(inputs: object) -> None:
    if not isinstance(inputs, list) or not inputs or not all(isinstance(text, str) and text for text in inputs):
        raise _RefusedError(400, "'$.input' is invalid: strings that are not empty are expected.")
    if len(inputs) > MAX_INPUTS:
        raise _RefusedError(400, f"'$.input' is invalid: at most {MAX_INPUTS} items.")
    counts = [count_tokens(text) for text in inputs]
    if max(counts) > MAX_INPUT_TOKENS:
        raise _RefusedError(
            400, f"This model's maximum context length is {MAX_INPUT_TOKENS} tokens, not {max(counts)}."
        )
    if sum(counts) > MAX_REQUEST_TOKENS:
        raise _RefusedError(400, f"Requested {sum(counts)} tokens, max {MAX_REQUEST_TOKENS} tokens per request.")


def _vectors(asked: _Asked) -> dict[str, Any]:
    data = []
    for place, text in enumerate(asked.inputs):
        vector = made_up_vector(text, asked.width)
        data.append({"object": "embedding", "index": place, "embedding": _written(vector, asked.is_base64)})
    num_tokens = sum(map(count_tokens, asked.inputs))
    usage = {"prompt_tokens": num_tokens, "total_tokens": num_tokens}
    return {"object": "list", "data": data, "model": asked.model, "usage": usage}


def _written(vector: NDArray[np.float32], is_base64: bool) -> str | list[float]:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode() if is_base64 else vector.tolist()


def _spoiled(answer: dict[str, Any], defect: Defect | None) -> dict[str, Any]:
    data = answer["data"]
    if defect == "wrong_count":
        del data[-1]
    elif defect == "shuffled":
        data.reverse()
    elif defect == "no_usage":
        del answer["usage"]
    elif defect in ("wrong_width", "nan"):
        is_base64 = isinstance(data[0]["embedding"], str)
        vector = _read(data[0]["embedding"])
        spoiled = np.append(vector, np.float32(0)) if defect == "wrong_width" else np.full_like(vector, np.nan)
        data[0]["embedding"] = _written(spoiled, is_base64)
    return answer


def _read(written: str | list[float]) -> NDArray[np.float32]:
    if isinstance(written, str):
        return np.frombuffer(base64.b64decode(written), "<f4")
    return np.asarray(written, np.float32)


def _error(message: str, code: str | None) -> bytes:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return json.dumps({"error": error}).encode()


def main() -> None:
    """Serves on loopback until it is interrupted."""
    parser = argparse.ArgumentParser(prog="python -m mediafm.testing.embeddings_server", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--port", type=int, default=8080)
    with EmbeddingsServer(parser.parse_args().port) as server:
        try:
            # A shell that starts it in the background has its children ignore Ctrl-C.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            print(f"base_url = {server.base_url}\nCtrl-C ends it.", flush=True)
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"{server.num_requests} requests, {len(server.texts)} texts.", flush=True)


if __name__ == "__main__":
    main()
