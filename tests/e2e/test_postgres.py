"""Dagster's and MLflow's state on a real PostgreSQL: a run, an audit, a title forgotten, no password left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command import Command
from tests.e2e.conftest import NUM_TITLES, SETTINGS
from tests.e2e.postgres import PASSWORD, Cluster, programs_folder, running_cluster

SERVERS = '\n[servers]\ndagster = "$MEDIAFM_TEST_DAGSTER"\nmlflow = "$MEDIAFM_TEST_MLFLOW"\n'
PROGRAMS = programs_folder()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL (initdb, pg_ctl) is not installed"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    pytest.importorskip("dagster_postgres", reason="pip install 'mediafm[postgres]'")
    assert PROGRAMS is not None
    with running_cluster(PROGRAMS) as cluster:
        yield cluster


@pytest.mark.timeout(1800)
def test_a_root_lives_with_its_state_on_postgres(
    cluster: Cluster, catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIAFM_TEST_DAGSTER", cluster.url("dagster"))
    monkeypatch.setenv("MEDIAFM_TEST_MLFLOW", cluster.url("mlflow"))
    settings = tmp_path / "mediafm.toml"
    settings.write_text(SETTINGS + SERVERS)
    command, root = Command(settings), tmp_path / "root"

    finished = command.run(catalog, root)
    assert len(finished.summary["titles"]["ok"]) == NUM_TITLES
    assert not list((root / "state").rglob("*.db")), "SQLite was used all the same"
    champion = finished.summary["checkpoint"]["sha256"]
    assert cluster.sql("mlflow", "SELECT value FROM model_version_tags WHERE key = 'checkpoint_sha256'") == champion
    assert set(cluster.sql("mlflow", "SELECT alias FROM registered_model_aliases").split()) == {"champion", "serving"}
    assert int(cluster.sql("dagster", "SELECT count(*) FROM runs WHERE status = 'SUCCESS'")) >= 3

    assert command.call("status", *command.on(root)).returncode == 0
    audit = command.call("audit", "--check", "--json", *command.on(root))
    assert (audit.returncode, json.loads(audit.stdout)["findings"]) == (0, [])

    title = finished.summary["titles"]["ok"][0]
    mention = f"SELECT count(*) FROM event_logs WHERE event LIKE '%metadata_entries\": [{{%' AND partition = '{title}'"
    assert int(cluster.sql("dagster", mention)) > 0
    assert command.call("forget", "--title", title, "--yes", *command.on(root)).returncode == 0
    assert int(cluster.sql("dagster", f"SELECT count(*) FROM dynamic_partitions WHERE partition = '{title}'")) == 0

    other = command.call("run", str(catalog), *command.on(tmp_path / "other"))
    assert other.returncode == 2
    assert f"belongs to the root {root}" in other.stderr

    said = finished.stderr + json.dumps(finished.summary) + audit.stdout + audit.stderr + other.stderr
    assert PASSWORD not in said
    kept = [file for file in root.rglob("*") if file.is_file() and PASSWORD.encode() in file.read_bytes()]
    assert kept == []
    for database in ("dagster", "mlflow"):
        assert PASSWORD not in dump(cluster, database)


def dump(cluster: Cluster, database: str) -> str:
    """Every text of the database."""
    tables = cluster.sql(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'").split()
    assert tables
    return "\n".join(cluster.sql(database, f"SELECT * FROM {table}") for table in tables)
