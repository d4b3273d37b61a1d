"""What a sample catalogue is made of, in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from mediafm.errors import ConfigError
from mediafm.types import Json

SAMPLE_VERSION = 2
"""Raised whenever the same settings and seed would give other titles, truth or labels."""


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """How long, how large and how varied each title is. All of our choice; the defaults are the demo's.

    num_scenes: scenes of each title.
    min_shots_per_scene, max_shots_per_scene: drawn uniformly for each scene.
    min_shot_seconds, max_shot_seconds: drawn uniformly for each shot, shorter in a lively scene.
    min_transition_frames, max_transition_frames: length of a dissolve or a fade; even.
    dissolve_share, fade_share: of the boundaries between scenes; the others are hard cuts, as within scenes.
    width_px, height_px: of the picture; both even, at least 32.
    frames_per_second: of the picture; a whole number.
    sample_rate_hz: of the sound, mono.
    picture_crf: x264's constant rate factor; lower is larger and finer.
    """

    num_scenes: int = 10
    min_shots_per_scene: int = 2
    max_shots_per_scene: int = 4
    min_shot_seconds: float = 1.2
    max_shot_seconds: float = 2.1
    min_transition_frames: int = 8
    max_transition_frames: int = 22
    dissolve_share: float = 0.35
    fade_share: float = 0.25
    width_px: int = 432
    height_px: int = 240
    frames_per_second: int = 24
    sample_rate_hz: int = 24_000
    picture_crf: int = 26

    def __post_init__(self) -> None:
        shortest_frames = self.min_shot_seconds * self.frames_per_second
        complaints = [
            complaint
            for is_wrong, complaint in (
                (self.num_scenes < 1, f"num_scenes = {self.num_scenes} is not at least 1"),
                (
                    not 1 <= self.min_shots_per_scene <= self.max_shots_per_scene,
                    f"shots per scene from {self.min_shots_per_scene} to {self.max_shots_per_scene} is no range from 1",
                ),
                (
                    not 0 < self.min_shot_seconds <= self.max_shot_seconds,
                    f"shots of {self.min_shot_seconds} to {self.max_shot_seconds} s is no range above 0",
                ),
                (
                    not 2 <= self.min_transition_frames <= self.max_transition_frames,
                    f"transitions of {self.min_transition_frames} to {self.max_transition_frames} frames is no range",
                ),
                (
                    shortest_frames < self.max_transition_frames + 2,
                    f"a shot of {shortest_frames:g} frames cannot hold a transition of {self.max_transition_frames}",
                ),
                (
                    self.width_px % 2 or self.height_px % 2 or min(self.width_px, self.height_px) < 32,
                    f"a picture of {self.width_px}x{self.height_px} px is not even and at least 32 px",
                ),
                (not 1 <= self.frames_per_second <= 120, f"{self.frames_per_second} frames a second are not 1 to 120"),
                (
                    not (self.dissolve_share >= 0 and self.fade_share >= 0)
                    or self.dissolve_share + self.fade_share > 1,
                    f"shares of {self.dissolve_share} and {self.fade_share} are no shares of one whole",
                ),
                (not 0 <= self.picture_crf <= 51, f"a crf of {self.picture_crf} is not within x264's 0 to 51"),
                (self.sample_rate_hz not in AAC_SAMPLE_RATES_HZ, f"AAC has no rate of {self.sample_rate_hz} Hz"),
            )
            if is_wrong
        ]
        if complaints:
            raise ConfigError("; ".join(complaints), rule="a sample catalogue needs settings that can be drawn")

    def as_json(self) -> dict[str, Json]:
        return asdict(self)


AAC_SAMPLE_RATES_HZ = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)

TINY = SampleSettings(
    num_scenes=4,
    min_shots_per_scene=2,
    max_shots_per_scene=2,
    min_shot_seconds=1.0,
    max_shot_seconds=1.2,
    width_px=128,
    height_px=72,
    frames_per_second=12,
    min_transition_frames=4,
    max_transition_frames=8,
    sample_rate_hz=16_000,
)
"""About nine seconds a title: for tests and for catalogues of thousands."""
