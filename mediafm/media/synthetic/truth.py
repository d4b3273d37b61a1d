"""What is true of the titles: boundaries, shots, scenes; and what their sidecars say of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

from mediafm.media.synthetic.script import TitleScript
from mediafm.types import Json

BOUNDARY_CONVENTION = (
    "start_frame = first frame of the new shot (cut) or of the transition; end_frame = first frame after it; "
    "shots and scenes are half-open and meet in the middle of a gradual transition"
)


def title_truth(script: TitleScript) -> dict[str, Json]:
    """One title's entry in truth.json."""
    rate = script.settings.frames_per_second
    return {
        "title_id": script.title_id,
        "file": script.file_name,
        "role": script.role.name,
        "frame_rate": rate,
        "num_frames": script.num_frames,
        "has_sound": script.role.has_sound,
        "silent_scenes": list(script.silent_scenes),
        "transitions": [asdict(transition) for transition in script.transitions],
        "shots": [
            {
                "index": shot.index,
                "scene_index": shot.scene_index,
                "kind": shot.kind,
                "start_frame": shot.start_frame,
                "end_frame": shot.end_frame,
                "start_seconds": round(shot.start_frame / rate, 6),
                "end_seconds": round(shot.end_frame / rate, 6),
                "has_text": any(
                    line.start_seconds * rate < shot.end_frame and line.end_seconds * rate > shot.start_frame
                    for line in script.lines
                ),
            }
            for shot in script.shots
        ],
        "scenes": [
            {
                **asdict(scene),
                "cast": [script.cast[index].name for index in scene.cast_indices],
                "start_frame": script.scene_frames(scene.index)[0],
                "end_frame": script.scene_frames(scene.index)[1],
            }
            for scene in script.scenes
        ],
    }


def title_metadata(script: TitleScript) -> dict[str, Json]:
    """The sidecar `<stem>.json`: what a catalogue would know of the title. Genres are the two most frequent ones."""
    frequent = [genre for genre, _ in Counter(scene.genres[0] for scene in script.scenes).most_common(2)]
    cast = [character.name for character in script.cast]
    known: dict[str, Json] = {
        "title": script.name if script.series is None else f"{script.name}, part {script.episode}",
        "synopsis": (
            f"{cast[0]} and {cast[1]} meet {cast[2]} by the {script.places[0]}; "
            f"their way leads to the {script.places[1]} and back to the {script.places[2]}."
        ),
        "tags": [*script.places, cast[0].lower()],
        "genres": frequent,
        "kind": "episode" if script.series is not None else "film",
    }
    if script.series is not None:
        known |= {"series": script.series, "season": script.season, "episode": script.episode}
    return known
