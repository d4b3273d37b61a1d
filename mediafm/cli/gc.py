"""`mediafm gc`: what old producers made, removed."""

from __future__ import annotations

import click

from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json, echo_table
from mediafm.config import Config


@click.command()
@click.option("--dry-run", "is_dry", is_flag=True, help="Only say what would be removed, what would stay, and why.")
@configured
@json_option
def gc(config: Config, is_dry: bool, as_json: bool) -> None:
    """Remove vectors and shots of earlier configurations and checkpoints; each removal is on record in the ledger.

    What the configuration, the champion, what readers get, the checkpoints before these, their manifests or a hold
    need stays; checkpoints and manifests themselves stay always.
    """
    from mediafm.steps.existing import existing_store
    from mediafm.steps.gc import collect
    from mediafm.steps.workspace import Workspace

    existing_store(config)
    with Workspace.open(config) as workspace:
        found = collect(workspace, is_dry=is_dry)
    if as_json:
        echo_json(found.as_json())
        return
    echo_table(
        ("table", "producer", "files", "MB", "stays because"),
        (
            (group.table, group.producer_id, group.num_files, f"{group.num_bytes / 1e6:.1f}", group.reason or "-")
            for group in sorted(found.groups, key=lambda group: bool(group.reason))
        ),
    )
    num_bytes = sum(group.num_bytes for group in found.removable)
    num_files = sum(group.num_files for group in found.removable)
    said = "would be removed" if is_dry else "removed"
    click.echo(f"{num_files} files, {num_bytes / 1e6:.1f} MB {said}" if num_files else "nothing is to be removed")
