"""The contextual vectors of one checkpoint as they stand in the store, title by title: what readers get of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mediafm.errors import NotFoundError
from mediafm.fusion import Space
from mediafm.lineage.records import LedgerRecord
from mediafm.probes.vectors import TitleShots, TitleVectors
from mediafm.steps.present import PresentTitle
from mediafm.steps.producers import Producer, checkpoint_producers
from mediafm.store.pointers import SERVING, Pointers
from mediafm.store.store import Store
from mediafm.store.vectors import arrow_to_vectors
from mediafm.store.views import newest_rows, records
from mediafm.types import TitleState

CONTEXTUAL = "contextual_embeddings"


@dataclass(frozen=True, kw_only=True)
class StoredContext:
    """Where one checkpoint's vectors lie.

    record: the ledger's row on the checkpoint. producers: what makes every table that it reads and writes.
    """

    store: Store
    record: LedgerRecord
    producers: Mapping[str, Producer]

    @classmethod
    def of(cls, store: Store, checkpoint_sha256: str | None = None) -> StoredContext:
        """The vectors of a checkpoint.

        Args:
            checkpoint_sha256: its first digits are enough; what readers get unless given.

        Raises:
            NotFoundError: there is no such checkpoint, several begin so, or nothing is served yet.
        """
        wanted = serving_checkpoint(store) if checkpoint_sha256 is None else checkpoint_sha256
        rows = {row.checkpoint_sha256: row for row in records(store, ["checkpoints"])}
        found = [sha256 for sha256 in rows if sha256.startswith(wanted)]
        if not wanted or len(found) != 1:
            raise NotFoundError(
                f"{len(found)} checkpoints {wanted[:16]!r}",
                rule="the first digits of a sha256 name one checkpoint of the root",
                where=str(store.root),
                remedy="`mediafm status` names the one that readers get.",
            )
        record = rows[found[0]]
        recorded: Any = record.details["producers"]
        return cls(store=store, record=record, producers={**recorded, **checkpoint_producers(found[0])})

    @property
    def checkpoint_sha256(self) -> str:
        return self.record.checkpoint_sha256

    @property
    def space_id(self) -> str:
        """Of the fused vectors that the checkpoint reads."""
        space: Any = self.producers["fused_embeddings"]["space"]
        return Space.from_json(space).space_id

    def titles(self, title_ids: Sequence[str] | None = None) -> list[PresentTitle]:
        """The titles, all unless given, that have vectors made of their present files; by id."""
        found = [PresentTitle.of_record(row, self.producers) for row in newest_rows(self.store, "titles", title_ids)]
        return [
            title for title in found if title.state is TitleState.OK and not title.missing(self.store, [CONTEXTUAL])
        ]

    def shots(self, title: PresentTitle, group_id: str | None = None) -> TitleShots:
        """The title's shots in time, under its own group unless another is given."""
        spans = self.store.read(title.chain.identity("spans"), ["start_seconds", "end_seconds"])
        return TitleShots(
            title_id=title.title_id,
            group_id=group_id or title.group_id,
            start_seconds=spans.column("start_seconds").to_numpy(),
            end_seconds=spans.column("end_seconds").to_numpy(),
        )

    def vectors(self, title: PresentTitle, num_shots: int) -> TitleVectors:
        """The title's vectors, put where their shots stand."""
        rows = self.store.read(title.chain.identity(CONTEXTUAL), ["shot_index", "vector"])
        vectors, is_present = arrow_to_vectors(rows.column("vector"))
        shot_index = rows.column("shot_index").to_numpy()
        return TitleVectors.from_rows(title.title_id, shot_index[is_present], vectors[is_present], num_shots)

    def all_vectors(self, titles: Sequence[PresentTitle], num_shots: Mapping[str, int]) -> Iterator[TitleVectors]:
        """Title after title; one in memory at a time."""
        for title in titles:
            yield self.vectors(title, num_shots[title.title_id])


def serving_checkpoint(store: Store) -> str:
    """The checkpoint whose vectors readers get.

    Raises:
        NotFoundError: nothing is served yet.
    """
    pointer = Pointers(store).read(SERVING)
    if pointer is None:
        raise NotFoundError(
            "nothing is served yet",
            rule="probes are saved and laid on the contextual vectors that readers get",
            where=str(store.root),
            remedy="`mediafm run` trains a checkpoint and serves its vectors.",
        )
    return str(pointer.value["checkpoint_sha256"])
