"""Several annotators of one clip become one opinion, so that no clip counts twice. Our choice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from mediafm.probes.label_rows import LabelValue
from mediafm.probes.labels import LabelKind, LabelRow, LabelSet


def merged(label_set: LabelSet) -> LabelSet:
    """One row per clip: the mean score; the labels (or the truth) that at least half gave; the commonest single label.

    Of equally common single labels the first by alphabet is taken. The row stands where its first opinion stood.
    """
    by_clip: dict[object, list[LabelRow]] = {}
    for row in label_set.rows:
        by_clip.setdefault(row.clip, []).append(row)
    rows = (
        replace(rows[0], value=_agreed(label_set.kind, [row.value for row in rows]), annotator="")
        for rows in by_clip.values()
    )
    return replace(label_set, rows=tuple(rows))


def _agreed(kind: LabelKind, values: list[LabelValue]) -> LabelValue:
    if kind is LabelKind.SCORE:
        return sum(float(value) for value in values if not isinstance(value, tuple)) / len(values)
    votes = Counter(name for value in values for name in (value if isinstance(value, tuple) else (value,)))
    if kind is LabelKind.SINGLE_LABEL:
        return min(votes, key=lambda name: (-votes[name], name))
    if kind in {LabelKind.BINARY, LabelKind.PAIR}:
        return 2 * votes[True] >= len(values)
    return tuple(sorted(str(name) for name, count in votes.items() if 2 * count >= len(values)))
