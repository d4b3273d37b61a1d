"""The child's end of the talk: its answers, and the bytes of a file that only its parent can reach."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from mediafm.media.remote import MediaSource, RemoteFile
from mediafm.media.sandbox import BYTES, WANTS, read_message, write_message
from mediafm.types import Json


class Talk:
    """Sends whole messages, whichever thread has something to say. Ends the process when the parent is gone."""

    def __init__(self, source: BinaryIO, answers: BinaryIO) -> None:
        self._source, self._answers = source, answers
        self._writing, self._asking = threading.Lock(), threading.Lock()
        self._requests: queue.Queue[Mapping[str, Any]] = queue.Queue()
        self._bytes: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def next_request(self) -> Mapping[str, Any]:
        """Waits for the next one."""
        return self._requests.get()

    def send(self, header: Mapping[str, Json], blobs: Sequence[bytes | memoryview] = ()) -> None:
        """One message. Raises `BrokenPipeError`."""
        with self._writing:
            write_message(self._answers, header, blobs)

    def ask(self, start: int, length: int) -> bytes:
        """Bytes of the file of the present request. Where they cannot be had, the parent ends this process."""
        with self._asking:
            self.send({WANTS: [start, length]})
            return self._bytes.get()

    def source(self, request: Mapping[str, Any]) -> MediaSource:
        """The media that a request speaks of: a path, or a file that the parent reads for us."""
        path = request["path"]
        return path if isinstance(path, str) else RemoteFile(path["name"], path["size_bytes"], self.ask)

    def _listen(self) -> None:
        """Takes requests in. The end of the pipe is the end of the parent, whatever we are doing: leave at once."""

        def read(num_bytes: int) -> bytes:
            data = self._source.read(num_bytes)
            if len(data) < num_bytes:
                os._exit(0)
            return data

        while True:
            message = read_message(read)
            if BYTES in message.header:
                self._bytes.put(message.blobs[0])
            else:
                self._requests.put(message.header)
