"""Reading media: our whole pass (shots, frames, sound) against decoding alone and against PySceneDetect alone.

All on one ten-minute title, in turns, the best of several; ours through the child process, as in production.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.ingest_title import NUM_PARTS, PART_SECONDS, title
from benchmarks.row import Row
from mediafm.config import AudioSettings, FrameSettings, MediaLimits, load_profile
from mediafm.extract.reader import MediaReader
from mediafm.media.container import open_container
from mediafm.media.info import MediaInfo

HEIGHTS_PX = (720, 360)
GOAL_OF_DECODE_ONLY = {720: 1.25}
REPEATS = 3
REPEATS_OF_PYSCENEDETECT = 2
TITLE_SECONDS = PART_SECONDS * NUM_PARTS


def rows(catalog: Path | None) -> list[Row]:
    """The title comes from `catalog` if it has a long enough one, else it is drawn."""
    found: list[Row] = []
    for height_px in HEIGHTS_PX:
        path = str(title(height_px, catalog))
        with MediaReader(MediaLimits()) as reader:
            started = time.perf_counter()
            info = reader.probe(path)
            first_probe_seconds = time.perf_counter() - started
            probe_seconds = _seconds(lambda path=path, reader=reader: reader.probe(path))
            best = _best(_contenders(path, info, reader))
        found += _rows(height_px, best)
    return [
        *found,
        Row(name="ingest: probe of 10 min of 360p (checksum, every packet)", value=probe_seconds, unit="s"),
        Row(name="ingest: start of the child process", value=first_probe_seconds - probe_seconds, unit="s"),
    ]


def _contenders(path: str, info: MediaInfo, reader: MediaReader) -> dict[str, Callable[[], object]]:
    return {
        "ours": lambda: _our_pass(path, info, reader),
        "decode only": lambda: _decode_only(path, info),
        "PySceneDetect (PyAV)": lambda: _pyscenedetect(path, "pyav"),
        "PySceneDetect (OpenCV)": lambda: _pyscenedetect(path, "opencv"),
    }


def _best(contenders: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Best wall-clock seconds of each, run in turns so that a busy machine slows all alike."""
    best = dict.fromkeys(contenders, float("inf"))
    for repeat in range(REPEATS):
        for name, work in contenders.items():
            if repeat < REPEATS_OF_PYSCENEDETECT or not name.startswith("PySceneDetect"):
                best[name] = min(best[name], _seconds(work))
    return best


def _rows(height_px: int, best: dict[str, float]) -> list[Row]:
    ours = best.pop("ours")
    name = f"ingest: shots, frames, sound of 10 min of {height_px}p"
    goals: dict[str, float | None] = dict.fromkeys(best, 1.0) | {"decode only": GOAL_OF_DECODE_ONLY.get(height_px)}
    return [
        *(
            Row(name=name, value=ours, unit="s", rival=rival, rival_value=seconds, goal=goals[rival])
            for rival, seconds in best.items()
        ),
        Row(name=name, value=TITLE_SECONDS / ours, unit="x real time", better="higher"),
    ]


def _our_pass(path: str, info: MediaInfo, reader: MediaReader) -> None:
    detector = load_profile("lite").detector
    spans = [shot.shot.span for shot in reader.cut(path, info, detector, FrameSettings())]
    for _ in reader.audio(path, info, spans, AudioSettings()):
        pass


def _decode_only(path: str, info: MediaInfo) -> None:
    """The plainest loop over the same frames: same file, same stream, same threads."""
    with open_container(path, MediaLimits()) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        num_frames = sum(len(packet.decode()) for packet in container.demux(stream))
    assert num_frames == info.video.num_frames


def _pyscenedetect(path: str, backend: str) -> None:
    from scenedetect import AdaptiveDetector, detect

    detect(path, AdaptiveDetector(), backend=backend)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
