"""Encoders by name. Each name maps to a lazy factory: an encoder's own imports happen when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeAlias, TypeVar

from pydantic import ValidationError

from mediafm.config import EncoderChoice, Section
from mediafm.encoders.encoder import Encoder
from mediafm.errors import ConfigError
from mediafm.types import Modality

Factory: TypeAlias = Callable[[Mapping[str, Any], str], Encoder[Any]]
"""(settings as the profile gives them, device) -> encoder."""

SettingsType = TypeVar("SettingsType", bound=Section)


@dataclass(frozen=True, slots=True)
class Registration:
    """One encoder that a profile may name."""

    modality: Modality
    factory: Factory


def create_encoder(modality: Modality, choice: EncoderChoice, device: str = "cpu") -> Encoder[Any]:
    """The encoder that a profile chose for `modality`, with its settings checked.

    Args:
        choice: a name of this registry and its settings.
        device: where a network would live; encoders without one ignore it.

    Raises:
        ConfigError: no such encoder for this modality, an unknown setting, or an impossible value.
    """
    found = REGISTRY.get(choice.name)
    if found is None or found.modality is not modality:
        raise _unknown(modality, choice.name)
    return found.factory(choice.settings, device)


def encoder_names(modality: Modality) -> tuple[str, ...]:
    """The names that a profile may give for `modality`, sorted."""
    return tuple(sorted(name for name, entry in REGISTRY.items() if entry.modality is modality))


def read_settings(kind: type[SettingsType], values: Mapping[str, Any], name: str) -> SettingsType:
    """`values` as the settings class of encoder `name`.

    Raises:
        ConfigError: an unknown setting (answered with the known ones), or an impossible value.
    """
    known = sorted(kind.model_fields)
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ConfigError(
            f"unknown setting {', '.join(map(repr, unknown))}",
            rule=f"the settings of {name} are {', '.join(known) or 'none'}",
            where=f"encoder {name}",
            remedy=_did_you_mean(unknown[0], known),
        )
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        complaints = "; ".join(
            f"{'.'.join(map(str, item['loc']))} = {item['input']!r}: {item['msg']}" for item in error.errors()
        )
        raise ConfigError(
            complaints,
            rule="every setting must be within its bounds",
            where=f"encoder {name}",
            remedy="Mend the profile.",
        ) from error


def _unknown(modality: Modality, name: str) -> ConfigError:
    known = encoder_names(modality)
    elsewhere = REGISTRY.get(name)
    seen = f"{name!r} reads {elsewhere.modality}" if elsewhere else f"no encoder is named {name!r}"
    return ConfigError(
        seen,
        rule=f"the {modality} encoders are {', '.join(known)}",
        where=f"profile, {modality}",
        remedy=_did_you_mean(name, known),
    )


def _did_you_mean(seen: str, known: tuple[str, ...] | list[str]) -> str:
    nearest = get_close_matches(seen, known, n=1, cutoff=0.0)
    return f"Did you mean {nearest[0]!r}?" if nearest else "Leave the settings out."


def _lite_video(settings: Mapping[str, Any], device: str) -> Encoder[Any]:
    from mediafm.encoders.lite_video import LiteVideo, LiteVideoSettings

    return LiteVideo(read_settings(LiteVideoSettings, settings, "lite-video"))


def _lite_audio(settings: Mapping[str, Any], device: str) -> Encoder[Any]:
    from mediafm.encoders.lite_audio import LiteAudio, LiteAudioSettings

    return LiteAudio(read_settings(LiteAudioSettings, settings, "lite-audio"))


def _lite_text(settings: Mapping[str, Any], device: str) -> Encoder[Any]:
    from mediafm.encoders.lite_text import LiteText, LiteTextSettings

    return LiteText(read_settings(LiteTextSettings, settings, "lite-text"))


def _fake_video(settings: Mapping[str, Any], device: str) -> Encoder[Any]:
    from mediafm.encoders.fake import FakeSettings, FakeVideo

    return FakeVideo(read_settings(FakeSettings, settings, "fake-video"))


def _fake_audio(settings: Mapping[str, Any], device: str) -> Encoder[Any]:
    from mediafm.encoders.fake import FakeAudio, FakeSettings

    return FakeAudio(read_settings(FakeSettings, settings, "fake-audio"))


def _fake_text(settings: Mapping[str, Any], device: str) -> Encoder[Any]:
    from mediafm.encoders.fake import FakeSettings, FakeText

    return FakeText(read_settings(FakeSettings, settings, "fake-text"))


REGISTRY: Mapping[str, Registration] = {
    "lite-video": Registration(Modality.VIDEO, _lite_video),
    "lite-audio": Registration(Modality.AUDIO, _lite_audio),
    "lite-text": Registration(Modality.TEXT, _lite_text),
    "fake-video": Registration(Modality.VIDEO, _fake_video),
    "fake-audio": Registration(Modality.AUDIO, _fake_audio),
    "fake-text": Registration(Modality.TEXT, _fake_text),
}
