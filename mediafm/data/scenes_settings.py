"""What a catalogue of scenes is drawn with. See `mediafm.data.scenes` for what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mediafm.errors import MediaFMError
from mediafm.types import Json


@dataclass(frozen=True, kw_only=True)
class SceneSettings:
    """What is drawn. All values are our choice. Shares are probabilities per shot unless told otherwise.

    num_titles: titles of the catalogue; title k is the same in every catalogue of the same other settings.
    titles_per_series: that many titles in a row share a group.
    min_shots, max_shots: length of a title, uniform.
    width: of each modality's vectors and of the metadata's; fused vectors are three times as wide.
    latent_dim: of the space in which all that a modality shows is added up.
    look_dim, person_dim, style_dim: of what is particular to a scene, a character, a title.
    num_scene_types, num_roles, num_sizes, num_noise_classes: classes of the labels; they mean the same in all titles.
    min_scenes, max_scenes: scenes that a title has, uniform; several may be of one type.
    min_characters, max_characters: of a title, uniform, with distinct roles.
    max_cast: characters of one scene, 1 to this many.
    cross_cut_share: of segments that alternate between two scenes.
    max_run_shots, max_cut_run_shots: longest run of one scene in a plain segment, and in a cross-cut one; uniform from
        1 (plain: from 2).
    on_screen_share: shots with a character. hidden_share: of those, shots that do not show what they look like.
    speaking_share: shots with a character in which they are heard. off_screen_share: other shots in which somebody of
        the scene is heard who is not in the picture.
    establishing_share: plain segments whose first shot shows what type of scene it is; nobody is on screen there.
    ambience_share: shots whose sound tells the type. type_text_share, role_text_share: shots whose text tells the
        type, and shots with a character whose text tells the role. Text is present where it tells.
    insert_share: shots whose picture has strong content that tells neither scene nor character.
    music_share, chatter_share: the same of sound and of text.
    absent_shares: how often a shot lacks video, audio, text; a shot always keeps one.
    look, sound: strength of what is particular to a scene, seen and heard. appearance, voice: of a character.
    cue: of what tells a scene type. role: of what tells a role. size: of the shot size.
    style: of what the title keeps throughout. distractor: of uninformative content. noise: of a shot's own noise.
    """

    num_titles: int = 30
    titles_per_series: int = 1
    min_shots: int = 20
    max_shots: int = 80
    width: int = 64
    latent_dim: int = 40
    look_dim: int = 10
    person_dim: int = 8
    style_dim: int = 6
    num_scene_types: int = 10
    num_roles: int = 8
    num_sizes: int = 4
    num_noise_classes: int = 4
    min_scenes: int = 3
    max_scenes: int = 7
    min_characters: int = 3
    max_characters: int = 6
    max_cast: int = 3
    cross_cut_share: float = 0.25
    max_run_shots: int = 9
    max_cut_run_shots: int = 3
    on_screen_share: float = 0.75
    hidden_share: float = 0.15
    speaking_share: float = 0.6
    off_screen_share: float = 0.1
    establishing_share: float = 0.6
    ambience_share: float = 0.25
    type_text_share: float = 0.04
    role_text_share: float = 0.2
    insert_share: float = 0.12
    music_share: float = 0.12
    chatter_share: float = 0.15
    absent_shares: tuple[float, float, float] = (0.0, 0.12, 0.5)
    look: float = 0.9
    sound: float = 0.5
    appearance: float = 0.9
    voice: float = 0.9
    cue: float = 1.1
    role: float = 1.1
    size: float = 0.6
    style: float = 0.5
    distractor: float = 1.5
    noise: float = 1.2
    seed: int = 0

    def __post_init__(self) -> None:
        pairs = ("shots", "scenes", "characters")
        ranges = {name: (getattr(self, f"min_{name}"), getattr(self, f"max_{name}")) for name in pairs}
        wrong = [f"{name} from {low} to {high}" for name, (low, high) in ranges.items() if not 1 <= low <= high]
        wrong += [
            f"{field.name} = {getattr(self, field.name)}"
            for field in fields(self)
            if field.name.endswith("_share") and not 0 <= getattr(self, field.name) <= 1
        ]
        if self.max_characters > self.num_roles:
            wrong.append(f"{self.max_characters} characters with {self.num_roles} roles")
        if self.min_scenes < 2 or self.max_run_shots < 2:
            wrong.append(f"{self.min_scenes} scenes, runs of {self.max_run_shots}")
        if wrong:
            raise MediaFMError(
                "; ".join(wrong),
                rule="ranges rise from 1, shares lie in [0, 1], roles suffice for distinct ones, "
                "a title has 2 scenes and runs of 2 shots or more",
                where="scene settings",
                remedy="Change the fields named.",
            )

    def as_json(self) -> dict[str, Json]:
        return {**asdict(self), "absent_shares": list(self.absent_shares)}

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> SceneSettings:
        """The inverse of `as_json`, also after the JSON was text."""
        video, audio, text = parts["absent_shares"]
        return cls(**{**parts, "absent_shares": (video, audio, text)})
