"""Encoders that cut an item into pieces: frames of a shot, chunks of sound, parts of a long text.

Pieces of one bucket (same length, same size) are batched together, whichever shot or title they are of, and an item's
vector is pooled from its own pieces alone. Our choice: the published descriptions speak of one shot at a time.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from mediafm.encoders.encoder import NOTHING_BOUGHT, Encoded, Encoder, Input, Key, Usage
from mediafm.errors import EncoderError

MAX_WAIT_ITEMS = 512
"""After so many further items a bucket is run although it is not full: a rare length holds no title back for long."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an item that the network reads in one go.

    bucket: pieces of one bucket may stand in one batch.
    content: what `_encode_pieces` gets.
    weight: how much it counts in the item's mean; positive.
    """

    bucket: Hashable
    content: Any
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class PieceVectors:
    """The vectors of a batch of pieces, float32 [n, width], and what each cost (nothing unless told)."""

    vectors: NDArray[np.float32]
    usages: Sequence[Usage] = ()


@dataclass(slots=True)
class _OpenItem(Generic[Key]):
    """An item some of whose pieces still wait. Vectors stay in the pieces' order: sums do not depend on batches.

    number: how many items of the stream came before it.
    is_cut: all its pieces are known.
    """

    key: Key
    number: int
    weights: list[float] = field(default_factory=list)
    vectors: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    usage: Usage = NOTHING_BOUGHT
    is_cut: bool = False

    @property
    def is_complete(self) -> bool:
        return self.is_cut and len(self.vectors) == len(self.weights)


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Key]):
    """A piece that waits for its batch to fill."""

    item: _OpenItem[Key]
    place: int
    content: Any


class PieceEncoder(Encoder[Input]):
    """An encoder that says how an item falls into pieces, and encodes batches of pieces."""

    @abstractmethod
    def _pieces(self, item: Input) -> Iterable[Piece]:
        """The item's pieces, at least one."""

    @abstractmethod
    def _encode_pieces(self, bucket: Hashable, contents: Sequence[Any]) -> PieceVectors:
        """Vectors of pieces of one bucket; each row from its own piece alone."""

    @abstractmethod
    def _capacity(self, bucket: Hashable) -> int:
        """How many pieces of a bucket go into one batch."""

    def _pooled(self, vectors: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float32]:
        """An item's vector [width] of its pieces' [n, width] and weights [n]: the weighted mean unless overridden."""
        mean = np.einsum("nw,n->w", vectors.astype(np.float64), weights) / weights.sum()
        return np.asarray(mean, np.float32)

    def _encode(self, batch: Sequence[Input]) -> NDArray[np.float32]:
        vectors = np.empty((len(batch), self.spec.width), np.float32)
        for encoded in self.encode_stream(enumerate(batch)):
            vectors[encoded.key] = encoded.vector
        return vectors

    def encode_stream(self, items: Iterable[tuple[Key, Input]]) -> Iterator[Encoded[Key]]:
        """As `Encoder.encode_stream`; an item leaves when its last piece is encoded."""
        buckets: OrderedDict[Hashable, list[_Waiting[Key]]] = OrderedDict()
        for number, (key, item) in enumerate(items):
            yield from self._cut(key, item, number, buckets)
            while buckets and number - next(iter(buckets.values()))[0].item.number >= MAX_WAIT_ITEMS:
                yield from self._run(*buckets.popitem(last=False))
        while buckets:
            yield from self._run(*buckets.popitem(last=False))

    def _cut(
        self, key: Key, item: Input, number: int, buckets: OrderedDict[Hashable, list[_Waiting[Key]]]
    ) -> Iterator[Encoded[Key]]:
        """Puts an item's pieces into their buckets and runs those that are full."""
        open_item = _OpenItem(key, number)
        for piece in self._pieces(item):
            waiting = buckets.setdefault(piece.bucket, [])
            waiting.append(_Waiting(open_item, len(open_item.weights), piece.content))
            open_item.weights.append(piece.weight)
            if len(waiting) >= self._capacity(piece.bucket):
                del buckets[piece.bucket]
                yield from self._run(piece.bucket, waiting)
        if not open_item.weights:
            raise EncoderError("no pieces", rule="an item falls into at least one piece", where=self.spec.name)
        open_item.is_cut = True
        if open_item.is_complete:
            yield self._closed(open_item)

    def _run(self, bucket: Hashable, waiting: Sequence[_Waiting[Key]]) -> Iterator[Encoded[Key]]:
        """Encodes a batch of pieces; items whose last piece it was leave."""
        found = self._encode_pieces(bucket, [piece.content for piece in waiting])
        vectors = self._checked(found.vectors, len(waiting))
        for row, piece in enumerate(waiting):
            piece.item.vectors[piece.place] = vectors[row]
            if found.usages:
                piece.item.usage += found.usages[row]
        left = {id(piece.item): piece.item for piece in waiting if piece.item.is_complete}
        for open_item in left.values():
            yield self._closed(open_item)

    def _closed(self, item: _OpenItem[Key]) -> Encoded[Key]:
        vectors = np.stack([item.vectors[place] for place in range(len(item.weights))])
        pooled = self._pooled(vectors, np.asarray(item.weights, np.float64))
        return Encoded(item.key, self._checked(pooled[None], 1)[0], item.usage)
