"""The label files of a labelled catalogue (`mediafm.testing.labelled_root`): what they ask, and where the answer lies.

Legend: N shots of a title, M modalities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mediafm.data.scenes import SceneTitle
from mediafm.types import Json

STEPS = 12
"""Of the round that every title walks, a step a shot; longer than the eight offsets that trivial predictors weigh."""
LABELLED_EVERY = 3
"""One shot in so many is labelled, so that probes take seconds; neighbours resemble each other and would add little."""
SHOTS_PER_CLIP = 5
"""Of the clips that speak of more than one shot; a title's last shots may be left over."""
CLOSE = 3
"""The size of a close shot."""

Rows = Iterator[dict[str, Json]]


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledTitle:
    """Title `number` of the catalogue, its shots in time, and where in the round each one stands.

    ends_seconds: float64 [N], shot i begins where shot i - 1 ends.
    step: int64 [N], 0 to `STEPS` - 1, one more from shot to shot, the first one drawn.
    tells_step: bool [N, M], whether the modality's vector shows it.
    """

    number: int
    drawn: SceneTitle
    ends_seconds: NDArray[np.float64]
    step: NDArray[np.int64]
    tells_step: NDArray[np.bool_]

    @property
    def title_id(self) -> str:
        return self.drawn.title.title_id

    @property
    def num_shots(self) -> int:
        return len(self.ends_seconds)

    @property
    def labelled_shots(self) -> list[int]:
        """Which shots have labels of their own."""
        return list(range(self.number % LABELLED_EVERY, self.num_shots, LABELLED_EVERY))

    @property
    def starts_seconds(self) -> NDArray[np.float64]:
        return np.concatenate([[0.0], self.ends_seconds[:-1]])


@dataclass(frozen=True, kw_only=True)
class LabelledTask:
    """One label file.

    kind: as `mediafm.probes.labels` names it.
    answer: where it lies: "own" vectors (any modality), "video" alone, "context", or "nowhere".
    rows: what a title's rows say, but for the title.
    """

    name: str
    kind: str
    answer: str
    rows: Callable[[LabelledTitle], Rows]


def _sizes(title: LabelledTitle) -> Rows:
    return _named(title, "own", "size")


def _told_types(title: LabelledTitle) -> Rows:
    script = title.drawn.script
    seen, heard, _ = script.is_present.T
    tells = script.is_establishing & seen | script.is_ambience & ~script.is_music & heard | script.is_type_text
    return (row for row in _scene_types(title) if tells[row["shot_index"]])


def _scene_types(title: LabelledTitle) -> Rows:
    return _named(title, "scene_type", "type")


def _roles(title: LabelledTitle) -> Rows:
    return _named(title, "character_role", "role")


def _noise(title: LabelledTitle) -> Rows:
    return _named(title, "noise", "noise")


def _named(title: LabelledTitle, label: str, word: str) -> Rows:
    """A name for each labelled shot that has one."""
    values = title.drawn.labels[label]
    return ({"shot_index": at, "label": f"{word} {values[at]}"} for at in title.labelled_shots if values[at] >= 0)


def _unseen_halves(title: LabelledTitle) -> Rows:
    """Whether shots that do not show their step stand in the second half of the round."""
    is_told = (title.tells_step & title.drawn.script.is_present).any(axis=1)
    return ({"shot_index": int(at), "label": bool(title.step[at] >= STEPS // 2)} for at in np.flatnonzero(~is_told))


def _boundaries(title: LabelledTitle) -> Rows:
    is_boundary = title.drawn.labels["scene_boundary"]
    for at in title.labelled_shots:
        if at > 0:
            yield {"shot_index": at - 1, "next_shot_index": at, "label": bool(is_boundary[at])}


def _clips(title: LabelledTitle) -> Iterator[tuple[slice, dict[str, Json]]]:
    """Spans of `SHOTS_PER_CLIP` shots each."""
    for start in range(0, title.num_shots - SHOTS_PER_CLIP + 1, SHOTS_PER_CLIP):
        stop = start + SHOTS_PER_CLIP
        begins, ends = float(title.starts_seconds[start]), float(title.ends_seconds[stop - 1])
        yield slice(start, stop), {"start_seconds": begins, "end_seconds": ends}


def _closeness(title: LabelledTitle) -> Rows:
    """The share of a clip's time that is close: its vector is the mean of its shots by their seconds."""
    seconds = title.ends_seconds - title.starts_seconds
    is_close = title.drawn.labels["own"] == CLOSE
    for shots, span in _clips(title):
        share = float((seconds[shots] * is_close[shots]).sum() / seconds[shots].sum())
        yield {**span, "score": round(share, 4)}


def _people(title: LabelledTitle) -> Rows:
    role = title.drawn.labels["character_role"]
    for shots, span in _clips(title):
        yield {**span, "labels": [f"role {each}" for each in np.unique(role[shots]).tolist() if each >= 0]}


TASKS: tuple[LabelledTask, ...] = (
    LabelledTask(name="shot_size", kind="single_label", answer="video", rows=_sizes),
    LabelledTask(name="told_type", kind="single_label", answer="own", rows=_told_types),
    LabelledTask(name="scene_type", kind="single_label", answer="context", rows=_scene_types),
    LabelledTask(name="character_role", kind="single_label", answer="context", rows=_roles),
    LabelledTask(name="unseen_half", kind="binary", answer="context", rows=_unseen_halves),
    LabelledTask(name="scene_boundary", kind="pair", answer="context", rows=_boundaries),
    LabelledTask(name="clip_closeness", kind="score", answer="video", rows=_closeness),
    LabelledTask(name="clip_people", kind="multi_label", answer="context", rows=_people),
    LabelledTask(name="noise", kind="single_label", answer="nowhere", rows=_noise),
)
