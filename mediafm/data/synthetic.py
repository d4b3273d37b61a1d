"""Synthetic sequences: titles made of scenes, drawn as vectors. For tests and benchmarks; no media, no encoder.

A title draws a few scenes that recur; a run of shots shares a scene; each modality sees the scene through its own
random map, plus noise of its own and a style that the title keeps. So neighbours are alike, the title's mean tells
something, and another modality or a return to a scene tells more. Our choice; nothing is claimed about real films.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mediafm.config import FusionSettings
from mediafm.data.manifest import ManifestTitle
from mediafm.data.sequences import TitleSequence
from mediafm.fusion import Space, fuse
from mediafm.types import Json, Modality

_LATENT_DIM = 16


@dataclass(frozen=True, kw_only=True)
class SyntheticSettings:
    """What is drawn.

    num_titles: how many; every `titles_per_series` of them share a group.
    min_shots, max_shots: length of a title, uniform.
    num_scenes: scenes that a title moves between.
    mean_run_shots: mean length of a run of shots of one scene.
    noise: standard deviation of a shot's own noise; a scene's is 1.
    style: of what the title keeps throughout.
    absent_shares: how often a shot lacks video, audio, text; a shot always keeps one.
    width: of each modality's vectors, and of the metadata's.
    """

    num_titles: int = 24
    titles_per_series: int = 1
    min_shots: int = 20
    max_shots: int = 60
    num_scenes: int = 4
    mean_run_shots: float = 5.0
    noise: float = 0.7
    style: float = 0.5
    absent_shares: tuple[float, float, float] = (0.0, 0.1, 0.3)
    width: int = 32
    seed: int = 0


@dataclass(frozen=True, eq=False)
class SyntheticCatalog:
    """Titles as the store would know them, their sequences, each shot's scene, and the space."""

    titles: tuple[ManifestTitle, ...]
    sequences: Mapping[str, TitleSequence]
    scenes: Mapping[str, np.ndarray[tuple[int], np.dtype[np.int64]]]
    space: Space

    def load(self, title: ManifestTitle) -> TitleSequence:
        """A `Loader`."""
        return self.sequences[title.title_id]


def synthetic_space(width: int) -> Space:
    """A space of three made-up encoders of that width."""
    encoders: dict[Modality, dict[str, Json]] = {
        modality: {"name": "synthetic", "width": width} for modality in Modality
    }
    return Space.create(encoders, FusionSettings(), ("title",))


def draw_catalog(settings: SyntheticSettings) -> SyntheticCatalog:
    """A catalogue drawn from `settings.seed`."""
    rng = np.random.default_rng(settings.seed)
    space = synthetic_space(settings.width)
    maps = {modality: rng.normal(size=(_LATENT_DIM, settings.width)) for modality in Modality}
    titles, sequences, scenes = [], {}, {}
    for number in range(settings.num_titles):
        title_id = f"title-{number:05d}"
        sequences[title_id], scenes[title_id] = _draw_title(title_id, settings, space, maps, rng)
        titles.append(
            ManifestTitle(
                title_id=title_id,
                group_id=f"series-{number // settings.titles_per_series:05d}",
                media_sha256=f"{number:064x}",
                fused_fingerprint=f"{settings.seed:032x}{number:032x}",
                fused_key=f"fused_embeddings/synthetic/{title_id}.parquet",
                metadata_fingerprint=f"{settings.seed:032x}{number:032x}",
                metadata_key=f"metadata_embeddings/synthetic/{title_id}.parquet",
                num_shots=sequences[title_id].num_shots,
            )
        )
    return SyntheticCatalog(tuple(titles), sequences, scenes, space)


def _draw_title(
    title_id: str,
    settings: SyntheticSettings,
    space: Space,
    maps: Mapping[Modality, np.ndarray[tuple[int, int], np.dtype[np.float64]]],
    rng: np.random.Generator,
) -> tuple[TitleSequence, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    num_shots = int(rng.integers(settings.min_shots, settings.max_shots + 1))
    palette = rng.normal(size=(settings.num_scenes, _LATENT_DIM))
    style = settings.style * rng.normal(size=_LATENT_DIM)
    is_new_run = rng.random(num_shots) < 1.0 / settings.mean_run_shots
    scene = rng.integers(settings.num_scenes, size=num_shots)[np.maximum.accumulate(np.arange(num_shots) * is_new_run)]
    vectors, is_present = {}, rng.random((num_shots, len(Modality))) >= np.array(settings.absent_shares)
    is_present[~is_present.any(axis=1), 0] = True
    for column, modality in enumerate(Modality):
        latent = palette[scene] + style + settings.noise * rng.normal(size=(num_shots, _LATENT_DIM))
        vectors[modality] = (np.tanh(latent) @ maps[modality]).astype(np.float32)
        vectors[modality][~is_present[:, column]] = 0.0
    fused = fuse(space, vectors, {modality: is_present[:, i] for i, modality in enumerate(Modality)})
    metadata = (np.tanh(palette.mean(axis=0) + style) @ maps[Modality.TEXT]).astype(np.float32)
    metadata /= np.linalg.norm(metadata)
    sequence = TitleSequence(title_id, fused.vectors.astype(np.float16), fused.is_present, metadata)
    return sequence, scene
