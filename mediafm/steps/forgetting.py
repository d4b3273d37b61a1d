"""Forgetting a title: its tombstone first, then every file of it, everywhere that `docs/forget.md` lists.

Each step may be done twice: after a kill half-way the same call finishes what was begun.
"""

from __future__ import annotations

import getpass
import json
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mediafm.errors import ConfigError, NotFoundError
from mediafm.lineage.fingerprint import Identity
from mediafm.lineage.records import FIRST_GENERATION
from mediafm.lineage.tables import TABLES
from mediafm.steps.contact_sheets import FOLDER as SHEETS
from mediafm.steps.context_cache import FOLDER as CONTEXTS
from mediafm.steps.embeddings import metadata_text
from mediafm.steps.producers import checkpoint_producers
from mediafm.steps.rows import cue_texts_by_shot
from mediafm.steps.unreachable import Unreachable, unreachable
from mediafm.steps.workspace import Workspace
from mediafm.store.bought import FILE_NAME as BOUGHT
from mediafm.store.bought import BoughtVectors
from mediafm.store.pointers import PRODUCERS, SERVING, Pointers
from mediafm.store.store import STORE_FOLDER, Store
from mediafm.store.tombstones import Tombstone, find_hold, find_tombstone, forgotten_record, now, put_tombstone
from mediafm.store.views import distinct_producers, records
from mediafm.types import Json, TitleState

WHOLE_CACHES = (CONTEXTS, "corpora", "training", "downloads", "duckdb")
"""Folders of the cache whose files hold many titles, or do not say whose they are: they go whole, to be made again."""
Elsewhere = Callable[[str], Sequence[str]]
"""Deletes what another place (Dagster) holds of a title, and says what it did, one sentence each."""


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """What was done.

    deleted: place -> how many files; num_bytes: of all of them.
    elsewhere: what was done outside the root.
    unreachable: what still knows of the title.
    was_new: False if it had been forgotten before, and this call only finished or repeated that.
    """

    tombstone: Tombstone
    deleted: dict[str, int] = field(default_factory=dict)
    num_bytes: int = 0
    elsewhere: tuple[str, ...] = ()
    unreachable: Unreachable
    was_new: bool = True

    def as_json(self) -> dict[str, Json]:
        return {
            "tombstone": self.tombstone.as_json(),
            "deleted": dict(self.deleted),
            "num_bytes": self.num_bytes,
            "elsewhere": list(self.elsewhere),
            "unreachable": self.unreachable.as_json(),
            "was_new": self.was_new,
        }


def forget(
    workspace: Workspace,
    title_id: str,
    *,
    reason: str = "",
    override_hold: bool = False,
    elsewhere: Elsewhere = lambda _: (),
) -> Forgotten:
    """Writes the tombstone, and deletes every file of the title.

    Args:
        reason: a person's own words.
        override_hold: although it is held; recorded.
        elsewhere: is called after the root's own files are gone.

    Raises:
        NotFoundError: the root never saw the title.
        ConfigError: it is held.
        StoreError: a file cannot be deleted; called again, it goes on.
    """
    before = find_tombstone(workspace.store, title_id)
    tombstone = before or _bury(workspace, title_id, reason, override_hold)
    record_forgotten(workspace, tombstone)
    left = unreachable(workspace.store, tombstone)
    deleted: dict[str, int] = {}
    num_bytes = 0
    for place, size_bytes in _delete_all(workspace, title_id):
        deleted[place] = deleted.get(place, 0) + 1
        num_bytes += size_bytes
    return Forgotten(
        tombstone=tombstone,
        deleted=deleted,
        num_bytes=num_bytes,
        elsewhere=tuple(elsewhere(title_id)),
        unreachable=left,
        was_new=before is None,
    )


def check_forgettable(store: Store, title_id: str, *, override_hold: bool = False) -> None:
    """Raises as `forget` does, and changes nothing."""
    if find_tombstone(store, title_id) is not None:
        return
    if not records(store, ["titles"], [title_id]):
        raise NotFoundError(
            f"no title {title_id!r}",
            rule="what is forgotten was seen before",
            where=str(store.root),
            remedy="`mediafm status` lists the titles.",
        )
    hold = find_hold(store, title_id)
    if hold is not None and not override_hold:
        raise ConfigError(
            f"{title_id} is held since {hold.set_at} by {hold.set_by}: {hold.reason}",
            rule="a title that is held stays",
            where=str(store.root),
            remedy="Release it by `mediafm hold --title T --release`, or give --override-hold, which is recorded.",
        )


def record_forgotten(workspace: Workspace, tombstone: Tombstone) -> None:
    """The ledger's row that says so, unless its newest one does."""
    rows = records(workspace.store, ["titles"], [tombstone.title_id])
    newest = max(rows, key=lambda row: row.generation, default=None)
    if newest is not None and newest.state is TitleState.FORGOTTEN:
        return
    workspace.ledger.add(forgotten_record(tombstone, newest.generation + 1 if newest else FIRST_GENERATION))
    workspace.ledger.flush()


def who() -> str:
    """User and machine, as tombstones and holds name them."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def _bury(workspace: Workspace, title_id: str, reason: str, override_hold: bool) -> Tombstone:
    check_forgettable(workspace.store, title_id, override_hold=override_hold)
    rows = sorted(records(workspace.store, ["titles"], [title_id]), key=lambda row: -row.generation)
    hold = find_hold(workspace.store, title_id)
    return put_tombstone(
        workspace.store,
        Tombstone(
            title_id=title_id,
            media_sha256=tuple(dict.fromkeys(row.media_sha256 for row in rows if row.media_sha256)),
            reason=reason.strip(),
            forgotten_at=now(),
            forgotten_by=who(),
            overridden_hold=hold.reason if hold else "",
        ),
    )


def _delete_all(workspace: Workspace, title_id: str) -> Iterator[tuple[str, int]]:
    """Deletes file after file, and says of each where it was and how large.

    Bought vectors first: which they are is read from the title's texts.
    """
    store = workspace.store
    yield from (("cache/" + BOUGHT, 0) for _ in range(_forget_bought(workspace, title_id)))
    folders = [f"{STORE_FOLDER}/{table}/{made_by}/{title_id}" for table, made_by in sorted(known_producers(store))]
    for folder in folders:
        for key in store.files.list_keys(folder):
            size_bytes = store.files.size_bytes(key)
            store.files.delete(key)
            yield "/".join(key.split("/")[:2]), size_bytes
        if isinstance(store.root, Path) and (place := store.root / folder).is_dir() and not any(place.iterdir()):
            place.rmdir()
    for place_name, file in _cached(store.cache, title_id):
        size_bytes = file.stat().st_size
        file.unlink(missing_ok=True)
        yield place_name, size_bytes
    store.files.sweep()


def known_producers(store: Store) -> set[tuple[str, str]]:
    """Table and producer_id of all that ever made, or was to make, a value.

    A file always stands under one of them, also one that a killed run left without a record: pointers move before work.
    """
    found = distinct_producers(store)
    pointers = Pointers(store)
    for pointer in (*pointers.history(PRODUCERS), *pointers.history(SERVING)):
        named = pointer.value.get("producers", pointer.value)
        if isinstance(named, Mapping):
            found.update((table, str(producer_id)) for table, producer_id in named.items() if table in TABLES)
    for record in records(store, ["checkpoints"]):
        for table, producer in checkpoint_producers(record.checkpoint_sha256).items():
            found.add((table, Identity(table=table, title_id="", producer=producer, inputs={}).producer_id))
    return found


def _forget_bought(workspace: Workspace, title_id: str) -> int:
    """Deletes the vectors that were bought of the title's texts; how many there were."""
    file = workspace.store.cache / BOUGHT
    if not file.exists():
        return 0
    texts = set[str]()
    for record in records(workspace.store, ["cues", "titles"], [title_id]):
        if record.object_key and workspace.store.files.exists(record.object_key):
            rows = workspace.store.read(record.object_key)
            if record.table == "cues":
                texts.update("\n".join(spoken) for _, spoken in cue_texts_by_shot(rows))
            else:
                metadata = json.loads(rows.column("metadata_json")[0].as_py())
                texts.add(metadata_text(metadata, workspace.config.metadata.fields))
    return BoughtVectors(file).forget_texts(sorted(texts))


def _cached(cache: Path, title_id: str) -> Iterator[tuple[str, Path]]:
    """Files of the cache that hold something of the title, or may: what cannot be told apart goes whole."""
    sheet = re.compile(rf"{re.escape(title_id)}-[0-9a-f]{{16}}\.(jpg|part)")
    yield from ((f"cache/{SHEETS}", file) for file in _files(cache / SHEETS) if sheet.fullmatch(file.name))
    for folder in WHOLE_CACHES:
        yield from ((f"cache/{folder}", file) for file in _files(cache / folder))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
