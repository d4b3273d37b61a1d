"""`mediafm serve` and `mediafm rollback`: what readers get, moved by a person.

Belongs here: parsing and printing. Does not belong here: what a verb does.
"""

import sys

import click

from mediafm.cli.exit_codes import EXIT_FAILED
from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json
from mediafm.config import Config


@click.command()
@click.option("--allow-missing", is_flag=True, help="Move although readers lose titles; they are listed and recorded.")
@configured
@json_option
def serve(config: Config, allow_missing: bool, as_json: bool) -> None:
    """Let readers get the champion's vectors, if they lose no title by it; a Dagster run of served_manifest."""
    from mediafm_pipelines.definitions import build_defs
    from mediafm_pipelines.rollback import run_serve

    found = run_serve(config, build_defs(config), allow_missing)
    if as_json:
        echo_json(found)
    elif found["fault"]:
        click.echo(f"fault: {found['fault']}", err=True)
    else:
        for title_id in found["lost"]:
            click.echo(f"lost: {title_id}")
        for title_id in found["held"]:
            click.echo(f"missing: {title_id}")
        click.echo(found["reason"])
        click.echo(f"serving: {found['checkpoint_sha256'] or 'nothing yet'}, {found['titles']} titles")
    if found["fault"]:
        sys.exit(EXIT_FAILED)


@click.command()
@click.option("--to", help="At least eight digits of an earlier champion's sha256; the one before unless given.")
@click.option("--reason", default="", help="Why; kept in the ledger, in the pointers and in MLflow.")
@configured
@json_option
def rollback(config: Config, to: str | None, reason: str, as_json: bool) -> None:
    """Return champion and readers to the checkpoint before, at once; a roll-out under way is called off."""
    from mediafm_pipelines.definitions import build_defs
    from mediafm_pipelines.rollback import run_rollback

    found = run_rollback(config, build_defs(config), to, reason)
    if as_json:
        echo_json(found)
        return
    for title_id in found["unfilled"]:
        click.echo(f"to be filled: {title_id}{' (readers had it)' if title_id in found['lost'] else ''}")
    click.echo(found["reason"])
    if found["unfilled"]:
        click.echo(f"{len(found['unfilled'])} titles have no vectors by it yet: `{found['fills']}` makes them")
