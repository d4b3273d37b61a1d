"""A record says whole and true what was made from what, or is not made."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from mediafm.errors import LineageMismatchError
from mediafm.lineage.fingerprint import Identity
from mediafm.lineage.records import LEDGER_SCHEMA, LedgerRecord
from mediafm.types import TitleState

FRAMES = Identity(table="frames", title_id="t", producer={"quality": 85}, inputs={"video": "v", "spans": "s"})
RECORD = LedgerRecord.of(
    FRAMES,
    object_key="store/x",
    sha256="ab",
    size_bytes=3,
    num_rows=2,
    run_id="r",
    host="h",
    recorded_at=datetime(2026, 11, 20, 1, 2, 3, 4, tzinfo=UTC),
    generation=2,
    step_version=3,
    seconds=1.5,
    cost_usd=0.25,
    checkpoint_sha256="c",
    media_sha256="m",
    is_forced=True,
    details={"notes": ["x", None]},
)


def test_a_record_carries_its_identity() -> None:
    assert (RECORD.asset, RECORD.table, RECORD.title_id) == ("shots", "frames", "t")
    assert (RECORD.producer_id, RECORD.fingerprint) == (FRAMES.producer_id, FRAMES.fingerprint)


def test_there_and_back_through_arrow() -> None:
    table = pa.Table.from_pylist([RECORD.as_row()], schema=LEDGER_SCHEMA)
    assert LedgerRecord.from_row(table.to_pylist()[0]) == RECORD
    assert LedgerRecord.from_row(table.to_pylist(maps_as_pydicts="strict")[0]) == RECORD


def test_every_field_has_its_column_and_its_own_value_above() -> None:
    assert set(RECORD.as_row()) == set(LEDGER_SCHEMA.names)
    plain = LedgerRecord(asset="x", table="notes", fingerprint="f")
    unchanged = {name for name, value in RECORD.as_row().items() if plain.as_row()[name] == value}
    assert unchanged == {"state", "reason", "facets"}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"reason": "x"}, "state ok with the reason 'x'"),
        ({"state": TitleState.FAILED}, "state failed without a reason"),
        ({"sha256": ""}, "an object without its sha256"),
        ({"fingerprint": ""}, "state ok without a fingerprint"),
        ({"inputs": {"video": "v"}}, r"inputs \['video'\] instead of \['spans', 'video'\]"),
        ({"inputs": {"video": "v", "spans": "s", "moon": "m"}}, "moon"),
        ({"table": "titles"}, r"facets \['audio', 'metadata', 'text', 'video'\] unknown or missing"),
        ({"table": "titles", "facets": {"smell": "s"}}, "'smell'"),
    ],
)
def test_records_that_say_too_little_or_too_much(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(LineageMismatchError, match=complaint):
        replace(RECORD, **changes)


def test_a_setback_may_know_less() -> None:
    setback = replace(RECORD, state=TitleState.FAILED, reason="memory", inputs={"video": "v"}, object_key="", sha256="")
    assert setback.inputs == {"video": "v"}
    with pytest.raises(LineageMismatchError, match="instead of"):
        replace(setback, inputs={"audio": "a"})


def test_an_optional_parent_may_be_there_and_may_be_missing() -> None:
    bare = Identity(table="cues", title_id="t", producer={}, inputs={"text": "x", "spans": "s"})
    spoken = replace(bare, inputs={**bare.inputs, "words": "w"})
    for identity in (bare, spoken):
        assert LedgerRecord.of(identity, object_key="store/x", sha256="ab").inputs == identity.inputs
    with pytest.raises(LineageMismatchError, match=r"inputs \['spans', 'words'\] instead of \['spans', 'text'\]"):
        LedgerRecord.of(replace(bare, inputs={"spans": "s", "words": "w"}))
    with pytest.raises(LineageMismatchError, match="frames"):
        LedgerRecord.of(replace(bare, inputs={**bare.inputs, "frames": "f"}))
