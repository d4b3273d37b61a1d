"""The detector of titles without media: it only stands for "the shots were given"; it cuts nothing."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mediafm.config import DetectorChoice, Section
from mediafm.errors import ConfigError
from mediafm.shots.detector import DetectorSpec, ShotDetector, SmallFrame
from mediafm.shots.settings import read_settings

GIVEN = "given"
STEP_VERSION = 1


class GivenSettings(Section):
    """What the user says of shots that were cut elsewhere.

    shot_set: who or what cut them ("utterances", "by hand"): the user's word, recorded as such.
    """

    shot_set: Annotated[str, Field(min_length=1, max_length=200)] = "imported"


class GivenShots(ShotDetector):
    """Stands in a profile whose titles come from `mediafm import-embeddings`; refuses the first frame it is shown."""

    def __init__(self, settings: GivenSettings) -> None:
        self.spec = DetectorSpec(
            name=GIVEN,
            step_version=STEP_VERSION,
            frame_width_px=8,
            frame_height_px=0,
            pixel_format="gray",
            delay_frames=0,
            settings=settings.model_dump(mode="json"),
        )

    def push(self, frame: SmallFrame) -> list[int]:
        raise ConfigError(
            "a film to cut",
            rule="the profile says that shots are given with imported vectors",
            where="profile, [detector] name",
            remedy="Choose a detector that cuts, such as 'lite', for titles that have media.",
        )


def build(choice: DetectorChoice) -> GivenShots:
    """The stand-in with the settings of `choice`."""
    return GivenShots(read_settings(GivenSettings, choice))
