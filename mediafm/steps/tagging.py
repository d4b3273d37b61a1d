"""Lays a saved probe on the contextual vectors that readers get: scores and tags of shots, spans and whole titles.

Legend: U units of a title, N shots, W width, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from mediafm.errors import ConfigError, LineageMismatchError, NotFoundError
from mediafm.probes.clip_pooling import Pooling
from mediafm.probes.clips import Clip, clip_vector
from mediafm.probes.head import Head
from mediafm.probes.labels import LabelKind
from mediafm.probes.vectors import TitleShots, TitleVectors
from mediafm.steps.head_saving import FEATURES
from mediafm.steps.heads import SavedHead, load_head
from mediafm.steps.present import PresentTitle
from mediafm.steps.stored_context import StoredContext, serving_checkpoint
from mediafm.steps.tag_units import SHOT, SPAN, UNITS, units_of
from mediafm.store.store import Store
from mediafm.types import Json, Span


@dataclass(frozen=True, kw_only=True, slots=True)
class TagRow:
    """What a probe says of one unit and one label.

    shot_index: the shot, or the first of two; None for spans and titles.
    start_seconds, end_seconds: the unit in time; None where shots have no times.
    label: the class; the task's name where a task has one answer only (a truth value, a score, a pair).
    score: a calibrated probability, or a predicted rank for tasks of scores.
    is_tagged: whether the score is above the class's threshold, or the greatest of single labels; None for ranks.
    """

    title_id: str
    shot_index: int | None
    start_seconds: float | None
    end_seconds: float | None
    label: str
    score: float
    is_tagged: bool | None
    checkpoint_sha256: str
    probe: str
    probe_version: int
    probe_sha256: str

    def as_json(self) -> dict[str, Json]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class TitleTags:
    """One title's rows. num_units: shots, pairs, spans or titles that have a vector. num_absent: that have none."""

    title_id: str
    num_units: int
    num_absent: int
    num_tagged: int
    rows: tuple[TagRow, ...]


@dataclass(frozen=True, kw_only=True)
class Tagging:
    """What is to be tagged by what; made by `open_tagging`.

    unit: "shot" (of probes of pairs: two neighbouring shots), "title", or "span". span: its ends.
    notes: what a reader of the scores should know, in sentences.
    """

    saved: SavedHead
    context: StoredContext
    titles: tuple[PresentTitle, ...]
    unit: str
    span: Span | None
    notes: tuple[str, ...]

    def run(self, *, all_scores: bool = False) -> Iterator[TitleTags]:
        """Title after title; one in memory at a time.

        Args:
            all_scores: rows of every label, not only of those tagged. Ranks are given always.

        Raises:
            NotFoundError: the span lies outside its title, or the title's shots have no times.
            LineageMismatchError: vectors of another width.
        """
        for title in self.titles:
            shots = self.context.shots(title)
            yield self._tagged(shots, self.context.vectors(title, shots.num_shots), all_scores)

    def _tagged(self, shots: TitleShots, vectors: TitleVectors, all_scores: bool) -> TitleTags:
        head = self.saved.head
        pooling = Pooling(head.origin.pooling)
        units = units_of(shots, self.unit, self.span, pooling)
        found = [(unit, clip_vector(unit, vectors, pooling)) for unit in units]
        present = [(unit, vector) for unit, vector in found if vector is not None]
        rows: list[TagRow] = []
        num_tagged = 0
        if present:
            scores = head.predict(np.stack([vector for _, vector in present]))
            tags = head.tags(scores)
            num_tagged = int(tags.any(axis=1).sum())
            shown = tags if head.has_probabilities and not all_scores else np.ones_like(tags)
            for number, column in np.argwhere(shown).tolist():
                is_tagged = bool(tags[number, column]) if head.has_probabilities else None
                unit, score = present[number][0], float(scores[number, column])
                rows.append(self._row(shots, unit, _label(head, column), score, is_tagged))
        return TitleTags(
            title_id=shots.title_id,
            num_units=len(present),
            num_absent=len(found) - len(present),
            num_tagged=num_tagged,
            rows=tuple(rows),
        )

    def _row(self, shots: TitleShots, unit: Clip, label: str, score: float, is_tagged: bool | None) -> TagRow:
        first, last = int(unit.shot_index[0]), int(unit.shot_index[-1])
        start, end = shots.start_seconds[first], shots.end_seconds[last]
        ends = (self.span.start_seconds, self.span.end_seconds) if self.span else (float(start), float(end))
        return TagRow(
            title_id=shots.title_id,
            shot_index=first if self.unit == SHOT else None,
            start_seconds=ends[0] if math.isfinite(ends[0]) else None,
            end_seconds=ends[1] if math.isfinite(ends[1]) else None,
            label=label,
            score=score,
            is_tagged=is_tagged,
            checkpoint_sha256=self.context.checkpoint_sha256,
            probe=self.saved.name,
            probe_version=self.saved.version,
            probe_sha256=self.saved.sha256,
        )


def open_tagging(
    store: Store,
    name: str,
    *,
    title_ids: Sequence[str] = (),
    unit: str = SHOT,
    span: Span | None = None,
    only_new: bool = False,
) -> Tagging:
    """What is to be tagged; nothing is computed yet.

    Args:
        name: of a saved probe: its newest version that was made on the served checkpoint.
        title_ids: which titles; all that have served vectors unless given.
        unit: "shot" or "title"; of no effect beside a span.
        span: a stretch of the one title given.
        only_new: leave out the titles that had labels when the probe was saved.

    Raises:
        ConfigError: a span without its one title, an unknown unit, or pairs asked for spans or titles.
        NotFoundError: no such probe, nothing is served, or a title has no served vectors.
        LineageMismatchError: the probe was made on another checkpoint or in another space.
        IntegrityError: the saved probe is damaged.
    """
    unit = SPAN if span else unit
    context = StoredContext.of(store, serving_checkpoint(store))
    saved = load_head(store, name, context.checkpoint_sha256)
    _require_fit(saved, context)
    _require_unit(saved.head, unit, title_ids)
    titles = context.titles(list(title_ids) or None)
    if lacking := sorted(set(title_ids) - {title.title_id for title in titles}):
        raise NotFoundError(
            f"no served vectors of {', '.join(lacking)}",
            rule="titles are tagged by the vectors that readers get",
            where=str(store.root),
            remedy="`mediafm status` lists the titles and what they wait for.",
        )
    seen = set(saved.head.origin.title_ids) if only_new else set()
    return Tagging(
        saved=saved,
        context=context,
        titles=tuple(title for title in titles if title.title_id not in seen),
        unit=unit,
        span=span,
        notes=tuple(_notes(saved.head, unit)),
    )


def _require_fit(saved: SavedHead, context: StoredContext) -> None:
    """All that does not fit between a probe and the vectors, said at once."""
    origin = saved.head.origin
    expected = {
        "checkpoint": (origin.checkpoint_sha256, context.checkpoint_sha256),
        "space": (origin.space_id, context.space_id),
        "features": (origin.features, FEATURES),
    }
    wrong = [f"{what} {have[:16]}, not {is_now[:16]}" for what, (have, is_now) in expected.items() if have != is_now]
    if wrong:
        raise LineageMismatchError(
            "; ".join(wrong),
            rule="a probe reads the vectors that it was made on",
            where=f"probe {saved.name}, version {saved.version}",
            remedy=f"`mediafm probe LABELS --save {saved.name}` makes it again on the vectors that are served.",
        )


def _require_unit(head: Head, unit: str, title_ids: Sequence[str]) -> None:
    if unit not in (*UNITS, SPAN):
        raise ConfigError(f"the unit {unit!r}", rule=f"units are {' and '.join(UNITS)}")
    if unit == SPAN and len(set(title_ids)) != 1:
        raise ConfigError(
            f"a span of {len(set(title_ids))} titles", rule="a span lies in one title", remedy="Give one --title."
        )
    if head.kind is LabelKind.PAIR and unit != SHOT:
        raise ConfigError(
            f"the unit {unit!r}",
            rule="a probe of pairs speaks of two neighbouring shots",
            where=f"probe {head.origin.name}",
            remedy="Ask for shots.",
        )


def _label(head: Head, column: int) -> str:
    is_named = head.kind in (LabelKind.MULTI_LABEL, LabelKind.SINGLE_LABEL)
    return head.classes[column] if is_named else head.task


def _notes(head: Head, unit: str) -> Iterator[str]:
    spoken_of = head.origin.clips_by_unit
    asked = "pair" if head.kind is LabelKind.PAIR else unit
    if head.has_probabilities and asked not in spoken_of:
        labelled = ", ".join(f"{count} {each}(s)" for each, count in spoken_of.items())
        yield f"calibrated on labels of {labelled}: probabilities of a {asked} may be off"
    never = [name for name, threshold in zip(head.classes, head.thresholds, strict=True) if threshold is None]
    if never and head.kind not in (LabelKind.SCORE, LabelKind.SINGLE_LABEL):
        yield f"never tagged, as no better than chance on held-out groups: {', '.join(never)}"
