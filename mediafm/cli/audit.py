"""`mediafm audit`: what made a title's embeddings, and what a checkpoint, an encoder, a file or labels made."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from mediafm.cli.exit_codes import EXIT_FAILED
from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json
from mediafm.config import Config


@click.command()
@click.option("--title", "title_id", help="A title: its embeddings, back to checkpoint, manifest, encoders and file.")
@click.option("--checkpoint", help="A checkpoint's sha256 (or its beginning): what it saw, and what it made.")
@click.option("--encoder", help="A name, name@revision, or a spec's fingerprint: all that it made.")
@click.option("--media", help="A media file's sha256: its titles, their values, and the checkpoints that saw it.")
@click.option("--labels", help="The sha256 of labels: evaluations, decisions and saved probes made with them.")
@click.option("--stale", "is_stale", is_flag=True, help="Titles whose values are not of the present configuration.")
@click.option("--as-of", help="As it was at a time (ISO 8601, UTC without a zone); alone: what was current and served.")
@click.option("--check", "is_check", is_flag=True, help="Compare ledger, files, MLflow and Dagster on a sample.")
@click.option("--sample", default=20, show_default=True, help="With --check: so many titles.")
@click.option("--limit", default=1000, show_default=True, help="So many titles and values are listed; 0 for all.")
@configured
@json_option
@click.pass_obj
def audit(
    witnesses: Mapping[str, Any] | None,
    config: Config,
    title_id: str | None,
    checkpoint: str | None,
    encoder: str | None,
    media: str | None,
    labels: str | None,
    is_stale: bool,
    as_of: str | None,
    is_check: bool,
    sample: int,
    limit: int,
    as_json: bool,
) -> None:
    """Lineage both ways, as a tree for people and as JSON for programs."""
    from mediafm.steps.audit import AuditRequest, audit_root, moment_of

    if is_check:
        _check(config, sample, witnesses or {}, as_json=as_json)
        return
    request = AuditRequest(
        title_id=title_id,
        checkpoint=checkpoint,
        encoder=encoder,
        media=media,
        labels=labels,
        is_stale=is_stale,
        as_of=moment_of(as_of) if as_of else None,
        limit=limit or None,
    )
    tree, complaints = audit_root(config, request)
    if as_json:
        echo_json({"tree": tree.as_json(), "complaints": complaints})
    else:
        click.echo(tree.as_text())
        for complaint in complaints:
            click.echo(f"WRONG: {complaint}")
        is_there = title_id is not None and tree.facts.get("state") != "forgotten"
        if is_there and as_of is None and not complaints:
            click.echo("Every file of this title was read again: bytes, headers and ledger agree.")
    if complaints:
        sys.exit(EXIT_FAILED)


def _check(config: Config, sample: int, witnesses: Mapping[str, Any], *, as_json: bool) -> None:
    """Compares what all places say; fails on any disagreement."""
    from mediafm.steps.agreement import compare

    found = compare(config, sample, witnesses)
    if as_json:
        echo_json(found.as_json())
    else:
        for finding in found.findings:
            click.echo(f"WRONG: {finding}")
        click.echo(found.sentence)
    if found.findings:
        sys.exit(EXIT_FAILED)
