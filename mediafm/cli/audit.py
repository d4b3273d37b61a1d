"""`mediafm audit`: what made a title's embeddings, and what a checkpoint saw and made."""

from __future__ import annotations

import sys

import click

from mediafm.cli.exit_codes import EXIT_FAILED
from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json
from mediafm.config import Config


@click.command()
@click.option("--title", "title_id", help="A title: its embeddings, back to checkpoint, manifest, encoders and file.")
@click.option("--checkpoint", help="A checkpoint's sha256 (or its beginning): what it saw, and what it made.")
@configured
@json_option
def audit(config: Config, title_id: str | None, checkpoint: str | None, as_json: bool) -> None:
    """The lineage of a title or of a checkpoint, as a tree for people and as JSON for programs."""
    from mediafm.steps.audit import audit_root

    if (title_id is None) == (checkpoint is None):
        raise click.UsageError("give either --title or --checkpoint")
    tree, complaints = audit_root(config, title_id=title_id, checkpoint=checkpoint)
    if as_json:
        echo_json({"tree": tree.as_json(), "complaints": complaints})
    else:
        click.echo(tree.as_text())
        for complaint in complaints:
            click.echo(f"WRONG: {complaint}")
        if title_id is not None and not complaints:
            click.echo("Every file of this title was read again: bytes, headers and ledger agree.")
    if complaints:
        sys.exit(EXIT_FAILED)
