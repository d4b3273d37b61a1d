"""The child process that reads untrusted files: `python -m mediafm.extract.child MEMORY_BYTES READ_FD WRITE_FD`.

One request at a time: probe, cut, audio, loudness or timed_text. It ends when its parent does, because the pipe of
requests then closes, and it takes no more memory than it was told. Imports wait until a verb needs them: a probe loads
no OpenCV.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

from mediafm.config import AudioSettings, DetectorChoice, FrameSettings, MediaLimits, TimedTextSettings
from mediafm.errors import InterruptedMediaError, MediaFMError
from mediafm.extract.child_bounds import let_threads_sleep, limit_address_space, limit_data_instead
from mediafm.media.sandbox import read_message, write_message
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
    requests: queue.Queue[Mapping[str, Any]] = queue.Queue()
    with os.fdopen(read_descriptor, "rb") as source, os.fdopen(write_descriptor, "wb") as answers:
        threading.Thread(target=_listen, args=(source, requests), daemon=True).start()
        while True:
            _serve(requests.get(), answers)


def _listen(source: BinaryIO, requests: queue.Queue[Mapping[str, Any]]) -> None:
    """Takes requests in. The end of the pipe is the end of the parent, whatever we are doing: leave at once."""

    def read(num_bytes: int) -> bytes:
        data = source.read(num_bytes)
        if len(data) < num_bytes:
            os._exit(0)
        return data

    while True:
        requests.put(read_message(read).header)


def _serve(request: Mapping[str, Any], answers: BinaryIO) -> None:
    """Answers one request; an error becomes an answer, and only what may have left a mess ends the process."""
    try:
        VERBS[request["verb"]](request, answers)
    except MediaFMError as error:
        _refuse(error, answers)
    except MemoryError:
        _refuse(InterruptedMediaError("the reading process ran out of memory", rule=_BOUNDED), answers)
    except BrokenPipeError:
        os._exit(0)
    except Exception as error:  # noqa: BLE001 - the border of the process: the parent raises it with its name
        seen = f"the reading process failed ({type(error).__name__}: {error})"
        _refuse(InterruptedMediaError(seen, rule=_BOUNDED), answers)


def _refuse(error: MediaFMError, answers: BinaryIO) -> None:
    is_alive = not isinstance(error, InterruptedMediaError)
    write_message(answers, {"error": error.as_dict(), "is_alive": is_alive})


def _probe(request: Mapping[str, Any], answers: BinaryIO) -> None:
    from mediafm.media.probe import probe

    info = probe(request["path"], _limits(request))
    write_message(answers, {"is_done": True, "info": info.as_json()})


def _cut(request: Mapping[str, Any], answers: BinaryIO) -> None:
    from mediafm.extract.cut import CutPass
    from mediafm.media.info import MediaInfo
    from mediafm.shots.registry import create_detector

    choice = DetectorChoice.model_validate(request["detector"])
    if choice.settings.get("device", "cpu") != "cpu":
        limit_data_instead(_limits(request).child_memory_bytes)
    cut = CutPass(
        request["path"],
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
        write_message(answers, {"shot": asdict(shot.shot), "frames": frames}, [frame.jpeg for frame in shot.frames])
    assert cut.summary is not None
    write_message(answers, {"is_done": True, "summary": asdict(cut.summary)})


def _audio(request: Mapping[str, Any], answers: BinaryIO) -> None:
    from mediafm.media.audio import AudioReport, iter_shot_audio

    report = AudioReport()
    spans = [Span(start, end) for start, end in request["spans"]]
    settings = AudioSettings.model_validate(request["settings"])
    for shot in iter_shot_audio(request["path"], request["stream_index"], spans, settings, _limits(request), report):
        write_message(answers, {"index": shot.index}, [shot.samples.tobytes()] if shot.samples.size else [])
    write_message(answers, {"is_done": True, "summary": asdict(report.summary())})


def _loudness(request: Mapping[str, Any], answers: BinaryIO) -> None:
    from mediafm.media.loudness import integrated_lufs

    lufs = integrated_lufs(request["path"], request["stream_index"], _limits(request))
    write_message(answers, {"is_done": True, "lufs": lufs})


def _timed_text(request: Mapping[str, Any], answers: BinaryIO) -> None:
    from mediafm.media.info import SubtitleStream
    from mediafm.media.timed_text_tracks import read_timed_text

    text = read_timed_text(
        request["path"],
        [SidecarFile(each["path"], each["language"], tuple(each["flags"])) for each in request["sidecars"]],
        [SubtitleStream(**each) for each in request["subtitles"]],
        TimedTextSettings.model_validate(request["settings"]),
        _limits(request),
        request["start_seconds"],
    )
    write_message(answers, {"is_done": True, "text": asdict(text)})


def _limits(request: Mapping[str, Any]) -> MediaLimits:
    return MediaLimits.model_validate(request["limits"])


VERBS: Mapping[str, Callable[[Mapping[str, Any], BinaryIO], None]] = {
    "probe": _probe,
    "cut": _cut,
    "audio": _audio,
    "loudness": _loudness,
    "timed_text": _timed_text,
}


if __name__ == "__main__":
    main(sys.argv[1:])
