"""Label rows: one a scene and task, in the form that the probes read."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np

from mediafm.media.synthetic.labels import TASKS, label_rows
from mediafm.media.synthetic.script import write_script
from mediafm.media.synthetic.settings import TINY
from mediafm.probes.boundaries import with_pairs
from mediafm.probes.labels import LabelKind, LabelRow, LabelSet, read_labels
from mediafm.probes.vectors import TitleShots

SCRIPT = write_script(0, 3, TINY)
OF_CLIPS = [task for task in TASKS if task.kind != "pair"]


def test_the_five_published_tasks_scene_boundaries_and_a_control() -> None:
    assert [task.name for task in TASKS] == [
        "ad_relevancy",
        "clip_popularity",
        "clip_tone",
        "clip_genre",
        "clip_retrieval",
        "scene_boundary",
        "noise",
    ]


def test_every_scene_is_a_clip_and_the_clips_tile_the_title() -> None:
    for task in OF_CLIPS:
        rows = label_rows(task, SCRIPT)
        assert len(rows) == len(SCRIPT.scenes)
        ends = [0.0, *(row["end_seconds"] for row in rows)]
        assert [row["start_seconds"] for row in rows] == ends[:-1]
        assert ends[-1] == round(SCRIPT.num_frames / TINY.frames_per_second, 6)


def test_rows_say_what_the_scene_is() -> None:
    scene = SCRIPT.scenes[1]
    values = {task.name: label_rows(task, SCRIPT)[1] for task in OF_CLIPS}
    assert values["clip_genre"]["labels"] == list(scene.genres)
    assert values["clip_tone"]["labels"] == list(scene.tones)
    assert values["ad_relevancy"]["labels"] == list(scene.topics)
    assert values["clip_popularity"]["score"] == scene.popularity
    assert values["clip_retrieval"]["label"] is scene.is_clip_worthy
    assert values["noise"]["labels"] == list(scene.noise_labels)


def test_scenes_begin_where_the_next_clip_does_and_the_true_cuts_are_found() -> None:
    """Every other pair of shots counts as a negative, so none may be missed."""
    (pairs,) = [task for task in TASKS if task.kind == "pair"]
    (row,) = label_rows(pairs, SCRIPT)
    assert row["boundary_seconds"] == [row["start_seconds"] for row in label_rows(OF_CLIPS[0], SCRIPT)][1:]
    rate = TINY.frames_per_second
    shots = TitleShots(
        title_id=SCRIPT.title_id,
        group_id=SCRIPT.title_id,
        start_seconds=np.array([shot.start_frame / rate for shot in SCRIPT.shots]),
        end_seconds=np.array([shot.end_frame / rate for shot in SCRIPT.shots]),
    )
    read = LabelRow(
        title_id=SCRIPT.title_id,
        task=pairs.name,
        span=None,
        shot_index=None,
        value=True,
        annotator="",
        where="row",
        boundary_seconds=tuple(row["boundary_seconds"]),
    )
    label_set = LabelSet(task=pairs.name, kind=LabelKind.PAIR, rows=(read,))
    found, problems = with_pairs(label_set, {SCRIPT.title_id: shots}, tolerance_seconds=0.01)
    assert problems == []
    changes = [after.scene_index != before.scene_index for before, after in pairwise(SCRIPT.shots)]
    assert [row.value for row in sorted(found.rows, key=lambda row: row.shot_index or 0)] == changes


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
