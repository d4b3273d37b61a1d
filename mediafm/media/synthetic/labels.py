"""What people would say of a title's clips: one clip a scene, one JSONL file a task.

A row is `{"task", "title_id", "start_seconds", "end_seconds"}` and, by the kind of the task, `labels` (a list), `score`
(a number) or `label` (true or false). `TASKS` says what each label can be known from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True, kw_only=True)
class Task:
    """One label file.

    kind: "multi_label", "score" or "binary".
    classes: all labels of a multi-label task.
    known_from: class (or "*" for all others) to what its evidence lies in.
    """

    name: str
    kind: str
    classes: tuple[str, ...]
    known_from: Mapping[str, str]
    value: Callable[[Scene], Mapping[str, Json]]

    def as_json(self) -> dict[str, Json]:
        return {
            "task": self.name,
            "kind": self.kind,
            "classes": list(self.classes),
            "known_from": dict(self.known_from),
        }


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
        value=lambda scene: {"labels": list(scene.topics)},
    ),
    Task(
        name="clip_popularity",
        kind="score",
        classes=(),
        known_from={"*": "energy, its rise over the scene before, the protagonist, a good mood, and chance"},
        value=lambda scene: {"score": scene.popularity},
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
        value=lambda scene: {"labels": list(scene.tones)},
    ),
    Task(
        name="clip_genre",
        kind="multi_label",
        classes=GENRES,
        known_from={"*": EVERYWHERE},
        value=lambda scene: {"labels": list(scene.genres)},
    ),
    Task(
        name="clip_retrieval",
        kind="binary",
        classes=(),
        known_from={"*": "the rise of energy over the scene before, and the scene's place in the title"},
        value=lambda scene: {"label": scene.is_clip_worthy},
    ),
    Task(
        name="noise",
        kind="multi_label",
        classes=NOISE_LABELS,
        known_from={"*": "nothing: no probe may beat chance here"},
        value=lambda scene: {"labels": list(scene.noise_labels)},
    ),
)


def label_rows(task: Task, script: TitleScript) -> list[dict[str, Json]]:
    """One row for each scene of the title."""
    rate = script.settings.frames_per_second
    rows: list[dict[str, Json]] = []
    for scene in script.scenes:
        start_frame, end_frame = script.scene_frames(scene.index)
        rows.append(
            {
                "task": task.name,
                "title_id": script.title_id,
                "start_seconds": round(start_frame / rate, 6),
                "end_seconds": round(end_frame / rate, 6),
                **task.value(scene),
            }
        )
    return rows
