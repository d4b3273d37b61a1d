"""Parent side of a child process that reads untrusted bytes: bounded memory, a deadline, no zombies.

The child is a Python module run by this interpreter. Both sides speak messages over two pipes of their own: a JSON
header and raw blobs, never pickle. The child's standard streams lead nowhere, so whatever a C library prints cannot
disturb the talk, and its environment holds no secret of ours.

Only the time that we spend waiting for the child counts against the deadline, and no progress resets it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import mediafm
from mediafm.errors import InterruptedMediaError, MediaFMError
from mediafm.types import Json

MAX_HEADER_BYTES = 64 * 1024**2
MAX_BLOB_BYTES = 1024**3
"""A child that was taken over may claim anything: beyond these it is killed."""
_LENGTH = struct.Struct("<I")
_BLOBS = "blob_lengths"
WANTS = "wants"
BYTES = "is_bytes"
Serve = Callable[[int, int], bytes]
"""(start, length) -> exactly these bytes of the file that is read."""
MAX_WAIT_SECONDS = 14 * 24 * 3600.0
"""For one answer, whatever the deadline: the system's wait takes no more than 2**31 ms."""
_CLOSING_SECONDS = 5.0
_KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the protocol: a JSON object, and raw bytes beside it."""

    header: Mapping[str, Any]
    blobs: tuple[bytes, ...] = ()


class ByteSource(Protocol):
    """Gives exactly the bytes asked for, or raises."""

    def __call__(self, num_bytes: int) -> bytes: ...


def write_message(pipe: BinaryIO, header: Mapping[str, Json], blobs: Sequence[bytes | memoryview] = ()) -> None:
    """Writes one message and flushes it."""
    encoded = json.dumps({**header, _BLOBS: [len(blob) for blob in blobs]}).encode()
    pipe.write(_LENGTH.pack(len(encoded)) + encoded)
    for blob in blobs:
        pipe.write(blob)
    pipe.flush()


def read_message(read: ByteSource) -> Message:
    """Reads one message.

    Raises:
        InterruptedMediaError: it is beyond the bounds or not JSON.
    """
    (length,) = _LENGTH.unpack(read(_LENGTH.size))
    _check_bound(length, MAX_HEADER_BYTES)
    try:
        header = json.loads(read(length))
        lengths = [int(blob_length) for blob_length in header.pop(_BLOBS)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InterruptedMediaError(f"a broken message ({error})", rule="messages are JSON with blobs") from error
    for blob_length in lengths:
        _check_bound(blob_length, MAX_BLOB_BYTES)
    return Message(header, tuple(read(blob_length) for blob_length in lengths))


def _check_bound(num_bytes: int, max_bytes: int) -> None:
    if not 0 <= num_bytes <= max_bytes:
        raise InterruptedMediaError(f"a message of {num_bytes} bytes", rule=f"a message has at most {max_bytes}")


@dataclass(slots=True, eq=False)
class _Talk:
    """One request and its answers; the child stays usable after it only if it came to its end."""

    is_finished: bool = False


class Sandbox:
    """One child process, started at the first request and again after each death.

    Args:
        module: the child's module; it is run as `python -m module memory_bytes`.
        memory_bytes: address space that the child may take beyond what it holds at its start.
    """

    def __init__(self, module: str, memory_bytes: int) -> None:
        self._module = module
        self._memory_bytes = memory_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: BinaryIO | None = None
        self._answers = -1
        self._talk: _Talk | None = None

    def request(self, header: Mapping[str, Json], seconds: float, serve: Serve | None = None) -> Iterator[Message]:
        """Sends one request and yields the child's answers until it says that it is done.

        An answer `{"wants": [start, length]}` is not yielded: the child asks for bytes of the file that it reads, and
        gets what `serve` gives.

        The last answer (`{"is_done": true, ...}`) is yielded too. An iterator that is dropped half-way kills the child;
        the next request starts another. So does a request made before the one before it has ended; of that one no more
        can be read.

        Args:
            header: the request.
            seconds: how long we are ready to wait for all answers together.
            serve: gives the bytes that the child wants; it may refuse with an error, which ends the request.

        Raises:
            MediaFMError: the error that the child answered with, as it was; or an error of `serve`.
            InterruptedMediaError: the child died, or the time is over.
        """
        if self._talk is not None:
            self.close()
        talk = self._talk = _Talk()
        try:
            self._start()
            assert self._requests is not None
            reader = _PipeReader(self._answers, seconds)
            try:
                write_message(self._requests, header)
                while not talk.is_finished:
                    answer = self._answer(talk, reader)
                    if WANTS in answer.header:
                        self._serve(answer, serve)
                        continue
                    yield answer
                    self._check_ours(talk)
            except (BrokenPipeError, EOFError) as error:
                raise self._death() from error
        finally:
            if self._talk is talk:
                self._talk = None
                if not talk.is_finished:
                    self.close()

    def _answer(self, talk: _Talk, reader: _PipeReader) -> Message:
        message = read_message(reader)
        if "error" in message.header:
            talk.is_finished = bool(message.header.get("is_alive", True))
            raise MediaFMError.from_dict(dict(message.header["error"]))
        talk.is_finished = bool(message.header.get("is_done", False))
        return message

    def _serve(self, answer: Message, serve: Serve | None) -> None:
        assert self._requests is not None
        start, length = (int(number) for number in answer.header[WANTS])
        if serve is None:
            raise InterruptedMediaError("bytes of a file that was not offered", rule="a child asks for what it reads")
        write_message(self._requests, {BYTES: True}, [serve(start, length)])

    def _check_ours(self, talk: _Talk) -> None:
        if self._talk is not talk and not talk.is_finished:
            raise MediaFMError(
                "a pass that a later request has ended",
                rule="a reader reads one thing at a time",
                remedy="Read the first pass to its end, or use a second reader.",
            )

    def close(self) -> None:
        """Ends the child, whatever it is doing, and waits for it. May be called twice."""
        self._talk = None
        self._end_process()

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        if self._requests is not None:
            try:
                self._requests.close()
            except BrokenPipeError:
                self._requests = None
        os.close(self._answers)
        process.wait(_CLOSING_SECONDS)

    @property
    def pid(self) -> int | None:
        """The child's process id while it lives."""
        return self._process.pid if self._process is not None else None

    def _start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self._end_process()
        child_reads, requests = os.pipe()
        answers, child_writes = os.pipe()
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    self._module,
                    str(self._memory_bytes),
                    str(child_reads),
                    str(child_writes),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(child_reads, child_writes),
                env=_environment(),
            )
        finally:
            os.close(child_reads)
            os.close(child_writes)
        self._requests, self._answers = os.fdopen(requests, "wb"), answers

    def _death(self) -> InterruptedMediaError:
        assert self._process is not None
        try:
            code = self._process.wait(_CLOSING_SECONDS)
        except subprocess.TimeoutExpired:
            code = 0
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return InterruptedMediaError(
            f"the reading process died ({how})", rule="a file is read to its end by a process with bounded memory"
        )


class _PipeReader:
    """Reads exact numbers of bytes from a pipe within one budget of waiting time."""

    def __init__(self, descriptor: int, seconds: float) -> None:
        self._descriptor = descriptor
        self._budget_seconds = seconds
        self._left_seconds = seconds
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN | select.POLLHUP)

    def __call__(self, num_bytes: int) -> bytes:
        data = bytearray()
        while len(data) < num_bytes:
            self._wait()
            chunk = os.read(self._descriptor, min(num_bytes - len(data), 1024**2))
            if not chunk:
                raise EOFError
            data += chunk
        return bytes(data)

    def _wait(self) -> None:
        before = time.monotonic()
        is_ready = self._poll.poll(min(max(0.0, self._left_seconds), MAX_WAIT_SECONDS) * 1000)
        self._left_seconds -= time.monotonic() - before
        if not is_ready:
            raise InterruptedMediaError(
                f"reading took longer than {self._budget_seconds:.0f} s",
                rule="a file is read within a time that grows with its duration",
                remedy="Raise limits.child_seconds_per_media_second if this machine is only slow.",
            )


def _environment() -> dict[str, str]:
    """What the child needs to start; no keys, no tokens."""
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    root = str(Path(mediafm.__file__).resolve().parents[1])
    return {**kept, "PYTHONPATH": root, "PYTHONUNBUFFERED": "1", "MALLOC_ARENA_MAX": "4"}
