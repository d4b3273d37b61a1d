"""Labelled sequences of real titles from an NPZ, as a catalogue to train on: read and fused as an import would be.

N shots, E fused width, T titles, K traits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mediafm.config import FusionSettings
from mediafm.data.import_files import open_import
from mediafm.data.import_titles import ImportedTitle, RefusedTitle
from mediafm.data.manifest import ManifestTitle
from mediafm.data.sequences import TitleSequence
from mediafm.errors import CatalogError
from mediafm.fusion import Space, fuse
from mediafm.lineage.fingerprint import fingerprint
from mediafm.probes.vectors import Floats
from mediafm.types import Json, Modality

ABSENT_WIDTH = 8
"""Of a modality that the file lacks: its block is zeros."""
SCORES = "scores"


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureCatalog:
    """The titles of one file that have a shot with a vector.

    name: the file's, without the suffix.
    traits: title id -> float64 [K], what raters said of the title; empty where the file has no such scores.
    """

    name: str
    titles: tuple[ManifestTitle, ...]
    sequences: Mapping[str, TitleSequence]
    traits: Mapping[str, Floats]
    space: Space

    def load(self, title: ManifestTitle) -> TitleSequence:
        """A `Loader`."""
        return self.sequences[title.title_id]


def read_features(path: Path) -> FeatureCatalog:
    """The catalogue in an NPZ; shots without any modality are left out, and so are titles without a shot.

    Raises:
        ConfigError: the file is none that can be imported.
        CatalogError: a title in it is not sound.
    """
    file = open_import(path, {})
    space = _space(file.layout.widths)
    with np.load(path, allow_pickle=False) as archive:
        scores = archive[SCORES] if SCORES in archive.files else None
    sequences: dict[str, TitleSequence] = {}
    groups: dict[str, str] = {}
    traits: dict[str, Floats] = {}
    for row, title in enumerate(file.titles()):
        if isinstance(title, RefusedTitle):
            raise CatalogError(title.reason, rule="a benchmark's titles are sound", where=f"{path}, {title.name}")
        sequence = _sequence(title, space)
        if not sequence.num_shots:
            continue
        sequences[title.title_id], groups[title.title_id] = sequence, title.group_id
        if scores is not None:
            traits[title.title_id] = np.asarray(scores[row], np.float64)
    titles = tuple(_manifest_title(file.sha256, groups[name], sequence) for name, sequence in sequences.items())
    return FeatureCatalog(name=path.stem, titles=titles, sequences=sequences, traits=traits, space=space)


def _space(widths: Mapping[Modality, int]) -> Space:
    encoders: dict[Modality, dict[str, Json]] = {
        modality: {"name": "given", "width": widths.get(modality, ABSENT_WIDTH)} for modality in Modality
    }
    return Space.create(encoders, FusionSettings(), ("title",))


def _sequence(title: ImportedTitle, space: Space) -> TitleSequence:
    nothing = np.zeros(title.num_shots, np.bool_)
    blocks = {
        modality: title.vectors.get(modality, np.zeros((title.num_shots, ABSENT_WIDTH), np.float32))
        for modality in Modality
    }
    fused = fuse(space, blocks, {modality: title.is_present.get(modality, nothing) for modality in Modality})
    kept = fused.has_vector
    return TitleSequence(title.title_id, fused.vectors[kept].astype(np.float16), fused.is_present[kept], None)


def _manifest_title(file_sha256: str, group_id: str, sequence: TitleSequence) -> ManifestTitle:
    version = fingerprint({"file": file_sha256, "title": sequence.title_id})
    return ManifestTitle(
        title_id=sequence.title_id,
        group_id=group_id,
        media_sha256=version,
        fused_fingerprint=version,
        fused_key=f"fused_embeddings/features/{sequence.title_id}.parquet",
        metadata_fingerprint=None,
        metadata_key=None,
        num_shots=sequence.num_shots,
    )
