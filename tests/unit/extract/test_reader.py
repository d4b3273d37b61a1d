from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

from mediafm.config import AudioSettings, DetectorChoice, FrameSettings, MediaLimits, TimedTextSettings
from mediafm.errors import MediaFMError, NotFoundError, UnusableMediaError
from mediafm.extract.carriers import CutShot
from mediafm.extract.reader import MediaReader
from mediafm.media.info import MediaInfo

DETECTOR = DetectorChoice(name="content")
FRAMES = FrameSettings(short_side_px=32)


@dataclass(frozen=True)
class Sidecar:
    path: str
    language: str | None = None
    flags: tuple[str, ...] = ()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 s with a hard cut every second, and a tone."""
    path = tmp_path_factory.mktemp("reader") / "film.mkv"
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(8 * 16_000) / 16_000)).astype(np.int16)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for index in range(200):
            pixels = np.full((48, 64, 3), 230 if index // 25 % 2 else 20, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode(None))
        for start in range(0, tone.size, 4000):
            samples = av.AudioFrame.from_ndarray(tone[None, start : start + 4000], format="s16", layout="mono")
            samples.sample_rate, samples.pts = 16_000, start
            container.mux(audio.encode(samples))
        container.mux(audio.encode(None))
    return path


@pytest.fixture(scope="module")
def shared_reader() -> Iterator[MediaReader]:
    with MediaReader(MediaLimits()) as reader:
        yield reader


@pytest.fixture(scope="module")
def info(film: Path, shared_reader: MediaReader) -> MediaInfo:
    return shared_reader.probe(str(film))


@pytest.fixture(scope="module")
def shots(film: Path, info: MediaInfo, shared_reader: MediaReader) -> list[CutShot]:
    return list(shared_reader.cut(str(film), info, DETECTOR, FRAMES))


def kill_child(reader: MediaReader) -> None:
    pid = reader.child_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def test_shots_cross_the_border_whole(film: Path, info: MediaInfo, shared_reader: MediaReader) -> None:
    results = shared_reader.cut(str(film), info, DETECTOR, FRAMES)
    shots = list(results)
    assert [shot.shot.start_frame for shot in shots] == [0, 25, 50, 75, 100, 125, 150, 175]
    assert shots[-1].shot.span.end_seconds == pytest.approx(8.0, abs=0.002)
    assert all(len(shot.frames) == 8 and shot.frames[0].jpeg.startswith(b"\xff\xd8") for shot in shots)
    assert results.summary is not None
    assert results.summary.num_decoded == 200
    assert results.summary.notes == ()


def test_sound_crosses_the_border_whole(
    film: Path, info: MediaInfo, shots: list[CutShot], shared_reader: MediaReader
) -> None:
    results = shared_reader.audio(str(film), info, [shot.shot.span for shot in shots], AudioSettings())
    heard = list(results)
    assert [shot.index for shot in heard] == list(range(8))
    assert sum(shot.samples.size for shot in heard) == pytest.approx(8 * 16_000, abs=40)
    assert all(0.1 < float(np.abs(shot.samples).max()) < 0.3 for shot in heard)
    assert results.summary is not None
    assert results.summary.num_errors == 0


def test_a_silent_file_gives_an_empty_answer_for_every_span(
    info: MediaInfo, shots: list[CutShot], shared_reader: MediaReader
) -> None:
    from dataclasses import replace

    results = shared_reader.audio(
        "nowhere", replace(info, audio=()), [shot.shot.span for shot in shots], AudioSettings()
    )
    assert [shot.samples.size for shot in results] == [0] * 8
    assert results.summary is not None
    assert results.summary.notes == ("the file has no sound",)


def test_a_broken_sidecar_is_a_problem_and_no_failure(
    film: Path, info: MediaInfo, tmp_path: Path, shared_reader: MediaReader
) -> None:
    broken, good = tmp_path / "film.en.srt", tmp_path / "film.fr.srt"
    broken.write_bytes(b"\x00\x01\x02")
    good.write_text("1\n00:00:01,000 --> 00:00:02,000\nBonjour.\n")
    sidecars = [Sidecar(str(broken), "en"), Sidecar(str(good), "fr")]
    text = shared_reader.timed_text(str(film), sidecars, info, TimedTextSettings())
    assert [cue.text for cue in text.cues] == ["Bonjour."]
    assert text.source == "film.fr.srt"
    assert "film.en.srt" in text.problems[0]


def test_a_quarantine_sentence_crosses_the_border(tmp_path: Path, shared_reader: MediaReader) -> None:
    file = tmp_path / "title.mp4"
    file.write_text("not a movie")
    with pytest.raises(UnusableMediaError, match="plain text, not media"):
        shared_reader.probe(str(file))
    with pytest.raises(NotFoundError, match="not there"):
        shared_reader.probe(str(tmp_path / "absent.mp4"))


def test_a_death_half_way_is_made_good_and_nothing_comes_twice(
    film: Path, info: MediaInfo, shots: list[CutShot]
) -> None:
    with MediaReader(MediaLimits()) as reader:
        got = []
        for shot in reader.cut(str(film), info, DETECTOR, FRAMES):
            got.append(shot)
            if len(got) == 3:
                kill_child(reader)
        assert got == shots


def test_a_pass_dropped_half_way_leaves_the_reader_usable(film: Path, info: MediaInfo, shots: list[CutShot]) -> None:
    with MediaReader(MediaLimits()) as reader:
        results = reader.cut(str(film), info, DETECTOR, FRAMES)
        assert next(results) == shots[0]
        results.close()
        assert list(reader.cut(str(film), info, DETECTOR, FRAMES)) == shots


def test_a_second_request_ends_the_first(film: Path, info: MediaInfo, shots: list[CutShot]) -> None:
    with MediaReader(MediaLimits()) as reader:
        first = reader.cut(str(film), info, DETECTOR, FRAMES)
        assert next(first) == shots[0]
        assert reader.probe(str(film)) == info
        with pytest.raises(MediaFMError, match="a later request has ended"):
            next(first)
        assert list(reader.cut(str(film), info, DETECTOR, FRAMES)) == shots


def test_twice_dead_is_unusable(film: Path, info: MediaInfo) -> None:
    # Too little address space to load the libraries: each child dies or refuses.
    with (
        MediaReader(MediaLimits(child_memory_bytes=1024**2)) as reader,
        pytest.raises(UnusableMediaError, match=r"reading it \(cut\) failed twice"),
    ):
        list(reader.cut(str(film), info, DETECTOR, FRAMES))


def test_a_missed_deadline_is_unusable(film: Path, info: MediaInfo) -> None:
    limits = MediaLimits(child_seconds_base=0.01, child_seconds_per_media_second=1e-6)
    with (
        MediaReader(limits) as reader,
        pytest.raises(UnusableMediaError, match=r"failed twice: reading took longer than 0 s"),
    ):
        list(reader.cut(str(film), info, DETECTOR, FRAMES))


def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    import subprocess
    import sys
    import time

    program = (
        "import os, sys\n"
        "from mediafm.config import MediaLimits\n"
        "from mediafm.extract.reader import MediaReader\n"
        "from mediafm.errors import NotFoundError\n"
        "from mediafm.media.sandbox import Sandbox\n"
        "box = Sandbox('mediafm.extract.child', 2**32)\n"
        "box._start()\n"
        "print(box.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    child = int(run.stdout)
    for _ in range(100):
        if not os.path.exists(f"/proc/{child}") or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]:
            return
        time.sleep(0.1)
    pytest.fail("the child outlived its parent by 10 s")
