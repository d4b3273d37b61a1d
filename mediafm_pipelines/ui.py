"""`mediafm ui`: Dagster's webserver and daemon, and MLflow's server, on one root; ended together.

Belongs here: which processes run, with which environment. Does not belong here: anything that they show.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import click

from mediafm.config import Config, load_config, load_profile
from mediafm.errors import ConfigError
from mediafm_pipelines.definitions import FLAGS_VARIABLE
from mediafm_pipelines.instance import foreign_home, open_instance, prepare_instance
from mediafm_pipelines.orphans import fail_orphans

GRACE_SECONDS = 20.0


def serve_ui(config: Config, host: str, port: int, mlflow_port: int) -> int:
    """Runs until Ctrl-C or until one of the servers ends; returns the exit code.

    Raises:
        ConfigError: the profile is none that the servers could load, or a port is taken.
    """
    load_profile(config.profile)
    for each in {port, 0 if config.servers.has_mlflow_server else mlflow_port} - {0}:
        _check_free(host, each)
    foreign = foreign_home(config)
    if foreign:
        click.echo(f"DAGSTER_HOME is {foreign}; this UI shows {config.state_path / 'dagster'} instead.", err=True)
    home = prepare_instance(config)
    with open_instance(config) as instance:
        for run_id in fail_orphans(instance):
            click.echo(f"Run {run_id} was killed; it is now marked as failed.", err=True)
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        FLAGS_VARIABLE: json.dumps(_flags(config)),
    }
    commands = [_dagster(host, port)]
    click.echo(f"Dagster: http://{host}:{port}")
    if config.servers.has_mlflow_server:
        click.echo(f"MLflow:  {config.servers.mlflow_uri()} (not ours: nothing is started)")
    elif mlflow_port:
        environment["MLFLOW_BACKEND_STORE_URI"], command = _mlflow(config, host, mlflow_port)
        commands.append(command)
        click.echo(f"MLflow:  http://{host}:{mlflow_port}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return _until_one_ends([subprocess.Popen(command, env=environment, start_new_session=True) for command in commands])


def _check_free(host: str, port: int) -> None:
    """Dagster's webserver alone would end, unseen, and its daemon go on. Raises `ConfigError`."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise ConfigError(
            f"{host}:{port} cannot be listened on ({error.strerror})",
            rule="each server has a port of its own",
            where="--port, --mlflow-port",
            remedy="Give others, or end what listens there.",
        ) from error


def _flags(config: Config) -> dict[str, Any]:
    """What the code location needs to come to the same configuration.

    Beside the `mediafm.toml` of the working directory, which is read again whenever the code location is reloaded, that
    is the flags; with a file given by --config it is everything.
    """
    flags: dict[str, Any] = {
        "catalog": config.catalog,
        "root": config.root_name,
        "state": str(config.state_path),
        "profile": config.profile,
        "device": config.device,
    }
    if config.cache:
        flags["cache"] = str(config.cache_path)
    if of_buckets := config.s3.model_dump(mode="json", exclude_defaults=True):
        flags["s3"] = of_buckets
    everything = {**config.as_json(), **flags}
    return flags if load_config(overrides=flags) == Config.model_validate(everything) else everything


def _dagster(host: str, port: int) -> list[str]:
    return [
        sys.executable, "-m", "dagster", "dev",
        "--module-name", "mediafm_pipelines.definitions",
        "--host", host, "--port", str(port),
    ]  # fmt: skip


def _mlflow(config: Config, host: str, port: int) -> tuple[str, list[str]]:
    """What goes into the environment, as a database's password must not stand on a command line; and the command."""
    from mediafm.registry.registry import Registry

    registry = Registry.of(config)
    registry.set_up()
    return registry.tracking_uri, [
        sys.executable, "-m", "mlflow", "server",
        "--artifacts-destination", str(registry.artifact_root),
        "--host", host, "--port", str(port), "--workers", "1",
    ]  # fmt: skip


def _until_one_ends(processes: list[subprocess.Popen[bytes]]) -> int:
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.5)
        return max(process.poll() or 0 for process in processes)
    except KeyboardInterrupt:
        return 0
    finally:
        _end(processes)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    """Asks each server's whole process group to end, then sees to it: servers start servers of their own."""
    for process in processes:
        _signal_group(process, signal.SIGINT)
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
