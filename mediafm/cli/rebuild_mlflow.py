"""`mediafm rebuild-mlflow`: MLflow's copy of the checkpoints again, from the store."""

from __future__ import annotations

import click

from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json
from mediafm.config import Config


@click.command("rebuild-mlflow")
@configured
@json_option
def rebuild_mlflow(config: Config, as_json: bool) -> None:
    """Register in MLflow what it lacks of the store's checkpoints, with reports, decisions and aliases."""
    from mediafm.steps.existing import existing_store
    from mediafm.steps.mlflow_again import rebuild_mlflow as rebuild
    from mediafm.steps.workspace import Workspace

    existing_store(config)
    with Workspace.open(config) as workspace:
        done = rebuild(workspace)
    if as_json:
        echo_json(done.as_json())
        return
    for sha256, version in done.added.items():
        click.echo(f"{sha256[:16]} is version {version}")
    for sha256 in done.lost:
        click.echo(f"{sha256[:16]} is on record, and its files are not in the store")
    click.echo(f"{len(done.added)} added, {len(done.known)} were there, {len(done.lost)} lost")
