"""A profile read back from producers alone: for checkpoints whose record keeps no settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mediafm.config import DetectorChoice, EncoderChoice
from mediafm.encoders.registry import create_encoder
from mediafm.errors import ConfigError
from mediafm.shots.registry import create_detector
from mediafm.types import Json, Modality


def recorded_settings(producers: Mapping[str, Any]) -> dict[str, Any]:
    """Profile and sections that these producers were made by, in the form of `space_settings`.

    Raises:
        ConfigError: an encoder cannot be made from its spec alone; or words were transcribed.
        KeyError: a table's producer is not there.
    """
    space = producers["fused_embeddings"]["space"]
    if "words" in producers:
        raise ConfigError(
            "a transcriber is known by its spec only",
            rule="what made the words can be made again from its settings",
            where="transcriber",
        )
    profile: dict[str, Any] = {
        "name": "recorded",
        "detector": detector_of(producers["spans"]["detector"]).model_dump(),
        "loudness": producers["audio_embeddings"]["loudness"],
        **{name: choice_of(spec).model_dump() for name, spec in space["encoders"].items()},
    }
    return {
        "profile": profile,
        "frames": producers["frames"]["frames"],
        "audio": producers["audio_embeddings"]["audio"],
        "timed_text": producers["cues"]["timed_text"],
        "metadata": {"fields": space["metadata_fields"]},
        "fusion": {f"{name}_weight": weight for name, weight in space["weights"].items()},
    }


def detector_of(spec: Mapping[str, Any]) -> DetectorChoice:
    """The choice whose detector has exactly this spec; a network's own digest in it is no setting.

    Raises:
        ConfigError: no settings that the spec tells make it.
    """
    settings = {name: value for name, value in spec["settings"].items() if name != "network"}
    choice = DetectorChoice(name=spec["name"], settings=settings)
    if create_detector(choice).spec.as_json() != dict(spec):
        raise ConfigError(
            f"detector {spec['name']} has another spec by now",
            rule="a detector is made again from the spec that a checkpoint recorded",
            where=f"detector {spec['name']}",
        )
    return choice


def choice_of(spec: Mapping[str, Any]) -> EncoderChoice:
    """The choice whose encoder has exactly this spec.

    Raises:
        ConfigError: no settings that the spec tells make it.
    """
    seen = ""
    for settings in _guesses(spec):
        choice = EncoderChoice(name=spec["name"], settings=settings)
        try:
            with create_encoder(Modality(spec["modality"]), choice) as encoder:
                if encoder.spec.as_json() == dict(spec):
                    return choice
                seen = seen or f"encoder {spec['name']} has another spec by now"
        except ConfigError as error:
            seen = seen or str(error)
    raise ConfigError(
        seen, rule="an encoder is made again from the spec that a checkpoint recorded", where=f"encoder {spec['name']}"
    )


def _guesses(spec: Mapping[str, Any]) -> Iterator[dict[str, Json]]:
    """Settings that a spec may stand for: those it tells; some encoders tell their width, or weights, beside them."""
    told = dict(spec["settings"])
    yield told
    yield {**told, "width": spec["width"]}
    yield {**told, "width": spec["width"], "crosses_cuts": spec["crosses_cuts"]}
    if "weights" in told:
        known = {name: told[name] for name in ("weights", "dtype", "output", "normalise_frames") if name in told}
        yield {**known, "revision": spec["revision"]}
