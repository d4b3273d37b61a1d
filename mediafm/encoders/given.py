"""Modalities without an encoder of ours: vectors that the user brings, or none at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mediafm.config import Section
from mediafm.encoders.encoder import Encoder, EncoderSpec
from mediafm.errors import EncoderError
from mediafm.types import Modality

IMPORTED = "imported"
NO_ENCODER = "none"


class ImportedSettings(Section):
    """What the user says of vectors that were made elsewhere; two sets are one space only if all of it is equal.

    feature_set: what made them ("mosi-glove-300"): the user's word, recorded as such.
    width: numbers per vector.
    crosses_cuts: a shot's vector may depend on its neighbours.
    """

    feature_set: Annotated[str, Field(min_length=1, max_length=200)]
    width: Annotated[int, Field(ge=1, le=65_536)]
    crosses_cuts: bool = False


class Imported(Encoder[Any]):
    """Stands for vectors that `mediafm import-embeddings` takes in; it makes none itself."""

    def __init__(self, modality: Modality, settings: ImportedSettings) -> None:
        self.spec = EncoderSpec(
            name=IMPORTED,
            modality=modality,
            width=settings.width,
            step_version=1,
            licence="LicenseRef-user",
            crosses_cuts=settings.crosses_cuts,
            settings={"feature_set": settings.feature_set},
        )

    def _encode(self, batch: Sequence[Any]) -> NDArray[np.float32]:
        raise EncoderError(
            f"{len(batch)} {self.spec.modality} inputs to encode",
            rule=f"the profile says that {self.spec.modality} vectors are imported",
            where=f"profile, {self.spec.modality}",
            remedy=f"`mediafm import-embeddings FILE --modality {self.spec.modality}` brings them.",
        )


class NoEncoder(Encoder[Any]):
    """A modality that a catalogue does not have: absent in every shot, one number wide in the fused vector."""

    def __init__(self, modality: Modality) -> None:
        self.spec = EncoderSpec(name=NO_ENCODER, modality=modality, width=1, step_version=1)

    def _encode(self, batch: Sequence[Any]) -> NDArray[np.float32]:
        raise EncoderError(
            f"{len(batch)} {self.spec.modality} inputs to encode",
            rule=f"the profile has no {self.spec.modality} encoder",
            where=f"profile, {self.spec.modality}",
            remedy="Name one.",
        )
