"""What a training manifest is made of, for people: titles, groups, hours, and which modalities its shots have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.data.split import Split
from mediafm.types import Json, Modality


@dataclass(frozen=True, kw_only=True)
class Composition:
    """Counts of a manifest.

    num_titles, num_groups, num_shots: of the manifest.
    num_titles_with_metadata: titles whose metadata [GLOBAL] reads.
    hours: length of the titles whose length is known; None if none is.
    num_titles_with_hours: how many these are.
    modalities: in the order of a fused vector's blocks.
    coverage: split -> modality -> share of its shots that have it; a split without shots is left out.
    """

    num_titles: int
    num_groups: int
    num_shots: int
    num_titles_with_metadata: int
    hours: float | None
    num_titles_with_hours: int
    modalities: tuple[str, ...]
    coverage: Mapping[str, Mapping[str, float]]

    def as_json(self) -> dict[str, Json]:
        return asdict(self)


def compose(manifest: TrainingManifest, corpus: Corpus, seconds: Mapping[str, float] | None = None) -> Composition:
    """The composition of a manifest.

    Args:
        corpus: its vectors; only the presence flags are read.
        seconds: title id -> its length, where that is known.
    """
    known = [seconds[title_id] for title_id in manifest.by_id if title_id in (seconds or {})] if seconds else []
    return Composition(
        num_titles=len(manifest.titles),
        num_groups=len({planned.group_id for planned in manifest.titles}),
        num_shots=sum(planned.title.num_shots for planned in manifest.titles),
        num_titles_with_metadata=sum(planned.title.metadata_key is not None for planned in manifest.titles),
        hours=sum(known) / 3600 if known else None,
        num_titles_with_hours=len(known),
        modalities=tuple(str(modality) for modality in Modality),
        coverage={str(split): _coverage(manifest, corpus, split) for split in Split if manifest.num_shots(split)},
    )


def _coverage(manifest: TrainingManifest, corpus: Corpus, split: Split) -> dict[str, float]:
    counts, num_shots = np.zeros(len(Modality), np.int64), 0
    for planned, part in manifest.parts(split):
        flags = corpus.title(planned.title.title_id).is_present[part.start : part.end]
        counts += flags.sum(axis=0)
        num_shots += len(flags)
    return {str(modality): float(counts[column] / num_shots) for column, modality in enumerate(Modality)}
