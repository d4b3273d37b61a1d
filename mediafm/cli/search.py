"""`mediafm search`: the shots nearest to one shot."""

from __future__ import annotations

import click

from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json, echo_table
from mediafm.config import Config


@click.command()
@click.option("--title", "title_id", required=True, help="The title of the shot to start from.")
@click.option("--shot", "shot_index", required=True, type=click.IntRange(min=0), help="The shot's index in its title.")
@click.option("--top", default=10, show_default=True, type=click.IntRange(min=1), help="How many shots to show.")
@click.option("--vectors", default="contextual", show_default=True, type=click.Choice(["contextual", "fused"]))
@configured
@json_option
def search(config: Config, title_id: str, shot_index: int, top: int, vectors: str, as_json: bool) -> None:
    """The shots whose vectors are nearest to one shot's, over all titles, exactly."""
    from mediafm.steps.search import search_shots

    hits = search_shots(config, title_id, shot_index, top, f"{vectors}_embeddings")
    if as_json:
        echo_json({"title_id": title_id, "shot_index": shot_index, "vectors": vectors, "hits": hits})
        return
    echo_table(
        ("title", "shot", "from", "to", "cosine"),
        (
            (
                hit["title_id"],
                hit["shot_index"],
                f"{hit['start_seconds']:.2f} s",
                f"{hit['end_seconds']:.2f} s",
                f"{hit['score']:.4f}",
            )
            for hit in hits
        ),
    )
