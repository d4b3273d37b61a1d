"""Pointers: small named values that move by compare-and-swap and keep their history.

    pointers/<name>/<generation>.json

The highest generation is the truth. A move creates the next generation's file exclusively: of two movers one wins, and
a rollback is one more move.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from mediafm.errors import ConflictError, IntegrityError
from mediafm.lineage.fingerprint import canonical_json
from mediafm.store.store import Store
from mediafm.types import Json

POINTER_FOLDER = "pointers"

PRODUCERS = "producers"
"""The configured producer_id of each table: `{table: producer_id}`."""
CHAMPION = "champion"
"""The approved checkpoint: `{"checkpoint_sha256": …}` and whatever the gate adds."""
SERVING = "serving"
"""What readers get: `{"checkpoint_sha256": …, "producers": {table: producer_id}}`, where the tables are the contextual
ones and all those of the space that they read."""

_GENERATION = re.compile(r"(\d+)\.json")
_MAX_ATTEMPTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """One state of a pointer.

    generation: 1 for the first value, one more with each move.
    value: what it points to.
    reason: why it was moved there, one sentence.
    moved_at: UTC, ISO 8601; for people.
    """

    name: str
    generation: int
    value: Mapping[str, Json]
    reason: str
    moved_at: str


class Pointers:
    """The pointers of one root."""

    def __init__(self, store: Store) -> None:
        self._files = store.files

    def read(self, name: str) -> Pointer | None:
        """Where the pointer stands now; None if it was never set. Raises `IntegrityError`."""
        generations = self._generations(name)
        return self._load(name, generations[-1]) if generations else None

    def history(self, name: str) -> tuple[Pointer, ...]:
        """All its states, the first one first."""
        return tuple(self._load(name, generation) for generation in self._generations(name))

    def at(self, name: str, moment: datetime) -> Pointer | None:
        """Where the pointer stood at a moment; None if it was not set yet. Raises `IntegrityError`."""
        then = [each for each in self.history(name) if datetime.fromisoformat(each.moved_at) <= moment]
        return then[-1] if then else None

    def move(self, name: str, expected_generation: int, value: Mapping[str, Json], reason: str) -> Pointer:
        """Set the pointer, if it still stands at `expected_generation` (0: never set).

        Who finds that somebody else has just made the very same move gets that one: both meant the same.

        Raises:
            ConflictError: it stands elsewhere: somebody else moved it.
        """
        found = (self._generations(name) or [0])[-1]
        pointer = Pointer(
            name=name,
            generation=expected_generation + 1,
            value=dict(value),
            reason=reason,
            moved_at=datetime.now(UTC).isoformat(timespec="microseconds"),
        )
        if found != expected_generation or not self._files.put_exclusive(
            self._key(name, pointer.generation), _as_bytes(pointer)
        ):
            present = self.read(name)
            if present is not None and present.generation == pointer.generation and _same(present.value, value):
                return present
            raise ConflictError(
                f"the pointer stands at generation {(self._generations(name) or [0])[-1]}",
                rule=f"this move was decided at generation {expected_generation}",
                where=name,
                remedy="Read it again and decide again.",
            )
        return pointer

    def ensure(self, name: str, value: Mapping[str, Json], reason: str) -> Pointer:
        """Set the pointer to `value`, whatever it was; nothing is written if it stands there already.

        Raises:
            ConflictError: others moved it at every attempt.
        """
        for attempt in range(_MAX_ATTEMPTS):
            present = self.read(name)
            if present is not None and _same(present.value, value):
                return present
            try:
                return self.move(name, present.generation if present else 0, value, reason)
            except ConflictError:
                if attempt == _MAX_ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def _generations(self, name: str) -> list[int]:
        names = (key.rsplit("/", 1)[1] for key in self._files.list_keys(f"{POINTER_FOLDER}/{name}"))
        return sorted(int(match[1]) for found in names if (match := _GENERATION.fullmatch(found)))

    def _load(self, name: str, generation: int) -> Pointer:
        key = self._key(name, generation)
        try:
            parsed = json.loads(self._files.read_bytes(key))
            return Pointer(
                name=name,
                generation=generation,
                value=parsed["value"],
                reason=parsed["reason"],
                moved_at=parsed["moved_at"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(
                f"not a pointer ({error})", rule="a pointer is JSON with value, reason and moved_at", where=key
            ) from error

    @staticmethod
    def _key(name: str, generation: int) -> str:
        return f"{POINTER_FOLDER}/{name}/{generation:08d}.json"


def _same(first: Mapping[str, Json], second: Mapping[str, Json]) -> bool:
    return canonical_json(dict(first)) == canonical_json(dict(second))


def _as_bytes(pointer: Pointer) -> bytes:
    return canonical_json(
        {
            "name": pointer.name,
            "generation": pointer.generation,
            "value": pointer.value,
            "reason": pointer.reason,
            "moved_at": pointer.moved_at,
        }
    ).encode()
