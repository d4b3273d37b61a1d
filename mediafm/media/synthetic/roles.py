"""What kinds of file a sample catalogue holds, so that a small one has each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Role:
    """What kind of file a title is.

    timed_text: suffixes of the sidecars. A Matroska file has its timed text inside and none beside it.
    has_silences: a third of the scenes have no sound at all (digital zeros).
    """

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
"""Titles take these in turn; the two episodes of a round are one series."""
