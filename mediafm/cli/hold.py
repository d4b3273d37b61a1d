"""`mediafm hold`: titles that must stay for an audit."""

from __future__ import annotations

import click

from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json, echo_table
from mediafm.config import Config


@click.command()
@click.option("--title", "title_id", help="The title; without it, all that is held is listed.")
@click.option("--reason", default="", help="Why; kept on record.")
@click.option("--release", "is_release", is_flag=True, help="Let it go again; the history stays.")
@configured
@json_option
def hold(config: Config, title_id: str | None, reason: str, is_release: bool, as_json: bool) -> None:
    """Hold a title, so that `mediafm forget` refuses it, or release it."""
    from mediafm.steps.holding import hold_title, list_holds

    if title_id is not None:
        found = hold_title(config, title_id, reason=reason, is_release=is_release)
        if as_json:
            echo_json(found.as_json())
        else:
            click.echo(f"{title_id} is {'held' if found.is_held else 'released'}" + (f": {reason}" if reason else ""))
        return
    held = list_holds(config)
    if as_json:
        echo_json({"holds": [each.as_json() for each in held]})
    else:
        rows = [(one.title_id, one.set_at, one.set_by, one.reason) for one in held]
        echo_table(("title", "since", "by", "reason"), rows)
