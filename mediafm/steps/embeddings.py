"""The steps that run the frozen encoders over a title's shots, and over its metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mediafm.config import EncoderChoice
from mediafm.encoders.encoder import Encoder, ShotAudio, ShotFrames
from mediafm.encoders.host import EncoderHost
from mediafm.encoders.registry import create_encoder
from mediafm.extract.reader import MediaReader
from mediafm.lineage.fingerprint import Identity
from mediafm.steps.device import resolve_device
from mediafm.steps.present import PresentTitle
from mediafm.steps.rows import cue_texts_by_shot, decode_jpeg, frames_by_shot, spans_of
from mediafm.steps.step import Made, TitleStep
from mediafm.steps.workspace import Workspace
from mediafm.store.vectors import vectors_to_arrow
from mediafm.types import Json, Modality

SHOTS_AT_ONCE = 32
"""How many shots go to an encoder in one call; decoded pictures and sound of more never stand in memory."""

Item = tuple[int, Any]
"""A shot's index and what the encoder reads of it."""


class EmbeddingStep(TitleStep):
    """One modality of a title's shots by one frozen encoder, loaded once for all titles of the step."""

    modality: Modality

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.asset = f"{self.modality}_embeddings"
        self.tables = (self.asset,)

    @contextmanager
    def loaded(self) -> Iterator[None]:
        with _encoder_of(self._workspace, self.modality) as self._encoder:
            yield

    def items(self, title: PresentTitle) -> Iterator[Item]:
        """The shots that have this modality, in order."""
        raise NotImplementedError

    def make(self, title: PresentTitle, missing: Sequence[Identity]) -> list[Made]:
        store = self._workspace.store
        num_shots = store.read(title.chain.identity("spans"), ["shot_index"]).num_rows
        vectors = np.zeros((num_shots, self._encoder.spec.width), np.float32)
        is_present = np.zeros(num_shots, np.bool_)
        for batch in _batches(self.items(title), SHOTS_AT_ONCE):
            rows = [shot_index for shot_index, _ in batch]
            vectors[rows] = self._encoder.encode([item for _, item in batch])
            is_present[rows] = True
        table = pa.table(
            {
                "shot_index": pa.array(np.arange(num_shots, dtype=np.int32)),
                "is_present": pa.array(is_present),
                "vector": vectors_to_arrow(vectors, is_present),
            }
        )
        (identity,) = missing
        return [Made.of(store, identity, table)]


class VideoEmbeddingsStep(EmbeddingStep):
    """The kept frames of each shot. Reads stored JPEGs: another encoder never decodes the film again."""

    modality = Modality.VIDEO

    def items(self, title: PresentTitle) -> Iterator[Item]:
        batches = self._workspace.store.read_batches(
            title.chain.identity("frames"), ["shot_index", "time_seconds", "jpeg"]
        )
        for shot_index, times, jpegs in frames_by_shot(batches):
            yield shot_index, ShotFrames(tuple(decode_jpeg(jpeg) for jpeg in jpegs), tuple(times))


class AudioEmbeddingsStep(EmbeddingStep):
    """Each shot's own samples, decoded from the film; silence is absence."""

    modality = Modality.AUDIO

    @contextmanager
    def loaded(self) -> Iterator[None]:
        with super().loaded(), MediaReader(self._workspace.config.limits) as self._reader:
            yield

    def items(self, title: PresentTitle) -> Iterator[Item]:
        if not title.facets["audio"]:
            return
        settings = self._workspace.config.audio
        spans = spans_of(self._workspace.store.read(title.chain.identity("spans")))
        info = self._workspace.media_info(title)
        for shot in self._reader.audio(title.path, info, spans, settings):
            if level_dbfs(shot.samples) >= settings.silence_dbfs:
                yield shot.index, ShotAudio(shot.samples, settings.sample_rate_hz)


class TextEmbeddingsStep(EmbeddingStep):
    """The timed text that was assigned to each shot."""

    modality = Modality.TEXT

    def items(self, title: PresentTitle) -> Iterator[Item]:
        cues = self._workspace.store.read(title.chain.identity("cues"))
        for shot_index, texts in cue_texts_by_shot(cues):
            yield shot_index, "\n".join(texts)


class MetadataEmbeddingsStep(TitleStep):
    """The title's chosen metadata fields by the text encoder: what [GLOBAL] reads."""

    asset = "metadata_embeddings"
    tables = ("metadata_embeddings",)

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @contextmanager
    def loaded(self) -> Iterator[None]:
        with _encoder_of(self._workspace, Modality.TEXT) as self._encoder:
            yield

    def make(self, title: PresentTitle, missing: Sequence[Identity]) -> list[Made]:
        text = metadata_text(self._workspace.metadata(title), self._workspace.config.metadata.fields)
        vectors = self._encoder.encode([text]) if text else np.zeros((1, self._encoder.spec.width), np.float32)
        is_present = np.array([bool(text)])
        table = pa.table({"is_present": pa.array(is_present), "vector": vectors_to_arrow(vectors, is_present)})
        (identity,) = missing
        return [Made.of(self._workspace.store, identity, table)]


def metadata_text(metadata: Mapping[str, Json], fields: Sequence[str]) -> str:
    """The chosen fields as lines `field: value`, absent ones left out; "" if none is there. Our choice."""
    lines = []
    for name in fields:
        value = metadata.get(name)
        if isinstance(value, list | tuple):
            value = ", ".join(map(str, value))
        if value not in (None, ""):
            lines.append(f"{name}: {value}")
    return "\n".join(lines)


def level_dbfs(samples: NDArray[np.float32]) -> float:
    """The RMS level of samples in [-1, 1], in decibels below full scale; minus infinity for silence or no samples."""
    if not len(samples):
        return -float("inf")
    mean_square = float(np.mean(np.square(samples, dtype=np.float64)))
    return 10.0 * float(np.log10(mean_square)) if mean_square > 0 else -float("inf")


def _encoder_of(workspace: Workspace, modality: Modality) -> Encoder[Any]:
    profile = workspace.profile
    choices: dict[Modality, EncoderChoice] = {
        Modality.VIDEO: profile.video,
        Modality.AUDIO: profile.audio,
        Modality.TEXT: profile.text,
    }
    device = resolve_device(workspace.config.device, workspace.gpu_memory_fraction)
    return create_encoder(modality, choices[modality], EncoderHost(device=device))


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


EMBEDDING_STEPS: Mapping[str, Callable[[Workspace], TitleStep]] = {
    "video_embeddings": VideoEmbeddingsStep,
    "audio_embeddings": AudioEmbeddingsStep,
    "text_embeddings": TextEmbeddingsStep,
    "metadata_embeddings": MetadataEmbeddingsStep,
}
"""Each embedding asset's step."""
