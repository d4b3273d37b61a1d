"""`mediafm embed`: a clip of a title, or the whole of it, as one vector."""

from __future__ import annotations

from pathlib import Path

import click

from mediafm.cli.options import configured, json_option
from mediafm.cli.show import echo_json
from mediafm.config import Config

CONTEXTS = ("title", "clip", "none")
POOLS = ("mean", "plain", "max")
ENDINGS = (".npy", ".parquet")


@click.command()
@click.option("--title", "title_id", required=True, help="The title's id.")
@click.option("--start", "start_seconds", type=float, help="Where the clip begins; the title's beginning unless given.")
@click.option("--end", "end_seconds", type=float, help="Where it ends; the title's end unless given.")
@click.option(
    "--context",
    default="title",
    show_default=True,
    type=click.Choice(CONTEXTS),
    help="The clip's shots inside their title, alone through the model, or as fused vectors without it.",
)
@click.option("--checkpoint", help="models:/NAME@ALIAS, a sha256's beginning or a folder; the served one unless given.")
@click.option(
    "--pool",
    default="mean",
    show_default=True,
    type=click.Choice(POOLS),
    help="How shots become one: weighted by the seconds in the clip, all alike, or the greatest of each number.",
)
@click.option("--no-metadata", is_flag=True, help="Do not tell the model the title's metadata.")
@click.option(
    "--min-overlap-share",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0.0, 1.0),
    help="Leave out shots of which a smaller share lies in the clip.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="FILE.npy (the vector) or FILE.parquet (a row a clip, with its shots' vectors).",
)
@click.option("--force", "is_forced", is_flag=True, help="Replace OUT if it is there.")
@configured
@json_option
def embed(
    config: Config,
    title_id: str,
    start_seconds: float | None,
    end_seconds: float | None,
    context: str,
    checkpoint: str | None,
    pool: str,
    no_metadata: bool,
    min_overlap_share: float,
    out: Path | None,
    is_forced: bool,
    as_json: bool,
) -> None:
    """One vector of a clip (--start, --end in seconds) or of a whole title, by the served checkpoint."""
    if out is not None and out.suffix.lower() not in ENDINGS:
        raise click.UsageError(f"--out {out}: it ends in {' or '.join(ENDINGS)}")
    from mediafm.steps.clip_embeddings import embed as embed_clip
    from mediafm.steps.clip_files import write_clips
    from mediafm.steps.out_files import require_place

    if out is not None:
        require_place(out, is_forced)
    found = embed_clip(
        title_id,
        start_seconds,
        end_seconds,
        context=context,  # type: ignore[arg-type]
        pool=pool,  # type: ignore[arg-type]
        checkpoint=checkpoint,
        with_metadata=not no_metadata,
        min_overlap_share=min_overlap_share,
        config=config,
    )
    if out is not None:
        write_clips(out, [found], is_forced=is_forced)
    if as_json:
        echo_json({**found.as_json(), "out": None if out is None else str(out)})
        return
    where = "" if found.start_seconds is None else f", {found.start_seconds:.2f} to {found.end_seconds:.2f} s"
    model = f"checkpoint {found.checkpoint_sha256[:16]}" if found.checkpoint_sha256 else "no model"
    click.echo(
        f"{title_id}{where}: {len(found.vector)} numbers of {len(found.shots)} shots, context {context}, {model}"
    )
    if len(found.absent_shot_index):
        click.echo(f"{len(found.absent_shot_index)} more shots of the clip have no vector")
    click.echo(str(out) if out is not None else " ".join(f"{number:.4f}" for number in found.vector))
