"""One title as a media file: H.264 and AAC in MP4, or in Matroska with its timed text inside."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from mediafm.errors import ConfigError
from mediafm.media.synthetic.brush import Picture
from mediafm.media.synthetic.dialogue import Line
from mediafm.media.synthetic.draw import paint_title
from mediafm.media.synthetic.script import TitleScript
from mediafm.media.synthetic.sound import scene_sound

NEEDED_ENCODERS = ("libx264", "aac")
AUDIO_BIT_RATE = 64_000
MILLISECOND = Fraction(1, 1000)


def write_media(path: Path, script: TitleScript) -> None:
    """Draws, sounds and encodes one title. Memory holds two scenes' pictures and one scene's sound.

    Equal scripts give equal bytes with the same versions of PyAV, OpenCV and NumPy on one kind of CPU: one encoder
    thread, no dates, no names of writers.

    Raises:
        ConfigError: this PyAV lacks an encoder.
    """
    _require_encoders()
    with av.open(str(path), "w", container_options={"fflags": "+bitexact"}) as container:
        video = _add_video(container, script)
        audio = _add_audio(container, script) if script.role.has_sound else None
        text = _add_text(container) if script.role.container == ".mkv" else None
        scene_ends = [script.scene_frames(scene.index)[1] for scene in script.scenes]
        pending = list(script.lines)
        num_samples = 0
        for frame_index, picture in paint_title(script):
            container.mux(video.encode(_video_frame(picture, frame_index)))
            if text is not None:
                _mux_lines_until(container, text, pending, (frame_index + 1) / script.settings.frames_per_second)
            if audio is not None and frame_index + 1 in scene_ends:
                scene = script.scenes[scene_ends.index(frame_index + 1)]
                num_samples = _mux_sound(container, audio, scene_sound(script, scene), num_samples)
        container.mux(video.encode(None))
        if audio is not None:
            container.mux(audio.encode(None))


def _require_encoders() -> None:
    missing = [name for name in NEEDED_ENCODERS if name not in av.codecs_available]
    if missing:
        raise ConfigError(
            f"PyAV {av.__version__} lacks the encoders {', '.join(missing)}",
            rule="a sample catalogue is encoded as H.264 and AAC",
            remedy="Install PyAV's own wheel (pip install av).",
        )


def _add_video(container: OutputContainer, script: TitleScript) -> VideoStream:
    settings = script.settings
    options = {
        "preset": "superfast",
        "crf": str(settings.picture_crf),
        "g": str(4 * settings.frames_per_second),
        "flags": "+bitexact",
    }
    stream = container.add_stream("libx264", rate=settings.frames_per_second, options=options)
    stream.width, stream.height, stream.pix_fmt = settings.width_px, settings.height_px, "yuv420p"
    stream.codec_context.thread_count = 1
    return stream


def _add_audio(container: OutputContainer, script: TitleScript) -> AudioStream:
    stream = container.add_stream(
        "aac", rate=script.settings.sample_rate_hz, layout="mono", options={"flags": "+bitexact", "aac_coder": "fast"}
    )
    stream.bit_rate = AUDIO_BIT_RATE
    stream.metadata["language"] = "eng"
    return stream


def _add_text(container: OutputContainer) -> SubtitleStream:
    """A SubRip track; PyAV has no encoder for it, and needs none: a packet is the cue's text."""
    stream = container.add_mux_stream("subrip", time_base=MILLISECOND)
    assert isinstance(stream, SubtitleStream)
    stream.metadata["language"] = "eng"
    return stream


def _video_frame(picture: Picture, frame_index: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), format="yuv420p")
    frame.pts = frame_index
    return frame


def _mux_lines_until(container: OutputContainer, stream: SubtitleStream, lines: list[Line], seconds: float) -> None:
    while lines and lines[0].start_seconds < seconds:
        line = lines.pop(0)
        packet = av.Packet(line.text.encode())
        packet.stream = stream
        packet.time_base = MILLISECOND
        packet.pts = packet.dts = round(line.start_seconds * 1000)
        packet.duration = round((line.end_seconds - line.start_seconds) * 1000)
        container.mux(packet)


def _mux_sound(container: OutputContainer, stream: AudioStream, samples: np.ndarray, num_before: int) -> int:
    frame = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
    frame.sample_rate = stream.rate
    frame.time_base = Fraction(1, stream.rate)
    frame.pts = num_before
    container.mux(stream.encode(frame))
    return num_before + samples.size
