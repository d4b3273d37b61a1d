"""A title before it is drawn: who, where, which shots joined how, who says what when. Pure of pictures and sound."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mediafm.media.synthetic import words
from mediafm.media.synthetic.characters import Character, draw_cast
from mediafm.media.synthetic.latents import PLACES, Scene, draw_scenes
from mediafm.media.synthetic.settings import SampleSettings

CAST_SIZE = 4
NUM_PLACES = 4
TEXT_SHARE = 0.8
"""How many shots carry a line; the others have no timed text."""


@dataclass(frozen=True, kw_only=True)
class Role:
    """What kind of file a title is. Titles take the roles of `ROLES` in turn, so that a small catalogue has each."""

    name: str
    timed_text: tuple[str, ...]
    container: str = ".mp4"
    is_episode: bool = False
    has_sound: bool = True
    has_silences: bool = False


ROLES = (
    Role(name="plain", timed_text=(".srt",)),
    Role(name="embedded", timed_text=(), container=".mkv"),
    Role(name="episode_1", timed_text=(".en.srt",), is_episode=True),
    Role(name="episode_2", timed_text=(".vtt",), is_episode=True),
    Role(name="mute", timed_text=(".srt",), has_sound=False),
    Role(name="silences", timed_text=(".ttml",), has_silences=True),
    Role(name="styled", timed_text=(".ass",)),
    Role(name="web", timed_text=(".vtt",)),
)


@dataclass(frozen=True, kw_only=True)
class View:
    """What the camera sees: centre and width as shares of the drawn place; the height follows the picture's shape."""

    centre_x: float
    centre_y: float
    width: float


@dataclass(frozen=True, kw_only=True)
class ShotScript:
    """One shot: its frames (half-open, cut in the middle of a gradual transition), its camera and its subject.

    subject: index into the cast of who fills the picture, None in wide shots and inserts.
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
    """`start_frame`: the first frame of the new shot (cut) or of the transition; `end_frame`: the first one after."""

    kind: str
    start_frame: int
    end_frame: int

    @property
    def middle_frame(self) -> int:
        return (self.start_frame + self.end_frame) // 2


@dataclass(frozen=True, kw_only=True)
class Line:
    """A cue: who says it (None for a described sound) and when."""

    start_seconds: float
    end_seconds: float
    text: str
    speaker: int | None


@dataclass(frozen=True, kw_only=True)
class TitleScript:
    """All that is known of a title before it is drawn."""

    index: int
    seed: int
    title_id: str
    name: str
    role: Role
    series: str | None
    season: int | None
    episode: int | None
    settings: SampleSettings
    cast: tuple[Character, ...]
    places: tuple[str, ...]
    scenes: tuple[Scene, ...]
    shots: tuple[ShotScript, ...]
    transitions: tuple[Transition, ...]
    lines: tuple[Line, ...]
    silent_scenes: tuple[int, ...]

    @property
    def num_frames(self) -> int:
        return self.shots[-1].end_frame

    @property
    def file_name(self) -> str:
        return self.title_id + self.role.container

    def scene_frames(self, scene_index: int) -> tuple[int, int]:
        """First frame of a scene, and the first one after it."""
        own = [shot for shot in self.shots if shot.scene_index == scene_index]
        return own[0].start_frame, own[-1].end_frame


def title_rng(seed: int, index: int, purpose: str) -> np.random.Generator:
    """The generator of one purpose of one title; independent of how many titles there are."""
    return np.random.default_rng([seed, index, *purpose.encode()])


def write_script(index: int, seed: int, settings: SampleSettings) -> TitleScript:
    """Title number `index` of the catalogue of `seed`; the same whatever the number of titles."""
    role = ROLES[index % len(ROLES)]
    owner = index // len(ROLES) if role.is_episode else index
    shared = title_rng(seed, owner, "series" if role.is_episode else "title")
    name = f"{_pick(shared, words.TITLE_FIRST)} {_pick(shared, words.TITLE_SECOND)}"
    cast = draw_cast(shared, CAST_SIZE)
    places = tuple(PLACES[int(i)] for i in shared.choice(len(PLACES), NUM_PLACES, replace=False))
    rng = title_rng(seed, index, "script")
    scenes = draw_scenes(rng, num_scenes=settings.num_scenes, places=places, cast_size=CAST_SIZE)
    shots, transitions = _draw_shots(rng, scenes, cast, settings)
    episode = 1 + sum(other.is_episode for other in ROLES[: index % len(ROLES)]) if role.is_episode else None
    silent = rng.choice(len(scenes), max(1, len(scenes) // 3), replace=False) if role.has_silences else ()
    return TitleScript(
        index=index,
        seed=seed,
        title_id=f"{name.replace(' ', '_')}_{index:03d}",
        name=name.title(),
        role=role,
        series=name.title() if role.is_episode else None,
        season=1 if role.is_episode else None,
        episode=episode,
        settings=settings,
        cast=cast,
        places=places,
        scenes=scenes,
        shots=shots,
        transitions=transitions,
        lines=_draw_lines(rng, scenes, shots, cast, settings.frames_per_second),
        silent_scenes=tuple(sorted(int(i) for i in silent)),
    )


def stage_positions(num_present: int) -> tuple[float, ...]:
    """Where the present characters stand, left to right, as shares of the place's width."""
    return {1: (0.5,), 2: (0.36, 0.64), 3: (0.26, 0.5, 0.74)}[num_present]


FLOOR_Y = 0.93
"""Where feet stand, as a share of the place's height."""

PROP_X = 0.84


def _draw_shots(
    rng: np.random.Generator, scenes: tuple[Scene, ...], cast: tuple[Character, ...], settings: SampleSettings
) -> tuple[tuple[ShotScript, ...], tuple[Transition, ...]]:
    shots: list[ShotScript] = []
    transitions: list[Transition] = []
    frame = 0
    for scene in scenes:
        num_shots = int(rng.integers(settings.min_shots_per_scene, settings.max_shots_per_scene + 1))
        for position in range(num_shots):
            length = _shot_length_frames(rng, scene.evidence.look_energy, settings)
            shot = _frame_shot(rng, scene, position, cast)
            if shots:
                transitions.append(_draw_transition(rng, frame, position == 0, settings))
            shots.append(replace(shot, index=len(shots), start_frame=frame, end_frame=frame + length))
            frame += length
    return tuple(shots), tuple(transitions)


def _shot_length_frames(rng: np.random.Generator, energy: float, settings: SampleSettings) -> int:
    low, high = settings.min_shot_seconds, settings.max_shot_seconds
    seconds = float(np.clip(rng.uniform(low, high) * (1.2 - 0.4 * energy), low, high))
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


def _frame_shot(rng: np.random.Generator, scene: Scene, position: int, cast: tuple[Character, ...]) -> ShotScript:
    """Where the camera stands: the scene opens wide, then faces answer each other, with a look at a prop at times."""
    present = scene.cast_indices
    wants_insert = bool(scene.evidence.prop_topics) and rng.random() < 0.4
    subject: int | None = None
    if position == 0:
        kind = "wide" if rng.random() < 0.6 else "group"
    elif wants_insert and position >= 2:
        kind = "insert"
    else:
        kind = "single"
        subject = present[(position - 1) % len(present)]
    view = _view_of(kind, subject, scene, cast)
    view_from, view_to = _move_camera(rng, view, scene.evidence.look_energy, "tender" in scene.evidence.look_tones)
    return ShotScript(
        index=0,
        scene_index=scene.index,
        kind=kind,
        start_frame=0,
        end_frame=0,
        view_from=view_from,
        view_to=view_to,
        subject=subject,
        is_reverse=kind == "single" and (position - 1) % 2 == 1,
        shake=0.006 + 0.02 * float(rng.random()) if "tense" in scene.evidence.look_tones else 0.0,
    )


def _view_of(kind: str, subject: int | None, scene: Scene, cast: tuple[Character, ...]) -> View:
    if kind == "single" and subject is not None:
        place = stage_positions(len(scene.cast_indices))[scene.cast_indices.index(subject)]
        head_y = FLOOR_Y - 0.72 * cast[subject].height
        return View(centre_x=place + 0.06 * (0.5 - place) / 0.25, centre_y=head_y + 0.02, width=0.4)
    if kind == "insert":
        return View(centre_x=PROP_X - 0.03, centre_y=FLOOR_Y - 0.13, width=0.3)
    return View(centre_x=0.5, centre_y=0.52, width=0.92) if kind == "wide" else View(
        centre_x=0.5, centre_y=0.6, width=0.7
    )  # fmt: skip


def _move_camera(rng: np.random.Generator, view: View, energy: float, is_tender: bool) -> tuple[View, View]:
    """A camera that stands, pans or zooms; the livelier the scene, the further it goes."""
    reach = (0.02 + 0.12 * energy) * view.width
    lot = float(rng.random())
    direction = 1.0 if rng.random() < 0.5 else -1.0
    if is_tender or lot > 0.65:
        far = replace(view, width=view.width * (1.04 + 0.25 * energy))
        return (far, view) if is_tender or direction > 0 else (view, far)
    if lot < 0.2:
        return view, view
    return (
        replace(view, centre_x=view.centre_x - direction * reach),
        replace(view, centre_x=view.centre_x + direction * reach),
    )


def _draw_lines(
    rng: np.random.Generator,
    scenes: tuple[Scene, ...],
    shots: tuple[ShotScript, ...],
    cast: tuple[Character, ...],
    frames_per_second: int,
) -> tuple[Line, ...]:
    lines: list[Line] = []
    for shot in shots:
        scene = scenes[shot.scene_index]
        if rng.random() >= TEXT_SHARE:
            continue
        is_sound = shot.kind == "wide" and rng.random() < 0.3
        speaker = None if is_sound else _speaker(rng, shot, scene)
        text = words.SOUND_CUES[scene.place] if speaker is None else _say(rng, scene, speaker, cast)
        shot_start, shot_end = shot.start_frame / frames_per_second, shot.end_frame / frames_per_second
        start = shot_start + float(rng.uniform(0.04, 0.25))
        if rng.random() < 0.12:
            start = shot_start - 0.2
        start = max(start, lines[-1].end_seconds + 0.02 if lines else 0.0)
        end = min(shot_end + float(rng.choice((-0.05, 0.15), p=(0.85, 0.15))), start + 0.4 + 0.06 * len(text))
        if end - start >= 0.3:
            lines.append(Line(start_seconds=round(start, 3), end_seconds=round(end, 3), text=text, speaker=speaker))
    last_end = shots[-1].end_frame / frames_per_second
    return tuple(
        line if line.end_seconds <= last_end else replace(line, end_seconds=round(last_end, 3)) for line in lines
    )


def _speaker(rng: np.random.Generator, shot: ShotScript, scene: Scene) -> int:
    if shot.subject is not None and rng.random() < 0.85:
        return shot.subject
    return scene.cast_indices[int(rng.integers(len(scene.cast_indices)))]


def _say(rng: np.random.Generator, scene: Scene, speaker: int, cast: tuple[Character, ...]) -> str:
    evidence = scene.evidence
    pools = [(words.PLACE_WORDS[scene.place], 1.0)]
    pools += [(words.GENRE_WORDS[genre], 2.0 / len(evidence.word_genres)) for genre in evidence.word_genres]
    pools += [(words.TONE_WORDS[tone], 1.0) for tone in evidence.word_tones]
    pools += [(words.TOPIC_WORDS[topic], 1.0) for topic in evidence.word_topics]
    weights = np.asarray([weight for _, weight in pools])
    picked = rng.choice(len(pools), 3, p=weights / weights.sum())
    content = [_pick(rng, pools[int(i)][0]) for i in picked]
    others = [i for i in scene.cast_indices if i != speaker] or [speaker]
    name = cast[others[int(rng.integers(len(others)))]].name
    text = words.spoken_line(rng, name=name, content_words=content)
    return text.rstrip(".") + "!" if scene.energy > 0.75 and text.endswith(".") else text


def _pick(rng: np.random.Generator, values: tuple[str, ...] | words.Sequence[str]) -> str:
    return values[int(rng.integers(len(values)))]
