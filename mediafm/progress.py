"""How long work tells that it goes on. The library reports; who runs it decides what is shown."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told of long work, piece by piece. The CLI draws a bar, Dagster gets log lines, a notebook may ignore it."""

    def begin(self, what: str, total: int) -> None:
        """`total` pieces of `what` are about to be done; 0 if their number is unknown."""

    def advance(self, note: str = "") -> None:
        """One more piece is done."""

    def end(self) -> None:
        """The work that `begin` announced is over, well or not."""


class Silent:
    """Shows nothing."""

    def begin(self, what: str, total: int) -> None:
        """Nothing to show."""

    def advance(self, note: str = "") -> None:
        """Nothing to show."""

    def end(self) -> None:
        """Nothing to show."""
