"""The stand-in for shots that were given."""

from __future__ import annotations

import numpy as np
import pytest

from mediafm.config import DetectorChoice
from mediafm.errors import ConfigError
from mediafm.shots.detector import SmallFrame
from mediafm.shots.registry import create_detector


def test_it_refuses_the_first_frame_and_says_what_to_do() -> None:
    detector = create_detector(DetectorChoice(name="given"))
    frame = SmallFrame(index=0, time_seconds=0.0, pixels=np.zeros((4, 8), np.uint8))
    with pytest.raises(ConfigError, match=r"a film to cut; .* shots are given .* Choose a detector that cuts"):
        detector.push(frame)


def test_what_the_user_says_of_the_shots_is_part_of_their_identity() -> None:
    plain, named = (
        create_detector(DetectorChoice(name="given", settings=settings)).spec.as_json()
        for settings in ({}, {"shot_set": "utterances"})
    )
    assert plain != named
    assert named["settings"] == {"shot_set": "utterances"}
