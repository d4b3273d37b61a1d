"""The ledger: appended, merged without loss or doubling, rebuilt from the files."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import Counter

import pytest

from mediafm.errors import ConflictError, IntegrityError
from mediafm.lineage.records import LedgerRecord, RunInfo
from mediafm.lineage.tables import TABLES
from mediafm.store import compaction
from mediafm.store.compaction import MIN_FILES_OF_STEPS, compact, keep_few_files
from mediafm.store.folders import put_folder
from mediafm.store.ledger import MAX_HELD_TITLES, LedgerWriter
from mediafm.store.ledger_files import LEDGER_FOLDER, ledger_keys, manifest_key, read_manifest
from mediafm.store.rebuild import rebuild_ledger
from mediafm.store.store import Store
from mediafm.store.views import connect, records
from mediafm.testing.stored_titles import CONFIGURED, RUN, contextual, facets_of, make, point


def note(number: int, asset: str = "notes") -> LedgerRecord:
    return LedgerRecord(asset=asset, table="notes", title_id=f"t{number}", fingerprint=str(number))


def numbers(store: Store) -> list[str]:
    return [record.fingerprint for record in records(store, ["notes"])]


def append(store: Store, count: int, start: int = 0) -> None:
    with LedgerWriter(store, RUN, flush_every_titles=1) as ledger:
        for number in range(start, start + count):
            ledger.add(note(number))


def test_records_are_stamped_and_found_again(store: Store) -> None:
    with LedgerWriter(store, RunInfo(run_id="r", host="h")) as ledger:
        stamped = ledger.add(note(1))
    assert (stamped.run_id, stamped.host) == ("r", "h")
    assert records(store, ["notes"]) == [stamped]


def test_a_few_titles_are_held_back_and_no_more(store: Store) -> None:
    ledger = LedgerWriter(store, RUN, flush_every_titles=2)
    for number in range(5):
        ledger.add(note(number))
        ledger.add(note(number))
    assert Counter(numbers(store)) == {"0": 2, "1": 2, "2": 2, "3": 2}
    ledger.flush()
    assert len(numbers(store)) == 10
    ledger.flush()
    assert len(numbers(store)) == 10


def test_titles_that_come_quickly_share_a_file(store: Store) -> None:
    ledger = LedgerWriter(store, RUN, flush_every_titles=2, quick_seconds=3600.0)
    for number in range(MAX_HELD_TITLES + 1):
        ledger.add(note(number))
    assert len(ledger_keys(store.files)) == 1
    assert len(numbers(store)) == MAX_HELD_TITLES, "however quickly they come, so many are held back and no more"
    ledger.flush()
    assert len(ledger_keys(store.files)) == 2


def test_after_steps_the_ledger_stands_in_few_files(store: Store) -> None:
    append(store, MIN_FILES_OF_STEPS - 1)
    keep_few_files(store)
    assert len(ledger_keys(store.files)) == MIN_FILES_OF_STEPS - 1
    append(store, 1, start=MIN_FILES_OF_STEPS - 1)
    keep_few_files(store)
    assert len(ledger_keys(store.files)) == 1
    assert sorted(map(int, numbers(store))) == list(range(MIN_FILES_OF_STEPS))


def test_where_another_process_merges_nothing_is_left_to_do(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def merged_by_another(store: Store, min_files: int) -> None:
        raise ConflictError("another process merged the ledger", rule="one merge at a time", where="ledger")

    monkeypatch.setattr(compaction, "compact", merged_by_another)
    keep_few_files(store)
    monkeypatch.undo()
    assert compact(store, min_files=1).generation == 0


def test_each_asset_has_its_folder(store: Store) -> None:
    with LedgerWriter(store, RUN) as ledger:
        ledger.add(note(1, "one"))
        ledger.add(note(1, "two"))
    assert [key.split("/")[1] for key in ledger_keys(store.files)] == ["one", "two"]


def test_what_was_done_is_recorded_when_the_run_fails(store: Store) -> None:
    def run() -> None:
        with LedgerWriter(store, RUN) as ledger:
            ledger.add(note(1))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        run()
    assert numbers(store) == ["1"]


_KILLED = """
import sys, time
from pathlib import Path
from mediafm.lineage.records import LedgerRecord, RunInfo
from mediafm.store.ledger import LedgerWriter
from mediafm.store.store import Store
with LedgerWriter(Store(Path(sys.argv[1])), RunInfo(run_id="r", host="h"), 2) as ledger:
    for number in range(5):
        ledger.add(LedgerRecord(asset="notes", table="notes", title_id=f"t{number}", fingerprint=str(number)))
    print("added", flush=True)
    time.sleep(60)
"""


def test_a_kill_loses_the_last_titles_records_only(store: Store) -> None:
    child = subprocess.Popen([sys.executable, "-c", _KILLED, str(store.root)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child, child.stdout:
        assert child.stdout.readline() == "added\n"
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert numbers(store) == ["0", "1", "2", "3"]


def test_merging_keeps_every_row_once(store: Store) -> None:
    append(store, 5)
    before = records(store, ["notes"])
    manifest = compact(store, min_files=1)
    assert manifest.generation == 1
    assert ledger_keys(store.files) == list(manifest.parts)
    assert records(store, ["notes"]) == before
    append(store, 3, start=5)
    assert len(numbers(store)) == 8
    assert compact(store, min_files=1).generation == 2
    assert sorted(numbers(store)) == [str(number) for number in range(8)]
    assert compact(store, min_files=1).generation == 2, "nothing was appended"


def test_replaced_files_outlive_one_merge(store: Store) -> None:
    append(store, 2)
    old = ledger_keys(store.files)
    compact(store, min_files=1)
    assert all(store.files.exists(key) for key in old)
    append(store, 1, start=2)
    compact(store, min_files=1)
    assert not any(store.files.exists(key) for key in old)
    assert sorted(numbers(store)) == ["0", "1", "2"]


def test_many_parts_become_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "MAX_PARTS", 2)
    for start in range(5):
        append(store, 1, start=start)
        assert len(compact(store, min_files=1).parts) <= 2
    assert sorted(numbers(store)) == [str(number) for number in range(5)]


def test_few_files_are_left_alone(store: Store) -> None:
    append(store, 3)
    assert compact(store).generation == 0


def test_the_loser_of_two_merges_changes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    append(store, 3)
    honest = compaction._merge

    def slow(*arguments: object) -> None:
        monkeypatch.setattr(compaction, "_merge", honest)
        compact(store, min_files=1)
        honest(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(compaction, "_merge", slow)
    with pytest.raises(ConflictError, match="another process merged"):
        compact(store, min_files=1)
    assert sorted(numbers(store)) == ["0", "1", "2"]
    assert len(store.files.list_keys(f"{LEDGER_FOLDER}/_parts")) == 1


def test_readers_see_every_row_once_while_others_append_and_merge(store: Store) -> None:
    append(store, 1)
    stop = threading.Event()

    def work() -> None:
        start = 1
        while not stop.is_set():
            append(store, 3, start=start)
            start += 3
            compact(store, min_files=2)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        last = 0
        for _ in range(15):
            found = numbers(store)
            assert len(found) == len(set(found)), "a row was seen twice"
            assert sorted(map(int, found)) == list(range(len(found))), "a row was not seen"
            assert len(found) >= last
            last = len(found)
    finally:
        stop.set()
        worker.join()


def test_a_broken_manifest_is_told(store: Store) -> None:
    store.files.put_exclusive(manifest_key(1), b"{}")
    with pytest.raises(IntegrityError, match="rebuild the ledger"):
        read_manifest(store.files)


def everything(store: Store) -> list[tuple[object, ...]]:
    columns = "table_name, title_id, fingerprint, producer_id, object_key, sha256, size_bytes, num_rows, inputs, facets"
    with connect(store) as connection:
        return connection.execute(f"SELECT {columns} FROM current ORDER BY ALL").fetchall()


def test_the_ledger_comes_back_from_the_files(store: Store) -> None:
    point(store, serving={**CONFIGURED, **contextual()})
    with LedgerWriter(store, RUN) as ledger:
        for title_id in ("a", "b"):
            make(store, ledger, title_id)
    before = everything(store)
    assert len(before) == 2 * len(TABLES)
    for key in store.files.list_keys(LEDGER_FOLDER):
        store.files.delete(key)
    assert everything(store) == []
    rebuilt = rebuild_ledger(store, RUN)
    assert (rebuilt.num_rows, rebuilt.damaged, rebuilt.ambiguous_titles) == (len(before), (), ())
    assert everything(store) == before
    assert rebuild_ledger(store, RUN).num_rows == 0


def test_a_rebuild_adds_what_a_kill_lost_and_decides_nothing(store: Store) -> None:
    point(store)
    with LedgerWriter(store, RUN) as ledger:
        made = make(store, ledger, "a", tables=["titles"], facets=facets_of("a", video="new"), generation=2)
    lost = LedgerWriter(store, RUN)
    make(store, lost, "a", tables=["titles", "spans"])
    rebuilt = rebuild_ledger(store, RUN)
    assert rebuilt.num_rows == 2
    with connect(store) as connection:
        current = connection.execute("SELECT fingerprint FROM current WHERE table_name = 'titles'").fetchall()
    assert current == [(made["titles"].fingerprint,)], "what a run said goes before what was only found"


@pytest.mark.parametrize(
    "config",
    [b"{}", b"[]", b"half", b'{"manifest_sha256": "gone", "space": {}}'],
    ids=["empty", "list", "half", "gone"],
)
def test_a_checkpoint_that_cannot_be_used_stops_no_rebuild(store: Store, config: bytes) -> None:
    put_folder(store, "store/checkpoints/odd", {"config.json": config, "model.safetensors": b"weights"})
    make(store, LedgerWriter(store, RUN), "a", tables=["titles"])
    rebuilt = rebuild_ledger(store, RUN)
    assert (rebuilt.num_rows, rebuilt.damaged) == (1, ("store/checkpoints/odd",))


def test_a_rebuild_names_what_it_could_not_use(store: Store) -> None:
    lost = LedgerWriter(store, RUN)
    made = make(store, lost, "a", tables=["titles", "spans", "cues"])
    make(store, lost, "a", tables=["titles"], facets=facets_of("a", video="new"))
    (store.root / made["cues"].object_key).write_bytes(b"half")
    strange = store.root / made["spans"].object_key
    strange.rename(strange.with_name("0123456789abcdef.parquet"))
    rebuilt = rebuild_ledger(store, RUN)
    assert rebuilt.num_rows == 2
    assert len(rebuilt.damaged) == 2
    assert rebuilt.ambiguous_titles == ("a",)
