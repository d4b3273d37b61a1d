"""`mediafm sql`: one SELECT over the store."""

from __future__ import annotations

import click

from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json, echo_table
from mediafm.config import Config

MAX_ROWS_SHOWN = 1000


@click.command()
@click.argument("query")
@configured
@json_option
def sql(config: Config, query: str, as_json: bool) -> None:
    """One SELECT over the views `titles`, `shots`, `contextual_embeddings`, `ledger`, `current`, `title_status`, ..."""
    from mediafm.steps.existing import existing_store
    from mediafm.store.select import execute_select

    found = execute_select(existing_store(config), query, None if as_json else MAX_ROWS_SHOWN + 1)
    if as_json:
        echo_json({"columns": list(found.columns), "rows": [list(row) for row in found.rows]})
        return
    echo_table(found.columns, found.rows[:MAX_ROWS_SHOWN])
    if len(found.rows) > MAX_ROWS_SHOWN:
        click.echo(f"the first {MAX_ROWS_SHOWN} rows; --json prints all")
