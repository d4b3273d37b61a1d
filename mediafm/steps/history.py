"""What the ledger remembers of earlier work: what was done, what was quarantined, which files it has indexed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import metadata

from mediafm.lineage.fingerprint import Identity
from mediafm.lineage.records import LedgerRecord
from mediafm.lineage.tables import TABLES
from mediafm.store.store import Store
from mediafm.store.views import records
from mediafm.types import TitleState


def decoder_version() -> str:
    """What decodes media here: a file that one decoder could not read is tried again by another."""
    return f"av {metadata.version('av')}"


@dataclass
class StepHistory:
    """The rows of some tables about some titles, by identity.

    decoder_version: of this process.
    """

    decoder_version: str
    _rows: dict[tuple[str, str, str], list[LedgerRecord]] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store, tables: Sequence[str], title_ids: Sequence[str] | None = None) -> StepHistory:
        history = cls(decoder_version())
        for record in records(store, tables, title_ids):
            history.add(record)
        return history

    def add(self, record: LedgerRecord) -> None:
        key = (record.table, record.title_id, record.fingerprint)
        self._rows.setdefault(key, []).append(record)

    def done(self, identity: Identity) -> LedgerRecord | None:
        """The newest row that says the value is there, if the ledger has one."""
        done = [row for row in self._of(identity) if row.state is TitleState.OK]
        return max(done, key=lambda row: row.generation, default=None)

    def newest(self, identity: Identity) -> LedgerRecord | None:
        """The newest row on the value, whatever its state."""
        return max(self._of(identity), key=lambda row: row.generation, default=None)

    def num_rows(self, identity: Identity) -> int:
        row = self.done(identity)
        return row.num_rows if row else 0

    def quarantine(self, identities: Iterable[Identity]) -> str:
        """Why one of these values cannot be made, if that was found with the same inputs, step and decoder; else "".

        The newest row decides: a value that was made or failed since a retry is no longer quarantined.
        """
        for identity in identities:
            row = self.newest(identity)
            if row is None or row.state is not TitleState.QUARANTINED:
                continue
            same_step = row.step_version == TABLES[identity.table].step_version
            if same_step and row.details.get("decoder_version") == self.decoder_version:
                return row.reason
        return ""

    def next_generation(self, identity: Identity) -> int:
        """One more than the highest generation that the ledger has of this value."""
        return 1 + max((row.generation for row in self._of(identity)), default=0)

    def _of(self, identity: Identity) -> list[LedgerRecord]:
        return self._rows.get((identity.table, identity.title_id, identity.fingerprint), [])
