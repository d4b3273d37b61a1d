"""`mediafm probe`: what a checkpoint's frozen vectors are worth on somebody's labels; and keeping a probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING

import click

from mediafm.cli.bars import progress_bar
from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json
from mediafm.config import Config

if TYPE_CHECKING:
    from mediafm.probes.labels import Labels
    from mediafm.steps.evaluation_report import Evaluation
    from mediafm.steps.heads import SavedHead
    from mediafm.steps.workspace import Workspace


@click.command()
@click.argument("labels", nargs=-1, type=click.Path(path_type=Path))
@click.option("--checkpoint", help="Its sha256, or the beginning; the one that is served unless given.")
@click.option("--against", help="Another checkpoint to compare it with: its sha256, or the beginning.")
@click.option("--save", "name", help="Keep the probe of one task under this name, for `mediafm tag`.")
@click.option("--task", help="Which task to keep, where the labels hold several.")
@click.option("--chart", type=click.Path(path_type=Path), help="Write the picture to this .png file.")
@click.option("--force", "is_forced", is_flag=True, help="Measure again although it was measured; recorded.")
@configured
@json_option
def probe(
    config: Config,
    labels: Sequence[Path],
    checkpoint: str | None,
    against: str | None,
    name: str | None,
    task: str | None,
    chart: Path | None,
    is_forced: bool,
    as_json: bool,
) -> None:
    """Linear probes on LABELS (files or folders; those that the root knows unless given), beside every baseline.

    Folds are by group of titles, intervals over groups; the report says what context bought. With --save nothing is
    compared: the probe of one task is fitted on groups that are not for testing, and kept.
    """
    from mediafm.steps.existing import existing_store
    from mediafm.steps.workspace import Workspace

    existing_store(config)
    if name is None and task is not None:
        raise click.UsageError("--task goes with --save")
    with progress_bar(quiet=as_json) as bar, Workspace.open(config, progress=bar, is_forced=is_forced) as workspace:
        found = _labels(workspace, labels)
        sha256 = _checkpoint(workspace, checkpoint)
        if name is not None:
            from mediafm.steps.head_saving import save_head

            saved = save_head(workspace, name, found, task, sha256)
            report = None
        else:
            from mediafm.steps.evaluation import evaluate_labels

            rival = None if against is None else _checkpoint(workspace, against)
            report = evaluate_labels(workspace, found, sha256, rival)
    if report is None:
        _say_saved(saved, as_json)
    else:
        _say_report(*report, chart, is_forced, as_json)


def _labels(workspace: Workspace, paths: Sequence[Path]) -> Labels:
    from mediafm.errors import NotFoundError
    from mediafm.probes.labels import read_labels
    from mediafm.steps.evaluation import root_labels

    if paths:
        return read_labels(list(paths), workspace.config.probes)
    found = root_labels(workspace)
    if found is None:
        raise NotFoundError(
            "no labels",
            rule="probes need label files",
            where=workspace.config.root_name,
            remedy="Name a file: `mediafm probe LABELS`.",
        )
    return found


def _checkpoint(workspace: Workspace, prefix: str | None) -> str:
    """The whole sha256: of the one that begins so, else of what is served, else of the champion."""
    from mediafm.errors import NotFoundError
    from mediafm.steps.checkpoints import checkpoint_record
    from mediafm.steps.contextual import champion_sha256
    from mediafm.steps.serving import serving_sha256

    if prefix is not None:
        return checkpoint_record(workspace.store, prefix).checkpoint_sha256
    sha256 = serving_sha256(workspace) or champion_sha256(workspace)
    if sha256 is None:
        raise NotFoundError(
            "no checkpoint is served or approved",
            rule="a probe reads a checkpoint's vectors",
            where=workspace.config.root_name,
            remedy="Train one first: `mediafm run`.",
        )
    return sha256


def _say_saved(saved: SavedHead, as_json: bool) -> None:
    if as_json:
        echo_json(saved.as_json())
        return
    head = saved.head
    made = "saved" if saved.was_made else "was saved before"
    click.echo(
        f"{saved.name} (version {saved.version}, {saved.sha256[:16]}) {made}: {head.task}, {len(head.classes)} classes"
    )
    for words, quality in (("held out", head.held_out), ("test groups", head.tested)):
        if quality is None or quality.value is None:
            click.echo(f"{words}: not measurable")
            continue
        ends = "no interval" if quality.low is None else f"{quality.low:.3f} to {quality.high:.3f}"
        click.echo(f"{words}: {quality.measure} {quality.value:.3f} ({ends}) over {quality.num_groups} groups")
    for note in head.notes:
        click.echo(f"note: {note}")
    click.echo(f"next: mediafm tag --probe {saved.name}")


def _say_report(
    evaluation: Evaluation, pictures: Mapping[str, bytes], chart: Path | None, is_forced: bool, as_json: bool
) -> None:
    from mediafm.probes.report import ProbeReport

    if chart is not None and "probes" in pictures:
        from mediafm.steps.out_files import written_beside

        with written_beside(chart, is_forced) as beside:
            beside.write_bytes(pictures["probes"])
    if as_json:
        echo_json(evaluation.as_json())
        return
    against = f" against {evaluation.against[:16]}" if evaluation.against else ""
    click.echo(f"checkpoint {evaluation.subject[:16]}{against}, {evaluation.num_titles} titles\n")
    assert evaluation.probes is not None  # there were labels
    click.echo(ProbeReport.from_json(evaluation.probes).as_text(get_terminal_size((160, 40)).columns))
