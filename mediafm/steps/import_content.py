"""What an imported title holds, as it rests: the facets that its identities are made of, and the tables.

Vectors are hashed as they are stored, so that what was exported and is imported again is the same content.

Legend: N shots, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mediafm.catalog.title import TitleMetadata
from mediafm.data.import_titles import Flags, Floats, ImportedTitle, content_hash
from mediafm.errors import CatalogError
from mediafm.lineage.chain import TitleChain
from mediafm.lineage.fingerprint import canonical_json, fingerprint
from mediafm.steps.present import IMPORTED_SOURCE
from mediafm.steps.rows import cue_texts_by_shot
from mediafm.store.schemas import SCHEMAS
from mediafm.store.store import Store
from mediafm.store.vectors import arrow_to_vectors, vectors_to_arrow
from mediafm.types import Modality

HALF_TOLERANCE = 1e-3
"""Vectors rest as float16 where that moves none by more than this share of its length; else as float32. Our choice."""


@dataclass(frozen=True, kw_only=True)
class StoredVectors:
    """One modality of a title.

    values: float16 or float32 [N, W], zeros where absent; is_present: bool [N].
    """

    values: NDArray[np.floating[Any]]
    is_present: Flags

    @classmethod
    def of(cls, vectors: NDArray[np.float32], is_present: Flags) -> StoredVectors:
        """The vectors in the smallest of the two types that holds them."""
        with np.errstate(over="ignore"):
            half = vectors.astype(np.float16)
        lost = np.linalg.norm(np.where(np.isfinite(half), half, np.inf).astype(np.float64) - vectors, axis=1)
        fits = lost <= HALF_TOLERANCE * np.linalg.norm(vectors.astype(np.float64), axis=1)
        return cls(values=half if fits.all() else vectors, is_present=is_present)

    def hashed(self) -> str:
        kind = f"{self.values.dtype.name} {self.values.shape}"
        return content_hash(kind.encode(), np.ascontiguousarray(self.values).tobytes(), self.is_present.tobytes())

    def table(self) -> pa.Table:
        """As a unimodal table: a row a shot, its vector null where absent."""
        return pa.table(
            {
                "shot_index": pa.array(np.arange(len(self.values), dtype=np.int32)),
                "is_present": pa.array(self.is_present),
                "vector": vectors_to_arrow(self.values, self.is_present, dtype=self.values.dtype.type),
            }
        )


@dataclass(frozen=True, kw_only=True)
class ImportedContent:
    """All that is known of a title without media.

    start_seconds, end_seconds: float64 [N], NaN where not known.
    texts: N entries, None where a shot has none.
    vectors: by modality, those that were brought.
    """

    start_seconds: Floats
    end_seconds: Floats
    texts: tuple[str | None, ...]
    vectors: Mapping[Modality, StoredVectors]

    @property
    def num_shots(self) -> int:
        return len(self.start_seconds)

    @property
    def has_times(self) -> bool:
        return bool(np.isfinite(self.start_seconds).any())

    def facets(self) -> dict[str, str]:
        """The title's content hashes; no sound is "", as for media without a sound track."""
        shots = content_hash(self.start_seconds.tobytes(), self.end_seconds.tobytes())
        hashed = {modality: stored.hashed() for modality, stored in self.vectors.items()}
        return {
            "video": fingerprint({"shots": shots, "vectors": hashed.get(Modality.VIDEO)}),
            "audio": hashed.get(Modality.AUDIO, ""),
            "text": fingerprint({"texts": list(self.texts), "vectors": hashed.get(Modality.TEXT)}),
            "metadata": fingerprint(TitleMetadata().as_json()),
        }

    def tables(self) -> dict[str, pa.Table]:
        """The values that stand for the film: spans without frames, no picture, no words, and the texts as cues."""
        return {
            "spans": self._spans(),
            **{table: SCHEMAS[table].empty_table() for table in ("frames", "words") if table in SCHEMAS},
            "cues": self._cues(),
            **{f"{modality}_embeddings": stored.table() for modality, stored in self.vectors.items()},
        }

    def _spans(self) -> pa.Table:
        nothing = [None] * self.num_shots
        columns = {
            "shot_index": list(range(self.num_shots)),
            "start_seconds": _or_none(self.start_seconds),
            "end_seconds": _or_none(self.end_seconds),
            "start_frame": nothing,
            "end_frame": nothing,
        }
        return pa.table(columns, schema=SCHEMAS["spans"])

    def _cues(self) -> pa.Table:
        starts, ends = _or_none(self.start_seconds), _or_none(self.end_seconds)
        rows = [
            {
                "shot_index": shot,
                "start_seconds": starts[shot],
                "end_seconds": ends[shot],
                "text": text,
                "language": None,
                "source": IMPORTED_SOURCE,
                "is_hearing_impaired": False,
            }
            for shot, text in enumerate(self.texts)
            if text is not None
        ]
        for position, row in enumerate(rows):
            row["position"] = position
        return pa.Table.from_pylist(rows, schema=SCHEMAS["cues"])

    def info_json(self, name: str) -> str:
        """What stands where a probed file's description would."""
        brought = [str(modality) for modality in self.vectors]
        return canonical_json({"imported": {"name": name, "num_shots": self.num_shots, "modalities": brought}})


def merged(new: ImportedTitle, old: ImportedContent | None) -> ImportedContent:
    """What the file brings, over what the root has: a part that the file lacks stays.

    With another number of shots nothing can stay; then the file must bring every modality that the title has.

    Raises:
        CatalogError: it does not.
    """
    vectors = {modality: StoredVectors.of(new.vectors[modality], new.is_present[modality]) for modality in new.vectors}
    if old is not None and old.num_shots != new.num_shots:
        lacking = sorted(set(old.vectors) - set(vectors))
        if lacking:
            raise CatalogError(
                f"{new.num_shots} shots",
                rule=f"the title's {' and '.join(lacking)} vectors, imported before, are of {old.num_shots}",
                where=f"title {new.name}",
                remedy="Bring all of its modalities in one file.",
            )
        old = None
    if old is None:
        texts = new.texts or (None,) * new.num_shots
        return ImportedContent(
            start_seconds=new.start_seconds, end_seconds=new.end_seconds, texts=texts, vectors=vectors
        )
    both = {**old.vectors, **vectors}
    return ImportedContent(
        start_seconds=new.start_seconds if new.brings_times else old.start_seconds,
        end_seconds=new.end_seconds if new.brings_times else old.end_seconds,
        texts=old.texts if new.texts is None else new.texts,
        vectors={modality: both[modality] for modality in Modality if modality in both},
    )


def stored_content(store: Store, chain: TitleChain, modalities: tuple[Modality, ...]) -> ImportedContent | None:
    """What the root holds of an imported title under the present producers; None if not even its shots.

    Args:
        modalities: those whose vectors are imported.
    """
    spans = chain.identity("spans")
    if not store.has(spans):
        return None
    table = store.read(spans)
    texts: list[str | None] = [None] * table.num_rows
    if store.has(chain.identity("cues")):
        for shot, pieces in cue_texts_by_shot(store.read(chain.identity("cues"))):
            texts[shot] = "\n".join(pieces)
    vectors = {}
    for modality in modalities:
        identity = chain.identity(f"{modality}_embeddings")
        if store.has(identity):
            rows = store.read(identity)
            vectors[modality] = StoredVectors.of(*arrow_to_vectors(rows.column("vector")))
    return ImportedContent(
        start_seconds=table.column("start_seconds").to_numpy(),
        end_seconds=table.column("end_seconds").to_numpy(),
        texts=tuple(texts),
        vectors=vectors,
    )


def _or_none(times: Floats) -> list[float | None]:
    return [float(time) if np.isfinite(time) else None for time in times]
