"""Fake encoders whose vectors can be worked out by hand. The whole pipeline runs on them.

Only the first few numbers of a vector are used; the rest, up to `width`, are zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mediafm.config import Section
from mediafm.encoders.encoder import Encoder, EncoderSpec, ShotAudio, ShotFrames
from mediafm.types import Modality

NUM_LETTERS = 26


class FakeSettings(Section):
    """How wide a fake's vectors are."""

    width: Annotated[int, Field(ge=4)] = 768


class FakeVideo(Encoder[ShotFrames]):
    """[number of frames, mean red, mean green, mean blue of all frames in 0..1, 0, ...]."""

    def __init__(self, settings: FakeSettings | None = None) -> None:
        self.spec = _spec("fake-video", Modality.VIDEO, settings or FakeSettings())

    def _encode(self, batch: Sequence[ShotFrames]) -> NDArray[np.float32]:
        vectors = np.zeros((len(batch), self.spec.width), np.float32)
        for row, shot in zip(vectors, batch, strict=True):
            means = [frame.mean(axis=(0, 1)) / 255 for frame in shot.frames_rgb]
            row[:4] = len(means), *np.mean(means, axis=0)
        return vectors


class FakeAudio(Encoder[ShotAudio]):
    """[duration in seconds, mean, mean absolute value, peak of the samples, 0, ...]."""

    def __init__(self, settings: FakeSettings | None = None) -> None:
        self.spec = _spec("fake-audio", Modality.AUDIO, settings or FakeSettings())

    def _encode(self, batch: Sequence[ShotAudio]) -> NDArray[np.float32]:
        vectors = np.zeros((len(batch), self.spec.width), np.float32)
        for row, shot in zip(vectors, batch, strict=True):
            if shot.samples.size:
                loudness = np.abs(shot.samples)
                duration_seconds = shot.samples.size / shot.sample_rate_hz
                row[:4] = duration_seconds, shot.samples.mean(), loudness.mean(), loudness.max()
        return vectors


class FakeText(Encoder[str]):
    """How often each letter a to z stands in the text, each letter at its place modulo the width."""

    def __init__(self, settings: FakeSettings | None = None) -> None:
        self.spec = _spec("fake-text", Modality.TEXT, settings or FakeSettings())

    def _encode(self, batch: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.zeros((len(batch), self.spec.width), np.float32)
        for row, text in zip(vectors, batch, strict=True):
            for letter in text.lower():
                place = ord(letter) - ord("a")
                if 0 <= place < NUM_LETTERS:
                    row[place % self.spec.width] += 1
        return vectors


def _spec(name: str, modality: Modality, settings: FakeSettings) -> EncoderSpec:
    return EncoderSpec(name=name, modality=modality, width=settings.width, step_version=1)
