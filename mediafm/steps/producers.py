"""What makes each table under one configuration: the half of every identity that does not depend on the title."""

from __future__ import annotations

from mediafm.config import Config, Profile
from mediafm.encoders.registry import describe_encoder
from mediafm.fusion import Space
from mediafm.lineage.tables import TABLES
from mediafm.shots.registry import create_detector
from mediafm.types import Json, Modality

Producer = dict[str, Json]


def configured_space(config: Config, profile: Profile) -> Space:
    """The space that the configuration's encoders, weights and metadata fields make."""
    choices = {Modality.VIDEO: profile.video, Modality.AUDIO: profile.audio, Modality.TEXT: profile.text}
    specs = {modality: describe_encoder(modality, choice) for modality, choice in choices.items()}
    weights = {
        Modality.VIDEO: config.fusion.video_weight,
        Modality.AUDIO: config.fusion.audio_weight,
        Modality.TEXT: config.fusion.text_weight,
    }
    return Space.of(specs, weights, metadata_fields=config.metadata.fields)


def configured_producers(config: Config, profile: Profile) -> dict[str, Producer]:
    """For every table up to the fused vectors, what makes it."""
    space = configured_space(config, profile)
    detector = create_detector(profile.detector).spec
    encoders = {modality: spec.as_json() for modality, spec in space.encoders.items()}
    own: dict[str, Producer] = {
        "titles": {},
        "metadata_embeddings": {"encoder": encoders[Modality.TEXT], "fields": list(config.metadata.fields)},
        "spans": {"detector": detector.as_json()},
        "frames": {"frames": config.frames.model_dump(mode="json")},
        "cues": {"timed_text": config.timed_text.model_dump(mode="json")},
        "video_embeddings": {"encoder": encoders[Modality.VIDEO]},
        "audio_embeddings": {
            "encoder": encoders[Modality.AUDIO],
            "audio": config.audio.model_dump(mode="json"),
        },
        "text_embeddings": {"encoder": encoders[Modality.TEXT]},
        "fused_embeddings": {"space": space.as_json()},
    }
    return {table: _versioned(table, producer) for table, producer in own.items()}


def checkpoint_producers(checkpoint_sha256: str) -> dict[str, Producer]:
    """What makes the contextual tables under one checkpoint."""
    return {
        table: _versioned(table, {"checkpoint": checkpoint_sha256})
        for table in ("contextual_embeddings", "title_embeddings")
    }


def _versioned(table: str, producer: Producer) -> Producer:
    return {**producer, "step_version": TABLES[table].step_version}
