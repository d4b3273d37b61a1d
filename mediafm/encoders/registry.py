"""Encoders by name. Each name maps to a lazy factory: an encoder's own imports happen when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import metadata
from typing import Any, TypeAlias, TypeVar

from pydantic import ValidationError

from mediafm.config import EncoderChoice, Section, complaints_of
from mediafm.encoders.encoder import Encoder, EncoderSpec
from mediafm.encoders.host import EncoderHost
from mediafm.errors import ConfigError, MediaFMError
from mediafm.types import Modality

Factory: TypeAlias = Callable[[Modality, Mapping[str, Any], EncoderHost], Encoder[Any]]
"""(modality, settings as the profile gives them, the process's surroundings) -> encoder, no weights loaded yet."""

ENTRY_POINTS = "mediafm.encoders"
"""The entry-point group of encoders that other packages bring: name -> a `Registration`."""
WITHOUT_NETWORK = frozenset(
    {
        "lite-video",
        "lite-audio",
        "lite-text",
        "fake-video",
        "fake-audio",
        "fake-text",
        "openai-text",
        "imported",
        "none",
    }
)
"""Encoders that ask for no device: nobody needs to import PyTorch to find one for them."""

SettingsType = TypeVar("SettingsType", bound=Section)


@dataclass(frozen=True, slots=True)
class Registration:
    """One encoder that a profile may name.

    modalities: what it can be named for.
    factory: makes it for one of them.
    """

    modalities: frozenset[Modality]
    factory: Factory

    @classmethod
    def of(cls, modality: Modality, factory: Factory) -> Registration:
        """The registration of an encoder of one modality."""
        return cls(frozenset({modality}), factory)


def create_encoder(modality: Modality, choice: EncoderChoice, host: EncoderHost | None = None) -> Encoder[Any]:
    """The encoder that a profile chose for `modality`, with its settings checked and no weights loaded yet.

    Args:
        choice: a name of this registry, or one that an installed package brings, and its settings.
        host: what it may use of this process (the CPU and no cache unless given); nothing in it moves a vector.

    Raises:
        ConfigError: no such encoder for this modality, an unknown setting, or an impossible value.
    """
    found = REGISTRY.get(choice.name) or _from_entry_point(choice.name)
    if found is None or modality not in found.modalities:
        raise _unknown(modality, choice.name)
    try:
        made = found.factory(modality, choice.settings, host or EncoderHost())
    except MediaFMError:
        raise
    except Exception as error:
        raise ConfigError(
            f"its factory failed ({type(error).__name__}: {error})",
            rule="a factory makes an encoder, or says by a ConfigError what is wrong with the settings",
            where=f"encoder {choice.name}",
            remedy="Mend the package that brings it.",
        ) from error
    return _as_promised(made, modality, choice.name)


def _as_promised(made: Encoder[Any], modality: Modality, name: str) -> Encoder[Any]:
    """What a factory made, if its spec is of this modality and name: equal specs share stored values."""
    spec = getattr(made, "spec", None)
    seen = (spec.modality, spec.name) if isinstance(spec, EncoderSpec) else None
    if seen == (modality, name):
        return made
    raise ConfigError(
        f"a spec of {seen[0]}, named {seen[1]!r}" if seen else f"a {type(made).__name__} without an EncoderSpec",
        rule=f"an encoder's spec says what it was asked for: {modality}, {name!r}",
        where=f"encoder {name}",
        remedy="Mend `spec` in the package that brings it.",
    )


def encoder_names(modality: Modality) -> tuple[str, ...]:
    """The names that a profile may give for `modality`, sorted; those that packages bring among them."""
    own = {name for name, entry in REGISTRY.items() if modality in entry.modalities}
    brought = {point.name for point in metadata.entry_points(group=ENTRY_POINTS)} - set(REGISTRY)
    return tuple(sorted(own | {name for name in brought if _brings(name, modality)}))


def _brings(name: str, modality: Modality) -> bool:
    """Whether a package's encoder may be named for `modality`; one that cannot be loaded is listed all the same."""
    try:
        found = _from_entry_point(name)
    except ConfigError:
        return True
    return found is not None and modality in found.modalities


def _from_entry_point(name: str) -> Registration | None:
    """What an installed package registered under `name`; its code runs now, because a profile asked for it by name.

    Raises:
        ConfigError: two packages bring it, it cannot be imported, or it is no `Registration`.
    """
    points = list(metadata.entry_points(group=ENTRY_POINTS, name=name))
    if not points:
        return None
    packages = ", ".join(sorted(point.dist.name if point.dist else "?" for point in points))
    where = f"encoder {name}, of {packages}"
    if len(points) > 1:
        raise ConfigError(
            f"{len(points)} packages bring it", rule="a name belongs to one package", where=where, remedy="Remove one."
        )
    try:
        found = points[0].load()
    except Exception as error:
        raise ConfigError(
            f"{points[0].value} cannot be imported ({type(error).__name__}: {error})",
            rule=f"an entry point of {ENTRY_POINTS} names an object of an importable module",
            where=where,
            remedy="Mend or remove the package.",
        ) from error
    if not isinstance(found, Registration):
        raise ConfigError(
            f"{points[0].value} is a {type(found).__name__}",
            rule=f"an entry point of {ENTRY_POINTS} is a mediafm.encoders.registry.Registration",
            where=where,
            remedy="`mediafm.testing.encoders` tells its author what an encoder must hold.",
        )
    return found


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
        raise ConfigError(
            complaints_of(error),
            rule="every setting must be within its bounds",
            where=f"encoder {name}",
            remedy="Mend the profile.",
        ) from error


def _unknown(modality: Modality, name: str) -> ConfigError:
    known = encoder_names(modality)
    elsewhere = REGISTRY.get(name)
    seen = f"{name!r} reads {', '.join(sorted(elsewhere.modalities))}" if elsewhere else f"no encoder is named {name!r}"
    return ConfigError(
        seen,
        rule=f"the {modality} encoders are {', '.join(known)}",
        where=f"profile, {modality}",
        remedy=_did_you_mean(name, known),
    )


def _did_you_mean(seen: str, known: tuple[str, ...] | list[str]) -> str:
    nearest = get_close_matches(seen, known, n=1, cutoff=0.0)
    return f"Did you mean {nearest[0]!r}?" if nearest else "Leave the settings out."


def _lite_video(modality: Modality, settings: Mapping[str, Any], host: EncoderHost) -> Encoder[Any]:
    from mediafm.encoders.lite_video import LiteVideo, LiteVideoSettings

    return LiteVideo(read_settings(LiteVideoSettings, settings, "lite-video"))


def _lite_audio(modality: Modality, settings: Mapping[str, Any], host: EncoderHost) -> Encoder[Any]:
    from mediafm.encoders.lite_audio import LiteAudio, LiteAudioSettings

    return LiteAudio(read_settings(LiteAudioSettings, settings, "lite-audio"))


def _lite_text(modality: Modality, settings: Mapping[str, Any], host: EncoderHost) -> Encoder[Any]:
    from mediafm.encoders.lite_text import LiteText, LiteTextSettings

    return LiteText(read_settings(LiteTextSettings, settings, "lite-text"))


def _fake_video(modality: Modality, settings: Mapping[str, Any], host: EncoderHost) -> Encoder[Any]:
    from mediafm.encoders.fake import FakeSettings, FakeVideo

    return FakeVideo(read_settings(FakeSettings, settings, "fake-video"))


def _fake_audio(modality: Modality, settings: Mapping[str, Any], host: EncoderHost) -> Encoder[Any]:
    from mediafm.encoders.fake import FakeAudio, FakeSettings

    return FakeAudio(read_settings(FakeSettings, settings, "fake-audio"))


def _fake_text(modality: Modality, settings: Mapping[str, Any], host: EncoderHost) -> Encoder[Any]:
    from mediafm.encoders.fake import FakeSettings, FakeText

    return FakeText(read_settings(FakeSettings, settings, "fake-text"))


def _hf_video(modality: Modality, settings: Mapping[str, Any], host: EncoderHost) -> Encoder[Any]:
    from mediafm.encoders.hf_video import HfVideo, HfVideoSettings

    return HfVideo(read_settings(HfVideoSettings, settings, "hf-video"), host)


def _hf_audio(modality: Modality, settings: Mapping[str, Any], host: EncoderHost) -> Encoder[Any]:
    from mediafm.encoders.hf_audio import HfAudio, HfAudioSettings

    return HfAudio(read_settings(HfAudioSettings, settings, "hf-audio"), host)


def _hf_text(modality: Modality, settings: Mapping[str, Any], host: EncoderHost) -> Encoder[Any]:
    from mediafm.encoders.hf_text import HfText, HfTextSettings

    return HfText(read_settings(HfTextSettings, settings, "hf-text"), host)


def _openai_text(modality: Modality, settings: Mapping[str, Any], host: EncoderHost) -> Encoder[Any]:
    from mediafm.encoders.openai_text import OpenAIText, OpenAITextSettings

    return OpenAIText(read_settings(OpenAITextSettings, settings, "openai-text"), host)


def _imported(modality: Modality, settings: Mapping[str, Any], host: EncoderHost) -> Encoder[Any]:
    from mediafm.encoders.given import Imported, ImportedSettings

    return Imported(modality, read_settings(ImportedSettings, settings, "imported"))


def _none(modality: Modality, settings: Mapping[str, Any], host: EncoderHost) -> Encoder[Any]:
    from mediafm.encoders.given import NoEncoder

    read_settings(Section, settings, "none")
    return NoEncoder(modality)


REGISTRY: Mapping[str, Registration] = {
    "lite-video": Registration.of(Modality.VIDEO, _lite_video),
    "lite-audio": Registration.of(Modality.AUDIO, _lite_audio),
    "lite-text": Registration.of(Modality.TEXT, _lite_text),
    "hf-video": Registration.of(Modality.VIDEO, _hf_video),
    "hf-audio": Registration.of(Modality.AUDIO, _hf_audio),
    "hf-text": Registration.of(Modality.TEXT, _hf_text),
    "openai-text": Registration.of(Modality.TEXT, _openai_text),
    "imported": Registration(frozenset(Modality), _imported),
    "none": Registration(frozenset(Modality), _none),
    "fake-video": Registration.of(Modality.VIDEO, _fake_video),
    "fake-audio": Registration.of(Modality.AUDIO, _fake_audio),
    "fake-text": Registration.of(Modality.TEXT, _fake_text),
}
