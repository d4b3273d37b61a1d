"""Where scenes begin, as a list by title, becomes a label of every pair of neighbouring shots.

Who has scene boundaries has their times (or, for shots cut elsewhere, the first shots of scenes) and no list of the
cuts that are none. So a title with such a row counts as annotated throughout: the pairs at its boundaries are positive,
all its other neighbouring pairs negative, by each annotator; pairs that are named one by one win over both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from mediafm.catalog.title import Problem
from mediafm.probes.labels import LabelRow, LabelSet
from mediafm.probes.vectors import TitleShots


def with_pairs(
    label_set: LabelSet, titles: Mapping[str, TitleShots], tolerance_seconds: float
) -> tuple[LabelSet, list[Problem]]:
    """The set with a row per pair in place of rows of boundaries, and the boundaries that lie at no cut.

    A time means the cut nearest to it. The title's own start or end is no cut between two shots: a boundary there says
    no more than that the title is annotated, which is also how to say that a title has no boundary at all (so does an
    empty list). A title none of whose boundaries is found gives no pairs: its times are probably in another unit.

    Args:
        tolerance_seconds: how far from a time its cut may lie.
    """
    named = {(row.title_id, row.annotator, row.shot_index) for row in label_set.rows if not row.has_boundaries}
    rows = [row for row in label_set.rows if not row.has_boundaries]
    problems: list[Problem] = []
    by_annotated: dict[tuple[str, str], list[LabelRow]] = {}
    for row in label_set.rows:
        if row.has_boundaries:
            by_annotated.setdefault((row.title_id, row.annotator), []).append(row)
    for (title_id, annotator), told in by_annotated.items():
        title = titles.get(title_id)
        if title is None:
            problems += [Problem(row.where, f"the title {title_id!r} is not in the catalogue") for row in told]
            continue
        found = [(row, *_found(row, title, tolerance_seconds)) for row in told]
        problems += [Problem(row.where, reason) for row, _, reasons in found for reason in reasons]
        if any(edges or not reasons for _, edges, reasons in found):
            edges = {edge: row for row, places, _ in reversed(found) for edge in places}
            rows += [
                pair for pair in _pairs(title, told[0], edges) if (title_id, annotator, pair.shot_index) not in named
            ]
    return replace(label_set, rows=tuple(rows)), problems


def _pairs(title: TitleShots, first: LabelRow, edges: Mapping[int, LabelRow]) -> Iterator[LabelRow]:
    """A row for each pair; a positive one stands where its boundary was read. Edge i lies before shot i."""
    for index in range(title.num_shots - 1):
        said = edges.get(index + 1)
        yield replace(
            said or first,
            value=said is not None,
            shot_index=index,
            is_pair=True,
            boundary_seconds=None,
            boundary_shot_index=None,
        )


def _found(row: LabelRow, title: TitleShots, tolerance_seconds: float) -> tuple[list[int], list[str]]:
    """The edges that the row means (0: the title's start, num_shots: its end), and why others are left out."""
    if row.boundary_shot_index is not None:
        inside = [index for index in row.boundary_shot_index if index < title.num_shots]
        beyond = [index for index in row.boundary_shot_index if index >= title.num_shots]
        return inside, [f"shot {index} of {row.title_id!r}, which has {title.num_shots}" for index in beyond]
    if not title.num_shots:
        return [], [f"the title {row.title_id!r} has no shots"]
    if not title.has_times:
        return [], [f"times in {row.title_id!r}, whose shots have none; give boundary_shot_index"]
    cuts = np.append(title.start_seconds, title.end_seconds[-1])
    edges: list[int] = []
    reasons: list[str] = []
    for seconds in row.boundary_seconds or ():
        nearest = int(np.abs(cuts - seconds).argmin())
        if abs(cuts[nearest] - seconds) <= tolerance_seconds:
            edges.append(nearest)
        else:
            reasons.append(
                f"no cut of {row.title_id!r} lies within {tolerance_seconds:g} s of {seconds:g} s; "
                f"the nearest is at {cuts[nearest]:.2f} s"
            )
    return edges, reasons
