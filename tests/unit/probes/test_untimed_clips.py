"""Labels on titles whose shots have no times: imported vectors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mediafm.probes.clips import find_clips
from mediafm.probes.labels import read_labels
from mediafm.probes.vectors import TitleShots

UNTIMED = TitleShots(title_id="a", group_id="a", start_seconds=np.full(3, np.nan), end_seconds=np.full(3, np.nan))
HALF_TIMED = TitleShots(
    title_id="a", group_id="a", start_seconds=np.array([0.0, np.nan, 2.0]), end_seconds=np.array([1.0, np.nan, 9.0])
)


def test_shots_and_whole_titles_are_found_and_spans_are_dropped_with_the_reason(tmp_path: Path) -> None:
    rows = [
        {"title_id": "a", "shot_index": 1, "label": True},
        {"title_id": "a", "label": False},
        {"title_id": "a", "start_seconds": 0.0, "end_seconds": 1.0, "label": True},
        {"title_id": "a", "shot_index": 3, "label": True},
    ]
    path = tmp_path / "task.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (label_set,) = read_labels([path]).sets
    for title in (UNTIMED, HALF_TIMED):
        found = find_clips(label_set, {"a": title})
        assert [(clip.shot_index.tolist(), clip.weight.tolist()) for clip in found.clips] == [
            ([1], [1.0]),
            ([0, 1, 2], [1.0, 1.0, 1.0]),
        ]
        span, shot = (problem.sentence for problem in found.dropped)
        assert span == "a span of 'a', whose shots have no times; name the shot by its index"
        assert shot == "shot 3 of 'a', which has 3"
