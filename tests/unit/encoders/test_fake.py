"""The fakes' vectors, worked out by hand."""

from __future__ import annotations

import numpy as np

from mediafm.encoders.encoder import ShotAudio, ShotFrames
from mediafm.encoders.fake import FakeAudio, FakeSettings, FakeText, FakeVideo


def test_video_counts_frames_and_averages_colours() -> None:
    red = np.zeros((2, 3, 3), np.uint8)
    red[:, :, 0] = 255
    grey = np.full((2, 3, 3), 51, np.uint8)
    vector = FakeVideo(FakeSettings(width=6)).encode([ShotFrames((red, grey), (0.0, 0.5))])[0]
    np.testing.assert_allclose(vector, [2, 0.6, 0.1, 0.1, 0, 0], atol=1e-6)


def test_audio_measures_time_and_loudness() -> None:
    samples = np.array([0.5, -0.5, 0.5, 0.5], np.float32)
    vector = FakeAudio(FakeSettings(width=4)).encode([ShotAudio(samples, 8)])[0]
    np.testing.assert_allclose(vector, [0.5, 0.25, 0.5, 0.5])


def test_no_samples_give_zeros() -> None:
    assert not FakeAudio().encode([ShotAudio(np.zeros(0, np.float32), 16_000)]).any()


def test_text_counts_letters() -> None:
    vectors = FakeText().encode(["Abba, cab!", "1, 2"])
    np.testing.assert_array_equal(vectors[0, :4], [3, 3, 1, 0])
    assert not vectors[1].any()


def test_letters_wrap_at_the_width() -> None:
    np.testing.assert_array_equal(FakeText(FakeSettings(width=4)).encode(["ae"])[0], [2, 0, 0, 0])
