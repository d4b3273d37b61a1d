"""Pieces are batched across items; an item's vector is pooled from its own pieces alone, in bounded memory."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.encoders import pieces
from mediafm.encoders.encoder import EncoderSpec, ShotAudio, Usage
from mediafm.encoders.pieces import Piece, PieceEncoder, PieceVectors
from mediafm.errors import EncoderError
from mediafm.types import Modality

CAPACITY = 4


class Words(PieceEncoder[str]):
    """A text's words are its pieces, by length; a word's vector is [its length, its first letter's code]."""

    def __init__(self) -> None:
        self.spec = EncoderSpec(name="words", modality=Modality.TEXT, width=2, step_version=1)
        self.batches: list[tuple[Hashable, int]] = []

    def _pieces(self, item: str) -> Iterator[Piece]:
        for word in item.split():
            yield Piece(len(word), word, weight=len(word))

    def _encode_pieces(self, bucket: Hashable, contents: Sequence[Any]) -> PieceVectors:
        self.batches.append((bucket, len(contents)))
        assert {len(word) for word in contents} == {bucket}
        vectors = np.array([[len(word), ord(word[0])] for word in contents], np.float32)
        return PieceVectors(vectors, [Usage(num_tokens=len(word), num_bought=1) for word in contents])

    def _capacity(self, bucket: Hashable) -> int:
        return CAPACITY


def expected(text: str) -> list[float]:
    words = text.split()
    total = sum(map(len, words))
    return [sum(len(w) ** 2 for w in words) / total, sum(len(w) * ord(w[0]) for w in words) / total]


texts = st.lists(st.lists(st.sampled_from(["a", "b", "cc", "ddd", "eeee"]), min_size=1, max_size=9).map(" ".join))


@given(texts)
def test_every_item_leaves_once_with_the_mean_of_its_own_pieces(items: list[str]) -> None:
    found = {each.key: each for each in Words().encode_stream(enumerate(items))}
    assert sorted(found) == list(range(len(items)))
    for place, text in enumerate(items):
        np.testing.assert_allclose(found[place].vector, expected(text), rtol=1e-6)
        assert found[place].usage == Usage(num_tokens=len("".join(text.split())), num_bought=len(text.split()))


def test_a_batch_and_one_at_a_time_agree() -> None:
    items = ["a bb", "ccc a a a a", "bb", "dddd bb a"]
    np.testing.assert_array_equal(Words().encode(items), np.concatenate([Words().encode([item]) for item in items]))


def test_batches_cross_items_and_are_full() -> None:
    encoder = Words()
    encoder.encode(["a a", "b", "a b b", "cc"])
    assert encoder.batches == [(1, CAPACITY), (1, 2), (2, 1)]


def test_an_item_leaves_as_soon_as_its_last_piece_is_encoded() -> None:
    read: list[int] = []

    def items() -> Iterator[tuple[int, str]]:
        for place in range(100):
            read.append(place)
            yield place, "a"

    stream = Words().encode_stream(items())
    next(stream)
    assert len(read) == CAPACITY


def test_a_rare_bucket_is_not_held_back_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MAX_WAIT_ITEMS", 8)
    items = ((place, "rare" if place == 0 else "a") for place in range(100))
    order = [each.key for each in Words().encode_stream(items)]
    assert sorted(order) == list(range(100))
    assert order.index(0) < 20


def test_an_item_without_pieces_is_refused() -> None:
    with pytest.raises(EncoderError, match="an item falls into at least one piece"):
        Words().encode(["  "])


def test_vectors_that_break_the_promise_are_refused() -> None:
    class Broken(Words):
        def _encode_pieces(self, bucket: Hashable, contents: Sequence[Any]) -> PieceVectors:
            return PieceVectors(np.full((len(contents), 2), np.nan, np.float32))

    with pytest.raises(EncoderError, match="row 0 is not finite"):
        Broken().encode(["a"])


def test_sound_has_no_margins_unless_given() -> None:
    sound = ShotAudio(np.ones(3, np.float32), 16_000)
    assert sound.before.size == sound.after.size == 0
