"""One title's stored values as a clip is embedded from them: its shots in time, its sequence, its vectors in context.

Contextual vectors come from the store where the checkpoint's are there, else from one pass, and are kept
(`mediafm.steps.context_cache`). Either way they are float16 as the store holds them, so that both say the same.

Legend: n shots that have a vector, E fused width, D model width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediafm.data.sequences import TitleSequence
from mediafm.errors import NotFoundError
from mediafm.lineage.fingerprint import Identity
from mediafm.lineage.records import LedgerRecord
from mediafm.lineage.tables import TABLES
from mediafm.probes.vectors import TitleShots
from mediafm.steps.chosen_model import ChosenModel
from mediafm.steps.context_cache import ContextCache, Halves
from mediafm.steps.present import PresentTitle
from mediafm.steps.sequences import read_sequence
from mediafm.store.store import Store
from mediafm.store.vectors import arrow_to_vectors
from mediafm.store.views import newest_rows, records
from mediafm.types import Modality, TitleState

CONTEXTUAL = "contextual_embeddings"
KEPT = ContextCache()
"""Of this process."""


@dataclass(frozen=True, kw_only=True)
class ShotVectors:
    """Vectors of a title's shots.

    vectors: float32 [n, W], W the model's width or the fused one. shot_index: int64 [n], in order.
    fingerprints: table -> fingerprint of what they were read from.
    """

    vectors: NDArray[np.float32]
    shot_index: NDArray[np.int64]
    fingerprints: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class TitleReader:
    """Reads one title's values as a checkpoint's space has them."""

    store: Store
    title: PresentTitle
    model: ChosenModel
    cache: ContextCache

    @classmethod
    def open(cls, store: Store, title_id: str, model: ChosenModel, cache: ContextCache | None = None) -> TitleReader:
        """The title as it is now.

        Raises:
            NotFoundError: an unknown title, or one that is not ok: the reason is told.
        """
        rows = newest_rows(store, "titles", [title_id])
        if not rows:
            raise _unknown(store, title_id)
        title = PresentTitle.of_record(rows[0], model.producers)
        if title.state is not TitleState.OK:
            raise NotFoundError(
                f"the title is {title.state}: {title.reason}",
                rule="a clip is made of a title that is ok",
                where=f"title {title_id}",
                remedy=f"`mediafm retry --title {title_id}` tries it again."
                if title.state in (TitleState.QUARANTINED, TitleState.FAILED)
                else "`mediafm run CATALOG` takes it in again once its file is there.",
            )
        return cls(store=store, title=title, model=model, cache=cache or KEPT)

    def shots(self) -> TitleShots:
        """The title's shots in time."""
        table = self.store.read(self._done("spans"), ["start_seconds", "end_seconds"])
        return TitleShots(
            title_id=self.title.title_id,
            group_id=self.title.group_id,
            start_seconds=table.column("start_seconds").to_numpy(),
            end_seconds=table.column("end_seconds").to_numpy(),
        )

    def fused(self) -> ShotVectors:
        """The fused vectors, which no model has seen; float32 [n, E]."""
        sequence, shot_index = self.sequence(with_metadata=False)
        return ShotVectors(
            vectors=sequence.fused.astype(np.float32),
            shot_index=shot_index,
            fingerprints=self._fingerprints("fused_embeddings"),
        )

    def sequence(self, *, with_metadata: bool) -> tuple[TitleSequence, NDArray[np.int64]]:
        """What the model reads, and which shots those are.

        Raises:
            NotFoundError: fused vectors or metadata are still to be made in this space, or no shot has a vector.
        """
        fused = self.store.key(self._done("fused_embeddings"))
        metadata = self.store.key(self._done("metadata_embeddings")) if with_metadata else None
        sequence, shot_index = read_sequence(self.store, self.title.title_id, fused, metadata)
        if not sequence.num_shots:
            raise NotFoundError(
                "no shot has a fused vector",
                rule="a title in context has at least one shot with a picture, sound or text",
                where=f"title {self.title.title_id}",
                remedy="`mediafm status` shows the title's coverage.",
            )
        return sequence, shot_index

    def in_context(self, *, with_metadata: bool) -> ShotVectors:
        """The shots' vectors inside their whole title, float32 [n, D]: stored, kept, or made by one pass.

        Raises:
            NotFoundError: as `sequence`, and where the checkpoint cannot be found.
            IntegrityError: a stored value is damaged.
        """
        stored = self.title.chain.identity(CONTEXTUAL)
        if with_metadata and self.store.has(stored):
            table = self.store.read(stored, expected_sha256=self._recorded_sha256(stored))
            return ShotVectors(
                vectors=arrow_to_vectors(table.column("vector"))[0],
                shot_index=table.column("shot_index").to_numpy().astype(np.int64),
                fingerprints=self._fingerprints(CONTEXTUAL),
            )

        def make() -> Halves:
            sequence, _ = self.sequence(with_metadata=with_metadata)
            return self.model.embedder().embed(sequence).shots.astype(np.float16)

        identity = stored if with_metadata else _without_metadata(stored)
        vectors = self.cache.get(self.store.cache, identity.fingerprint, make)
        return ShotVectors(
            vectors=vectors.astype(np.float32),
            shot_index=self._shots_with_vectors(),
            fingerprints=self.read_fingerprints(with_metadata=with_metadata),
        )

    def read_fingerprints(self, *, with_metadata: bool) -> dict[str, str]:
        """Of what the model reads."""
        return self._fingerprints("fused_embeddings", *(["metadata_embeddings"] if with_metadata else []))

    def _recorded_sha256(self, identity: Identity) -> str | None:
        """Of the value's file as the ledger has it; None where its record was lost with a kill."""
        rows = records(self.store, [identity.table], [self.title.title_id])
        found = [row for row in rows if row.fingerprint == identity.fingerprint and row.state is TitleState.OK]
        return max(found, key=lambda row: row.generation).sha256 if found else None

    def _shots_with_vectors(self) -> NDArray[np.int64]:
        """The shots that any modality gave a vector: those of `sequence`, without reading the vectors."""
        flags = [f"has_{modality}" for modality in Modality]
        table = self.store.read(self._done("fused_embeddings"), ["shot_index", *flags])
        has_vector = np.any([table.column(name).to_numpy() for name in flags], axis=0)
        shot_index: NDArray[np.int64] = table.column("shot_index").to_numpy()[has_vector].astype(np.int64)
        return shot_index

    def _fingerprints(self, *tables: str) -> dict[str, str]:
        found = {"titles": self.title.fingerprint}
        return found | {table: self.title.chain.identity(table).fingerprint for table in ("spans", *tables)}

    def _done(self, table: str) -> Identity:
        """The identity of a value that is there."""
        identity = self.title.chain.identity(table)
        if not self.store.has(identity):
            raise _missing(self.store, self.title, self.model, table)
        return identity


def _without_metadata(identity: Identity) -> Identity:
    inputs = {name: value for name, value in identity.inputs.items() if name != "metadata_embeddings"}
    return Identity(table=identity.table, title_id=identity.title_id, producer=identity.producer, inputs=inputs)


def _unknown(store: Store, title_id: str) -> NotFoundError:
    known = [row.title_id for row in newest_rows(store, "titles")]
    near = get_close_matches(title_id, known, n=3)
    return NotFoundError(
        f"no title {title_id!r}",
        rule=f"the root has {len(known)} titles" + (f"; near it are {', '.join(near)}" if near else ""),
        where=str(store.root),
        remedy="`mediafm status` lists them.",
    )


def _missing(store: Store, title: PresentTitle, model: ChosenModel, table: str) -> NotFoundError:
    """Why a value is not there: the first setback on the way to it, else that nobody made it yet."""
    where = f"title {title.title_id}"
    for setback in _setbacks(store, title, model):
        return NotFoundError(
            f"{setback.table} is {setback.state}: {setback.reason}",
            rule=f"a clip needs the title's {table}",
            where=where,
            remedy=f"`mediafm retry --title {title.title_id}` tries it again.",
        )
    encoders: Sequence[Any] = [spec["name"] for spec in model.space.encoders.values()]
    return NotFoundError(
        f"{table} of the title's present files is still to be made",
        rule="a clip is embedded from stored vectors of " + ", ".join(map(str, encoders)),
        where=where,
        remedy="`mediafm run CATALOG --profile NAME`, with the profile of these encoders, makes them.",
    )


def _setbacks(store: Store, title: PresentTitle, model: ChosenModel) -> list[LedgerRecord]:
    """What went wrong with the title's present values, in the order of the graph."""
    wanted = {table: title.chain.identity(table).fingerprint for table in TABLES if table in model.producers}
    rows = [row for row in records(store, list(wanted), [title.title_id]) if wanted[row.table] == row.fingerprint]
    newest: dict[str, LedgerRecord] = {}
    for row in sorted(rows, key=lambda row: row.generation):
        newest[row.table] = row
    return [newest[table] for table in wanted if table in newest and newest[table].state is not TitleState.OK]
