"""Removing what old producers made: values that nothing needs any more, by `mediafm.steps.kept`.

First the ledger says that a value is removed, then its file goes: whoever is stopped in between leaves a file too many,
never a record of a file that is not there, and the next call removes it. Values of the producers that are kept stay,
also those of earlier states of a title.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mediafm.errors import ConflictError
from mediafm.lineage.records import LedgerRecord
from mediafm.lineage.tables import REMOVED, TABLES
from mediafm.steps.kept import Kept, is_value, kept_in, state_of
from mediafm.steps.workspace import Workspace
from mediafm.store.ledger_files import ledger_keys
from mediafm.store.sql import open_duckdb, paths
from mediafm.store.store import STORE_FOLDER, Store
from mediafm.types import Json

ASSET = "gc"
FILES_AT_ONCE = 500
"""Between two looks at the pointers."""
_RECORDED = """
SELECT object_key, arg_max(fingerprint, generation), arg_max(sha256, generation), max(generation),
    arg_max(checkpoint_sha256, generation)
FROM read_parquet($paths, union_by_name = true)
WHERE state = 'ok' AND table_name = $table AND producer_id = $producer AND object_key <> '' GROUP BY object_key
"""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Values of one table by one producer that share a fate.

    reason: why they stay; "" for those that nothing needs.
    """

    table: str
    producer_id: str
    reason: str
    num_files: int
    num_bytes: int

    def as_json(self) -> dict[str, Json]:
        return {
            "table": self.table,
            "producer": self.producer_id,
            "is_kept": bool(self.reason),
            "reason": self.reason or "no configuration, checkpoint in use, manifest or hold needs it",
            "files": self.num_files,
            "bytes": self.num_bytes,
        }


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What `mediafm gc` found, or removed."""

    groups: tuple[Group, ...]
    was_removed: bool

    @property
    def removable(self) -> tuple[Group, ...]:
        return tuple(group for group in self.groups if not group.reason)

    def as_json(self) -> dict[str, Json]:
        return {
            "was_removed": self.was_removed,
            "files": sum(group.num_files for group in self.removable),
            "bytes": sum(group.num_bytes for group in self.removable),
            "kept_bytes": sum(group.num_bytes for group in self.groups if group.reason),
            "groups": [group.as_json() for group in self.groups],
        }


@dataclass
class _Recorded:
    """What the ledger says of one value."""

    fingerprint: str
    sha256: str = ""
    generation: int = 0
    checkpoint_sha256: str = ""
    size_bytes: int = field(default=0)


def collect(workspace: Workspace, *, is_dry: bool = False) -> Swept:
    """Removes every value that nothing needs, or only says which they are.

    Raises:
        NotFoundError: no run has said yet what is configured.
        IntegrityError: a pointer, a manifest of a checkpoint in use, or a hold cannot be read.
        ConflictError: a pointer or a hold moved meanwhile: what was removed until then is on record, call again.
    """
    store = workspace.store
    kept = kept_in(store)
    groups: list[Group] = []
    for table in TABLES:
        for producer_id, keys in _by_producer(store, table):
            sizes: defaultdict[str, list[int]] = defaultdict(list)
            old = []
            for key in keys:
                reason = kept.why(key)
                sizes[reason].append(store.files.size_bytes(key))
                if not reason:
                    old.append(key)
            groups += [
                Group(table=table, producer_id=producer_id, reason=why, num_files=len(all_), num_bytes=sum(all_))
                for why, all_ in sorted(sizes.items())
            ]
            if old and not is_dry:
                _remove(workspace, kept, table, producer_id, old)
    return Swept(groups=tuple(groups), was_removed=not is_dry)


def _by_producer(store: Store, table: str) -> Iterator[tuple[str, list[str]]]:
    """The keys of a table's values, one producer after the other."""
    found: dict[str, list[str]] = {}
    for key in store.files.list_keys(f"{STORE_FOLDER}/{table}"):
        if is_value(key):
            found.setdefault(key.split("/")[2], []).append(key)
    yield from sorted(found.items())


def _remove(workspace: Workspace, kept: Kept, table: str, producer_id: str, keys: Sequence[str]) -> None:
    recorded = _recorded(workspace.store, table, producer_id)
    for first in range(0, len(keys), FILES_AT_ONCE):
        _require_unmoved(workspace.store, kept)
        some = keys[first : first + FILES_AT_ONCE]
        for key in some:
            known = recorded.get(key) or _Recorded(fingerprint=key.rsplit("/", 1)[1].partition(".")[0])
            workspace.ledger.add(_record(workspace.store, table, producer_id, key, known))
        workspace.ledger.flush()
        for key in some:
            workspace.store.files.delete(key)


def _record(store: Store, table: str, producer_id: str, key: str, known: _Recorded) -> LedgerRecord:
    """That a value is removed: it speaks of the value's record of this generation and of those before."""
    return LedgerRecord(
        asset=ASSET,
        table=REMOVED,
        title_id=key.split("/")[3],
        producer_id=producer_id,
        fingerprint=known.fingerprint,
        generation=known.generation,
        checkpoint_sha256=known.checkpoint_sha256,
        size_bytes=store.files.size_bytes(key),
        details={"table": table, "object_key": key, "sha256": known.sha256},
    )


def _recorded(store: Store, table: str, producer_id: str) -> dict[str, _Recorded]:
    keys = ledger_keys(store.files)
    if not keys:
        return {}
    with open_duckdb(store) as connection:
        given = {"paths": paths(store, keys), "table": table, "producer": producer_id}
        rows = connection.execute(_RECORDED, given).fetchall()
    return {key: _Recorded(*rest) for key, *rest in rows}


def _require_unmoved(store: Store, kept: Kept) -> None:
    if state_of(store) != kept.state:
        raise ConflictError(
            "a pointer or a hold moved meanwhile",
            rule="what is removed follows from the pointers and holds as they stand",
            where="gc",
            remedy="Run `mediafm gc` again: what it removed until now is on record.",
        )
