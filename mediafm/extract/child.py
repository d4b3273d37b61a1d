"""The child process that reads untrusted files: `python -m mediafm.extract.child MEMORY_BYTES READ_FD WRITE_FD`.

One request at a time: look, probe, cut, audio, loudness or timed_text. It ends when its parent does, because the pipe
of requests then closes, and it takes no more memory than it was told. Imports wait until a verb needs them: a probe
loads no OpenCV.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mediafm.config import AudioSettings, DetectorChoice, FrameSettings, MediaLimits, TimedTextSettings
from mediafm.errors import InterruptedMediaError, MediaFMError
from mediafm.extract.child_bounds import let_threads_sleep, limit_address_space, limit_data_instead
from mediafm.extract.child_talk import Talk
from mediafm.types import Json, Span

_BOUNDED = "a file is read to its end by a process with bounded memory"


@dataclass(frozen=True, slots=True)
class SidecarFile:
    """What the parent says of a sidecar."""

    path: str
    language: str | None
    flags: tuple[str, ...]


def main(arguments: list[str]) -> None:
    """Serves requests until the parent closes its end."""
    memory_bytes, read_descriptor, write_descriptor = (int(argument) for argument in arguments)
    limit_address_space(memory_bytes)
    let_threads_sleep()
    with os.fdopen(read_descriptor, "rb") as source, os.fdopen(write_descriptor, "wb") as answers:
        talk = Talk(source, answers)
        while True:
            _serve(talk.next_request(), talk)


def _serve(request: Mapping[str, Any], talk: Talk) -> None:
    """Answers one request; an error becomes an answer, and only what may have left a mess ends the process."""
    try:
        VERBS[request["verb"]](request, talk)
    except MediaFMError as error:
        _refuse(error, talk)
    except MemoryError:
        _refuse(InterruptedMediaError("the reading process ran out of memory", rule=_BOUNDED), talk)
    except BrokenPipeError:
        os._exit(0)
    except Exception as error:  # noqa: BLE001 - the border of the process: the parent raises it with its name
        seen = f"the reading process failed ({type(error).__name__}: {error})"
        _refuse(InterruptedMediaError(seen, rule=_BOUNDED), talk)


def _refuse(error: MediaFMError, talk: Talk) -> None:
    is_alive = not isinstance(error, InterruptedMediaError)
    talk.send({"error": error.as_dict(), "is_alive": is_alive})


def _probe(request: Mapping[str, Any], talk: Talk) -> None:
    from mediafm.media.probe import probe

    info = probe(talk.source(request), _limits(request))
    talk.send({"is_done": True, "info": info.as_json()})


def _look(request: Mapping[str, Any], talk: Talk) -> None:
    from mediafm.media.probe import look

    look(talk.source(request), _limits(request))
    talk.send({"is_done": True})


def _cut(request: Mapping[str, Any], talk: Talk) -> None:
    from mediafm.extract.cut import CutPass
    from mediafm.media.info import MediaInfo
    from mediafm.shots.registry import create_detector

    choice = DetectorChoice.model_validate(request["detector"])
    if choice.settings.get("device", "cpu") != "cpu":
        limit_data_instead(_limits(request).child_memory_bytes)
    cut = CutPass(
        talk.source(request),
        MediaInfo.from_json(request["info"]),
        create_detector(choice),
        FrameSettings.model_validate(request["frames"]),
        _limits(request),
    )
    for shot in cut:
        frames: list[Json] = [
            {
                "frame_index": frame.frame_index,
                "time_seconds": frame.time_seconds,
                "width_px": frame.width_px,
                "height_px": frame.height_px,
            }
            for frame in shot.frames
        ]
        talk.send({"shot": asdict(shot.shot), "frames": frames}, [frame.jpeg for frame in shot.frames])
    assert cut.summary is not None
    talk.send({"is_done": True, "summary": asdict(cut.summary)})


def _audio(request: Mapping[str, Any], talk: Talk) -> None:
    from mediafm.media.audio import AudioReport, iter_shot_audio

    report = AudioReport()
    spans = [Span(start, end) for start, end in request["spans"]]
    settings = AudioSettings.model_validate(request["settings"])
    for shot in iter_shot_audio(
        talk.source(request), request["stream_index"], spans, settings, _limits(request), report
    ):
        talk.send({"index": shot.index}, [shot.samples.tobytes()] if shot.samples.size else [])
    talk.send({"is_done": True, "summary": asdict(report.summary())})


def _loudness(request: Mapping[str, Any], talk: Talk) -> None:
    from mediafm.media.loudness import integrated_lufs

    lufs = integrated_lufs(talk.source(request), request["stream_index"], _limits(request))
    talk.send({"is_done": True, "lufs": lufs})


def _timed_text(request: Mapping[str, Any], talk: Talk) -> None:
    from mediafm.media.info import SubtitleStream
    from mediafm.media.timed_text_tracks import read_timed_text

    text = read_timed_text(
        talk.source(request) if request["path"] is not None else None,
        [SidecarFile(each["path"], each["language"], tuple(each["flags"])) for each in request["sidecars"]],
        [SubtitleStream(**each) for each in request["subtitles"]],
        TimedTextSettings.model_validate(request["settings"]),
        _limits(request),
        request["start_seconds"],
        request["places"],
    )
    talk.send({"is_done": True, "text": asdict(text)})


def _limits(request: Mapping[str, Any]) -> MediaLimits:
    return MediaLimits.model_validate(request["limits"])


VERBS: Mapping[str, Callable[[Mapping[str, Any], Talk], None]] = {
    "look": _look,
    "probe": _probe,
    "cut": _cut,
    "audio": _audio,
    "loudness": _loudness,
    "timed_text": _timed_text,
}


if __name__ == "__main__":
    main(sys.argv[1:])
