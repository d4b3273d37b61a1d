"""Transcribers by name. Each name maps to a lazy factory, as the encoders' registry does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, TypeAlias

from mediafm.config import TranscriberChoice
from mediafm.encoders.host import EncoderHost
from mediafm.encoders.registry import read_settings
from mediafm.encoders.transcriber import Transcriber
from mediafm.errors import ConfigError

Factory: TypeAlias = Callable[[Mapping[str, Any], EncoderHost], Transcriber]
"""(settings as the profile gives them, the process's surroundings) -> transcriber, no weights loaded yet."""


def create_transcriber(choice: TranscriberChoice, host: EncoderHost | None = None) -> Transcriber:
    """The transcriber that a profile chose, with its settings checked and no weights loaded yet.

    Raises:
        ConfigError: no such transcriber, an unknown setting, or an impossible value.
    """
    if choice.name not in REGISTRY:
        nearest = get_close_matches(choice.name, REGISTRY, n=1, cutoff=0.0)
        raise ConfigError(
            f"no transcriber is named {choice.name!r}",
            rule=f"the transcribers are {', '.join(sorted(REGISTRY))}",
            where="profile, transcriber",
            remedy=f"Did you mean {nearest[0]!r}?",
        )
    return REGISTRY[choice.name](choice.settings, host or EncoderHost())


def _wav2vec2_ctc(settings: Mapping[str, Any], host: EncoderHost) -> Transcriber:
    from mediafm.encoders.ctc_transcriber import NAME, Wav2Vec2Ctc, Wav2Vec2CtcSettings

    return Wav2Vec2Ctc(read_settings(Wav2Vec2CtcSettings, settings, NAME), host)


def _fake(settings: Mapping[str, Any], host: EncoderHost) -> Transcriber:
    from mediafm.encoders.fake_transcriber import NAME, FakeTranscriber, FakeTranscriberSettings

    return FakeTranscriber(read_settings(FakeTranscriberSettings, settings, NAME))


REGISTRY: Mapping[str, Factory] = {"wav2vec2-ctc": _wav2vec2_ctc, "fake-transcriber": _fake}
