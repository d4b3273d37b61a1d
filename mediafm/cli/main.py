"""The group of verbs, and the one place where errors become exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from mediafm.cli.audit import audit
from mediafm.cli.cost import cost, estimate
from mediafm.cli.embed import embed
from mediafm.cli.exit_codes import EXIT_FAILED, EXIT_USAGE
from mediafm.cli.export import export
from mediafm.cli.gc import gc
from mediafm.cli.hold import hold
from mediafm.cli.import_embeddings import import_embeddings
from mediafm.cli.probe import probe
from mediafm.cli.rebuild_mlflow import rebuild_mlflow
from mediafm.cli.sample import sample
from mediafm.cli.say import say
from mediafm.cli.score_shots import score_shots
from mediafm.cli.search import search
from mediafm.cli.sql import sql
from mediafm.cli.status import status
from mediafm.cli.tag import tag
from mediafm.cli.train import train
from mediafm.errors import CatalogError, ConfigError, MediaFMError, NotFoundError

USAGE_ERRORS = (CatalogError, ConfigError, NotFoundError)


class Verbs(click.Group):
    """A group whose verbs' own errors end in one sentence on stderr, not in a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MediaFMError as error:
            if "--json" in sys.argv:
                click.echo(json.dumps({"error": error.as_dict()}))
            click.echo(f"mediafm: {error}", err=True)
            ctx.exit(EXIT_USAGE if isinstance(error, USAGE_ERRORS) else EXIT_FAILED)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mediafm", prog_name="mediafm")
def library() -> None:
    """MediaFM: contextual, tri-modal shot embeddings from your own catalogue."""


VERBS: Sequence[click.Command] = (
    audit,
    cost,
    embed,
    estimate,
    export,
    gc,
    hold,
    import_embeddings,
    probe,
    rebuild_mlflow,
    sample,
    say,
    score_shots,
    search,
    sql,
    status,
    tag,
    train,
)
for _verb in VERBS:
    library.add_command(_verb)


def main() -> None:
    """The entry point of `python -m mediafm`."""
    library()
