"""`mediafm tag`: scores and tags of titles by a saved probe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json, echo_table
from mediafm.config import Config
from mediafm.types import Json, Span

if TYPE_CHECKING:
    from mediafm.probes.head import HeadQuality
    from mediafm.steps.heads import ListedHead
    from mediafm.steps.tagging import Tagging, TagRow
    from mediafm.store.store import Store


@click.command()
@click.option("--probe", "name", help="A saved probe: `mediafm probe LABELS --save NAME` makes one.")
@click.option("--list", "is_list", is_flag=True, help="Say which probes are saved, how good they are, and which fit.")
@click.option("--title", "title_ids", multiple=True, help="Only this title; may be given several times.")
@click.option("--new", "only_new", is_flag=True, help="Only titles that had no labels when the probe was saved.")
@click.option("--unit", default="shot", show_default=True, type=click.Choice(["shot", "title"]), help="What is tagged.")
@click.option("--start", "start_seconds", type=float, help="With --end and one --title: this span instead.")
@click.option("--end", "end_seconds", type=float, help="The end of the span, in seconds.")
@click.option("--all-scores", is_flag=True, help="Every label's score, not only the labels that hold.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the rows to this .jsonl or .parquet file.")
@click.option("--force", "is_forced", is_flag=True, help="Replace OUT if it is there.")
@configured
@json_option
def tag(
    config: Config,
    name: str | None,
    is_list: bool,
    title_ids: Sequence[str],
    only_new: bool,
    unit: str,
    start_seconds: float | None,
    end_seconds: float | None,
    all_scores: bool,
    out: Path | None,
    is_forced: bool,
    as_json: bool,
) -> None:
    """Tag titles with a saved probe, on the contextual vectors that readers get now.

    Scores are probabilities, calibrated on clips that the probe did not see; of tasks of scores they are ranks. A
    probe that was made on another checkpoint is refused.
    """
    from mediafm.steps.existing import existing_store
    from mediafm.steps.tagging import open_tagging

    if is_list == (name is not None):
        raise click.UsageError("give either --probe or --list")
    store = existing_store(config)
    if name is None:
        _list(store, as_json)
        return
    span = _span(start_seconds, end_seconds)
    tagging = open_tagging(store, name, title_ids=title_ids, unit=unit, span=span, only_new=only_new)
    _tag(tagging, all_scores, out, is_forced, as_json)


def _span(start_seconds: float | None, end_seconds: float | None) -> Span | None:
    if (start_seconds is None) != (end_seconds is None):
        raise click.UsageError("give both --start and --end")
    if start_seconds is None or end_seconds is None:
        return None
    if not start_seconds < end_seconds:
        raise click.UsageError(f"--start {start_seconds} lies not before --end {end_seconds}")
    return Span(start_seconds, end_seconds)


def _tag(tagging: Tagging, all_scores: bool, out: Path | None, is_forced: bool, as_json: bool) -> None:
    """Title after title into the file, the terminal, or the one JSON object."""
    from mediafm.steps.tag_files import tag_file

    gathered: list[dict[str, Json]] = []
    counts = {"titles": 0, "units": 0, "absent": 0, "tagged": 0, "num_rows": 0}
    with ExitStack() as stack:
        write = stack.enter_context(tag_file(out, is_forced)) if out else None
        for title in tagging.run(all_scores=all_scores):
            found = (1, title.num_units, title.num_absent, title.num_tagged, len(title.rows))
            counts = {key: have + more for (key, have), more in zip(counts.items(), found, strict=True)}
            if write:
                write(title.rows)
            elif as_json:
                gathered += [row.as_json() for row in title.rows]
            elif title.rows:
                _show(title.title_id, title.rows)
    if as_json:
        rows: dict[str, Json] = {"out": str(out)} if out else {"rows": gathered}
        echo_json({**_about(tagging), **counts, **rows})
        return
    saved = tagging.saved
    click.echo(
        f"{saved.name} (version {saved.version}, {saved.sha256[:16]}): {counts['titles']} titles, "
        f"{counts['units']} {tagging.unit}s, {counts['tagged']} of them tagged, {counts['absent']} without a vector"
        + (f"; {counts['num_rows']} rows in {out}" if out else "")
    )
    for note in tagging.notes:
        click.echo(f"note: {note}")


def _about(tagging: Tagging) -> dict[str, Json]:
    return {
        "probe": tagging.saved.name,
        "probe_version": tagging.saved.version,
        "probe_sha256": tagging.saved.sha256,
        "task": tagging.saved.head.task,
        "unit": tagging.unit,
        "checkpoint_sha256": tagging.context.checkpoint_sha256,
        "notes": list(tagging.notes),
    }


def _show(title_id: str, rows: Iterable[TagRow]) -> None:
    cells = (
        (
            row.shot_index,
            _seconds(row.start_seconds),
            _seconds(row.end_seconds),
            row.label,
            f"{row.score:.3f}",
            "" if row.is_tagged is None else "yes" if row.is_tagged else "no",
        )
        for row in rows
    )
    echo_table(("shot", "from", "to", "label", "score", "holds"), cells, title_id)


def _seconds(time: float | None) -> str:
    """Shots of imported titles may have no times."""
    return "" if time is None else f"{time:.2f} s"


def _list(store: Store, as_json: bool) -> None:
    from mediafm.errors import NotFoundError
    from mediafm.steps.heads import list_heads
    from mediafm.steps.stored_context import serving_checkpoint

    try:
        serving: str | None = serving_checkpoint(store)
    except NotFoundError:
        serving = None  # nothing is served: no probe fits, and the list says so
    found = list_heads(store, serving)
    if as_json:
        echo_json({"serving_checkpoint_sha256": serving, "probes": [each.as_json() for each in found]})
        return
    if not found:
        click.echo("No probe is saved here: `mediafm probe LABELS --save NAME` makes one.")
        return
    headers = ("probe", "version", "task", "classes", "held out", "chance", "test groups", "calibration error", "fits")
    echo_table(headers, map(_listed, found))


def _listed(listed: ListedHead) -> tuple[object, ...]:
    if listed.saved is None:
        return (listed.name, "", listed.problem, "", "", "", "", "", "no")
    head = listed.saved.head
    errors = (head.held_out.error_before, head.held_out.error_after)
    return (
        listed.name,
        listed.saved.version,
        head.task,
        len(head.classes),
        f"{head.held_out.measure} {_quality(head.held_out)}",
        "" if head.held_out.chance is None else f"{head.held_out.chance:.3f}",
        "none" if head.tested is None else _quality(head.tested),
        "" if None in errors else f"{errors[0]:.3f} to {errors[1]:.3f}",
        "yes" if listed.fits else f"no: {head.origin.checkpoint_sha256[:16]}",
    )


def _quality(found: HeadQuality) -> str:
    if found.value is None:
        return "not measurable"
    ends = "no interval" if found.low is None else f"{found.low:.3f} to {found.high:.3f}"
    return f"{found.value:.3f} ({ends}), {found.num_groups} groups"
