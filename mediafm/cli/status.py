"""`mediafm status`: what became of each title."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json, echo_table
from mediafm.config import Config

MAX_NOTES = 20


@click.command()
@configured
@json_option
def status(config: Config, as_json: bool) -> None:
    """Each title, as the last run was configured: its state and why, shots, duration, shares of shots by modality."""
    from mediafm.steps.summary import root_status

    found = root_status(config)
    if as_json:
        echo_json(found)
        return
    echo_table(("title", "state", "shots", "seconds", "video", "audio", "text", "reason"), map(_row, found["titles"]))
    for sentence in _notes(found["notes"]):
        click.echo(sentence)
    states = ", ".join(f"{count} {state}" for state, count in found["states"].items())
    click.echo(f"{states or 'no titles yet'} in {found['root']}")
    transcribed = found["transcribed"]
    if transcribed["num_titles"]:
        click.echo(
            f"text of {transcribed['num_titles']} titles is machine-made (asr, mean confidence "
            f"{transcribed['mean_confidence']:.2f}), of {transcribed['num_captioned']} timed text"
        )
    for name in ("champion", "serving"):
        click.echo(f"{name}: {found[name]['sentence'] if found[name] else 'none yet'}")
    if found["rollout"] and found["rollout"]["sentence"]:
        click.echo(found["rollout"]["sentence"])


def _notes(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """What is odd about titles that are ok; of many, the first."""
    sentences = [f"note: {title_id}: {note}" for title_id, told in notes.items() for note in told]
    more = len(sentences) - MAX_NOTES
    return sentences[:MAX_NOTES] + ([f"(and {more} more notes; --json has them all)"] if more > 0 else [])


def _row(title: dict[str, Any]) -> tuple[Any, ...]:
    shares = (_percent(title["coverage"][modality]) for modality in ("video", "audio", "text"))
    seconds = None if title["duration_seconds"] is None else f"{title['duration_seconds']:.1f}"
    video, audio, text = shares
    text += " asr" if title["text_source"] == "asr" else ""
    return (title["title_id"], title["state"], title["shots"], seconds, video, audio, text, title["reason"])


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"
