"""Dagster's instance of a root: its settings, where they lie, and the memory of which root it belongs to.

Belongs here: everything that decides where Dagster keeps its state. Does not belong here: resources of assets.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from mediafm.config import Config
from mediafm.errors import ConfigError
from mediafm.servers import ServerSettings
from mediafm_pipelines import tags
from mediafm_pipelines.database import check_database, claim_database, postgres_settings, stating_server_errors
from mediafm_pipelines.database_errors import stating_database_errors

ROOT_FILE = "root.json"
LOCK_FILE = "opening.lock"


def instance_settings(base_dir: str, max_concurrent_runs: int, servers: ServerSettings | None = None) -> dict[str, Any]:
    """`dagster.yaml` for the instance whose files lie in `base_dir`; its events on a server, if one is set."""
    return {
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        "storage": _storage(base_dir, servers or ServerSettings()),
        "local_artifact_storage": {
            "module": "dagster._core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": base_dir},
        },
        "compute_logs": {
            "module": "dagster._core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": f"{base_dir}/logs"},
        },
        "concurrency": {
            "pools": {"granularity": "op", "default_limit": 1},
            "runs": {
                "max_concurrent_runs": max_concurrent_runs,
                "tag_concurrency_limits": [
                    {"key": tags.EXCLUSIVE, "value": {"applyLimitPerUniqueValue": True}, "limit": 1}
                ],
            },
        },
        "run_monitoring": {"enabled": True, "free_slots_after_run_end_seconds": 60},
        "run_retries": {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False},
        "retention": {"sensor": {"purge_after_days": {"skipped": 3, "success": 30, "failure": 30}}},
    }


def _storage(base_dir: str, servers: ServerSettings) -> dict[str, Any]:
    if servers.dagster is not None:
        return postgres_settings(servers)
    return {
        "custom": {
            "module": "mediafm_pipelines.event_log",
            "class": "BatchedSqliteStorage",
            "config": {"base_dir": base_dir},
        }
    }


def prepare_instance(config: Config) -> Path:
    """Writes the instance's folder if it is not there yet; returns it (it is a `DAGSTER_HOME`).

    Raises:
        ConfigError: the state belongs to another root.
    """
    state = config.state_path
    home = state / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    _claim(state, config.root_name)
    settings = instance_settings(str(home), config.orchestration.max_concurrent_runs, config.servers)
    file = home / "dagster.yaml"
    text = yaml.safe_dump(settings, sort_keys=False)
    if not file.exists() or file.read_text() != text:
        beside = home / f".dagster.yaml.{os.getpid()}"
        beside.write_text(text)
        beside.replace(file)
    return home


@contextmanager
def open_instance(config: Config) -> Iterator[dg.DagsterInstance]:
    """The root's own instance, whatever `DAGSTER_HOME` says.

    Raises:
        ConfigError: the state or the database belongs to another root, or `[servers]` cannot be used.
        StoreError: the database does not answer, or cannot be read or written, also while the context lasts.
    """
    home = prepare_instance(config)
    if config.servers.dagster is not None:
        check_database(config.servers)
    with stating_server_errors(config.servers), stating_database_errors(home), _opened(home) as instance:
        if config.servers.dagster is not None:
            claim_database(instance, config.servers, config.root_name)
        yield instance


def _opened(home: Path) -> dg.DagsterInstance:
    """One process at a time: Dagster makes its tables when it first opens an instance, and two that do stumble."""
    with (home / LOCK_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return dg.DagsterInstance.from_config(str(home))


def foreign_home(config: Config) -> str | None:
    """The `DAGSTER_HOME` of the environment if it is set and points elsewhere: to be reported, not obeyed."""
    home = os.environ.get("DAGSTER_HOME")
    if home and Path(home).absolute() != config.state_path / "dagster":
        return home
    return None


def _claim(state: Path, root: str) -> None:
    file = state / ROOT_FILE
    if not file.exists():
        beside = state / f".{ROOT_FILE}.{os.getpid()}"
        beside.write_text(json.dumps({"root": root}))
        try:
            os.link(beside, file)
        except FileExistsError:
            pass  # Another process claimed it first; what it wrote is checked below.
        finally:
            beside.unlink()
    claimed = json.loads(file.read_text())["root"]
    if claimed != root:
        raise ConfigError(
            f"the state belongs to the root {claimed}",
            rule=f"one state serves one root, and this run's root is {root}",
            where=str(state),
            remedy="Set `state` in mediafm.toml to a folder of its own, or use the root it belongs to; if the root "
            f"was moved, write its new place into {file}.",
        )
