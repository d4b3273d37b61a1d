"""What people would say of a title: one clip a scene, one JSONL file a task; and where its scenes begin.

A row is `{"task", "title_id", "start_seconds", "end_seconds"}` and, by the kind of the task, `labels` (a list), `score`
(a number) or `label` (true or false). A row of `scene_boundary` speaks of a whole title: `boundary_seconds`, because no
detector's shots are known here. `TASKS` says what each label can be known from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from mediafm.media.synthetic.latents import (
    GENRES,
    HEARD_ONLY_TONE,
    NEIGHBOUR_TONE,
    NOISE_LABELS,
    READ_ONLY_TOPIC,
    SEEN_ONLY_TONE,
    SEEN_ONLY_TOPIC,
    TONES,
    TOPICS,
    Scene,
)
from mediafm.media.synthetic.script import TitleScript
from mediafm.types import Json

Rows = Iterator[dict[str, Json]]


@dataclass(frozen=True, kw_only=True)
class Task:
    """One label file.

    kind: "multi_label", "score", "binary" or "pair".
    classes: all labels of a multi-label task.
    known_from: class (or "*" for all others) to what its evidence lies in.
    says: what the title's rows say and of which span of it, but for the task and the title.
    """

    name: str
    kind: str
    classes: tuple[str, ...]
    known_from: Mapping[str, str]
    says: Callable[[TitleScript], Rows]

    def as_json(self) -> dict[str, Json]:
        return {
            "task": self.name,
            "kind": self.kind,
            "classes": list(self.classes),
            "known_from": dict(self.known_from),
        }


def _of_scenes(value: Callable[[Scene], Mapping[str, Json]]) -> Callable[[TitleScript], Rows]:
    """A row for each scene of a title."""

    def says(script: TitleScript) -> Rows:
        ends = [0.0, *_scene_ends(script)]
        for scene, (start_seconds, end_seconds) in zip(script.scenes, pairwise(ends), strict=True):
            yield {"start_seconds": start_seconds, "end_seconds": end_seconds, **value(scene)}

    return says


def _boundaries(script: TitleScript) -> Rows:
    """One row: the middles of the transitions between scenes; empty for a title of one scene."""
    yield {"boundary_seconds": _scene_ends(script)[:-1]}


def _scene_ends(script: TitleScript) -> list[float]:
    rate = script.settings.frames_per_second
    return [round(script.scene_frames(scene.index)[1] / rate, 6) for scene in script.scenes]


EVERYWHERE = "picture, sound and text, each partly and now and then falsely"

TASKS: tuple[Task, ...] = (
    Task(
        name="ad_relevancy",
        kind="multi_label",
        classes=TOPICS,
        known_from={
            "*": "props, sounds and words, each partly (travel has no sound)",
            READ_ONLY_TOPIC: "text only",
            SEEN_ONLY_TOPIC: "colours of the picture only",
        },
        says=_of_scenes(lambda scene: {"labels": list(scene.topics)}),
    ),
    Task(
        name="clip_popularity",
        kind="score",
        classes=(),
        known_from={"*": "energy, its rise over the scene before, the protagonist, a good mood, and chance"},
        says=_of_scenes(lambda scene: {"score": scene.popularity}),
    ),
    Task(
        name="clip_tone",
        kind="multi_label",
        classes=TONES,
        known_from={
            "*": EVERYWHERE,
            "tense": EVERYWHERE + "; tends to last into the next scene",
            "melancholic": EVERYWHERE + "; tends to last into the next scene",
            HEARD_ONLY_TONE: "sound only",
            SEEN_ONLY_TONE: "picture only",
            NEIGHBOUR_TONE: "the fall of energy from the scene before",
        },
        says=_of_scenes(lambda scene: {"labels": list(scene.tones)}),
    ),
    Task(
        name="clip_genre",
        kind="multi_label",
        classes=GENRES,
        known_from={"*": EVERYWHERE},
        says=_of_scenes(lambda scene: {"labels": list(scene.genres)}),
    ),
    Task(
        name="clip_retrieval",
        kind="binary",
        classes=(),
        known_from={"*": "the rise of energy over the scene before, and the scene's place in the title"},
        says=_of_scenes(lambda scene: {"label": scene.is_clip_worthy}),
    ),
    Task(
        name="scene_boundary",
        kind="pair",
        classes=(),
        known_from={"*": "the place, which changes with every scene, and the music: shots on both sides together"},
        says=_boundaries,
    ),
    Task(
        name="noise",
        kind="multi_label",
        classes=NOISE_LABELS,
        known_from={"*": "nothing: no probe may beat chance here"},
        says=_of_scenes(lambda scene: {"labels": list(scene.noise_labels)}),
    ),
)


def label_rows(task: Task, script: TitleScript) -> list[dict[str, Json]]:
    """The title's rows of one label file."""
    return [{"task": task.name, "title_id": script.title_id, **said} for said in task.says(script)]
