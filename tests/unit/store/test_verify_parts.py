"""The whole store read again, in parts: every file once, and what is wrong with one is told."""

from __future__ import annotations

import pytest

from mediafm.errors import ConfigError
from mediafm.lineage.records import LedgerRecord
from mediafm.lineage.tables import TABLES
from mediafm.store.folders import CHECKPOINTS, folder_key
from mediafm.store.ledger import LedgerWriter
from mediafm.store.store import Store
from mediafm.store.verify_parts import MAX_FINDINGS, REMOVED, verify_part
from mediafm.testing.stored_titles import CHECKPOINT, RUN, make, make_checkpoint

NUM_TITLES = 4


@pytest.fixture
def made(store: Store) -> dict[str, dict[str, LedgerRecord]]:
    with LedgerWriter(store, RUN) as ledger:
        titles = {f"title-{number}": make(store, ledger, f"title-{number}") for number in range(NUM_TITLES)}
        make_checkpoint(store, ledger, titles)
    return titles


def test_every_file_is_read_in_exactly_one_part(store: Store, made: dict[str, dict[str, LedgerRecord]]) -> None:
    seen: list[str] = []
    parts = [verify_part(store, part, 3, seen.append) for part in range(3)]
    num_values = NUM_TITLES * (len(TABLES))
    assert sum(part.num_files for part in parts) == num_values + 2
    assert len(seen) == len(set(seen)) == num_values + 2
    assert all(part.num_files for part in parts)
    assert [part.num_found for part in parts] == [0, 0, 0]
    whole = verify_part(store)
    assert (whole.num_files, whole.num_bytes) == (len(seen), sum(part.num_bytes for part in parts))


def test_what_is_wrong_is_told(store: Store, made: dict[str, dict[str, LedgerRecord]]) -> None:
    shots, fused = made["title-1"]["spans"].object_key, made["title-2"]["fused_embeddings"].object_key
    with store.files.local_path(shots).open("r+b") as file:
        file.write(b"X")
    store.files.delete(fused)
    weights = f"{folder_key(CHECKPOINTS, CHECKPOINT)}/model.safetensors"
    store.files.local_path(weights).write_bytes(b"other weights")
    found = verify_part(store)
    assert found.num_found == 3
    said = " ".join(found.findings)
    assert all(key in said for key in (shots, fused, weights))


def test_the_first_ten_findings_stand_for_all(store: Store, made: dict[str, dict[str, LedgerRecord]]) -> None:
    for title in made.values():
        for record in title.values():
            store.files.delete(record.object_key)
    found = verify_part(store)
    assert found.num_found == NUM_TITLES * len(TABLES)
    assert len(found.findings) == MAX_FINDINGS


def test_a_value_that_was_removed_on_record_is_not_missed(
    store: Store, made: dict[str, dict[str, LedgerRecord]]
) -> None:
    gone = made["title-1"]["spans"]
    store.files.delete(gone.object_key)
    removed = LedgerRecord(asset="gc", table=REMOVED, title_id=gone.title_id, fingerprint=gone.fingerprint)
    with LedgerWriter(store, RUN) as ledger:
        ledger.add(removed)
    assert verify_part(store).num_found == 0


def test_an_empty_root_is_sound_and_there_is_no_fourth_part_of_three(store: Store) -> None:
    assert verify_part(store).num_files == 0
    with pytest.raises(ConfigError, match="parts count from 0"):
        verify_part(store, 3, 3)
