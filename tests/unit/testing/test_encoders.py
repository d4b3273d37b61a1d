"""The pack must find what it looks for: one broken encoder for each rule."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from mediafm.encoders.encoder import Encoder, EncoderSpec
from mediafm.errors import EncoderError
from mediafm.testing.encoders import check_encoder
from mediafm.types import Json, Modality

INPUTS = ["a", "bb", "", "dddd"]
_births = itertools.count()


class Lengths(Encoder[str]):
    """A correct encoder: [length, 1]."""

    def __init__(self, **settings: Json) -> None:
        self.spec = EncoderSpec(name="lengths", modality=Modality.TEXT, width=2, step_version=1, settings=settings)

    def _encode(self, batch: Sequence[str]) -> np.ndarray:
        return np.array([[len(text), 1] for text in batch], np.float32)


class Wide(Lengths):
    def _encode(self, batch: Sequence[str]) -> np.ndarray:
        return np.zeros((len(batch), 3), np.float32)


class NotFinite(Lengths):
    def _encode(self, batch: Sequence[str]) -> np.ndarray:
        return super()._encode(batch) / np.float32(0)


class Overrides(Lengths):
    def encode(self, batch: Sequence[str]) -> np.ndarray:
        return np.array([[len(text), 1] for text in batch], np.float64).reshape(-1, 2)


class Neighbourly(Lengths):
    """Standardises over the batch."""

    def _encode(self, batch: Sequence[str]) -> np.ndarray:
        vectors = super()._encode(batch)
        return vectors - vectors.mean(axis=0)


class Positional(Lengths):
    """The first of a larger batch gets a mark."""

    def _encode(self, batch: Sequence[str]) -> np.ndarray:
        vectors = super()._encode(batch)
        vectors[-1, 1] = 1 + len(batch) // 3
        return vectors


class Remembering(Lengths):
    def __init__(self) -> None:
        super().__init__()
        self.birth = next(_births)

    def _encode(self, batch: Sequence[str]) -> np.ndarray:
        return super()._encode(batch) + np.float32(self.birth)


class ClosedOnce(Lengths):
    is_closed = False

    def close(self) -> None:
        if self.is_closed:
            raise RuntimeError("closed already")
        self.is_closed = True


def test_a_correct_encoder_passes() -> None:
    check_encoder(Lengths, INPUTS)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (Wide, r"float32 \(4, 2\) was promised"),
        (NotFinite, "not finite"),
        (Overrides, "float64"),
        (Neighbourly, "the batch and one item at a time differ"),
        (Positional, "the batch and one item at a time differ|order within a batch"),
        (Remembering, "a fresh encoder gives other bytes"),
        (ClosedOnce, r"close\(\) raised"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_each_fault_is_named(broken: type[Lengths], complaint: str) -> None:
    with pytest.raises(EncoderError, match=complaint):
        check_encoder(broken, INPUTS)


def test_a_spec_must_be_json() -> None:
    with pytest.raises(EncoderError, match="a spec that is not JSON"):
        check_encoder(lambda: Lengths(odd={1, 2}), INPUTS)  # type: ignore[arg-type]
    with pytest.raises(EncoderError, match="a spec that is not JSON"):
        check_encoder(lambda: Lengths(scale=float("nan")), INPUTS)


def test_a_spec_is_a_constant() -> None:
    with pytest.raises(EncoderError, match="two specs of one encoder differ"):
        check_encoder(lambda: Lengths(born=next(_births)), INPUTS)


def test_too_few_inputs_prove_nothing() -> None:
    with pytest.raises(EncoderError, match="at least 3"):
        check_encoder(Lengths, ["a"])


def test_a_network_may_be_given_a_little_room() -> None:
    class Wobbly(Lengths):
        def _encode(self, batch: Sequence[str]) -> np.ndarray:
            return super()._encode(batch) + np.float32(1e-6 * (len(batch) == 1))

    check_encoder(Wobbly, INPUTS, tolerance=1e-4)
    with pytest.raises(EncoderError, match="one item at a time"):
        check_encoder(Wobbly, INPUTS)
