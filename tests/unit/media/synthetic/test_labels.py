"""Label rows: one a scene and task, in the form that the probes read."""

from __future__ import annotations

import json
from pathlib import Path

from mediafm.media.synthetic.labels import TASKS, label_rows
from mediafm.media.synthetic.script import write_script
from mediafm.media.synthetic.settings import TINY
from mediafm.probes.labels import LabelKind, read_labels

SCRIPT = write_script(0, 3, TINY)


def test_the_five_published_tasks_and_a_control() -> None:
    assert [task.name for task in TASKS] == [
        "ad_relevancy",
        "clip_popularity",
        "clip_tone",
        "clip_genre",
        "clip_retrieval",
        "noise",
    ]


def test_every_scene_is_a_clip_and_the_clips_tile_the_title() -> None:
    for task in TASKS:
        rows = label_rows(task, SCRIPT)
        assert len(rows) == len(SCRIPT.scenes)
        ends = [0.0, *(row["end_seconds"] for row in rows)]
        assert [row["start_seconds"] for row in rows] == ends[:-1]
        assert ends[-1] == round(SCRIPT.num_frames / TINY.frames_per_second, 6)


def test_rows_say_what_the_scene_is() -> None:
    scene = SCRIPT.scenes[1]
    values = {task.name: label_rows(task, SCRIPT)[1] for task in TASKS}
    assert values["clip_genre"]["labels"] == list(scene.genres)
    assert values["clip_tone"]["labels"] == list(scene.tones)
    assert values["ad_relevancy"]["labels"] == list(scene.topics)
    assert values["clip_popularity"]["score"] == scene.popularity
    assert values["clip_retrieval"]["label"] is scene.is_clip_worthy
    assert values["noise"]["labels"] == list(scene.noise_labels)


def test_known_from_speaks_of_real_classes_only() -> None:
    for task in TASKS:
        assert set(task.known_from) <= {"*", *task.classes}
        assert json.loads(json.dumps(task.as_json()))["kind"] == task.kind


def test_the_probes_read_every_row(tmp_path: Path) -> None:
    for task in TASKS:
        lines = [json.dumps(row) for row in label_rows(task, SCRIPT)]
        (tmp_path / f"{task.name}.jsonl").write_text("\n".join(lines))
    labels = read_labels([tmp_path])
    assert labels.problems == ()
    kinds = {label_set.task: label_set.kind for label_set in labels.sets}
    assert kinds == {task.name: LabelKind(task.kind) for task in TASKS}
