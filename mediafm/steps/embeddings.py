"""The steps that run the frozen encoders over a title's shots, and over its metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mediafm.encoders.encoder import ShotFrames
from mediafm.extract.reader import MediaReader
from mediafm.steps.embedding_stream import EncoderStep, Item, shot_table
from mediafm.steps.present import PresentTitle
from mediafm.steps.rows import cue_texts_by_shot, decode_jpeg, frames_by_shot
from mediafm.steps.sound import heard_shots
from mediafm.steps.step import TitleStep
from mediafm.steps.unreplaced import unreplaced
from mediafm.steps.workspace import Workspace
from mediafm.store.vectors import vectors_to_arrow
from mediafm.types import Json, Modality


class ShotEmbeddingsStep(EncoderStep):
    """One modality of a title's shots; a row a shot."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self.asset = f"{self.modality}_embeddings"
        self.tables = (self.asset,)

    def num_rows(self, title: PresentTitle) -> int:
        return int(self._workspace.store.read(title.chain.identity("spans"), ["shot_index"]).num_rows)

    def table(self, vectors: NDArray[np.float32], is_present: NDArray[np.bool_]) -> pa.Table:
        return shot_table(vectors, is_present)


class VideoEmbeddingsStep(ShotEmbeddingsStep):
    """The kept frames of each shot. Reads stored JPEGs: another encoder never decodes the film again."""

    modality = Modality.VIDEO

    def items(self, title: PresentTitle) -> Iterator[Item]:
        batches = self._workspace.store.read_batches(
            title.chain.identity("frames"), ["shot_index", "time_seconds", "jpeg"]
        )
        for shot_index, times, jpegs in frames_by_shot(batches):
            yield shot_index, ShotFrames(tuple(decode_jpeg(jpeg) for jpeg in jpegs), tuple(times))


class AudioEmbeddingsStep(ShotEmbeddingsStep):
    """Each shot's own samples, decoded from the film; silence is absence."""

    modality = Modality.AUDIO

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self._notes = dict[str, list[str]]()

    @contextmanager
    def loaded(self) -> Iterator[None]:
        with (
            super().loaded(),
            MediaReader(self._workspace.config.limits, buckets=self._workspace.buckets) as self._reader,
        ):
            yield

    def items(self, title: PresentTitle) -> Iterator[Item]:
        if not title.facets["audio"] or title.is_imported:
            return
        with unreplaced(title, self._workspace.buckets):
            notes = self._notes[title.title_id] = []
            yield from heard_shots(self._workspace, self._reader, title, self.encoder.margin_seconds, notes)

    def notes(self, title_id: str) -> Sequence[str]:
        """What could not be heard: shots without sound, and sound that could not be read, look alike in the table."""
        return self._notes.pop(title_id, ())


class TextEmbeddingsStep(ShotEmbeddingsStep):
    """The timed text that was assigned to each shot."""

    modality = Modality.TEXT

    def items(self, title: PresentTitle) -> Iterator[Item]:
        cues = self._workspace.store.read(title.chain.identity("cues"))
        for shot_index, texts in cue_texts_by_shot(cues):
            yield shot_index, "\n".join(texts)


class MetadataEmbeddingsStep(EncoderStep):
    """The title's chosen metadata fields by the text encoder: what [GLOBAL] reads. One row."""

    asset = "metadata_embeddings"
    tables = ("metadata_embeddings",)
    modality = Modality.TEXT

    def waits_for(self, title: PresentTitle) -> str:
        """Nothing: imported text vectors come without metadata, which is then absent."""
        return ""

    def num_rows(self, title: PresentTitle) -> int:
        return 1

    def items(self, title: PresentTitle) -> Iterator[Item]:
        text = metadata_text(self._workspace.metadata(title), self._workspace.config.metadata.fields)
        if text:
            yield 0, text

    def table(self, vectors: NDArray[np.float32], is_present: NDArray[np.bool_]) -> pa.Table:
        return pa.table({"is_present": pa.array(is_present), "vector": vectors_to_arrow(vectors, is_present)})


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


EMBEDDING_STEPS: Mapping[str, Callable[[Workspace], TitleStep]] = {
    "video_embeddings": VideoEmbeddingsStep,
    "audio_embeddings": AudioEmbeddingsStep,
    "text_embeddings": TextEmbeddingsStep,
    "metadata_embeddings": MetadataEmbeddingsStep,
}
"""Each embedding asset's step."""
