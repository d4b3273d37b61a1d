"""`mediafm sample`: write a catalogue of real media files whose truth is known."""

from __future__ import annotations

from pathlib import Path

import click

from mediafm.cli.bars import progress_bar
from mediafm.cli.show import echo_json


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--titles", "num_titles", default=10, show_default=True, type=click.IntRange(min=1), help="How many films."
)
@click.option("--seed", default=0, show_default=True, help="Equal seeds draw equal films.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, and nothing else there.")
def sample(directory: Path, num_titles: int, seed: int, as_json: bool) -> None:
    """Write a sample catalogue: films, subtitles, metadata, labels, and the truth about each cut."""
    from mediafm.media.synthetic.catalog import write_sample

    with progress_bar(quiet=as_json) as bar:
        bar.begin("sample titles", num_titles)
        written = write_sample(directory, num_titles, seed, progress=lambda done, total: bar.advance())
        bar.end()
    if as_json:
        echo_json(
            {"directory": str(directory), "titles": list(written.title_ids), "labels": str(written.labels_directory)}
        )
    else:
        click.echo(f"{len(written.title_ids)} titles in {directory}. Next: mediafm run {directory}")
