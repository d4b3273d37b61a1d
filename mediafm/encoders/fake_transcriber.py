"""A fake transcriber that reads tones: whoever writes the sound knows the words, their times and confidences.

Each letter a to z is a tone, and so is the pause between words; silence is a blank. The probability of a frame's best
token is the share of the frame's power that lies in its tone, so that noise lowers it as one can work out by hand.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mediafm.config import Section
from mediafm.encoders.ctc_stream import BestTokens, CtcTranscriber
from mediafm.encoders.ctc_words import CtcVocabulary
from mediafm.encoders.hf_audio_chunks import FrameGrid
from mediafm.encoders.transcriber import TranscriberSpec

NAME = "fake-transcriber"
RATE_HZ = 16_000
FRAME_SAMPLES = 320
FIRST_BIN = 8
"""Of a frame's spectrum, 50 Hz apart: a is 400 Hz, b 450 Hz, and so on."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"
DELIMITER, BLANK = len(LETTERS), len(LETTERS) + 1
LEAST_SHARE = 0.2
"""Of a frame's power; a frame without such a tone is blank."""
SILENT_POWER = 1e-8


class FakeTranscriberSettings(Section):
    """Its windows, as those of a network."""

    window_seconds: Annotated[float, Field(ge=0.1)] = 4.0
    overlap_seconds: Annotated[float, Field(ge=0)] = 1.0
    batch_windows: Annotated[int, Field(ge=1)] = 3
    language: str = "en"


class FakeTranscriber(CtcTranscriber):
    """Hears tones of 400 to 1,700 Hz."""

    def __init__(self, settings: FakeTranscriberSettings | None = None) -> None:
        settings = settings or FakeTranscriberSettings()
        self.sample_rate_hz = RATE_HZ
        self.grid = FrameGrid(FRAME_SAMPLES, FRAME_SAMPLES)
        self.vocabulary = CtcVocabulary(letters=dict(enumerate(LETTERS)), blank=BLANK, delimiter=DELIMITER)
        self.window_frames = self.grid.num_frames(round(settings.window_seconds * RATE_HZ))
        self.overlap_frames = round(settings.overlap_seconds * RATE_HZ) // FRAME_SAMPLES
        self.batch_windows = settings.batch_windows
        self.spec = TranscriberSpec(
            name=NAME,
            step_version=1,
            language=settings.language,
            settings={"window_frames": self.window_frames, "overlap_frames": self.overlap_frames},
        )

    def _best_tokens(self, samples: NDArray[np.float32]) -> BestTokens:
        frames = samples.reshape(len(samples), -1, FRAME_SAMPLES)
        power = np.abs(np.fft.rfft(frames, axis=-1)) ** 2
        total = power.sum(axis=-1)
        tones = power[..., FIRST_BIN : FIRST_BIN + BLANK]
        tokens = tones.argmax(axis=-1)
        share = tones.max(axis=-1) / np.maximum(total, np.finfo(np.float64).tiny)
        is_blank = (share < LEAST_SHARE) | (total / FRAME_SAMPLES**2 < SILENT_POWER)
        tokens[is_blank], share[is_blank] = BLANK, 1.0
        return BestTokens(tokens.astype(np.int64), share.astype(np.float32))


def tones(text: str, letter_seconds: float = 0.06) -> NDArray[np.float32]:
    """Sound that the fake hears as `text`: a tone a letter, a little silence after it, the delimiter for a blank."""
    num_frames = round(letter_seconds * RATE_HZ) // FRAME_SAMPLES
    places = np.arange(num_frames * FRAME_SAMPLES) / RATE_HZ
    rest = np.zeros(FRAME_SAMPLES, np.float32)
    pieces = []
    for letter in text:
        number = DELIMITER if letter == " " else LETTERS.index(letter)
        pieces += [0.25 * np.sin(2 * np.pi * (FIRST_BIN + number) * RATE_HZ / FRAME_SAMPLES * places), rest]
    return np.concatenate([rest, *pieces]).astype(np.float32)
