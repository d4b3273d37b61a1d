"""A media file that is not on this machine: its bytes are asked for by ranges, from whoever may reach it.

The process that decodes untrusted bytes holds no credentials and needs no network: its parent fetches what it wants.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeAlias

Ask = Callable[[int, int], bytes]
"""(start, length) -> exactly these bytes of the file, or an error."""


class RemoteFile(io.RawIOBase):
    """Reads like a file. Each user opens a cursor of its own with `again`.

    Args:
        name: its file name; FFmpeg looks at the ending.
        size_bytes: of the whole file.
        ask: gives its bytes; safe for threads.
    """

    def __init__(self, name: str, size_bytes: int, ask: Ask) -> None:
        super().__init__()
        self.name, self.size_bytes = name, size_bytes
        self._ask = ask
        self._position = 0

    def again(self) -> RemoteFile:
        """The same file from its beginning, with a cursor of its own."""
        return RemoteFile(self.name, self.size_bytes, self._ask)

    def read(self, size: int = -1) -> bytes:
        left = max(0, self.size_bytes - self._position)
        length = left if size < 0 else min(size, left)
        if not length:
            return b""
        data = self._ask(self._position, length)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size_bytes}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


MediaSource: TypeAlias = str | RemoteFile
"""The path of a file of this machine, or one that is elsewhere."""
