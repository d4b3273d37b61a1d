"""The one hash of MediaFM: SHA-256 over canonical JSON. Used for equality only.

Canonical JSON (our choice, close to RFC 8785): UTF-8, keys sorted, no spaces, no NaN or infinity, tuples as lists.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from mediafm.errors import MediaFMError
from mediafm.types import Json

SHORT_HEX_DIGITS = 16
"""How much of a fingerprint stands in file names, data versions and tags."""


def canonical_json(value: Json) -> str:
    """`value` as text that is equal exactly when the value is.

    Raises:
        MediaFMError: the value holds something that is not JSON (NaN, bytes, a set, a non-string key).
    """
    try:
        _refuse_odd_keys(value)
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise MediaFMError(
            f"a value that is not JSON ({error})", rule="fingerprints cover JSON values with string keys only"
        ) from error


def fingerprint(value: Json) -> str:
    """The 64 hex digits of SHA-256 over `value`'s canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def short(full: str) -> str:
    """The first `SHORT_HEX_DIGITS` digits: for names and people, never for a decision."""
    return full[:SHORT_HEX_DIGITS]


def _refuse_odd_keys(value: object) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is not a string")
            _refuse_odd_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_odd_keys(item)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """All that one stored value depends on.

    table: the kind of value ("spans", "video_embeddings", ...), see `mediafm.lineage.tables`.
    title_id: whose value it is. Not hashed: equal work of two titles is equal.
    producer: all it depends on but the title (detector or encoder spec, settings, space, checkpoint, STEP_VERSION).
    inputs: the title's inputs: name -> fingerprint or content hash.
    """

    table: str
    title_id: str
    producer: Mapping[str, Json]
    inputs: Mapping[str, str]

    @cached_property
    def producer_id(self) -> str:
        """Short fingerprint of table and producer: a directory of the store, and Dagster's data version."""
        return short(fingerprint({"table": self.table, "producer": dict(self.producer)}))

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.header())

    def header(self) -> dict[str, Json]:
        """What the fingerprint covers and nothing else: the header of the stored file."""
        return {"table": self.table, "producer": dict(self.producer), "inputs": dict(self.inputs)}
