"""A whole store in a bucket: values, ledger, pointers and SQL as in a folder, through one filesystem."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from mediafm.config import Config
from mediafm.errors import ConfigError, ConflictError, IntegrityError, StoreError
from mediafm.lineage.chain import TitleChain
from mediafm.s3.client import open_client
from mediafm.s3.settings import S3Settings
from mediafm.store.compaction import compact
from mediafm.store.folders import put_folder, read_folder
from mediafm.store.ledger import LedgerWriter
from mediafm.store.ledger_files import ledger_keys
from mediafm.store.opening import is_begun, open_store, store_at
from mediafm.store.pointers import Pointers
from mediafm.store.rebuild import rebuild_ledger
from mediafm.store.select import execute_select
from mediafm.store.store import Store
from mediafm.store.verify import verify_title
from mediafm.store.views import connect
from mediafm.testing.s3_server import S3Proxy
from mediafm.testing.stored_titles import CONFIGURED, RUN, facets_of, make, make_checkpoint, point

CURRENT = "SELECT table_name, title_id, fingerprint, sha256 FROM current ORDER BY ALL"
VECTORS = "SELECT title_id, count(*), sum(list_sum(vector)) FROM fused_embeddings GROUP BY 1 ORDER BY 1"


def fill(store: Store) -> Store:
    with LedgerWriter(store, RUN) as ledger:
        made = {title_id: make(store, ledger, title_id) for title_id in "ab"}
        make_checkpoint(store, ledger, made)
    point(store)
    return store


def at(bucket: str, s3: S3Proxy, cache: Path) -> Store:
    return store_at(f"s3://{bucket}/root", cache, S3Settings(endpoint_url=s3.endpoint_url))


@pytest.fixture
def store(bucket: str, s3: S3Proxy, tmp_path: Path) -> Store:
    return at(bucket, s3, tmp_path / "cache")


def test_it_holds_what_a_folder_would_hold(store: Store, bucket: str, s3: S3Proxy, tmp_path: Path) -> None:
    here, there = fill(Store(tmp_path / "root")), fill(store)
    elsewhere = at(bucket, s3, tmp_path / "other machine")
    with connect(here) as local, connect(there) as remote, connect(elsewhere) as second:
        for query in (CURRENT, VECTORS, "SELECT * FROM shots ORDER BY ALL", "SELECT * FROM manifest_titles"):
            expected = local.execute(query).fetchall()
            assert expected
            assert remote.execute(query).fetchall() == second.execute(query).fetchall() == expected
    assert verify_title(elsewhere, "a") == verify_title(here, "a")


def test_a_query_reads_this_root_and_nothing_else(store: Store, bucket: str, tmp_path: Path) -> None:
    fill(store)
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with connect(store) as connection:
        for place in (f"s3://{bucket}/elsewhere/a.parquet", f"s3://{bucket}/root/pointers/a.parquet"):
            with pytest.raises(duckdb.Error, match="disabled by configuration"):
                connection.execute(f"SELECT * FROM read_parquet('{place}')")
        with pytest.raises(duckdb.Error, match="disabled by configuration"):
            connection.execute(f"SELECT * FROM read_csv('{tmp_path}/secret.csv')")
    with pytest.raises(ConfigError, match="read_parquet"):
        execute_select(store, f"SELECT * FROM read_parquet('s3://{bucket}/root/store/titles/x.parquet')")


def test_a_lost_object_is_said_by_the_view_that_needs_it(store: Store) -> None:
    fill(store)
    identity = TitleChain("a", facets_of("a"), CONFIGURED).identity("spans")
    store.files.delete(store.key(identity))
    assert not store.has(identity)
    with connect(store) as connection:
        assert connection.execute("SELECT count(*) FROM cues").fetchone()
        with pytest.raises(duckdb.Error, match=r"shots cannot be read: No such file .*s3://.*; run again to make"):
            connection.execute("SELECT count(start_seconds) FROM shots").fetchall()
    with pytest.raises(ConfigError, match="No such file or directory: s3://"):
        execute_select(store, "SELECT count(start_seconds) FROM shots")


def test_a_ledger_that_cannot_be_read_is_an_error_of_the_store(store: Store, s3: S3Proxy, tmp_path: Path) -> None:
    fill(store)
    bucket = str(store.root).split("/")[2]
    hasty = S3Settings(endpoint_url=s3.endpoint_url, max_attempts=1)
    elsewhere = store_at(f"s3://{bucket}/root", tmp_path / "other machine", hasty)
    s3.choose_fault = lambda number, method, path: "slow_down" if method == "GET" and ".parquet" in path else None
    with pytest.raises(StoreError, match=r"cannot read it \(SlowDown.*Look after the network"):
        connect(elsewhere)


def test_an_object_that_somebody_overwrote_is_found_out(store: Store, bucket: str, s3: S3Proxy, tmp_path: Path) -> None:
    fill(store)
    key = store.key(TitleChain("a", facets_of("a"), CONFIGURED).identity("spans"))
    damaged = bytearray(store.files.read_bytes(key))
    damaged[40] ^= 255
    client = open_client(S3Settings(endpoint_url=s3.endpoint_url))
    client.put_object(Bucket=bucket, Key=f"root/{key}", Body=bytes(damaged))
    reader = at(bucket, s3, tmp_path / "other machine")
    with pytest.raises(IntegrityError, match=r"1 mismatches: .*the ledger says"):
        verify_title(reader, "a")


def test_of_two_movers_of_a_pointer_one_wins(store: Store, bucket: str, s3: S3Proxy, tmp_path: Path) -> None:
    first, second = Pointers(store), Pointers(at(bucket, s3, tmp_path / "other machine"))
    first.move("champion", 0, {"checkpoint_sha256": "a"}, "the first")
    with pytest.raises(ConflictError, match="stands at generation 1"):
        second.move("champion", 0, {"checkpoint_sha256": "b"}, "late")
    second.move("champion", 1, {"checkpoint_sha256": "b"}, "then again")
    assert [one.value["checkpoint_sha256"] for one in first.history("champion")] == ["a", "b"]


def test_folders_compaction_and_rebuilding(store: Store, bucket: str, s3: S3Proxy, tmp_path: Path) -> None:
    put_folder(store, "store/checkpoints/x", {"config.json": b"{}", "model.safetensors": b"weights"})
    assert read_folder(at(bucket, s3, tmp_path / "other"), "store/checkpoints/x")["model.safetensors"] == b"weights"
    fill(store)
    with connect(store) as connection:
        before = connection.execute(CURRENT).fetchall()
    assert len(ledger_keys(store.files)) > 1
    compact(store, min_files=1)
    assert len(ledger_keys(store.files)) == 1
    with connect(store) as connection:
        assert connection.execute(CURRENT).fetchall() == before
    rebuilt = rebuild_ledger(store, RUN)
    assert (rebuilt.num_rows, rebuilt.damaged) == (0, ("store/checkpoints/x",)), "its configuration names no manifest"


def test_pyarrow_reads_by_the_same_filesystem_and_only_what_it_needs(store: Store, s3: S3Proxy, tmp_path: Path) -> None:
    fill(store)
    key = store.key(TitleChain("a", facets_of("a"), CONFIGURED).identity("fused_embeddings"))
    filesystem = store.files.filesystem()
    with filesystem.open(f"{store.root}/{key}", "rb") as file:
        assert pq.ParquetFile(file).metadata.num_rows == 3
    with pytest.raises(FileNotFoundError, match="No such file"):
        filesystem.open(f"{store.root}/store/titles/none.parquet", "rb")


def test_a_configuration_opens_its_store_wherever_that_is(bucket: str, s3: S3Proxy, tmp_path: Path) -> None:
    settings = S3Settings(endpoint_url=s3.endpoint_url)
    config = Config(root=f"s3://{bucket}/root/", state=str(tmp_path / "state"), s3=settings)
    assert not is_begun(open_store(config))
    fill(open_store(config))
    assert is_begun(open_store(config))
    assert open_store(config).root == f"s3://{bucket}/root"
    assert {path.name for path in tmp_path.iterdir()} == {"state"}, "copies lie beside the state"
    assert open_store(Config(root=str(tmp_path / "here"))).root == tmp_path / "here"
