"""A title as the steps see it: where its bytes are, what they are now, and the identities of all its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mediafm.lineage.chain import Producers, TitleChain
from mediafm.lineage.fingerprint import Identity
from mediafm.lineage.records import LedgerRecord
from mediafm.store.store import Store
from mediafm.types import TitleState

IMPORTED_SOURCE = "imported"
"""The kind of source of a title without media; sources of media have no kind."""


@dataclass(frozen=True, kw_only=True)
class PresentTitle:
    """The newest raw record of a title.

    state: `ok`, or what is wrong with its file.
    generation: raised with each change of the record.
    source: where its bytes were when they were read: `path`, `size_bytes`, `modified_ns`, `sidecars`, `signature`;
        of an imported title the file of vectors: `kind`, `file`, `sha256`, `name`.
    group_id: its series, else its own id.
    object_key, sha256: the stored row of `titles`; empty unless the state is `ok`.
    chain: the identities of all its values; usable only if the state is `ok`.
    """

    title_id: str
    state: TitleState
    reason: str
    generation: int
    media_sha256: str
    facets: Mapping[str, str]
    source: Mapping[str, Any]
    group_id: str
    fingerprint: str
    object_key: str
    sha256: str
    chain: TitleChain

    @property
    def is_imported(self) -> bool:
        """Whether it has no media: its shots and vectors were given (`mediafm.steps.imports`)."""
        return self.source.get("kind") == IMPORTED_SOURCE

    @property
    def path(self) -> str:
        return str(self.source["path"])

    def missing(self, store: Store, tables: Sequence[str]) -> list[Identity]:
        """The identities among `tables` whose values are not in the store."""
        identities = [self.chain.identity(table) for table in tables]
        return [identity for identity in identities if not store.has(identity)]

    @classmethod
    def of_record(cls, record: LedgerRecord, producers: Producers) -> PresentTitle:
        """The title that a `titles` row of the ledger speaks of."""
        source: Any = record.details.get("source", {})
        return cls(
            title_id=record.title_id,
            state=record.state,
            reason=record.reason,
            generation=record.generation,
            media_sha256=record.media_sha256,
            facets=record.facets,
            source=source,
            group_id=str(record.details.get("group_id", record.title_id)),
            fingerprint=record.fingerprint,
            object_key=record.object_key,
            sha256=record.sha256,
            chain=TitleChain(record.title_id, record.facets, producers),
        )
