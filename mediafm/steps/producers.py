"""What makes each table under one configuration: the half of every identity that does not depend on the title."""

from __future__ import annotations

from mediafm.config import Config, Profile
from mediafm.encoders.registry import create_encoder
from mediafm.encoders.transcriber_registry import create_transcriber
from mediafm.fusion import Space
from mediafm.lineage.tables import TABLES
from mediafm.shots.registry import create_detector
from mediafm.types import Json, Modality

Producer = dict[str, Json]


def configured_space(config: Config, profile: Profile) -> Space:
    """The space that the configuration's encoders, weights and metadata fields make."""
    encoders: dict[Modality, dict[str, Json]] = {}
    for modality in Modality:
        with create_encoder(modality, profile.encoder(modality)) as encoder:
            encoders[modality] = encoder.spec.as_json()
    return Space.create(encoders, config.fusion or profile.fusion, config.metadata.fields)


def configured_producers(config: Config, profile: Profile) -> dict[str, Producer]:
    """For every table up to the fused vectors, what makes it."""
    space = configured_space(config, profile)
    encoders = {modality: dict(spec) for modality, spec in space.encoders.items()}
    own: dict[str, Producer] = {
        "titles": {},
        "metadata_embeddings": {
            "encoder": dict(space.metadata_encoder),
            "fields": list(space.metadata_fields),
        },
        "spans": {"detector": create_detector(profile.detector).spec.as_json()},
        "frames": {"frames": config.frames.model_dump(mode="json")},
        "cues": {"timed_text": config.timed_text.model_dump(mode="json")},
        "video_embeddings": {"encoder": encoders[Modality.VIDEO]},
        "audio_embeddings": {
            "encoder": encoders[Modality.AUDIO],
            "audio": config.audio.model_dump(mode="json"),
            "loudness": profile.loudness,
        },
        "text_embeddings": {"encoder": encoders[Modality.TEXT]},
        "fused_embeddings": {"space": space.as_json()},
    }
    if profile.transcriber is not None:
        with create_transcriber(profile.transcriber) as transcriber:
            own["words"] = {"transcriber": transcriber.spec.as_json(), "silence_dbfs": config.audio.silence_dbfs}
        own["cues"]["spoken"] = profile.transcriber.cues.model_dump(mode="json")
    return {table: _versioned(table, producer) for table, producer in own.items()}


def checkpoint_producers(checkpoint_sha256: str) -> dict[str, Producer]:
    """What makes the contextual tables under one checkpoint."""
    return {
        table: _versioned(table, {"checkpoint": checkpoint_sha256})
        for table in ("contextual_embeddings", "title_embeddings")
    }


def _versioned(table: str, producer: Producer) -> Producer:
    return {**producer, "step_version": TABLES[table].step_version}
