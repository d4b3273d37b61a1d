"""A process that ends with its parent, however the parent ends: a killed launcher leaves no ranks behind."""

from __future__ import annotations

import os
import sys
import threading
import time

POLL_SECONDS = 0.5
EXIT_CODE = 3


def end_with_parent() -> None:
    """From now on this process ends within `POLL_SECONDS` of its parent, at once and without clearing up.

    What is written appears whole or not at all, so nothing needs to be cleared up. A parent's death shows in the
    number of the process that adopts its children: that works without the parent's help, also after SIGKILL.
    """
    parent = os.getppid()
    threading.Thread(target=_watch, args=(parent,), name="lifeline", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    sys.stderr.write(f"process {os.getpid()} ends: its parent {parent} is gone\n")
    sys.stderr.flush()
    os._exit(EXIT_CODE)
