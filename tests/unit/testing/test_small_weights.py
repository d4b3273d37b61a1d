"""Small random weights: profiles that load, and words out of any sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mediafm.config import load_profile
from mediafm.encoders.transcriber_registry import create_transcriber
from mediafm.testing.small_weights import main, write_small_profile


def test_the_transcriber_writes_words_of_its_letters(tmp_path: Path) -> None:
    profile = load_profile(str(write_small_profile(tmp_path, transcribes=True)))
    assert profile.transcriber is not None
    samples = np.random.default_rng(0).normal(0, 0.1, 5 * 16_000).astype(np.float32)
    with create_transcriber(profile.transcriber) as transcriber:
        words = transcriber.transcribe(samples)
    assert len(words) > 3
    assert set("".join(word.text for word in words)) <= set("ETAON")


@pytest.mark.parametrize("flags", [[], ["--transcriber"]])
def test_the_profile_transcribes_if_asked(
    tmp_path: Path, flags: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["small_weights", str(tmp_path), "--detector", "lite", *flags])
    main()
    profile = load_profile(capsys.readouterr().out.strip())
    assert (profile.detector.name, profile.text.name) == ("lite", "lite-text")
    assert (profile.transcriber is not None) == bool(flags)
