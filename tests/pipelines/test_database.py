"""Dagster's instance on PostgreSQL: what stands in `dagster.yaml`, and what is told before Dagster is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy
import yaml

from mediafm.config import Config
from mediafm.errors import ConfigError, StoreError
from mediafm.servers import ServerSettings
from mediafm_pipelines import database
from mediafm_pipelines.instance import instance_settings, open_instance, prepare_instance

VARIABLE = ServerSettings(dagster="$MEDIAFM_TEST_DB")


def test_dagster_yaml_names_the_variable_and_never_holds_the_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIAFM_TEST_DB", "postgresql+psycopg2://me:hush@db/dagster")
    home = prepare_instance(Config(root=str(tmp_path / "root"), servers=VARIABLE))
    written = (home / "dagster.yaml").read_text()
    assert yaml.safe_load(written)["storage"] == {"postgres": {"postgres_url": {"env": "MEDIAFM_TEST_DB"}}}
    assert "hush" not in written
    plain = ServerSettings(dagster="postgresql+psycopg2://me@db/dagster")
    assert instance_settings("x", 2, plain)["storage"]["postgres"]["postgres_url"] == plain.dagster
    assert "postgres" not in instance_settings("x", 2, ServerSettings())["storage"]


def test_a_database_that_is_down_is_told_before_dagster_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dagster_postgres", reason="pip install 'mediafm[postgres]'")
    monkeypatch.setenv("MEDIAFM_TEST_DB", "postgresql+psycopg2://me:hush@127.0.0.1:9/dagster")
    config = Config(root=str(tmp_path / "root"), servers=VARIABLE)
    with pytest.raises(StoreError, match=r"servers\.dagster: .*the database must answer"), open_instance(config):
        pytest.fail("nobody listens there")


def test_a_missing_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAFM_TEST_DB", "postgresql+psycopg2://me@db/dagster")
    monkeypatch.setattr(database, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"dagster_postgres is not installed.*pip install 'mediafm\[postgres\]'"):
        database.check_database(VARIABLE)


def test_a_server_that_goes_away_meanwhile_is_told_in_its_own_words() -> None:
    utils = pytest.importorskip("dagster_postgres.utils", reason="pip install 'mediafm[postgres]'")
    said = "could not connect to server\n\tIs it running?"
    gone = sqlalchemy.exc.OperationalError("SELECT 1", {}, Exception(said))
    told = r"servers\.dagster: could not connect to server Is it running\?; .*run again"
    with pytest.raises(StoreError, match=told), database.stating_server_errors(VARIABLE):
        raise utils.DagsterPostgresException("too many retries for DB connection") from gone
    with database.stating_server_errors(ServerSettings()):
        pass


def test_a_root_that_was_moved_is_told_which_file_to_write(tmp_path: Path) -> None:
    before = Config(root=str(tmp_path / "before"))
    prepare_instance(before)
    (tmp_path / "before").rename(tmp_path / "after")
    after = Config(root=str(tmp_path / "after"))
    with pytest.raises(ConfigError, match=r"belongs to the root .*/before; .*write its new place into .*root\.json"):
        prepare_instance(after)
    (tmp_path / "after" / "state" / "root.json").write_text(json.dumps({"root": after.root_name}))
    assert str(tmp_path / "before") not in (prepare_instance(after) / "dagster.yaml").read_text()
