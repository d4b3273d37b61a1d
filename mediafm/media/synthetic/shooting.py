"""How scenes are shot: the length of shots, where the camera stands and goes, and how shots are joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mediafm.media.synthetic.characters import Character
from mediafm.media.synthetic.latents import Scene
from mediafm.media.synthetic.settings import SampleSettings

FLOOR_Y = 0.93
"""Where feet stand, as a share of the place's height."""

PROP_X = 0.84
PROP_STEP_X = 0.11
PROP_HEIGHT = 0.2
"""Where the first prop stands, how far the next is to its left, and how high they are, as shares of the place."""

WIDE_WIDTH, GROUP_WIDTH, INSERT_WIDTH = 0.92, 0.7, 0.32
SINGLE_WIDTHS = (0.38, 0.54, 0.3)
"""Widths of the views, as shares of the place's; one face after another is seen from these distances in turn."""


@dataclass(frozen=True, kw_only=True)
class View:
    """What the camera sees: centre and width as shares of the painted place; the height follows the picture's shape."""

    centre_x: float
    centre_y: float
    width: float


@dataclass(frozen=True, kw_only=True)
class ShotScript:
    """One shot: its frames, its camera and its subject.

    kind: "wide", "group", "single" or "insert".
    start_frame, end_frame: half-open; a gradual transition is cut in its middle.
    subject: index into the cast of who fills the picture; None unless the kind is "single".
    is_reverse: the camera stands on the other side, so that the place is seen mirrored.
    shake: amplitude of the hand-held camera as a share of the view's width.
    """

    index: int
    scene_index: int
    kind: str
    start_frame: int
    end_frame: int
    view_from: View
    view_to: View
    subject: int | None
    is_reverse: bool
    shake: float


@dataclass(frozen=True, kw_only=True)
class Transition:
    """How two shots are joined.

    kind: "cut", "dissolve", or "fade" (to black and back).
    start_frame: the first frame of the new shot (cut) or of the transition. end_frame: the first frame after it.
    """

    kind: str
    start_frame: int
    end_frame: int

    @property
    def middle_frame(self) -> int:
        """The first frame that belongs to the new shot."""
        return (self.start_frame + self.end_frame) // 2


def stage_positions(num_present: int) -> tuple[float, ...]:
    """Where the one to three present characters stand, left to right, as shares of the place's width."""
    return {1: (0.5,), 2: (0.36, 0.64), 3: (0.26, 0.5, 0.74)}[num_present]


def draw_shots(
    rng: np.random.Generator, scenes: Sequence[Scene], cast: Sequence[Character], settings: SampleSettings
) -> tuple[tuple[ShotScript, ...], tuple[Transition, ...]]:
    """All shots of a title in order, and the transition before each but the first."""
    shots: list[ShotScript] = []
    transitions: list[Transition] = []
    frame = 0
    for scene in scenes:
        num_shots = int(rng.integers(settings.min_shots_per_scene, settings.max_shots_per_scene + 1))
        for position in range(num_shots):
            length_frames = _shot_length_frames(rng, scene.evidence.look_energy, settings)
            shot = _frame_shot(rng, scene, position, cast)
            if shots:
                transitions.append(_draw_transition(rng, frame, position == 0, settings))
            shots.append(replace(shot, index=len(shots), start_frame=frame, end_frame=frame + length_frames))
            frame += length_frames
    return tuple(shots), tuple(transitions)


def _shot_length_frames(rng: np.random.Generator, energy: float, settings: SampleSettings) -> int:
    low, high = settings.min_shot_seconds, settings.max_shot_seconds
    seconds = float(np.clip(rng.uniform(low, high) * (1.25 - 0.45 * energy), low, high))
    return round(seconds * settings.frames_per_second)


def _draw_transition(
    rng: np.random.Generator, boundary_frame: int, is_new_scene: bool, settings: SampleSettings
) -> Transition:
    lot = float(rng.random())
    half = int(rng.integers(settings.min_transition_frames // 2, settings.max_transition_frames // 2 + 1))
    if not is_new_scene or lot >= settings.dissolve_share + settings.fade_share:
        return Transition(kind="cut", start_frame=boundary_frame, end_frame=boundary_frame)
    kind = "dissolve" if lot < settings.dissolve_share else "fade"
    return Transition(kind=kind, start_frame=boundary_frame - half, end_frame=boundary_frame + half)


def _frame_shot(rng: np.random.Generator, scene: Scene, position: int, cast: Sequence[Character]) -> ShotScript:
    """The scene opens wide, then faces answer each other from both sides, with a look at a prop at times."""
    present = scene.cast_indices
    wants_insert = bool(scene.evidence.prop_topics) and rng.random() < 0.4
    subject: int | None = None
    if position == 0:
        kind = "wide" if rng.random() < 0.6 else "group"
    elif wants_insert and position == 2:
        kind = "insert"
    else:
        kind = "single"
        subject = present[(position - 1) % len(present)]
    view = _view_of(kind, subject, position, scene, cast)
    view_from, view_to = _move_camera(rng, view, scene.evidence.look_energy, "tender" in scene.evidence.look_tones)
    return ShotScript(
        index=0,
        scene_index=scene.index,
        kind=kind,
        start_frame=0,
        end_frame=1,
        view_from=view_from,
        view_to=view_to,
        subject=subject,
        is_reverse=kind == "single" and position % 2 == 0,
        shake=round(0.006 + 0.02 * float(rng.random()), 4) if "tense" in scene.evidence.look_tones else 0.0,
    )


def _view_of(kind: str, subject: int | None, position: int, scene: Scene, cast: Sequence[Character]) -> View:
    if subject is not None:
        stage_x = stage_positions(len(scene.cast_indices))[scene.cast_indices.index(subject)]
        head_y = FLOOR_Y - 0.72 * cast[subject].height
        looking_room = 0.25 * (0.5 - stage_x) + (0.04 if position % 2 else -0.04)
        width = SINGLE_WIDTHS[(position - 1) // len(scene.cast_indices) % len(SINGLE_WIDTHS)]
        return View(centre_x=stage_x + looking_room, centre_y=head_y + 0.02, width=width)
    if kind == "insert":
        return View(centre_x=PROP_X - PROP_STEP_X / 4, centre_y=FLOOR_Y - 0.13, width=INSERT_WIDTH)
    if kind == "wide":
        return View(centre_x=0.5, centre_y=0.52, width=WIDE_WIDTH)
    return View(centre_x=0.5, centre_y=0.62, width=GROUP_WIDTH)


def _move_camera(rng: np.random.Generator, view: View, energy: float, is_tender: bool) -> tuple[View, View]:
    """A camera that stands, pans or zooms; the livelier the scene, the further it goes. Tenderness draws it nearer."""
    lot = float(rng.random())
    direction = 1.0 if rng.random() < 0.5 else -1.0
    if is_tender or lot > 0.65:
        far = replace(view, width=view.width * (1.04 + 0.3 * energy))
        return (far, view) if is_tender or direction > 0 else (view, far)
    if lot < 0.15:
        return view, view
    reach = direction * (0.01 + 0.2 * energy) * view.width
    return replace(view, centre_x=view.centre_x - reach), replace(view, centre_x=view.centre_x + reach)
