"""The code location as a whole: it loads, and the graph is the one that the design draws."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
import yaml

from mediafm.config import Config, load_config
from mediafm.lineage.tables import TABLES
from mediafm_pipelines.definitions import build_defs, defs
from mediafm_pipelines.demo import DemoCatalog, demo_config, write_demo_settings
from mediafm_pipelines.instance import instance_settings
from mediafm_pipelines.ui import _flags

ROOT = Path(__file__).resolve().parents[2]

GRAPH = {
    "raw_titles": ("catalog", True, set()),
    "metadata_embeddings": ("embeddings", True, {"raw_titles"}),
    "shots": ("shots", True, {"raw_titles"}),
    "video_embeddings": ("embeddings", True, {"shots"}),
    "audio_embeddings": ("embeddings", True, {"shots"}),
    "text_embeddings": ("embeddings", True, {"shots"}),
    "fused_embeddings": ("embeddings", True, {"video_embeddings", "audio_embeddings", "text_embeddings"}),
    "labels": ("evaluation", False, set()),
    "training_manifest": ("training", False, {"fused_embeddings", "metadata_embeddings"}),
    "mediafm_checkpoint": ("training", False, {"training_manifest"}),
    "checkpoint_probes": ("evaluation", False, {"mediafm_checkpoint", "training_manifest", "labels"}),
    "champion": ("training", False, {"mediafm_checkpoint", "checkpoint_probes"}),
    "contextual_embeddings": ("embeddings", True, {"fused_embeddings", "metadata_embeddings", "champion"}),
    "served_manifest": ("evaluation", False, {"contextual_embeddings"}),
    "probe_metrics": ("evaluation", False, {"served_manifest", "labels"}),
}


def test_everything_loads() -> None:
    dg.Definitions.validate_loadable(defs)


def test_the_graph_is_the_one_of_the_design() -> None:
    graph = defs.resolve_asset_graph()
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == set(GRAPH)
    for name, (group, is_partitioned, parents) in GRAPH.items():
        node = graph.get(dg.AssetKey(name))
        assert node.group_name == group, name
        assert node.is_partitioned == is_partitioned, name
        assert {key.to_user_string() for key in node.parent_keys} == parents, name


def test_every_asset_says_what_it_is() -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.kinds, key
        assert node.owners, key
        assert node.code_version, key


def test_every_table_of_the_store_has_its_asset() -> None:
    assert {spec.asset for spec in TABLES.values()} <= {*GRAPH, "transcripts"}


def test_a_profile_with_a_transcriber_has_transcripts_before_the_shots(tmp_path: Path) -> None:
    shipped = (ROOT / "mediafm" / "profiles" / "lite.toml").read_text()
    profile = tmp_path / "spoken.toml"
    profile.write_text(f'{shipped}\n[transcriber]\nname = "fake-transcriber"\n')
    built = build_defs(Config(profile=str(profile)))
    dg.Definitions.validate_loadable(built)
    graph = built.resolve_asset_graph()
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == {*GRAPH, "transcripts"}
    node = graph.get(dg.AssetKey("transcripts"))
    assert (node.group_name, node.is_partitioned, node.code_version) == ("shots", True, "1")
    assert {key.to_user_string() for key in graph.get(dg.AssetKey("shots")).parent_keys} == {
        "raw_titles",
        "transcripts",
    }
    ingest = built.resolve_job_def("ingest_job").asset_layer.executable_asset_keys
    assert dg.AssetKey("transcripts") in ingest


ON_NETWORKS = {"shots", "video_embeddings", "audio_embeddings", "mediafm_checkpoint", "contextual_embeddings"}


def asking_for_a_gpu(built: dg.Definitions) -> set[str]:
    return {
        definition.key.to_user_string()
        for definition in built.resolve_asset_graph().assets_defs
        if "dagster-k8s/config" in definition.op.tags
    }


def test_whatever_runs_a_network_asks_for_a_gpu() -> None:
    """Bought text needs none; signal descriptors need none."""
    assert asking_for_a_gpu(defs) == {"mediafm_checkpoint", "contextual_embeddings"}
    assert asking_for_a_gpu(build_defs(Config(profile="full"))) == ON_NETWORKS


def test_a_profile_with_a_pool_puts_them_into_it() -> None:
    graph = build_defs(Config(profile="full")).resolve_asset_graph()
    pooled = {key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).pools == {"gpu"}}
    assert pooled == ON_NETWORKS
    assert defs.resolve_asset_graph().get(dg.AssetKey("contextual_embeddings")).pools == set()


def test_titles_are_cut_into_runs_by_the_configuration() -> None:
    config = Config.model_validate({"orchestration": {"titles_per_run": 7}})
    graph = build_defs(config).resolve_asset_graph()
    assert graph.get(dg.AssetKey("shots")).backfill_policy == dg.BackfillPolicy.multi_run(7)


SENSORS = {
    "new_titles_sensor": "new_titles",
    "retrain_sensor": "retrain",
    "reembed_sensor": "reembed",
    "orphan_sensor": "orphans",
    "failure_sensor": "failures",
}


SCHEDULES = {"weekly_retrain", "daily_compact", "daily_verify"}


def running(built: dg.Definitions) -> set[str]:
    """The sensors and schedules that run from the start."""
    everything = [*(built.sensors or ()), *(built.schedules or ())]
    return {each.name for each in everything if each.default_status.value == "RUNNING"}


def test_the_daemon_does_nothing_by_itself_until_the_configuration_says_so() -> None:
    assert {sensor.name for sensor in defs.sensors or ()} == set(SENSORS)
    assert {schedule.name for schedule in defs.schedules or ()} == SCHEDULES
    assert running(defs) == set()
    for sensor, name in SENSORS.items():
        assert running(build_defs(Config.model_validate({"automation": {"on": [name]}}))) == {sensor}
    upkeep = build_defs(Config.model_validate({"automation": {"on": ["upkeep"]}}))
    assert running(upkeep) == {"daily_compact", "daily_verify"}
    everything = build_defs(Config.model_validate({"automation": {"on": "all"}}))
    assert running(everything) == {*SENSORS, *SCHEDULES}


def test_the_jobs_are_there() -> None:
    assert {job.name for job in defs.jobs or ()} == {
        *("register_titles", "ingest_job", "retrain_job", "reembed_job", "serve_job", "promote_job", "rollback_job"),
        *("compact_ledger_job", "verify_store_job", "rebuild_ledger_job"),
    }


def test_jobs_with_networks_ask_for_a_gpu_by_run_tags_too() -> None:
    """Launchers that start one pod a run read run tags, not op tags."""
    full = build_defs(Config(profile="full"))
    for job in ("ingest_job", "retrain_job", "reembed_job"):
        request = str(full.resolve_job_def(job).tags["dagster-k8s/config"])
        assert "nvidia.com/gpu" in request, job
    assert "dagster-k8s/config" not in defs.resolve_job_def("ingest_job").tags, "descriptors need none"
    assert "nvidia.com/gpu" in str(defs.resolve_job_def("reembed_job").tags["dagster-k8s/config"])
    ranks = build_defs(Config.model_validate({"training": {"processes": 4}}))
    assert '"nvidia.com/gpu": "4"' in ranks.resolve_job_def("retrain_job").tags["dagster-k8s/config"]
    none = build_defs(Config.model_validate({"orchestration": {"gpus_per_step": 0}}))
    assert "dagster-k8s/config" not in none.resolve_job_def("ingest_job").tags
    assert asking_for_a_gpu(none) == set()


def test_device_and_memory_are_one_resources() -> None:
    config = Config.model_validate({"device": "cpu", "orchestration": {"gpu_memory_fraction": 0.4}})
    workspace = (build_defs(config).resources or {})["workspace"]
    assert (workspace.device, workspace.gpu_memory_fraction) == ("cpu", 0.4)
    assert workspace.settings == config


def test_the_demos_settings_turn_everything_on(tmp_path: Path) -> None:
    config = demo_config(Config(root=str(tmp_path / 'a "root"')), None)
    config.root_path.mkdir()
    file = write_demo_settings(config, DemoCatalog(str(tmp_path / "films"), (), ""))
    written = load_config(file)
    assert (written.root_path, written.state_path, written.training) == (
        config.root_path,
        config.state_path,
        config.training,
    )
    assert written.catalog == str(tmp_path / "films")
    assert running(build_defs(written)) == {*SENSORS, *SCHEDULES}


def test_the_ui_serves_what_it_was_started_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags alone where the working directory's file says the rest; all of it where --config named another."""
    monkeypatch.chdir(tmp_path)
    config = Config.model_validate({"root": str(tmp_path / "root"), "automation": {"on": ["orphans"]}})
    assert running(build_defs(load_config(overrides=_flags(config)))) == {"orphan_sensor"}
    assert set(_flags(Config(root="root"))) == {"catalog", "root", "state", "profile", "device"}
    buckets = {"endpoint_url": "http://127.0.0.1:9000"}
    away = Config.model_validate({"root": "s3://films/mediafm", "state": str(tmp_path / "state"), "s3": buckets})
    served = load_config(overrides=_flags(away))
    assert (served.root, served.s3) == (away.root, away.s3)


def test_the_root_dagster_yaml_is_that_of_the_default_root() -> None:
    written = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    settings = Config().orchestration
    assert written == instance_settings(".mediafm/state/dagster", settings.max_concurrent_runs)
