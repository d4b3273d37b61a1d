"""How far a roll-out is, and what a checkpoint has and lacks: from the ledger alone, in a few queries.

A checkpoint's titles are looked at in its own space, whatever is configured: its vectors belong to the shots and the
fused vectors that it reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mediafm.lineage.fingerprint import Identity
from mediafm.lineage.tables import REMOVED
from mediafm.steps.checkpoints import checkpoint_record
from mediafm.steps.producers import checkpoint_producers
from mediafm.steps.say_titles import named
from mediafm.store.current import CONTEXTUAL, Choice
from mediafm.store.pointers import CHAMPION, PRODUCERS, SERVING, Pointer, Pointers
from mediafm.store.sql import quoted
from mediafm.store.store import Store
from mediafm.store.views import connect, pointed
from mediafm.types import Json

ROLLED_BACK_FROM = "rolled_back_from"
"""In a pointer's value: the checkpoint that a rollback took it away from."""
FILLS = "mediafm run"
"""The command that makes what is still missing."""
_REMOVED = f"""
SELECT DISTINCT c.title_id FROM current c JOIN ledger r ON r.table_name = '{REMOVED}' AND r.title_id = c.title_id
    AND r.fingerprint = c.fingerprint AND r.generation >= c.generation
WHERE c.table_name IN ({", ".join(map(quoted, CONTEXTUAL))})
"""
"""Titles whose contextual vectors `mediafm gc` removed, and that nobody made again since."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What a checkpoint has of the root's titles.

    embedded: titles with its vectors of their present inputs.
    unfilled: titles that could have them and do not; those that are set aside are none of them.
    """

    embedded: frozenset[str]
    unfilled: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """Where the two pointers stand.

    champion, serving: the approved checkpoint, and what readers get (None before the first).
    embedded, unfilled: titles that the champion has, and that it lacks.
    held: of these, what readers have now by the other checkpoint: they keep `serving` where it is.
    rolled_back_from: the checkpoint that a rollback took down, as long as nothing was promoted after it.
    other_tables: tables of which the readers' checkpoint reads another kind than is configured: new titles get both.
    """

    champion: str
    serving: str | None
    embedded: tuple[str, ...]
    unfilled: tuple[str, ...]
    held: tuple[str, ...]
    rolled_back_from: str | None
    other_tables: tuple[str, ...]

    @property
    def is_under_way(self) -> bool:
        return self.champion != self.serving

    @property
    def sentence(self) -> str:
        """For people; "" where nothing is under way and nothing is missing."""
        parts = []
        if self.rolled_back_from is not None:
            parts.append(f"rolled back from {self.rolled_back_from[:16]}")
        if self.is_under_way:
            parts.append(self._under_way())
        elif self.unfilled:
            parts.append(f"{named(self.unfilled)} still to be filled: `{FILLS}`")
        if self.other_tables:
            parts.append(f"readers' checkpoint reads other {', '.join(self.other_tables)} than are configured")
        return "; ".join(parts)

    def _under_way(self) -> str:
        total = len(self.embedded) + len(self.unfilled)
        readers = f"readers get {self.serving[:16]} until then" if self.serving else "readers get nothing until then"
        said = f"rolling out {self.champion[:16]}: {len(self.embedded)} of {total} titles; {readers}"
        if self.held:
            return f"{said}; {named(self.held)} of theirs still to be embedded: `{FILLS}`"
        return f"{said}; nobody loses by it: `{FILLS}` or `mediafm serve` moves them" if self.embedded else said

    def as_json(self) -> dict[str, Json]:
        return {
            "champion": self.champion,
            "serving": self.serving,
            "is_under_way": self.is_under_way,
            "num_embedded": len(self.embedded),
            "num_titles": len(self.embedded) + len(self.unfilled),
            "unfilled": list(self.unfilled),
            "held": list(self.held),
            "rolled_back_from": self.rolled_back_from,
            "other_tables": list(self.other_tables),
            "sentence": self.sentence,
        }


def rollout(store: Store) -> Rollout | None:
    """Where the roll-out stands; None before the first champion."""
    pointers = Pointers(store)
    champion, serving = pointers.read(CHAMPION), pointers.read(SERVING)
    if champion is None:
        return None
    new, old = _checkpoint(champion), _checkpoint(serving) if serving else None
    reach = reach_of(store, new)
    held = sorted(reach_of(store, old).embedded - reach.embedded) if old and old != new else []
    rolled_back_from = champion.value.get(ROLLED_BACK_FROM)
    return Rollout(
        champion=new,
        serving=old,
        embedded=tuple(sorted(reach.embedded)),
        unfilled=reach.unfilled,
        held=tuple(held),
        rolled_back_from=str(rolled_back_from) if rolled_back_from else None,
        other_tables=_other_tables(pointers.read(PRODUCERS), serving or champion),
    )


def reach_of(store: Store, checkpoint_sha256: str) -> Reach:
    """What the checkpoint has of the root's titles, by the ledger."""
    with connect(store, choice=own_choice(producer_ids_of(store, checkpoint_sha256)), tables=()) as connection:
        found = connection.execute("SELECT title_id FROM current WHERE table_name = 'title_embeddings'").fetchall()
        waiting = connection.execute(
            "SELECT title_id FROM title_status WHERE state IN ('waiting', 'failed')"
        ).fetchall()
        gone = {title for (title,) in connection.execute(_REMOVED).fetchall()}
    embedded = {title for (title,) in found}
    unfilled = {title for (title,) in waiting} | (embedded & gone)
    return Reach(embedded=frozenset(embedded - gone), unfilled=tuple(sorted(unfilled)))


def own_choice(producers: Mapping[str, Any]) -> Choice:
    """Whose values are current for who looks through one checkpoint's eyes: all of them those of its own space."""
    ids = {table: str(item) for table, item in producers.items()}
    return Choice(configured={table: item for table, item in ids.items() if table not in CONTEXTUAL}, serving=ids)


def choice_for(store: Store, table: str) -> Choice:
    """Whose values are current for who reads `table`: with contextual vectors go the shots that they were made of.

    The pointer is read here and once: who keeps the choice stays with one checkpoint, wherever the pointer moves.
    """
    present = pointed(store)
    return own_choice(present.serving) if table in CONTEXTUAL and present.serving else present


def producer_ids_of(store: Store, checkpoint_sha256: str) -> dict[str, Json]:
    """The producer_id of each table that the checkpoint reads and writes: what `serving` says to readers."""
    recorded: Any = checkpoint_record(store, checkpoint_sha256).details["producers"]
    producers = {**recorded, **checkpoint_producers(checkpoint_sha256)}
    return {
        table: Identity(table=table, title_id="", producer=producer, inputs={}).producer_id
        for table, producer in producers.items()
    }


def _checkpoint(pointer: Pointer) -> str:
    return str(pointer.value["checkpoint_sha256"])


def _other_tables(configured: Pointer | None, read: Pointer) -> tuple[str, ...]:
    producers = read.value.get("producers")
    if configured is None or not isinstance(producers, dict):
        return ()
    names: Sequence[str] = sorted(set(configured.value) & set(producers) - {"titles"})
    return tuple(name for name in names if configured.value[name] != producers[name])
