"""Ledger, files, Dagster and MLflow of a real run agree; tampering with each is found. Dagster's part of forgetting."""

from __future__ import annotations

import json
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from mediafm.config import Config
from mediafm.lineage.records import LedgerRecord
from mediafm.registry.registry import Registry
from mediafm.steps.agreement import Sample, compare
from mediafm.store.ledger import put_records
from mediafm.store.pointers import CHAMPION, Pointers
from mediafm.store.store import Store
from mediafm.store.views import records
from mediafm_pipelines import tags
from mediafm_pipelines.agreement import ask_dagster, disagreements
from mediafm_pipelines.catalog_run import CatalogRun
from mediafm_pipelines.cli import cli
from mediafm_pipelines.forgetting import forget_title
from mediafm_pipelines.instance import open_instance
from tests.pipelines.conftest import config_of


@pytest.fixture
def config(finished: CatalogRun, tmp_path: Path) -> Config:
    """A copy of the finished root with its state, which is told that it is elsewhere now."""
    before, root = str(finished.config.root_path), tmp_path / "root"
    shutil.copytree(before, root)
    (root / "state" / "root.json").write_text(json.dumps({"root": str(root)}))
    with closing(sqlite3.connect(root / "state" / "mlflow.db")) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for _, column, kind, *_ in database.execute(f"PRAGMA table_info({table})").fetchall():
                if "CHAR" in kind or "TEXT" in kind:
                    database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (before, str(root)))
        database.commit()
    return config_of(root)


def findings(config: Config) -> Sequence[str]:
    return compare(config, others={"Dagster": ask_dagster}).findings


def test_all_places_agree_on_an_honest_root(config: Config) -> None:
    found = compare(config, others={"Dagster": ask_dagster})
    assert found.findings == ()
    assert (found.num_titles, found.num_values, found.num_checkpoints) == (8, 88, 1)
    assert found.witnesses == ("MLflow", "Dagster")
    assert compare(config, 3).num_titles == 3


def _record(config: Config, table: str) -> LedgerRecord:
    return records(Store(config.root_path), [table])[0]


def _rerecord(config: Config, record: LedgerRecord) -> None:
    put_records(Store(config.root_path).files, f"ledger/x/{record.sha256}.parquet", [replace(record, generation=9)])


def _change_ledgers_producer(config: Config) -> None:
    _rerecord(config, replace(_record(config, "video_embeddings"), producer={"encoder": {"name": "someone else"}}))


def _change_ledgers_facet(config: Config) -> None:
    record = _record(config, "titles")
    _rerecord(config, replace(record, facets={**record.facets, "metadata": "else"}))


def _flip_bytes(config: Config) -> None:
    file = config.root_path / _record(config, "fused_embeddings").object_key
    file.write_bytes(file.read_bytes()[:100] + b"\xff" + file.read_bytes()[101:])


def _swap_files(config: Config) -> None:
    first, second = records(Store(config.root_path), ["spans"])[:2]
    shutil.copy(config.root_path / first.object_key, config.root_path / second.object_key)


def _change_weights(config: Config) -> None:
    file = config.root_path / _record(config, "checkpoints").object_key / "model.safetensors"
    file.write_bytes(file.read_bytes() + b"x")


def _change_manifest(config: Config) -> None:
    file = config.root_path / _record(config, "manifests").object_key / "titles.parquet"
    file.write_bytes(file.read_bytes() + b"x")


def _change_dagsters_version(config: Config) -> None:
    place = config.state_path / "dagster" / "history" / "runs" / "index.db"
    version = _record(config, "audio_embeddings").producer_id
    with closing(sqlite3.connect(place)) as database:
        database.execute("UPDATE event_logs SET event = replace(event, ?, 'feedfeedfeedfeed')", (version,))
        database.commit()


def _change_dagsters_run_tag(config: Config) -> None:
    with open_instance(config) as instance:
        instance.add_run_tags(_record(config, "checkpoints").run_id, {tags.CHECKPOINT: "feedfeedfeedfeed"})


def _lose_dagsters_events(config: Config) -> None:
    place = config.state_path / "dagster" / "history" / "runs" / "index.db"
    with closing(sqlite3.connect(place)) as database:
        database.execute("DELETE FROM event_logs WHERE asset_key = '[\"fused_embeddings\"]'")
        database.commit()


def _mlflow(config: Config, statement: str, *values: str) -> None:
    with closing(sqlite3.connect(config.state_path / "mlflow.db")) as database:
        assert database.execute(statement, values).rowcount > 0
        database.commit()


def _change_mlflows_manifest_tag(config: Config) -> None:
    _mlflow(config, "UPDATE model_version_tags SET value = 'feed' WHERE key = 'manifest_sha256'")


def _change_mlflows_run_tag(config: Config) -> None:
    _mlflow(config, "UPDATE model_version_tags SET value = 'feed' WHERE key = 'dagster_run_id'")


def _change_mlflows_sha256_tag(config: Config) -> None:
    _mlflow(config, "UPDATE model_version_tags SET value = 'feed' WHERE key = 'checkpoint_sha256'")


def _change_mlflows_digest(config: Config) -> None:
    _mlflow(config, "UPDATE datasets SET digest = 'feed'")


def _change_mlflows_weights(config: Config) -> None:
    for file in (config.state_path / "mlartifacts").rglob("*.safetensors"):
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(bytes(data))


def _lose_mlflows_alias(config: Config) -> None:
    registry = Registry.at(config.state_path, config.orchestration)
    assert CHAMPION in registry.aliases()
    _mlflow(config, "DELETE FROM registered_model_aliases WHERE alias = 'champion'")


def _move_a_pointer(config: Config) -> None:
    value = {"checkpoint_sha256": "f" * 64, "is_provisional": False}
    Pointers(Store(config.root_path)).ensure(CHAMPION, value, "by nobody")


Tampered = dict[str, tuple[Callable[[Config], None], str]]

LEDGER_AND_FILES: Tampered = {
    "the ledger's producer": (_change_ledgers_producer, "not that of its producer and inputs"),
    "the ledger's facet": (_change_ledgers_facet, "its facet metadata differs"),
    "a file's bytes": (_flip_bytes, "store/fused_embeddings"),
    "one file put for another": (_swap_files, "store/spans"),
    "the weights": (_change_weights, "model.safetensors"),
    "the manifest": (_change_manifest, "its manifest: store/manifests"),
}
DAGSTER: Tampered = {
    "a data version": (_change_dagsters_version, "materialised audio_embeddings with the version feedfeedfeedfeed"),
    "a run's tag": (_change_dagsters_run_tag, "is tagged mediafm/checkpoint = feedfeedfeedfeed"),
    "lost events": (_lose_dagsters_events, "no materialisation of fused_embeddings"),
}
MLFLOW: Tampered = {
    "the manifest": (_change_mlflows_manifest_tag, "the tag manifest_sha256 is feed"),
    "the run": (_change_mlflows_run_tag, "the tag dagster_run_id is feed"),
    "the data set": (_change_mlflows_digest, "the run's data sets are feed"),
    "the weights": (_change_mlflows_weights, "the config's sha256 say otherwise"),
    "an alias": (_lose_mlflows_alias, "the alias champion means None"),
}
NAMES: Tampered = {
    "MLflow's checkpoint": (_change_mlflows_sha256_tag, "not tagged checkpoint_sha256"),
    "a pointer": (_move_a_pointer, "the pointer champion names ffff"),
}


@pytest.mark.parametrize(
    "places", [LEDGER_AND_FILES, DAGSTER, MLFLOW, NAMES], ids=["files", "Dagster", "MLflow", "names"]
)
def test_tampering_with_each_place_is_found(config: Config, places: Tampered) -> None:
    """All of one kind in one root, as an honest one is compared above; each has to be told by its own sentence."""
    for tamper, _ in places.values():
        tamper(config)
    found = findings(config)
    for place, (_, expected) in places.items():
        assert any(expected in sentence for sentence in found), (place, found)


def test_the_verb_fails_on_a_disagreement(config: Config) -> None:
    arguments = ["audit", "--check", "--root", config.root, "--json"]
    honest = CliRunner().invoke(cli, arguments)
    assert honest.exit_code == 0, honest.output
    assert json.loads(honest.stdout)["witnesses"] == ["MLflow", "Dagster"]
    _flip_bytes(config)
    tampered = CliRunner().invoke(cli, arguments)
    assert tampered.exit_code == 3
    assert len(json.loads(tampered.stdout)["findings"]) == 1


def test_forgetting_empties_dagsters_events_and_the_next_check_agrees(config: Config) -> None:
    with open_instance(config) as instance:
        title, other = instance.get_dynamic_partitions("titles")[:2]
    state = config.state_path / "dagster"
    sheets = {name: _picture(state, name) for name in (title, other)}
    arguments = ["forget", "--title", title, "--yes", "--root", config.root, "--json"]
    found = CliRunner().invoke(cli, arguments)
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["elsewhere"][0] == "the partition in Dagster"
    held = b"".join(path.read_bytes() for path in sorted(state.rglob("*")) if path.is_file())
    assert sheets[title] not in held, "not even in the free pages of a database"
    assert sheets[other] in held
    with open_instance(config) as instance:
        assert title not in instance.get_dynamic_partitions("titles")
    assert findings(config) == ()
    assert forget_title(config, title).elsewhere == ()


def _picture(state: Path, title_id: str) -> bytes:
    """Some bytes of the middle of the contact sheet that stands in the title's event."""
    with closing(sqlite3.connect(state / "history" / "runs" / "index.db")) as database:
        query = "SELECT event FROM event_logs WHERE partition = ? AND event LIKE '%contact_sheet%'"
        (event,) = database.execute(query, (title_id,)).fetchone()
    middle = len(event) // 2
    return str(event[middle : middle + 200]).encode()


def test_what_was_forgotten_is_not_run_again(config: Config, finished: CatalogRun) -> None:
    from mediafm.progress import Silent

    title = finished.title_ids[0]
    forget_title(config, title)
    again = CatalogRun(config, Silent())
    again.take_catalog(None)
    assert title not in again.title_ids
    assert any(f"{title} was forgotten" in problem for problem in again.problems)


@pytest.mark.parametrize(("status", "expected"), [(dg.DagsterRunStatus.FAILURE, 0), (dg.DagsterRunStatus.SUCCESS, 1)])
def test_a_run_that_was_killed_before_it_named_its_checkpoint_is_no_disagreement(
    status: dg.DagsterRunStatus, expected: int
) -> None:
    @dg.job
    def training() -> None:
        """What made the checkpoint, and what found it there."""

    record = LedgerRecord(
        asset="mediafm_checkpoint",
        table="checkpoints",
        title_id="",
        fingerprint="f" * 64,
        run_id=str(uuid.uuid4()),
        checkpoint_sha256="c" * 64,
    )
    sample = Sample(title_ids=(), values=(), checkpoints=(record,), history=())
    with dg.DagsterInstance.ephemeral() as instance:
        instance.create_run_for_job(training, run_id=record.run_id, status=status)
        assert len(disagreements(instance, Store("unused"), sample)) == 1
        named = {tags.CHECKPOINT: "c" * 16}
        instance.create_run_for_job(training, tags=named, status=dg.DagsterRunStatus.SUCCESS)
        assert len(disagreements(instance, Store("unused"), sample)) == expected
