from __future__ import annotations

import hashlib
import json
import re
import struct
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from mediafm.config import MediaLimits
from mediafm.errors import MediaFMError, UnusableMediaError
from mediafm.media.info import MediaInfo
from mediafm.media.probe import probe

LIMITS = MediaLimits()
TONE = 0.3 * np.sin(2 * np.pi * 440 * np.arange(44_100 * 2) / 44_100)


def test_what_a_plain_file_says(make_media) -> None:
    file = make_media("title.mkv", sound=TONE, language="fra")
    info = probe(str(file), LIMITS)
    assert info.media_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert info.size_bytes == file.stat().st_size
    assert (info.video.width_px, info.video.height_px, info.video.num_frames) == (64, 48, 50)
    assert info.video.frame_rate == pytest.approx(25.0)
    assert not info.video.is_variable_frame_rate
    assert info.duration_seconds == pytest.approx(2.0, abs=0.002)
    assert info.chosen_audio is not None
    assert info.chosen_audio.sample_rate_hz == 44_100
    assert info.languages == ("fra",)
    assert info.is_complete
    assert info.notes == ()


def test_json_round_trip(make_media) -> None:
    info = probe(str(make_media("title.mkv", sound=TONE)), LIMITS)
    assert MediaInfo.from_json(json.loads(json.dumps(info.as_json()))) == info


def test_a_record_with_a_missing_field_is_refused(make_media) -> None:
    record = dict(probe(str(make_media("title.mkv")), LIMITS).as_json())
    del record["video"]
    with pytest.raises(MediaFMError, match="Probe the file again"):
        MediaInfo.from_json(record)


def test_a_changed_sound_track_moves_only_its_own_hash(make_media) -> None:
    one = probe(str(make_media("one.mkv", sound=TONE)), LIMITS)
    other = probe(str(make_media("other.mkv", sound=TONE / 2)), LIMITS)
    assert one.video_sha256 == other.video_sha256
    assert one.audio_sha256 != other.audio_sha256
    assert one.media_sha256 != other.media_sha256
    assert one.subtitles_sha256 == ""


def test_moved_frames_move_the_pictures_hash(make_media) -> None:
    times = [index / 25 for index in range(20)]
    plain = probe(str(make_media("plain.mkv", times)), LIMITS)
    moved = probe(str(make_media("moved.mkv", [*times[:-1], times[-1] + 0.1])), LIMITS)
    assert plain.video_sha256 != moved.video_sha256


def test_variable_frame_rate_and_a_start_that_is_not_zero(make_media) -> None:
    times = 5.0 + np.cumsum([0.04, 0.1, 0.02, 0.3] * 10)
    info = probe(str(make_media("vfr.mkv", times)), LIMITS)
    assert info.video.is_variable_frame_rate
    assert info.video.start_seconds == pytest.approx(times[0], abs=0.001)
    assert info.video.frame_rate == pytest.approx(39 / (times[-1] - times[0]), rel=0.01)
    assert info.start_seconds == pytest.approx(times[0], abs=0.001)


def test_a_ten_hour_claim_in_the_header_is_not_believed(make_media) -> None:
    file = make_media("title.mkv")
    data = file.read_bytes()
    at = data.index(b"\x44\x89\x88") + 3
    file.write_bytes(data[:at] + struct.pack(">d", 36_000_000.0) + data[at + 8 :])
    info = probe(str(file), LIMITS)
    assert info.header_duration_seconds == pytest.approx(36_000.0)
    assert info.duration_seconds == pytest.approx(2.0, abs=0.002)
    assert not info.is_complete
    assert any("the header claims 36000.0 s" in note for note in info.notes)


def test_a_truncated_file_says_so(make_media) -> None:
    file = make_media("title.mkv", [index / 25 for index in range(200)])
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    info = probe(str(file), LIMITS)
    assert not info.is_complete
    assert 20 < info.video.num_frames < 190


def test_sound_alone_is_no_title(tmp_path: Path) -> None:
    file = tmp_path / "song.wav"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        samples.sample_rate = 8000
        container.mux(stream.encode(samples))
        container.mux(stream.encode(None))
    with pytest.raises(UnusableMediaError, match=r"no picture \(audio only\)"):
        probe(str(file), LIMITS)


def test_limits_on_size_and_time(make_media) -> None:
    file = str(make_media("title.mkv"))
    with pytest.raises(UnusableMediaError, match="64x48 px; at most 32x8192 px"):
        probe(file, MediaLimits(max_width_px=32))
    with pytest.raises(UnusableMediaError, match=r"timestamps cover at least 1 s; at most 1 s are read"):
        probe(file, MediaLimits(max_duration_seconds=1.0))


def test_packets_that_cannot_be_decoded(make_media) -> None:
    file = make_media("title.mkv", [0.0, 0.04])
    data = bytearray(file.read_bytes())
    for at in [
        index for index in range(len(data) - 4) if data[index : index + 4] in (b"\x00\x00\x01\xb6", b"\x00\x00\x01\xb0")
    ]:
        data[at : at + 40] = bytes(len(data[at : at + 40]))
    file.write_bytes(bytes(data))
    with pytest.raises(UnusableMediaError, match=r"can be decoded|empty"):
        probe(str(file), LIMITS)


def test_a_cover_is_no_picture(tmp_path: Path) -> None:
    file = tmp_path / "album.mp4"
    with av.open(str(file), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        sound = container.add_stream("aac", rate=8000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        samples.sample_rate = 8000
        container.mux(sound.encode(samples))
        container.mux(sound.encode(None))
        container.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(cover.encode(None))
    with pytest.raises(UnusableMediaError, match="only picture is a cover or a thumbnail"):
        probe(str(file), LIMITS)


def test_the_track_with_packets_is_chosen_and_the_best_sound(shared_media: Path) -> None:
    info = probe(str(shared_media / "odd" / "empty_track.mp4"), LIMITS)
    assert (info.video.index, info.video.num_frames) == (0, 30)
    both = probe(str(shared_media / "titles" / "nasa_13013.mp4"), LIMITS)
    assert (both.video.width_px, both.video.height_px) == (480, 270)
    assert [(stream.index, stream.is_chosen) for stream in both.audio] == [(1, False), (4, True)]
    assert [(stream.codec, stream.language) for stream in both.subtitles] == [("mov_text", "eng")] * 2


def test_sound_that_the_header_names_and_nobody_holds_is_told(make_media, tmp_path: Path) -> None:
    """The sound's packets are given the number of a track that is not there."""
    file = make_media("title.mkv", sound=np.resize(TONE, 4 * TONE.size))
    with av.open(str(file)) as container:
        blocks = [packet.pos for packet in container.demux(container.streams.audio[0]) if packet.size]
    data = bytearray(file.read_bytes())
    for at in blocks:
        number = data.index(0x82, at, at + 12)
        data[number] = 0x89
    file.write_bytes(bytes(data))
    info = probe(str(file), LIMITS)
    assert info.audio == ()
    assert not info.is_complete
    assert any("the sound of track 1 (pcm_s16le) holds no packet" in note for note in info.notes)


def test_half_of_a_second_that_is_missing_is_told(make_media) -> None:
    """Less than the second that a header of a long film may claim too much."""
    file = make_media("title.mkv", [index / 25 for index in range(20)])
    with av.open(str(file)) as container:
        ends = sorted(packet.pos for packet in container.demux() if packet.size)
    file.write_bytes(file.read_bytes()[: ends[6]])
    info = probe(str(file), LIMITS)
    assert info.video.num_frames < 10
    assert any("the header claims 0.8 s" in note for note in info.notes)


def test_a_picture_that_ends_long_before_the_sound_is_told(make_media) -> None:
    info = probe(str(make_media("title.mkv", [0.0, 0.04], sound=np.resize(TONE, 3 * 44_100))), LIMITS)
    assert info.is_complete
    assert info.notes == ("the picture covers 0.1 s, the sound 3.0 s",)


def test_bytes_that_no_track_holds_are_told(make_media) -> None:
    file = make_media("title.mkv")
    file.write_bytes(file.read_bytes() + bytes(300_000))
    info = probe(str(file), LIMITS)
    assert info.is_complete
    assert any("of 0." in note and "MiB: the rest could not be read" in note for note in info.notes)


def test_sound_that_a_broken_time_stamp_puts_years_away_is_left_out_and_told(make_media) -> None:
    """Else the deadline of every pass, and the silence between, would be as long."""
    info = probe(str(make_media("title.mkv", sound=TONE, sound_start_seconds=3e7)), LIMITS)
    assert info.audio == ()
    assert info.audio_sha256 == ""
    assert info.extent_seconds == pytest.approx(2.0, abs=0.01)
    assert not info.is_complete
    assert any("and the picture cover 30000002 s, where at most 43200 s are read" in note for note in info.notes)


def test_times_that_floats_cannot_tell_apart_are_refused(make_media) -> None:
    """A fragmented MP4 counts from a number of 64 bits that nothing bounds."""
    file = make_media("title.mp4")
    with (
        av.open(str(file)) as container,
        av.open(
            str(file.with_name("far.mp4")), "w", options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}
        ) as far,
    ):
        copy = far.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.size:
                packet.stream = copy
                far.mux(packet)
    data = file.with_name("far.mp4").read_bytes()
    for at in [match.end() for match in re.finditer(b"tfdt", data)]:
        data = data[: at + 4] + struct.pack(">Q", 2**60) + data[at + 12 :]
    file.write_bytes(data)
    with pytest.raises(UnusableMediaError, match=r"timestamps begin at \d{10,} s; times lie within 4294967296 s of 0"):
        probe(str(file), LIMITS)
