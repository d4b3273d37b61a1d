"""Buys vectors: sets the money aside, asks, keeps what came, and settles the bill."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mediafm.encoders.encoder import Usage
from mediafm.encoders.host import Purse
from mediafm.encoders.openai_batches import KnownVectors, Wanted, shared_out
from mediafm.encoders.openai_endpoint import Endpoint
from mediafm.encoders.openai_patience import Patience, Refusal

TOKENS_PER_PRICE = 1_000_000


@dataclass(frozen=True, slots=True)
class Bought:
    """Vectors float32 [texts, width] of a request, and what each cost."""

    vectors: NDArray[np.float32]
    usages: list[Usage]


class Buyer:
    """Asks an endpoint for requests' worth of texts; the money is the purse's business. Used by several threads.

    Args:
        usd_per_million_tokens: None if the price is not known: then nothing is counted.
        budget_usd: bound on what the purse has spent in all; None is none.
    """

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        patience: Patience,
        known: KnownVectors,
        purse: Purse,
        usd_per_million_tokens: float | None,
        budget_usd: float | None,
    ) -> None:
        self._endpoint = endpoint
        self._patience = patience
        self._known = known
        self._purse = purse
        self._price = usd_per_million_tokens
        self._budget_usd = budget_usd
        self._lock = threading.Lock()

    def reserve(self, batch: Sequence[Wanted]) -> int | None:
        """Sets aside what `batch` may cost; None if the price is not known.

        Raises:
            EncoderError: the budget would be passed.
        """
        if self._price is None:
            return None
        with self._lock:
            cost = self.cost_usd(sum(wanted.num_tokens for wanted in batch))
            return self._purse.reserve(cost, self._budget_usd)

    def buy(self, batch: Sequence[Wanted], reservation: int | None, stop: threading.Event) -> Bought:
        """Asks for a batch, keeps its vectors, and settles its reservation.

        Raises:
            EncoderError, TransientError: there are no vectors; nothing was spent, unless the endpoint says that it was.
        """
        texts = [wanted.text for wanted in batch]
        num_tokens = 0
        try:
            found = self._patience.answer(lambda: self._endpoint.ask(texts), stop)
            if isinstance(found, Refusal):
                num_tokens = found.num_tokens
                raise found.error
            counts = [wanted.num_tokens for wanted in batch]
            num_tokens = sum(counts) if found.num_tokens is None else found.num_tokens
            self._known.put({wanted.key: vector for wanted, vector in zip(batch, found.vectors, strict=True)})
            shares = shared_out(num_tokens, counts)
            return Bought(found.vectors, [self._usage(share) for share in shares])
        finally:
            if reservation is not None:
                with self._lock:
                    self._purse.settle(reservation, self.cost_usd(num_tokens))

    def cost_usd(self, num_tokens: int) -> float:
        """By the price of the settings; 0.0 if that is not known."""
        return num_tokens * (self._price or 0.0) / TOKENS_PER_PRICE

    def _usage(self, num_tokens: int) -> Usage:
        return Usage(num_tokens=num_tokens, cost_usd=self.cost_usd(num_tokens), num_bought=1)
