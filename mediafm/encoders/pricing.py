"""What an encoder that is paid for can say before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a set of texts would cost.

    num_texts: all that were given.
    num_unique: pieces to be sent, blank texts and repetitions left out.
    num_cached: those of them that are known already.
    num_tokens: of the others.
    cost_usd: their price; None if the settings name none.
    counting: what the tokens are counted by.
    """

    num_texts: int
    num_unique: int
    num_cached: int
    num_tokens: int
    cost_usd: float | None
    counting: str


@runtime_checkable
class Priced(Protocol):
    """A text encoder that costs money."""

    def estimate(self, texts: Iterable[str]) -> Estimate:
        """What `texts` would cost; nothing is sent. Read once, in bounded memory but for a key a text."""
