"""Reading ahead: a worker thread fetches what comes next while the network is busy with what is here."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")

_STOP_POLL_SECONDS = 0.1


class Prefetched(Generic[Item]):
    """`source`, read on a thread of its own, at most `depth` items ahead. Iterate once; `close` ends the thread.

    An error of the source is raised where its next item would have come.
    """

    def __init__(self, source: Iterable[Item], depth: int) -> None:
        self._source = source
        self._queue: queue.Queue[tuple[Item] | BaseException | None] = queue.Queue(depth)
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mediafm-prefetch", daemon=True)

    def __iter__(self) -> Iterator[Item]:
        self._thread.start()
        try:
            while (found := self._queue.get()) is not None:
                if isinstance(found, BaseException):
                    raise found
                yield found[0]
        finally:
            self.close()

    def close(self) -> None:
        """Ends the worker and waits for it; its source is closed on its own thread."""
        self._is_closed.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def _work(self) -> None:
        source = iter(self._source)
        try:
            for item in source:
                if not self._put((item,)):
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - handed to the reader, which raises it
            self._put(error)
        finally:
            if (close := getattr(source, "close", None)) is not None:
                close()

    def _put(self, found: tuple[Item] | BaseException | None) -> bool:
        """Waits for room; False if nobody reads any more."""
        while not self._is_closed.is_set():
            try:
                self._queue.put(found, timeout=_STOP_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False
