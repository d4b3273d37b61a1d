"""Values at rest: found by identity, whole, deterministic, verified."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mediafm.errors import IntegrityError, NotFoundError, StoreError
from mediafm.lineage.fingerprint import Identity, canonical_json
from mediafm.store.parquet import LAYOUT
from mediafm.store.schemas import SCHEMAS
from mediafm.store.store import Store, check_title_id
from mediafm.store.vectors import vectors_to_arrow

SPANS = Identity(
    table="spans",
    title_id="sintel-1",
    producer={"detector": {"name": "lite"}, "step_version": 1},
    inputs={"video": "v1"},
)
AUDIO = Identity(
    table="audio_embeddings", title_id="sintel-1", producer={"width": 4}, inputs={"audio": "a", "spans": "s"}
)


def spans_table(num_shots: int = 3) -> pa.Table:
    starts = np.arange(num_shots, dtype=np.float64)
    return pa.table(
        [
            np.arange(num_shots, dtype=np.int32),
            starts,
            starts + 1,
            np.arange(num_shots) * 24,
            np.arange(num_shots) * 24 + 24,
        ],
        schema=SCHEMAS["spans"],
    )


def frames_table(num_frames: int) -> pa.Table:
    count = np.arange(num_frames)
    jpegs = [bytes([index % 256]) * 50 for index in count]
    plain = [
        count.astype(np.int32),
        count.astype(np.int32),
        count,
        count / 24.0,
        count.astype(np.int32),
        count.astype(np.int32),
    ]
    return pa.table([*plain, pa.array(jpegs)], schema=SCHEMAS["frames"])


def frames_identity(title_id: str = "t") -> Identity:
    return Identity(table="frames", title_id=title_id, producer={}, inputs={"video": "v", "spans": "s"})


def test_a_value_is_found_by_what_it_depends_on(store: Store) -> None:
    assert not store.has(SPANS)
    stored = store.write(SPANS, spans_table())
    assert stored.key == f"store/spans/{SPANS.producer_id}/sintel-1/{SPANS.fingerprint[:16]}.parquet"
    assert store.has(SPANS)
    assert store.read(SPANS).equals(spans_table())
    other = Identity(table="spans", title_id="sintel-1", producer=SPANS.producer, inputs={"video": "v2"})
    assert not store.has(other)


def test_the_record_is_what_stands_there(store: Store) -> None:
    stored = store.write(SPANS, spans_table())
    data = (store.root / stored.key).read_bytes()
    assert (stored.sha256, stored.size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (stored.num_rows, stored.was_new) == (3, True)
    again = store.write(SPANS, spans_table(num_shots=5))
    assert not again.was_new
    assert again == store.describe(stored.key), "the loser takes the winner's file"
    assert again.num_rows == 3


def test_equal_work_gives_equal_bytes_whoever_asks(store: Store) -> None:
    first = store.write(frames_identity("a"), frames_table(700))
    pieces = frames_table(700)
    with store.open_writer(frames_identity("b"), SCHEMAS["frames"]) as writer:
        for start in range(0, 700, 33):
            writer.write(pieces.slice(start, 33))
    assert writer.stored is not None
    assert writer.stored.sha256 == first.sha256
    third = store.write(frames_identity("c"), pa.concat_tables([pieces.slice(0, 1), pieces.slice(1)]))
    assert third.sha256 == first.sha256


def test_the_header_holds_the_identity_and_nothing_else(store: Store) -> None:
    stored = store.write(SPANS, spans_table().replace_schema_metadata({"pandas": "noise"}))
    metadata = pq.read_metadata(store.root / stored.key).metadata
    assert set(metadata) == {b"mediafm", b"ARROW:schema"}
    assert metadata[b"mediafm"].decode() == canonical_json(SPANS.header())
    assert store.header(stored.key) == json.loads(canonical_json(SPANS.header()))


def test_any_parquet_reader_can_read_vectors_with_absent_ones(store: Store) -> None:
    vectors = vectors_to_arrow(np.ones((3, 4)), np.array([True, False, True]))
    columns = [pa.array([0, 1, 2], pa.int32()), pa.array([True, False, True]), vectors]
    stored = store.write(AUDIO, pa.table(columns, names=SCHEMAS["audio_embeddings"].names))
    assert pq.read_table(store.root / stored.key).column("vector").to_pylist() == [[1.0] * 4, None, [1.0] * 4]
    assert store.read(AUDIO).column("vector").type == pa.list_(pa.float16(), 4)
    assert store.read(AUDIO, ["vector"]).column_names == ["vector"]


def test_a_long_title_is_read_group_by_group(store: Store) -> None:
    store.write(frames_identity(), frames_table(600))
    groups = list(store.read_batches(frames_identity(), ["shot_index", "jpeg"]))
    assert [len(group) for group in groups] == [LAYOUT.picture_rows_per_group, LAYOUT.picture_rows_per_group, 88]
    assert pa.concat_tables(groups).equals(frames_table(600).select(["shot_index", "jpeg"]))


def test_an_empty_value_is_a_value(store: Store) -> None:
    stored = store.write(frames_identity(), frames_table(0))
    assert stored.num_rows == 0
    assert store.read(frames_identity()).num_rows == 0
    assert store.has(frames_identity())


def test_a_failure_half_way_publishes_nothing(store: Store) -> None:
    def write() -> None:
        with store.open_writer(frames_identity(), SCHEMAS["frames"]) as writer:
            writer.write(frames_table(300))
            raise RuntimeError("the decoder died")

    with pytest.raises(RuntimeError, match="decoder"):
        write()
    assert not store.has(frames_identity())
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


def test_wrong_columns_are_named_all_at_once(store: Store) -> None:
    table = spans_table().drop_columns(["end_frame"]).append_column("note", pa.array(["x"] * 3))
    with pytest.raises(StoreError, match="end_frame is missing instead of int64; note is string instead of absent"):
        store.write(SPANS, table)
    with pytest.raises(StoreError, match="the order is"):
        store.write(SPANS, spans_table().select(list(reversed(spans_table().column_names))))
    with pytest.raises(StoreError, match="tables are titles"):
        store.write(Identity(table="odd", title_id="t", producer={}, inputs={}), spans_table())


@pytest.mark.parametrize("title_id", ["", "..", ".x", "a/b", "a b", "é", "a\n", "-a", "x" * 201])
def test_unsafe_title_ids_are_refused(title_id: str) -> None:
    with pytest.raises(StoreError, match="a title id is"):
        check_title_id(title_id)


def test_tampered_bytes_are_found(store: Store) -> None:
    stored = store.write(SPANS, spans_table())
    path = store.root / stored.key
    data = bytearray(path.read_bytes())
    data[10] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match=f"the ledger says {stored.sha256}"):
        store.read(stored.key, expected_sha256=stored.sha256, expected_size_bytes=stored.size_bytes)
    path.write_bytes(bytes(data[:-1]))
    with pytest.raises(IntegrityError, match=f"the ledger says {stored.size_bytes} bytes"):
        store.read(stored.key, expected_size_bytes=stored.size_bytes)
    with pytest.raises(IntegrityError, match="not a whole Parquet file"):
        store.read(SPANS)


def test_a_file_under_anothers_name_is_found(store: Store) -> None:
    stored = store.write(SPANS, spans_table())
    other = Identity(table="spans", title_id="b", producer=SPANS.producer, inputs={"video": "v2"})
    target = store.root / store.key(other)
    target.parent.mkdir(parents=True)
    target.write_bytes((store.root / stored.key).read_bytes())
    assert not store.has(other)
    with pytest.raises(IntegrityError, match="the value asked for is"):
        store.read(other)


def test_a_damaged_file_is_no_value_and_gives_way(store: Store) -> None:
    stored = store.write(SPANS, spans_table())
    (store.root / stored.key).write_bytes(b"half")
    assert not store.has(SPANS)
    assert store.write(SPANS, spans_table()).was_new
    assert store.read(SPANS).equals(spans_table())


def test_absent_values_are_not_found(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        store.read(SPANS)


def test_blobs_never_change(store: Store) -> None:
    stored = store.put_blob("store/notes/x.json", b"{}")
    assert stored.was_new
    assert not store.put_blob("store/notes/x.json", b"{}").was_new
    with pytest.raises(IntegrityError, match="the ledger says"):
        store.put_blob("store/notes/x.json", b"[]")
    assert store.read_blob("store/notes/x.json", expected_sha256=stored.sha256) == b"{}"


_WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_store import frames_identity, frames_table
from mediafm.store.schemas import SCHEMAS
from mediafm.store.store import Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
with store.open_writer(frames_identity(), SCHEMAS["frames"]) as writer:
    for index in range(20):
        writer.write(frames_table(100))
        print(index, flush=True)
print(writer.stored.was_new, writer.stored.sha256, flush=True)
"""


def _start_writer(store: Store) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(store.root), str(Path(__file__).parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_writing_one_value_agree(store: Store) -> None:
    writers = [_start_writer(store) for _ in range(2)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    last = [writer.communicate()[0].splitlines()[-1].split() for writer in writers]
    assert sorted(words[0] for words in last) == ["False", "True"]
    assert last[0][1] == last[1][1] == store.describe(store.key(frames_identity())).sha256


def test_sigkill_in_the_middle_of_a_write_leaves_a_readable_store(store: Store) -> None:
    store.write(SPANS, spans_table())
    writer = _start_writer(store)
    assert writer.stdin is not None
    assert writer.stdout is not None
    with writer:
        writer.stdin.write("\n")
        writer.stdin.flush()
        while writer.stdout.readline() != "9\n":
            pass
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert not store.has(frames_identity())
    assert store.files.list_keys("store") == [store.key(SPANS)]
    assert store.write(frames_identity(), frames_table(5)).was_new
    assert store.read(SPANS).equals(spans_table())


_FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_store import frames_identity, frames_table
from mediafm.errors import StoreError
from mediafm.store.store import Store
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    Store(Path(sys.argv[1])).write(frames_identity(), frames_table(4000))
except StoreError as error:
    print(error)
"""


def test_a_full_disk_says_so_and_leaves_nothing(store: Store) -> None:
    command = [sys.executable, "-W", "error", "-c", _FULL, str(store.root), str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cannot write" in done.stdout
    assert "File too large" in done.stdout
    assert "Free some space" in done.stdout
    assert done.stderr == ""
    assert [path for path in store.root.rglob("*") if path.is_file()] == []
