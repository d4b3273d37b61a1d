"""Settings that cannot be drawn are refused, all complaints at once."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mediafm.errors import ConfigError
from mediafm.media.synthetic.settings import TINY, SampleSettings


def test_settings_round_trip_through_json() -> None:
    settings = SampleSettings(num_scenes=7, width_px=256)
    assert SampleSettings(**json.loads(json.dumps(settings.as_json()))) == settings


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"num_scenes": 0}, "num_scenes = 0"),
        ({"min_shots_per_scene": 3}, "shots per scene from 3 to 2"),
        ({"min_shot_seconds": 2.0}, "shots of 2.0 to 1.2 s"),
        ({"min_transition_frames": 1}, "transitions of 1 to 8"),
        ({"max_transition_frames": 60}, "cannot hold a transition of 60"),
        ({"width_px": 127}, "a picture of 127x72"),
        ({"height_px": 10}, "a picture of 128x10"),
        ({"frames_per_second": 0}, "0 frames a second"),
        ({"dissolve_share": 0.8, "fade_share": 0.5}, "no shares of one whole"),
        ({"sample_rate_hz": 12_345}, "no rate of 12345 Hz"),
        ({"picture_crf": 99}, "crf of 99"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, float], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        replace(TINY, **changes)


def test_all_complaints_come_at_once() -> None:
    with pytest.raises(ConfigError, match=r"num_scenes = 0.*10x10"):
        replace(TINY, num_scenes=0, width_px=10, height_px=10)
