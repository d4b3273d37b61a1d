"""`mediafm import-embeddings`: vectors that were made elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from mediafm.cli.bars import progress_bar
from mediafm.cli.exit_codes import EXIT_FAILED
from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json
from mediafm.config import Config
from mediafm.types import Modality

MAX_REFUSED_SHOWN = 20


@click.command("import-embeddings")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--modality",
    "asked",
    multiple=True,
    metavar="NAME[=COLUMN]",
    help="video, audio or text, and its column (else the column of that name, or `vector`); may be given several "
    "times. All columns of these names unless given.",
)
@click.option("--title-prefix", help="Titles of arrays [titles, steps, width] without title_id are this and a number.")
@click.option("--write-profile", type=click.Path(path_type=Path), help="Write a profile that fits FILE, and use it.")
@click.option("--feature-set", help="What made the vectors, in your word, for --write-profile (default: FILE's name).")
@configured
@json_option
def import_embeddings(
    config: Config,
    file: Path,
    asked: Sequence[str],
    title_prefix: str | None,
    write_profile: Path | None,
    feature_set: str | None,
    as_json: bool,
) -> None:
    """Bring vectors that were made elsewhere: FILE is Parquet or NPZ, a row a shot, or [titles, steps, width].

    Beside the vectors it holds title_id, and may hold shot_index or position, start_seconds and end_seconds,
    transcript, group_id, and label, labels, score or scores. `mediafm run` goes on from there.
    """
    from mediafm.data.import_files import open_import
    from mediafm.steps import import_profile
    from mediafm.steps.imports import import_file
    from mediafm.steps.workspace import Workspace

    opened = open_import(file, _modalities(asked), title_prefix)
    if write_profile is not None:
        import_profile.write_profile(write_profile, opened, feature_set or opened.stem)
        config = config.model_copy(update={"profile": str(write_profile)})
    with progress_bar(quiet=as_json) as bar, Workspace.open(config, progress=bar) as workspace:
        report = import_file(workspace, opened).as_json()
    if as_json:
        echo_json(report)
    else:
        _show(report, config)
    if report["refused"]:
        sys.exit(EXIT_FAILED)


def _modalities(asked: Sequence[str]) -> dict[Modality, str]:
    found: dict[Modality, str] = {}
    for item in asked:
        name, _, column = item.partition("=")
        if name not in list(Modality) or Modality(name) in found:
            raise click.UsageError(f"--modality {item}: it is one of {', '.join(Modality)}, each once")
        found[Modality(name)] = column
    return found


def _show(report: Mapping[str, Any], config: Config) -> None:
    for refused in report["refused"][:MAX_REFUSED_SHOWN]:
        click.echo(f"refused: {refused['reason']}")
    if len(report["refused"]) > MAX_REFUSED_SHOWN:
        click.echo(f"(and {len(report['refused']) - MAX_REFUSED_SHOWN} more; --json lists all)")
    for note in report["notes"]:
        click.echo(f"note: {note}")
    for name, title_id in report["renamed"].items():
        click.echo(f"renamed: {name} is {title_id}")
    present = ", ".join(f"{count} with {name}" for name, count in report["present"].items())
    click.echo(
        f"{report['titles']} titles ({len(report['unchanged'])} as before), {len(report['refused'])} refused; "
        f"{report['shots']} shots: {present}"
    )
    if report["labels"]["rows"]:
        click.echo(f"{report['labels']['rows']} labels: {report['labels']['file']}")
    click.echo(f"next: mediafm run --root {config.root} --profile {config.profile}")
