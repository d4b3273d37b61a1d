"""Tampering with what rests is found, and all of it is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mediafm.errors import IntegrityError
from mediafm.lineage.records import LedgerRecord
from mediafm.store.ledger import LedgerWriter
from mediafm.store.store import Store
from mediafm.store.verify import verify_title
from mediafm.store.views import connect
from mediafm.testing.stored_titles import CONFIGURED, RUN, contextual, make, make_checkpoint, point


@pytest.fixture
def made(store: Store) -> dict[str, LedgerRecord]:
    with LedgerWriter(store, RUN) as ledger:
        titles = {title_id: make(store, ledger, title_id) for title_id in "ab"}
        make_checkpoint(store, ledger, titles)
    point(store, serving={**CONFIGURED, **contextual()})
    return titles["a"]


def test_what_is_as_recorded_passes(store: Store, made: dict[str, LedgerRecord]) -> None:
    verified = verify_title(store, "a")
    assert verified.num_files == len(made)
    assert verified.num_bytes == sum(record.size_bytes for record in made.values())
    with connect(store) as connection:
        assert verify_title(store, "a", connection) == verified


def test_every_damage_is_named(store: Store, made: dict[str, LedgerRecord]) -> None:
    for table in ("spans", "fused_embeddings"):
        path = store.root / made[table].object_key
        data = bytearray(path.read_bytes())
        data[8] ^= 1
        path.write_bytes(bytes(data))
    (store.root / made["cues"].object_key).unlink()
    weights = next((store.root / "store" / "checkpoints").rglob("model.safetensors"))
    weights.write_bytes(b"other weights")
    with pytest.raises(IntegrityError, match="a: 4 mismatches") as caught:
        verify_title(store, "a")
    for name in ("store/spans", "store/fused_embeddings", "store/cues", "model.safetensors"):
        assert name in str(caught.value)


def test_a_record_that_says_other_than_the_header_is_found(store: Store) -> None:
    with LedgerWriter(store, RUN) as ledger:
        made = make(store, LedgerWriter(store, RUN), "a", tables=["titles"])["titles"]
        ledger.add(replace(made, producer={"made_by": "somebody else"}))
    with pytest.raises(IntegrityError, match="the ledger says"):
        verify_title(store, "a")
