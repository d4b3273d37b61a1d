"""Labelled synthetic catalogues in which context carries the answer: for tests and for judging what a model exports.

A title moves between scenes that recur and are cross-cut. What type a scene is, is told now and then: by the picture
of establishing shots, by the sound of some, seldom by text. Elsewhere a shot only looks and sounds like its scene, in a
way that the title alone gives meaning to: to know the type, find the scene's other shots and read those that tell. The
same holds for characters, known by face and voice within a title, and whose role some text tells. Inserts, music and
chatter distract. Vectors only, no media; nothing is claimed about real films. Our choice throughout; `SceneSettings`
says all.

Labels per shot, -1 where a shot has none:
    scene_type      of its scene; told by some shots of the scene only
    character_role  of the character on screen; told by few of their shots
    scene_boundary  1 where another scene than the shot before's begins, else 0; -1 for the first shot
    own             the shot size, told by the shot itself: context is not needed
    noise           random per scene: nothing tells it, whoever scores above chance cheats

A title depends on the settings (all but `num_titles`) and its number only, and is drawn when asked for, so a large
catalogue needs no memory and the first titles of a large one are those of a small one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mediafm.data.manifest import ManifestTitle
from mediafm.data.scenes_script import Script, draw_num_shots, draw_script
from mediafm.data.scenes_settings import SceneSettings
from mediafm.data.scenes_vectors import World, draw_world, render
from mediafm.data.sequences import TitleSequence
from mediafm.data.synthetic import synthetic_space
from mediafm.errors import NotFoundError
from mediafm.fusion import Space, fuse
from mediafm.lineage.fingerprint import fingerprint
from mediafm.types import Modality

LABELS = ("scene_type", "character_role", "scene_boundary", "own", "noise")
_WORLD, _TITLE, _NOISE_LABEL = range(3)
"""Independent streams of one seed."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SceneTitle:
    """One title with all that is true about it.

    title: as the manifest knows it.
    sequence: its fused vectors.
    labels: name of `LABELS` -> int64 [N], -1 where a shot has none.
    script: what each shot shows, hears and tells; `script.scene` and `script.character` are the true ones.
    """

    title: ManifestTitle
    sequence: TitleSequence
    labels: Mapping[str, NDArray[np.int64]]
    script: Script


@dataclass(frozen=True, eq=False)
class SceneCatalog:
    """The catalogue that `settings` describe, drawn title by title on demand."""

    settings: SceneSettings

    @cached_property
    def space(self) -> Space:
        return synthetic_space(self.settings.width)

    @cached_property
    def world(self) -> World:
        return draw_world(self.settings, self._rng(_WORLD))

    @cached_property
    def titles(self) -> tuple[ManifestTitle, ...]:
        """All titles, as the store would know them."""
        return tuple(self.manifest_title(number) for number in range(self.settings.num_titles))

    def manifest_title(self, number: int) -> ManifestTitle:
        """Title `number`, which may lie beyond the catalogue: such titles are fresh ones of the same world."""
        title_id = f"title-{number:05d}"
        version = fingerprint({"settings": self._version, "title": number})
        return ManifestTitle(
            title_id=title_id,
            group_id=f"series-{number // self.settings.titles_per_series:05d}",
            media_sha256=version,
            fused_fingerprint=version,
            fused_key=f"fused_embeddings/scenes/{title_id}.parquet",
            metadata_fingerprint=version,
            metadata_key=f"metadata_embeddings/scenes/{title_id}.parquet",
            num_shots=draw_num_shots(self.settings, self._rng(_TITLE, number)),
        )

    def load(self, title: ManifestTitle) -> TitleSequence:
        """A `Loader`.

        Raises:
            NotFoundError: the title is not of these settings.
        """
        return self.draw(title).sequence

    def draw(self, title: ManifestTitle) -> SceneTitle:
        """The title with its labels.

        Raises:
            NotFoundError: the title is not of these settings.
        """
        number = _number_of(title)
        if self.manifest_title(number) != title:
            raise _not_ours(title)
        rng = self._rng(_TITLE, number)
        script = draw_script(self.settings, draw_num_shots(self.settings, rng), rng)
        rendered = render(self.settings, self.world, script, rng)
        is_present = {modality: script.is_present[:, column] for column, modality in enumerate(Modality)}
        fused = fuse(self.space, rendered.vectors, is_present)
        return SceneTitle(
            title=title,
            sequence=TitleSequence(
                title.title_id, fused.vectors.astype(np.float16), fused.is_present, rendered.metadata
            ),
            labels=self._labels(script, self._rng(_NOISE_LABEL, number)),
            script=script,
        )

    def _labels(self, script: Script, rng: np.random.Generator) -> dict[str, NDArray[np.int64]]:
        noise_of_scene = rng.integers(self.settings.num_noise_classes, size=len(script.type_of_scene))
        is_boundary = np.concatenate([[-1], np.diff(script.scene) != 0])
        role = np.where(script.character >= 0, script.role_of_character[script.character], -1)
        labels = (script.type_of_scene[script.scene], role, is_boundary, script.size, noise_of_scene[script.scene])
        return {name: np.asarray(label, np.int64) for name, label in zip(LABELS, labels, strict=True)}

    @cached_property
    def _version(self) -> str:
        return fingerprint({**self.settings.as_json(), "num_titles": None})

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.settings.seed, spawn_key=key))


def _number_of(title: ManifestTitle) -> int:
    digits = title.title_id.removeprefix("title-")
    if not digits.isdecimal():
        raise _not_ours(title)
    return int(digits)


def _not_ours(title: ManifestTitle) -> NotFoundError:
    return NotFoundError(
        f"fused vectors {title.fused_fingerprint[:16]}",
        rule="a catalogue of scenes loads the titles of its own settings",
        where=f"title {title.title_id}",
        remedy="Build the manifest from this catalogue's titles.",
    )
