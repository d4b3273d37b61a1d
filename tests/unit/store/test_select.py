"""One SELECT, over the views only."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediafm.errors import ConfigError
from mediafm.store.ledger import LedgerWriter
from mediafm.store.select import execute_select
from mediafm.store.store import Store
from mediafm.testing.stored_titles import RUN, make, point


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("select") / "root")
    with LedgerWriter(store, RUN) as ledger:
        make(store, ledger, "a")
    point(store)
    return store


def test_a_select_gives_columns_and_rows(filled: Store) -> None:
    selected = execute_select(filled, "SELECT title_id, count(*) AS shots FROM shots GROUP BY 1;")
    assert selected.columns == ("title_id", "shots")
    assert selected.rows == [("a", 3)]
    assert len(execute_select(filled, "SELECT * FROM shots", max_rows=2).rows) == 2
    assert execute_select(filled, "WITH x AS (SELECT 1 AS one) FROM x").rows == [(1,)]
    assert "shots" in str(execute_select(filled, "SHOW TABLES").rows)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "SELECT 1; SELECT 2",
        "DELETE FROM current",
        "COPY (SELECT 1) TO 'x.csv'",
        "SET threads = 1",
        "PRAGMA version",
        "ATTACH 'x.db'",
        "EXPLAIN ANALYZE SELECT 1",
        "CALL pragma_version()",
        "CREATE TABLE x (i INTEGER)",
        "LOAD httpfs",
    ],
)
def test_anything_but_one_select_is_refused(filled: Store, sql: str) -> None:
    with pytest.raises(ConfigError, match="exactly one SELECT"):
        execute_select(filled, sql)


def test_what_is_not_sql_or_not_there_is_told(filled: Store) -> None:
    with pytest.raises(ConfigError, match="a query is SQL"):
        execute_select(filled, "SELEC 1")
    with pytest.raises(ConfigError, match="does not exist"):
        execute_select(filled, "SELECT * FROM shotz")


def test_no_other_file_can_be_read(filled: Store, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for sql in (
        f"SELECT * FROM '{tmp_path}/secret.csv'",
        f"SELECT * FROM read_csv('{tmp_path}/secret.csv')",
        f"SELECT (SELECT max(content) FROM read_text('{tmp_path}/secret.csv'))",
        f"SELECT * FROM glob('{tmp_path}/*')",
        "SELECT * FROM read_parquet('https://example.org/x.parquet')",
        "SELECT * FROM which_secret('s3://x', 's3')",
        "SELECT * FROM query('SELECT 1')",
    ):
        with pytest.raises(ConfigError, match=r"over the views|reads the views"):
            execute_select(filled, sql)


def test_a_select_that_hides_a_change_is_refused(filled: Store, tmp_path: Path) -> None:
    before = _files(filled.root, tmp_path)
    inside = f"{filled.root}/store/spans"
    for sql in (
        f"WITH x AS (COPY (SELECT 1) TO '{inside}/x.parquet') SELECT 1",
        f"WITH x AS (COPY (SELECT 1) TO '{tmp_path}/x.csv') SELECT 1",
        f"SELECT (WITH x AS (COPY (SELECT 1) TO '{inside}/x.parquet') SELECT 1)",
        "WITH x AS (DELETE FROM current RETURNING *) SELECT * FROM x",
        "WITH x AS (INSERT INTO current SELECT * FROM current RETURNING title_id) SELECT * FROM x",
        f"SELECT * FROM enable_logging('QueryLog', storage = 'file', storage_config = {{'path': '{inside}/log'}})",
        "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    ):
        with pytest.raises(ConfigError, match="exactly one SELECT over the views"):
            execute_select(filled, sql)
    assert _files(filled.root, tmp_path) == before


def _files(*folders: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}
