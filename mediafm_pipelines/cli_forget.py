"""`mediafm forget`: a licence ends.

Belongs here: parsing, asking and printing. Does not belong here: what is deleted, and where.
"""

import click

from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json
from mediafm.config import Config


@click.command()
@click.option("--title", "title_id", required=True, help="The title's id.")
@click.option("--reason", default="", help="Why; kept with the tombstone.")
@click.option("--override-hold", is_flag=True, help="Although it is held for an audit; recorded.")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@configured
@json_option
def forget(config: Config, title_id: str, reason: str, override_hold: bool, is_sure: bool, as_json: bool) -> None:
    """Delete all that was made of a title, for good; no catalogue brings it back. Weights that saw it are named."""
    from mediafm.steps.existing import existing_store
    from mediafm.steps.forgetting import check_forgettable
    from mediafm_pipelines.forgetting import forget_title

    check_forgettable(existing_store(config), title_id, override_hold=override_hold)
    if not is_sure:
        if as_json:
            raise click.UsageError("with --json give --yes: nobody can be asked")
        click.confirm(f"Delete everything that was made of {title_id}? There is no way back", abort=True)
    found = forget_title(config, title_id, reason=reason, override_hold=override_hold)
    if as_json:
        echo_json(found.as_json())
        return
    click.echo(found.tombstone.sentence)
    for place, count in found.deleted.items():
        click.echo(f"deleted: {count} of {place}")
    for sentence in found.elsewhere:
        click.echo(f"deleted: {sentence}")
    for sentence in found.unreachable.sentences:
        click.echo(f"NOT REACHED: {sentence}")
    click.echo(f"{sum(found.deleted.values())} files, {found.num_bytes} bytes; `docs/forget.md` lists the places")
