"""A database of Dagster's that cannot be used is told with place and remedy; other errors pass as they are."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy

from mediafm.errors import StoreError
from mediafm_pipelines.database_errors import stating_database_errors
from mediafm_pipelines.instance import open_instance
from tests.pipelines.conftest import config_of


def test_a_locked_database_is_told(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"
    engine = sqlalchemy.create_engine(f"sqlite:///{file}", connect_args={"timeout": 0.05})
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with (
            pytest.raises(StoreError, match=r"database is locked.*See who holds it"),
            stating_database_errors(tmp_path),
            engine.connect() as connection,
        ):
            connection.execute(sqlalchemy.text("CREATE TABLE a (b)"))
    engine.dispose()


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"runs.db: cannot write.*Free some space"), stating_database_errors(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device", "runs.db")
    with pytest.raises(StoreError, match="Free some space"), stating_database_errors(tmp_path):
        raise sqlite3.OperationalError("database or disk is full")


def test_what_is_no_fault_of_a_disk_passes_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="a film"), stating_database_errors(tmp_path):
        raise FileNotFoundError(errno.ENOENT, "no such file", "a film")


def test_an_instance_whose_database_is_damaged_is_told(tmp_path: Path) -> None:
    config = config_of(tmp_path / "root")
    with open_instance(config):
        pass
    for file in (tmp_path / "root" / "state" / "dagster").rglob("*.db"):
        file.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match="Dagster's database cannot be used"), open_instance(config) as instance:
        instance.get_runs()
