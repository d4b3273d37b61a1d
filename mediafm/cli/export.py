"""`mediafm export`: the current vectors as one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json
from mediafm.config import Config

TABLES = ("contextual", "fused", "video", "audio", "text", "title", "metadata")
FORMATS = ("parquet", "npz", "arrow")


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--table",
    default="contextual_embeddings",
    show_default=True,
    type=click.Choice([f"{name}_embeddings" for name in TABLES]),
    help="Which vectors: a row a shot, or (title, metadata) a row a title.",
)
@click.option(
    "--format", "file_format", type=click.Choice(FORMATS), help="By OUT's ending unless given; parquet if it has none."
)
@click.option("--title", "title_ids", multiple=True, help="Only this title; may be given several times.")
@click.option("--dtype", default="float16", show_default=True, type=click.Choice(["float16", "float32"]))
@click.option("--force", "is_forced", is_flag=True, help="Replace OUT if it is there.")
@configured
@json_option
def export(
    config: Config,
    out: Path,
    table: str,
    file_format: str | None,
    title_ids: Sequence[str],
    dtype: str,
    is_forced: bool,
    as_json: bool,
) -> None:
    """Write the current vectors of a table to OUT, a row a shot, with the lineage of each."""
    from mediafm.steps.exports import export_vectors

    report = export_vectors(
        config,
        out,
        table,
        file_format=file_format or _format_of(out),
        title_ids=title_ids,
        dtype=dtype,
        is_forced=is_forced,
    ).as_json()
    if as_json:
        echo_json(report)
        return
    click.echo(
        f"{report['path']}: {report['rows']} rows of {report['titles']} titles, {report['present']} with a vector, "
        f"{report['size_bytes']} bytes"
    )


def _format_of(out: Path) -> str:
    """The format that the file's ending names; an ending that names none would lie about what is written."""
    ending = out.suffix.lower().removeprefix(".") or FORMATS[0]
    if ending not in FORMATS:
        raise click.UsageError(
            f"OUT ends in {out.suffix}: it ends in .{', .'.join(FORMATS)}, or --format says what it is"
        )
    return ending
