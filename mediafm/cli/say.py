"""`mediafm say`: where a phrase is spoken."""

from __future__ import annotations

from typing import Any

import click

from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json, echo_table
from mediafm.config import Config


@click.command()
@click.argument("phrase")
@click.option("--title", "title_id", help="Look in this title alone.")
@click.option("--top", default=20, show_default=True, type=click.IntRange(min=1), help="How many places to show.")
@click.option(
    "--source", type=click.Choice(["asr", "timed_text"]), help="What a machine wrote down, or what people did."
)
@configured
@json_option
def say(config: Config, phrase: str, title_id: str | None, top: int, source: Any, as_json: bool) -> None:
    """Where PHRASE is spoken: in timed text (times of whole cues) and in transcripts (times of the words).

    Whole words; case, punctuation and diacritics do not matter; a phrase may cross cues that follow each other.
    """
    from mediafm.steps.say import say as find

    found = find(config, phrase, title_id, top, source)
    if as_json:
        hits = [hit.as_json() for hit in found.hits]
        echo_json({"phrase": phrase, "num_found": found.num_found, "num_titles": found.num_titles, "hits": hits})
        return
    if found.hits:
        echo_table(("title", "from", "to", "shot", "source", "text"), map(_row, (hit.as_json() for hit in found.hits)))
    shown = f", {len(found.hits)} shown" if found.num_found > len(found.hits) else ""
    click.echo(f"{found.num_found} places in {found.num_titles} titles{shown}")
    if any(hit.source == "asr" for hit in found.hits):
        click.echo("asr: a machine's guess with its own confidence, no captions")


def _row(hit: dict[str, Any]) -> tuple[Any, ...]:
    source = hit["source"] if hit["confidence"] is None else f"{hit['source']} {hit['confidence']:.2f}"
    return (hit["title_id"], hit["start"], hit["end"], hit["shot_index"], source, hit["text"])
