"""What a tree of processes costs: processor seconds and memory of each, watched from outside. Linux only."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

POLL_SECONDS = 0.2
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(kw_only=True)
class Process:
    """One process while it lived.

    command: its arguments, blank between them.
    parent: its parent's process id when it was first seen.
    cpu_seconds: its own, user and system, as last seen.
    peak_bytes: the most that it had in memory at once (VmHWM).
    """

    command: str
    parent: int
    cpu_seconds: float = 0.0
    peak_bytes: int = 0


@dataclass
class ProcessTree:
    """Every process that was seen below one, itself included, by process id and start."""

    top: int
    seen: dict[tuple[int, int], Process] = field(default_factory=dict)

    def look(self) -> None:
        """Takes down what each process of the tree has used so far."""
        stats = _all_stats()
        living = {self.top}
        while below := {pid for pid, stat in stats.items() if stat.parent in living and pid not in living}:
            living |= below
        for pid in living & set(stats):
            stat = stats[pid]
            key = (pid, stat.started)
            if key not in self.seen:
                self.seen[key] = Process(command="", parent=stat.parent)
            process = self.seen[key]
            process.command = _command(pid) or process.command
            process.cpu_seconds = max(process.cpu_seconds, stat.cpu_seconds)
            process.peak_bytes = max(process.peak_bytes, _peak_bytes(pid))

    def cpu_seconds(self) -> float:
        """Of all processes of the tree together."""
        return sum(process.cpu_seconds for process in self.seen.values())

    def below(self, mark: str) -> list[Process]:
        """The processes whose command holds `mark`, and everything that they started."""
        chosen = {pid for (pid, _), process in self.seen.items() if mark in process.command}
        while more := {pid for (pid, _), one in self.seen.items() if one.parent in chosen and pid not in chosen}:
            chosen |= more
        return [process for (pid, _), process in self.seen.items() if pid in chosen]


@contextmanager
def watched_processes(top: int) -> Iterator[ProcessTree]:
    """Looks at the tree below process `top` every little while, from a thread. What a process used between the last
    look and its end is lost."""
    tree = ProcessTree(top)
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(POLL_SECONDS):
            tree.look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield tree
    finally:
        is_over.set()
        thread.join()


@dataclass(frozen=True)
class _Stat:
    parent: int
    started: int
    cpu_seconds: float


def _all_stats() -> dict[int, _Stat]:
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has just ended
            used = (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND
            found[int(folder.name)] = _Stat(int(fields[1]), int(fields[19]), used)
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _peak_bytes(pid: int) -> int:
    """0 of a process that has ended and was not waited for."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
