"""Tombstones and holds: what was forgotten, which no catalogue brings back, and what must not be.

    tombstones/<title_id>.json
    holds/<title_id>/<number>.json      the highest number holds: a hold, or its release

A tombstone is written once, before anything is deleted, and stays. It names the title and every media file that it ever
was: the same media under another name is denied as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from mediafm.errors import IntegrityError, NotFoundError
from mediafm.lineage.fingerprint import canonical_json
from mediafm.lineage.records import LedgerRecord
from mediafm.lineage.tables import TABLES
from mediafm.store.store import Store, check_title_id
from mediafm.types import Json, TitleState

TOMBSTONES, HOLDS = "tombstones", "holds"
_SUFFIX = ".json"
_NUMBER = re.compile(r"(\d+)\.json")
_MAX_ATTEMPTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """A title that was forgotten.

    media_sha256: of every media file that it ever was.
    reason: a person's own words; may be empty.
    forgotten_at: UTC, ISO 8601. forgotten_by: user and machine.
    overridden_hold: why it was held, if it was forgotten all the same.
    """

    title_id: str
    media_sha256: tuple[str, ...]
    reason: str
    forgotten_at: str
    forgotten_by: str
    overridden_hold: str = ""

    @property
    def sentence(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"{self.title_id} was forgotten at {self.forgotten_at} by {self.forgotten_by}{why}"

    def as_json(self) -> dict[str, Json]:
        return {**asdict(self), "media_sha256": list(self.media_sha256)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A title that must stay for an audit, or one that need not any more (`is_held` False)."""

    title_id: str
    is_held: bool
    reason: str
    set_at: str
    set_by: str

    def as_json(self) -> dict[str, Json]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class DenyList:
    """What no catalogue may bring back."""

    tombstones: tuple[Tombstone, ...]

    def by_title(self, title_id: str) -> Tombstone | None:
        return next((one for one in self.tombstones if one.title_id == title_id), None)

    def by_media(self, sha256: str) -> Tombstone | None:
        return next((one for one in self.tombstones if sha256 in one.media_sha256), None)


def put_tombstone(store: Store, tombstone: Tombstone) -> Tombstone:
    """Writes it, unless the title has one; the one that stands. Raises `StoreError`."""
    store.files.put_exclusive(_tombstone_key(tombstone.title_id), canonical_json(tombstone.as_json()).encode())
    standing = find_tombstone(store, tombstone.title_id)
    assert standing is not None  # it stands there for ever
    return standing


def find_tombstone(store: Store, title_id: str) -> Tombstone | None:
    """The title's tombstone; None if it was not forgotten. Raises `IntegrityError`."""
    key = _tombstone_key(title_id)
    return _read_tombstone(store, key) if store.files.exists(key) else None


def deny_list(store: Store) -> DenyList:
    """All tombstones of a root, by title. Raises `IntegrityError`."""
    keys = [key for key in store.files.list_keys(TOMBSTONES) if key.endswith(_SUFFIX)]
    return DenyList(tuple(_read_tombstone(store, key) for key in keys))


def forgotten_record(tombstone: Tombstone, generation: int) -> LedgerRecord:
    """The ledger's row on a title that was forgotten."""
    return LedgerRecord(
        asset=TABLES["titles"].asset,
        table="titles",
        title_id=tombstone.title_id,
        state=TitleState.FORGOTTEN,
        reason=tombstone.sentence,
        generation=generation,
        step_version=TABLES["titles"].step_version,
        media_sha256=tombstone.media_sha256[0] if tombstone.media_sha256 else "",
        details={"forgotten_at": tombstone.forgotten_at, "forgotten_by": tombstone.forgotten_by},
    )


def put_hold(store: Store, title_id: str, *, is_held: bool, reason: str, set_by: str) -> Hold:
    """Holds a title, or releases it; the history stays.

    Raises:
        NotFoundError: a release of a title that is not held.
        StoreError: the root cannot be written, or others held and released it at every attempt.
    """
    for _ in range(_MAX_ATTEMPTS):
        numbers = _numbers(store, title_id)
        if not is_held and find_hold(store, title_id) is None:
            raise NotFoundError(
                f"no hold on {title_id!r}",
                rule="what is released must be held",
                where=str(store.root),
                remedy="`mediafm hold` lists the holds.",
            )
        hold = Hold(title_id=title_id, is_held=is_held, reason=reason, set_at=now(), set_by=set_by)
        key = _hold_key(title_id, max(numbers, default=0) + 1)
        if store.files.put_exclusive(key, canonical_json(hold.as_json()).encode()):
            return hold
    raise IntegrityError(
        f"{title_id} was held and released by others at every attempt", rule="holds change rarely", where=HOLDS
    )


def find_hold(store: Store, title_id: str) -> Hold | None:
    """What holds the title now; None if nothing does. Raises `IntegrityError`."""
    numbers = _numbers(store, title_id)
    if not numbers:
        return None
    hold = _read_hold(store, _hold_key(title_id, numbers[-1]))
    return hold if hold.is_held else None


def holds(store: Store) -> tuple[Hold, ...]:
    """All titles that are held, by id."""
    title_ids = sorted({key.split("/")[1] for key in store.files.list_keys(HOLDS) if key.count("/") == 2})
    return tuple(hold for title_id in title_ids if (hold := find_hold(store, title_id)) is not None)


def now() -> str:
    """UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _numbers(store: Store, title_id: str) -> Sequence[int]:
    names = (key.rsplit("/", 1)[1] for key in store.files.list_keys(f"{HOLDS}/{check_title_id(title_id)}"))
    return sorted(int(match[1]) for name in names if (match := _NUMBER.fullmatch(name)))


def _tombstone_key(title_id: str) -> str:
    return f"{TOMBSTONES}/{check_title_id(title_id)}{_SUFFIX}"


def _hold_key(title_id: str, number: int) -> str:
    return f"{HOLDS}/{check_title_id(title_id)}/{number:08d}{_SUFFIX}"


def _read_tombstone(store: Store, key: str) -> Tombstone:
    try:
        parsed = json.loads(store.files.read_bytes(key))
        return Tombstone(**{**parsed, "media_sha256": tuple(parsed["media_sha256"])})
    except (ValueError, KeyError, TypeError) as error:
        raise _odd(key, error) from error


def _read_hold(store: Store, key: str) -> Hold:
    try:
        return Hold(**json.loads(store.files.read_bytes(key)))
    except (ValueError, TypeError) as error:
        raise _odd(key, error) from error


def _odd(key: str, error: Exception) -> IntegrityError:
    return IntegrityError(
        f"neither a tombstone nor a hold ({error})",
        rule="what was forgotten or held is named by JSON that is never changed",
        where=key,
        remedy="Restore the file from a backup: without it nobody knows what must stay or must not come back.",
    )
