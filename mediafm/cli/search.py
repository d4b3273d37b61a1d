"""`mediafm search`: the shots nearest to one shot, or to a description."""

from __future__ import annotations

import click

from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json, echo_table
from mediafm.config import Config
from mediafm.types import Json


@click.command()
@click.option("--title", "title_id", help="The title of the shot to start from.")
@click.option("--shot", "shot_index", type=click.IntRange(min=0), help="The shot's index in its title.")
@click.option("--text", help='What the picture shows ("a red car at night"), for a video encoder with a text tower.')
@click.option("--top", default=10, show_default=True, type=click.IntRange(min=1), help="How many shots to show.")
@click.option(
    "--vectors",
    default="contextual",
    show_default=True,
    type=click.Choice(["contextual", "fused"]),
    help="What a shot's neighbours are found by; descriptions are compared with video vectors.",
)
@configured
@json_option
def search(
    config: Config,
    title_id: str | None,
    shot_index: int | None,
    text: str | None,
    top: int,
    vectors: str,
    as_json: bool,
) -> None:
    """The shots nearest to one shot (--title, --shot) or to a description (--text), over all titles, exactly."""
    from mediafm.steps.search import search_by_text, search_shots

    if text is not None and title_id is None and shot_index is None:
        query: dict[str, Json] = {"text": text, "vectors": "video"}
        hits = search_by_text(config, text, top)
    elif text is None and title_id is not None and shot_index is not None:
        query = {"title_id": title_id, "shot_index": shot_index, "vectors": vectors}
        hits = search_shots(config, title_id, shot_index, top, f"{vectors}_embeddings")
    else:
        raise click.UsageError("give --title and --shot, or --text alone")
    if as_json:
        echo_json({**query, "hits": hits})
        return
    echo_table(
        ("title", "shot", "from", "to", "cosine"),
        (
            (
                hit["title_id"],
                hit["shot_index"],
                _seconds(hit["start_seconds"]),
                _seconds(hit["end_seconds"]),
                f"{hit['score']:.4f}",
            )
            for hit in hits
        ),
    )


def _seconds(time: Json) -> str:
    """Shots of imported titles may have no times."""
    return f"{time:.2f} s" if isinstance(time, float) else ""
