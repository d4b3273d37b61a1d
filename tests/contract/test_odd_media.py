"""Files that break pipelines: each gives shots, or a sentence that says what is wrong with it; none hangs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from mediafm.config import AudioSettings, DetectorChoice, FrameSettings, MediaLimits, TimedTextSettings
from mediafm.errors import UnusableMediaError
from mediafm.extract.reader import MediaReader

QUARANTINED = {
    "audio_only_fragmented.mp4": r"no picture \(audio only\)",
    "audio_only_opus_5.1.webm": r"no picture \(audio only\)",
    "broken.srt": "plain text, not media",
    "index_lost.mp4": r"index \(moov\) is missing or broken",
    "m3u8_named.mp4": "playlist or a manifest that names other files",
    "playlist_named.mp4": "playlist or a manifest that names other files",
    "text_named.mp4": "plain text, not media",
    "zero_bytes.mp4": r"empty \(0 bytes\)",
}


@dataclass(frozen=True)
class Usable:
    """What an odd but usable file gives: frames, seconds of picture, whether sound was decoded, stored size.

    note: what is said of a file that is complete all the same.
    """

    num_frames: int
    seconds: float
    has_sound: bool
    stored_px: tuple[int, int]
    is_complete: bool = True
    is_slow: bool = False
    note: str = ""


USABLE = {
    "av1_hdr_mdcv.mp4": Usable(60, 1.001, True, (683, 384)),
    "broken.mp4": Usable(185, 6.167, True, (512, 384)),
    "edit_list.mp4": Usable(77, 2.568, True, (384, 683), is_slow=True),
    "empty_track.mp4": Usable(30, 1.001, True, (576, 384)),
    "failing_audio.mp4": Usable(280, 11.2, True, (640, 360)),
    "hevc_bt2020_10bit.mp4": Usable(60, 2.0, False, (320, 240)),
    "hevc_hlg10.mp4": Usable(9, 0.3, True, (683, 384)),
    "increasing_timestamps.mp4": Usable(30, 1.0, True, (683, 384)),
    "indeo4.avi": Usable(110, 3.143, False, (256, 240)),
    "mpeg1_mp2.mpg": Usable(100, 4.0, True, (128, 128)),
    "mpeg4.avi": Usable(96, 4.087, True, (922, 384)),
    "name with spaces and '.mp4": Usable(324, 12.96, True, (640, 360)),
    "no_duration.webm": Usable(74, 4.938, True, (683, 384)),
    "odd_width_vp9.mp4": Usable(25, 1.0, False, (321, 240)),
    "one_frame.mp4": Usable(1, 0.042, False, (64, 64)),
    "rotated_270.mp4": Usable(149, 4.972, True, (384, 683), is_slow=True),
    "theora_3s.ogv": Usable(90, 3.0, False, (320, 240)),
    "transparent.webm": Usable(150, 5.0, True, (200, 200)),
    "truncated_faststart.mp4": Usable(165, 6.875, True, (640, 272), is_complete=False),
    "truncated_tail.mp4": Usable(352, 11.758, True, (480, 270), is_complete=False),
    "vfr： unicode [name].webm": Usable(
        150, 5.005, True, (640, 360), note="the picture covers 5.0 s, the sound 15.0 s"
    ),
}


@pytest.fixture(scope="module")
def reader() -> Iterator[MediaReader]:
    with MediaReader(MediaLimits()) as opened:
        yield opened


def test_every_odd_file_is_accounted_for(shared_media: Path) -> None:
    assert {file.name for file in (shared_media / "odd").iterdir()} == QUARANTINED.keys() | USABLE.keys()


@pytest.mark.parametrize("name", QUARANTINED)
def test_what_cannot_be_used_says_why(shared_media: Path, reader: MediaReader, name: str) -> None:
    with pytest.raises(UnusableMediaError, match=QUARANTINED[name]):
        reader.probe(str(shared_media / "odd" / name))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if USABLE[name].is_slow else []) for name in USABLE]
)
def test_what_can_be_used_gives_shots_and_sound(shared_media: Path, reader: MediaReader, name: str) -> None:
    path, expected = str(shared_media / "odd" / name), USABLE[name]
    info = reader.probe(path)
    assert info.is_complete is expected.is_complete
    assert info.notes == (expected.note,) if expected.note else bool(info.notes) is not expected.is_complete
    passed = reader.cut(path, info, DetectorChoice(name="adaptive"), FrameSettings())
    shots = list(passed)
    spans = [shot.shot.span for shot in shots]
    assert spans[0].start_seconds == info.video.start_seconds
    assert all(one.end_seconds == next_.start_seconds for one, next_ in pairwise(spans))
    assert spans[-1].end_seconds - spans[0].start_seconds == pytest.approx(expected.seconds, abs=0.001)
    assert shots[-1].shot.end_frame == expected.num_frames
    assert {(frame.width_px, frame.height_px) for shot in shots for frame in shot.frames} == {expected.stored_px}
    assert passed.summary is not None
    assert bool(passed.summary.notes) is not expected.is_complete
    heard = list(reader.audio(path, info, spans, AudioSettings()))
    assert any(shot.samples.size for shot in heard) is expected.has_sound


@dataclass(frozen=True)
class Sidecar:
    path: str
    language: str | None = None
    flags: tuple[str, ...] = ()


def test_a_sidecar_with_impossible_times_is_a_problem_and_no_failure(shared_media: Path, reader: MediaReader) -> None:
    path = str(shared_media / "odd" / "broken.mp4")
    sidecar = Sidecar(str(shared_media / "odd" / "broken.srt"))
    text = reader.timed_text(path, [sidecar], reader.probe(path), TimedTextSettings())
    assert text.cues == ()
    assert any("broken.srt" in problem for problem in text.problems)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["one_frame.mp4", "odd_width_vp9.mp4", "mpeg1_mp2.mpg", "theora_3s.ogv", "indeo4.avi"])
def test_damage_anywhere_gives_shots_or_a_sentence(
    shared_media: Path, tmp_path: Path, reader: MediaReader, name: str
) -> None:
    whole = (shared_media / "odd" / name).read_bytes()
    draw = random.Random(name)
    sentences: list[str] = []
    for attempt in range(20):
        data = bytearray(whole[: draw.randrange(1, len(whole))] if attempt % 3 == 0 else whole)
        for _ in range(draw.choice((1, 20, 400))):
            data[draw.randrange(len(data))] = draw.randrange(256)
        file = tmp_path / f"{attempt}-{name}"
        file.write_bytes(bytes(data))
        try:
            info = reader.probe(str(file))
            shots = list(reader.cut(str(file), info, DetectorChoice(name="content"), FrameSettings()))
        except UnusableMediaError as error:
            sentences.append(str(error))
            continue
        assert shots
    # A Python error of ours would come through as this sentence; damage must meet one that speaks of the file.
    assert not [sentence for sentence in sentences if "the reading process failed" in sentence]
