"""`mediafm.embed`: a clip of a title, or the whole of it, as one vector, inside its title or alone.

    context="title"   the clip's shots as the model sees them inside their whole title: what the store serves
    context="clip"    the clip's shots alone through the model, as if nothing stood around them
    context="none"    the shots' fused vectors, which no model has seen

A shot's vector always comes from the whole shot; where the clip's edge cuts a shot, it counts by the seconds that it
shares with the clip. The first clip of a title costs at most one pass of the model over the title; further ones cost
none (`mediafm.steps.title_vectors`).

Legend: n shots of a clip that have a vector, D model width, E fused width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mediafm.clips import CONTEXTS, POOLS, ClipEmbedding, ClipShots, Context, Pool, clip_shots, pooled
from mediafm.config import Config, configured
from mediafm.errors import ConfigError, NotFoundError
from mediafm.steps.chosen_model import ChosenModel, choose_model
from mediafm.steps.existing import existing_store
from mediafm.steps.title_vectors import ShotVectors, TitleReader

if TYPE_CHECKING:
    from mediafm.embedder import Embedder

Seconds: TypeAlias = "tuple[float | None, float | None]"
Rows: TypeAlias = "NDArray[np.int64]"


@dataclass(frozen=True, kw_only=True)
class _Ask:
    """What is asked of every clip."""

    context: Context
    pool: Pool
    with_metadata: bool
    min_overlap_share: float


def embed(
    title: str,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    *,
    context: Context = "title",
    pool: Pool = "mean",
    checkpoint: str | Path | Embedder | None = None,
    with_metadata: bool = True,
    min_overlap_share: float = 0.0,
    config: Config | Path | str | None = None,
    tracking_uri: str | None = None,
    device: str | None = None,
) -> ClipEmbedding:
    """A clip of a stored title as one vector.

    A whole title by `pool="plain"` is the title's stored vector, the normalised mean of its shots, but for rounding
    (that one is the mean before its shots were rounded to float16); the default lets longer shots count for more.

    Args:
        title: its id.
        start_seconds, end_seconds: half-open, in the title's own time; None is where the title begins or ends. What of
            the clip lies outside the title does not count.
        context: "title", "clip" or "none", as the module says.
        pool: "mean" weights each shot by the seconds that it shares with the clip; "plain" counts all alike; "max"
            takes the greatest of each coordinate. The pooled vector has unit norm.
        checkpoint: the served one unless given; else a name as in `mediafm.loading` (the beginning of a sha256,
            "models:/mediafm@champion", a folder), or what `mediafm.load` gave.
        with_metadata: whether [GLOBAL] is told the title's metadata; if not, no stored vectors are used.
        min_overlap_share: in [0, 1]; shots of which a smaller share lies in the clip are left out.
        config: whose root is meant: a `Config`, the path of a `mediafm.toml`, or None for the one in the working
            directory, else the defaults.
        tracking_uri: another MLflow than the root's own.
        device: where the model runs, if it has to; the configured device unless given.

    Raises:
        NotFoundError: no root, no such title or checkpoint, vectors that are still to be made, a title that is
            quarantined, a clip outside the title, a span of a title whose shots have no times.
        ConfigError: an empty, inverted or infinite span, an unknown context or pool.
        IntegrityError: a stored value is damaged.
        LineageMismatchError: the checkpoint reads another space than this root makes.
    """
    (found,) = embed_clips(
        title,
        [(start_seconds, end_seconds)],
        context=context,
        pool=pool,
        checkpoint=checkpoint,
        with_metadata=with_metadata,
        min_overlap_share=min_overlap_share,
        config=config,
        tracking_uri=tracking_uri,
        device=device,
    )
    return found


def embed_clips(
    title: str,
    spans: Sequence[Seconds],
    *,
    context: Context = "title",
    pool: Pool = "mean",
    checkpoint: str | Path | Embedder | None = None,
    with_metadata: bool = True,
    min_overlap_share: float = 0.0,
    config: Config | Path | str | None = None,
    tracking_uri: str | None = None,
    device: str | None = None,
) -> list[ClipEmbedding]:
    """Many clips of one title, in the order asked for: one pass at most for "title", packed passes for "clip".

    Args:
        spans: (start_seconds, end_seconds) of each clip.

    The other arguments and all errors are those of `embed`; one wrong clip fails the call.
    """
    ask = _Ask(context=context, pool=pool, with_metadata=with_metadata, min_overlap_share=min_overlap_share)
    _require_known(ask)
    chosen_config = configured(config)
    store = existing_store(chosen_config)
    needs_model = context != "none"
    model = choose_model(
        chosen_config, store, checkpoint, tracking_uri=tracking_uri, device=device, needs_model=needs_model
    )
    reader = TitleReader.open(store, title, model)
    shots = reader.shots()
    clips = [clip_shots(shots, start, end, min_overlap_share) for start, end in spans]
    return _EMBEDDED[context](reader, clips, ask) if clips else []


def _require_known(ask: _Ask) -> None:
    for seen, known in ((ask.context, CONTEXTS), (ask.pool, POOLS)):
        if seen not in known:
            raise ConfigError(repr(seen), rule=f"a clip is embedded by one of {', '.join(known)}", remedy="Choose one.")


def _in_title(reader: TitleReader, clips: Sequence[ClipShots], ask: _Ask) -> list[ClipEmbedding]:
    found = reader.in_context(with_metadata=ask.with_metadata)
    return [_pooled_rows(reader, clip, ask, found, rows) for clip, rows in _placed(reader, clips, found.shot_index)]


def _fused(reader: TitleReader, clips: Sequence[ClipShots], ask: _Ask) -> list[ClipEmbedding]:
    found = reader.fused()
    return [_pooled_rows(reader, clip, ask, found, rows) for clip, rows in _placed(reader, clips, found.shot_index)]


def _alone(reader: TitleReader, clips: Sequence[ClipShots], ask: _Ask) -> list[ClipEmbedding]:
    from mediafm.embedder import clip_sequence

    sequence, shot_index = reader.sequence(with_metadata=ask.with_metadata)
    placed = _placed(reader, clips, shot_index)
    vectors = reader.model.embedder().embed_many([clip_sequence(sequence, rows) for _, rows in placed])
    fingerprints = reader.read_fingerprints(with_metadata=ask.with_metadata)
    return [
        _embedding(reader, clip, ask, one.shots, shot_index[rows], fingerprints)
        for (clip, rows), one in zip(placed, vectors, strict=True)
    ]


_EMBEDDED: dict[Context, Callable[[TitleReader, Sequence[ClipShots], _Ask], list[ClipEmbedding]]] = {
    "title": _in_title,
    "clip": _alone,
    "none": _fused,
}


def _placed(reader: TitleReader, clips: Sequence[ClipShots], shot_index: Rows) -> list[tuple[ClipShots, Rows]]:
    """Each clip with the rows of its shots among those that have a vector; never none."""
    found = []
    for clip in clips:
        rows = np.flatnonzero(np.isin(shot_index, clip.shot_index))
        if not len(rows):
            raise NotFoundError(
                f"none of the clip's shots {clip.shot_index[0]} to {clip.shot_index[-1]} has a vector",
                rule="a clip has at least one shot with a picture, sound or text that could be read",
                where=f"title {reader.title.title_id}, {clip.start_seconds} to {clip.end_seconds} s",
                remedy="Widen the clip.",
            )
        found.append((clip, rows))
    return found


def _pooled_rows(reader: TitleReader, clip: ClipShots, ask: _Ask, found: ShotVectors, rows: Rows) -> ClipEmbedding:
    return _embedding(reader, clip, ask, found.vectors[rows], found.shot_index[rows], found.fingerprints)


def _embedding(
    reader: TitleReader,
    clip: ClipShots,
    ask: _Ask,
    vectors_nW: NDArray[np.float32],
    shot_index: Rows,
    fingerprints: dict[str, str],
) -> ClipEmbedding:
    model: ChosenModel = reader.model
    overlap = clip.overlap_seconds[np.isin(clip.shot_index, shot_index)]
    return ClipEmbedding(
        title_id=reader.title.title_id,
        vector=pooled(vectors_nW, overlap, ask.pool),
        shots=vectors_nW,
        shot_index=shot_index,
        overlap_seconds=overlap,
        absent_shot_index=np.setdiff1d(clip.shot_index, shot_index),
        start_seconds=clip.start_seconds,
        end_seconds=clip.end_seconds,
        context=ask.context,
        pool=ask.pool,
        with_metadata=ask.with_metadata and ask.context != "none",
        checkpoint_sha256=None if ask.context == "none" else model.sha256,
        space_id=model.space.space_id,
        fingerprints=fingerprints,
    )
