"""The one definition of the fused vector, and of the space that its coordinates mean.

Netflix ("MediaFM", Netflix Technology Blog, 23 February 2026) concatenates the three unimodal shot embeddings and unit
norms the whole. We deviate in two ways, both our choice: each block is L2-normalised and weighted before it is
concatenated, because otherwise the block with the largest norm owns the cosine; and a modality that a shot lacks is a
block of zeros with a presence flag beside it.

Shapes: N shots, E fused width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediafm.config import FusionSettings
from mediafm.errors import EncoderError, LineageMismatchError
from mediafm.lineage.fingerprint import fingerprint
from mediafm.types import Json, Modality

RULE_VERSION = 1
"""Raised by hand whenever the same blocks give another fused vector."""

MIN_BLOCK_NORM = 1e-6
"""A block shorter than this has no direction: its modality counts as absent."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """What the coordinates of a fused vector mean: two vectors compare only within one space.

    encoders: the spec of each modality's encoder, as JSON.
    weights: what each unit block is multiplied with before the whole is unit normed.
    metadata_encoder: the spec, as JSON, of the encoder that reads a title's metadata for [GLOBAL].
    metadata_fields: the metadata fields that it reads.
    rule_version: of `fuse`.
    """

    encoders: Mapping[Modality, Mapping[str, Json]]
    weights: Mapping[Modality, float]
    metadata_encoder: Mapping[str, Json]
    metadata_fields: tuple[str, ...]
    rule_version: int = RULE_VERSION

    def __post_init__(self) -> None:
        if set(self.encoders) != set(Modality) or set(self.weights) != set(Modality):
            raise LineageMismatchError(
                f"encoders for {sorted(self.encoders)}, weights for {sorted(self.weights)}",
                rule=f"a space has one encoder and one weight for each of {[str(item) for item in Modality]}",
                where="space",
            )
        if not all(0 < weight < np.inf for weight in self.weights.values()):
            raise LineageMismatchError(
                f"weights {dict(self.weights)}", rule="a weight is positive and finite", where="space"
            )

    @classmethod
    def create(
        cls,
        encoders: Mapping[Modality, Mapping[str, Json]],
        settings: FusionSettings,
        metadata_fields: tuple[str, ...],
    ) -> Space:
        """The space of a configuration; metadata is read by the text encoder."""
        weights = {
            Modality.VIDEO: settings.video_weight,
            Modality.AUDIO: settings.audio_weight,
            Modality.TEXT: settings.text_weight,
        }
        return cls(
            encoders=encoders,
            weights=weights,
            metadata_encoder=encoders[Modality.TEXT],
            metadata_fields=metadata_fields,
        )

    @cached_property
    def space_id(self) -> str:
        """64 hex digits: equal exactly when the spaces are."""
        return fingerprint(self.as_json())

    @cached_property
    def width(self) -> int:
        """E: how many numbers a fused vector has."""
        return sum(self.block_width(modality) for modality in Modality)

    @cached_property
    def metadata_width(self) -> int:
        return _width_of(self.metadata_encoder)

    @cached_property
    def slices(self) -> dict[Modality, slice]:
        """Where each modality's block lies in a fused vector, in the order of `Modality`."""
        found, start = {}, 0
        for modality in Modality:
            stop = start + self.block_width(modality)
            found[modality] = slice(start, stop)
            start = stop
        return found

    def block_width(self, modality: Modality) -> int:
        return _width_of(self.encoders[modality])

    def as_json(self) -> dict[str, Json]:
        return {
            "rule_version": self.rule_version,
            "encoders": {str(modality): dict(self.encoders[modality]) for modality in Modality},
            "weights": {str(modality): float(self.weights[modality]) for modality in Modality},
            "metadata_encoder": dict(self.metadata_encoder),
            "metadata_fields": list(self.metadata_fields),
        }

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> Space:
        """The inverse of `as_json`.

        Raises:
            LineageMismatchError: a part is missing or unknown.
        """
        try:
            return cls(
                encoders={Modality(name): spec for name, spec in parts["encoders"].items()},
                weights={Modality(name): float(weight) for name, weight in parts["weights"].items()},
                metadata_encoder=parts["metadata_encoder"],
                metadata_fields=tuple(parts["metadata_fields"]),
                rule_version=int(parts["rule_version"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LineageMismatchError(
                f"{type(error).__name__} {error}", rule="a space holds what `Space.as_json` wrote", where="space"
            ) from error


@dataclass(frozen=True, slots=True)
class Fused:
    """The fused vectors of a title's shots.

    vectors: float32 [N, E]; each row has norm 1, or is all zero where `has_vector` is False.
    is_present: bool [N, 3], columns in the order of `Modality`.
    has_vector: bool [N]; False for a shot without any modality.
    """

    vectors: NDArray[np.float32]
    is_present: NDArray[np.bool_]
    has_vector: NDArray[np.bool_]


def fuse(
    space: Space, blocks: Mapping[Modality, NDArray[np.floating[Any]]], is_present: Mapping[Modality, NDArray[np.bool_]]
) -> Fused:
    """The fused vectors of N shots: unit blocks, weighted, concatenated, unit normed.

    Args:
        blocks: each modality's vectors [N, width]; rows that are not present are not looked at.
        is_present: bool [N] for each modality.

    Raises:
        LineageMismatchError: this code has another fusion rule, or a block does not fit the space.
        EncoderError: a present vector is not finite.
    """
    _require_fit(space, blocks, is_present)
    num_shots = len(is_present[Modality.VIDEO])
    vectors = np.zeros((num_shots, space.width), np.float64)
    flags = np.zeros((num_shots, len(Modality)), np.bool_)
    for column, modality in enumerate(Modality):
        unit, has_direction = _unit_rows(blocks[modality], is_present[modality], modality)
        vectors[:, space.slices[modality]] = space.weights[modality] * unit
        flags[:, column] = has_direction
    has_vector = np.asarray(flags.any(axis=1), np.bool_)
    vectors[has_vector] /= np.linalg.norm(vectors[has_vector], axis=1, keepdims=True)
    return Fused(vectors.astype(np.float32), flags, has_vector)


def _unit_rows(
    block: NDArray[np.floating[Any]], is_present: NDArray[np.bool_], modality: Modality
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Rows of norm 1 in float64, zeros where absent or without direction, and which rows have one."""
    rows = np.where(is_present[:, None], block, 0.0).astype(np.float64)
    if not np.isfinite(rows).all():
        shot = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise EncoderError(
            "a vector that is not finite", rule="present vectors are finite", where=f"shot {shot}, {modality}"
        )
    norms = np.linalg.norm(rows, axis=1)
    has_direction = is_present & (norms >= MIN_BLOCK_NORM)
    rows[~has_direction] = 0.0
    rows[has_direction] /= norms[has_direction, None]
    return rows, has_direction


def _require_fit(
    space: Space, blocks: Mapping[Modality, NDArray[Any]], is_present: Mapping[Modality, NDArray[np.bool_]]
) -> None:
    """All that does not fit is collected, then raised once."""
    wrong = []
    if space.rule_version != RULE_VERSION:
        wrong.append(f"fusion rule {space.rule_version}, this code has {RULE_VERSION}")
    num_shots = {len(is_present[modality]) for modality in Modality if modality in is_present}
    if len(num_shots) != 1 or set(is_present) != set(Modality):
        wrong.append(f"presence of {sorted(is_present)} for {sorted(num_shots)} shots")
    for modality in Modality:
        expected = (len(is_present.get(modality, ())), space.block_width(modality))
        shape = blocks[modality].shape if modality in blocks else None
        if shape != expected:
            wrong.append(f"{modality} block {shape}, expected {expected}")
    if wrong:
        raise LineageMismatchError(
            "; ".join(wrong),
            rule="blocks fit the space they are fused in",
            where=f"space {space.space_id[:16]}",
            remedy="Encode the title again with the encoders of this space.",
        )


def _width_of(spec: Mapping[str, Json]) -> int:
    width = spec.get("width")
    if not isinstance(width, int) or width < 1:
        raise LineageMismatchError(
            f"width {width!r}", rule="an encoder's spec says its width", where=f"encoder {spec.get('name')}"
        )
    return width
