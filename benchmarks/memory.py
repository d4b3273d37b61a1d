"""How much memory a piece of work takes: what is anonymous. Pages of mapped files are the kernel's to take back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.002


@dataclass
class Memory:
    """before_bytes: at the beginning. peak_bytes: the most since."""

    before_bytes: int
    peak_bytes: int

    @property
    def taken_bytes(self) -> int:
        return self.peak_bytes - self.before_bytes


@contextmanager
def watched_memory() -> Iterator[Memory]:
    """Watches this process's anonymous memory, from a thread. Linux only."""
    found = Memory(anonymous_bytes(), anonymous_bytes())
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(POLL_SECONDS):
            found.peak_bytes = max(found.peak_bytes, anonymous_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        is_over.set()
        thread.join()


def anonymous_bytes() -> int:
    """What this process holds in memory that no file backs."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024
