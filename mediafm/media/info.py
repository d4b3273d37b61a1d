"""What probing tells of a media file: frozen, and the same after a round trip through JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mediafm.errors import MediaFMError
from mediafm.types import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoStream:
    """The picture.

    index: the stream's index in its container.
    width_px, height_px: as coded, before rotation and sample aspect ratio.
    frame_rate: frames a second on average, from the packets' own times; None for a single frame.
    is_variable_frame_rate: True if the intervals between frames differ.
    rotation_degrees: how far a player turns the picture counter-clockwise: 0, 90, 180 or 270.
    sample_aspect_ratio: a pixel's width over its height.
    start_seconds, end_seconds: first and last packet, in the stream's own timestamps.
    num_frames: packets that are shown (an edit list hides some).
    """

    index: int
    codec: str
    width_px: int
    height_px: int
    pixel_format: str
    frame_rate: float | None
    is_variable_frame_rate: bool
    rotation_degrees: int
    sample_aspect_ratio: float
    start_seconds: float
    end_seconds: float
    num_frames: int
    language: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioStream:
    """One sound track.

    layout: FFmpeg's name of the channel layout ("mono", "stereo", "5.1(side)").
    is_chosen: True for the one track that is decoded.
    """

    index: int
    codec: str
    sample_rate_hz: int
    num_channels: int
    layout: str
    start_seconds: float
    end_seconds: float
    num_packets: int
    language: str | None
    is_default: bool
    is_chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtitleStream:
    """One embedded subtitle track.

    is_bitmap: True for pictures of text (PGS, VobSub, DVB), which are not read.
    """

    index: int
    codec: str
    language: str | None
    title: str | None
    num_packets: int
    is_bitmap: bool
    is_default: bool
    is_forced: bool
    is_hearing_impaired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PassSummary:
    """What one pass met.

    num_decoded: frames of the picture, or samples of sound.
    num_errors: packets that the decoder refused; it went on after each.
    notes: sentences for people; empty if all went well.
    """

    num_decoded: int
    num_errors: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInfo:
    """All that a title's file says of itself, taken at its first full read.

    media_sha256: of the file's bytes.
    container: FFmpeg's name of the format.
    start_seconds: where a player puts its zero: sidecar times count from here.
    duration_seconds: of the picture, from its packets' own times, never from the header.
    header_duration_seconds: what the header claims; None if it claims nothing.
    video: the picture that is decoded; audio: every sound track; subtitles: every embedded subtitle track.
    tags: the container's own metadata, as text.
    video_sha256: of the picture's packets (bytes and times) and of what turns or shapes the picture.
    audio_sha256: of the chosen sound track's packets; "" without sound.
    subtitles_sha256: of all subtitle packets; "" without subtitles.
    is_complete: False if the file ends before it says it does, or if packets are damaged.
    notes: sentences for people: what is odd about the file.
    """

    media_sha256: str
    size_bytes: int
    container: str
    start_seconds: float
    duration_seconds: float
    header_duration_seconds: float | None
    video: VideoStream
    audio: tuple[AudioStream, ...]
    subtitles: tuple[SubtitleStream, ...]
    tags: Mapping[str, str]
    video_sha256: str
    audio_sha256: str
    subtitles_sha256: str
    is_complete: bool
    notes: tuple[str, ...]

    @property
    def chosen_audio(self) -> AudioStream | None:
        """The sound track that is decoded; None for a silent file."""
        return next((stream for stream in self.audio if stream.is_chosen), None)

    @property
    def extent_seconds(self) -> float:
        """How much time its picture and sound cover together: what a deadline grows with."""
        tracks: tuple[VideoStream | AudioStream, ...] = (self.video, *self.audio)
        return max(track.end_seconds for track in tracks) - min(track.start_seconds for track in tracks)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages of sound and subtitles, each once, in order of stream."""
        streams: tuple[AudioStream | SubtitleStream, ...] = (*self.audio, *self.subtitles)
        return tuple(dict.fromkeys(stream.language for stream in streams if stream.language))

    def as_json(self) -> dict[str, Json]:
        """JSON that `from_json` reads back exactly."""
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> MediaInfo:
        """The inverse of `as_json`.

        Raises:
            MediaFMError: a field is missing or unknown.
        """
        try:
            return MediaInfo(
                **{
                    **values,
                    "video": VideoStream(**values["video"]),
                    "audio": tuple(AudioStream(**stream) for stream in values["audio"]),
                    "subtitles": tuple(SubtitleStream(**stream) for stream in values["subtitles"]),
                    "tags": dict(values["tags"]),
                    "notes": tuple(values["notes"]),
                }
            )
        except (KeyError, TypeError) as error:
            raise MediaFMError(
                f"a record of a probed file that cannot be read ({error})",
                rule="it holds the fields of MediaInfo",
                remedy="Probe the file again.",
            ) from error
