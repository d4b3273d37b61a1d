"""A stream of texts: cut into pieces, looked up, bought in full requests several at a time, and put together again."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from mediafm.encoders.encoder import NOTHING_BOUGHT, Encoded, Key, Usage
from mediafm.encoders.openai_batches import Batches, KnownVectors, Wanted
from mediafm.encoders.openai_buyer import Bought, Buyer
from mediafm.errors import EncoderError, MediaFMError

ITEMS_PER_LOOK_UP = 256
"""Items that are read before the cache is asked for all of their texts at once."""
FROM_CACHE = Usage(num_cached=1)

Element = TypeVar("Element")


@dataclass(slots=True)
class _OpenItem(Generic[Key]):
    """An item some of whose pieces are still to come. An item without pieces is blank: its vector is zeros."""

    key: Key
    weights: list[int]
    vectors: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    usage: Usage = NOTHING_BOUGHT


@dataclass(frozen=True, slots=True)
class _Piece(Generic[Key]):
    """A place in an item, and the text that belongs there."""

    item: _OpenItem[Key]
    place: int
    wanted: Wanted


class TextStream(Generic[Key]):
    """One pass over a stream of texts.

    Args:
        pieces: the pieces of a text as they are sent; none of a blank one.
        known: vectors that need not be bought.
        buyer: gives what buys the others; asked for only if there is something to buy.
        batches: gathers them into requests.
        concurrency: requests under way at once.
        max_waiting: pieces that may wait for requests to fill or to be answered before anything more is read: bounds
            how many titles are held open where little is to be bought.
        width: numbers per vector.
    """

    def __init__(
        self,
        *,
        pieces: Callable[[str], list[Wanted]],
        known: KnownVectors,
        buyer: Callable[[], Buyer],
        batches: Batches,
        concurrency: int,
        max_waiting: int,
        width: int,
    ) -> None:
        self._pieces = pieces
        self._known = known
        self._buyer = buyer
        self._batches = batches
        self._concurrency = concurrency
        self._max_waiting = max_waiting
        self._width = width
        self._waiting: dict[str, list[_Piece[Key]]] = {}
        self._num_waiting = 0
        self._under_way: dict[Future[Bought], list[Wanted]] = {}
        self._done: deque[Encoded[Key]] = deque()
        self._stop = threading.Event()

    def run(self, items: Iterable[tuple[Key, str]]) -> Iterator[Encoded[Key]]:
        """Vectors of all items. Whatever was bought before an error is handed out before it is raised.

        Raises:
            EncoderError, TransientError: a request was given up, or the budget is reached.
        """
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="openai-text") as pool:
            try:
                for block in blocks(items, ITEMS_PER_LOOK_UP):
                    yield from self._brought_by(partial(self._take, block, pool))
                    yield from self._brought_by(partial(self._collect, timeout_seconds=0))
                yield from self._brought_by(lambda: self._send(self._batches.rest(), pool))
                while self._under_way:
                    yield from self._brought_by(self._collect)
            finally:
                self._stop.set()

    def _brought_by(self, step: Callable[[], None]) -> Iterator[Encoded[Key]]:
        """What is complete after a step."""
        try:
            step()
        except MediaFMError:
            self._salvage()
            yield from self._handed_out()
            raise
        yield from self._handed_out()

    def _handed_out(self) -> Iterator[Encoded[Key]]:
        while self._done:
            yield self._done.popleft()

    def _take(self, block: Sequence[tuple[Key, str]], pool: ThreadPoolExecutor) -> None:
        """Looks a block of items up; what is neither known nor under way is gathered to be bought."""
        asked = [piece for key, text in block for piece in self._cut(key, text)]
        unclear = {piece.wanted.key for piece in asked} - self._waiting.keys()
        known = self._known.get(list(unclear))
        missing = []
        for piece in asked:
            if piece.wanted.key in known:
                self._fill(piece, known[piece.wanted.key], FROM_CACHE)
                continue
            pieces = self._waiting.setdefault(piece.wanted.key, [])
            if not pieces:
                missing.append(piece.wanted)
            pieces.append(piece)
            self._num_waiting += 1
        for wanted in missing:
            self._send(self._batches.add(wanted), pool)
        if self._num_waiting > self._max_waiting:
            self._send(self._batches.rest(), pool)
            while self._num_waiting > self._max_waiting:
                self._collect()

    def _cut(self, key: Key, text: str) -> list[_Piece[Key]]:
        pieces = self._pieces(text)
        item = _OpenItem(key, [wanted.weight for wanted in pieces])
        if not pieces:
            self._done.append(Encoded(key, np.zeros(self._width, np.float32)))
        return [_Piece(item, place, wanted) for place, wanted in enumerate(pieces)]

    def _send(self, batch: list[Wanted], pool: ThreadPoolExecutor) -> None:
        """Buys a batch as soon as fewer than `concurrency` requests are under way."""
        if not batch:
            return
        while len(self._under_way) >= self._concurrency:
            self._collect()
        reservation = self._reserve(batch)
        self._under_way[pool.submit(self._buyer().buy, batch, reservation, self._stop)] = batch

    def _reserve(self, batch: list[Wanted]) -> int | None:
        """Requests under way usually cost less than was set aside for them: a refusal counts when they are settled."""
        while True:
            try:
                return self._buyer().reserve(batch)
            except EncoderError:
                if not self._under_way:
                    raise
            self._collect()

    def _collect(self, timeout_seconds: float | None = None) -> None:
        """Takes in the requests that are finished; waits for one unless told how long."""
        finished, _ = wait(self._under_way, timeout_seconds, FIRST_COMPLETED)
        for future in finished:
            self._take_in(self._under_way.pop(future), future.result())

    def _take_in(self, batch: Sequence[Wanted], bought: Bought) -> None:
        """Gives each piece its vector; of equal texts the first bears the cost."""
        for wanted, vector, usage in zip(batch, bought.vectors, bought.usages, strict=True):
            pieces = self._waiting.pop(wanted.key)
            self._num_waiting -= len(pieces)
            for number, piece in enumerate(pieces):
                self._fill(piece, vector, usage if number == 0 else FROM_CACHE)

    def _fill(self, piece: _Piece[Key], vector: NDArray[np.float32], usage: Usage) -> None:
        item = piece.item
        item.vectors[piece.place] = vector
        item.usage += usage
        if len(item.vectors) == len(item.weights):
            ordered = np.stack([item.vectors[place] for place in range(len(item.weights))])
            self._done.append(Encoded(item.key, joined(ordered, item.weights), item.usage))

    def _salvage(self) -> None:
        """After an error: ends the pauses and takes in what the other requests still bring; their errors add nothing
        to the one that is raised."""
        self._stop.set()
        for future, batch in self._under_way.items():
            if future.exception() is None:
                self._take_in(batch, future.result())
        self._under_way.clear()


def joined(vectors: NDArray[np.float32], weights: Sequence[int]) -> NDArray[np.float32]:
    """An item's vector [width] of its pieces' [pieces, width]: the only one as it is, else the weighted mean, normed.

    Our choice, as the provider's own examples do it for texts that are too long.
    """
    if len(vectors) == 1:
        return np.asarray(vectors[0], np.float32)
    mean = np.average(vectors.astype(np.float64), axis=0, weights=weights)
    norm = np.linalg.norm(mean)
    return np.asarray(mean / norm if norm else mean, np.float32)


def blocks(elements: Iterable[Element], size: int) -> Iterator[list[Element]]:
    """`elements` in lists of `size`; the last may be shorter."""
    rest = iter(elements)
    while block := list(islice(rest, size)):
        yield block
