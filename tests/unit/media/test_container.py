from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mediafm.config import MediaLimits
from mediafm.errors import NotFoundError, UnusableMediaError
from mediafm.media.container import check_file, open_container, packets

LIMITS = MediaLimits()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"this is not a movie\n", "plain text, not media"),
        (b"ffconcat version 1.0\nfile other.mp4\n", "a playlist or a manifest that names other files"),
        (b"#EXTM3U\n#EXTINF:1,\nother.ts\n", "a playlist or a manifest that names other files"),
        (b"\x00\x00\x00\x20ftypisom" + bytes(400), r"index \(moov\) is missing or broken"),
        (bytes(range(1, 256)) * 9, "no media container is recognised"),
    ],
)
def test_what_is_no_media_is_refused_with_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "title.mp4"
    file.write_bytes(content)
    with pytest.raises(UnusableMediaError, match=sentence):
        open_container(str(file), LIMITS)


def test_a_playlist_does_not_open_the_file_it_names(tmp_path: Path, make_media) -> None:
    real = make_media("real.mkv")
    playlist = tmp_path / "playlist.mkv"
    playlist.write_text(f"ffconcat version 1.0\nfile '{real}'\n")
    with pytest.raises(UnusableMediaError, match="names other files"):
        open_container(str(playlist), LIMITS)


@pytest.mark.parametrize("name", ["a b's %d.mkv", "七人の侍.mkv", "http:x.mkv", "concat:y|z.mkv", "-i.mkv"])
def test_names_are_names_and_nothing_else(make_media, name: str) -> None:
    with open_container(str(make_media("plain.mkv").rename(make_media("p.mkv").parent / name)), LIMITS) as container:
        assert container.streams.video


def test_what_is_not_a_plain_file(tmp_path: Path) -> None:
    with pytest.raises(UnusableMediaError, match="not a plain file"):
        check_file(str(tmp_path), LIMITS)
    with pytest.raises(NotFoundError, match="not there"):
        check_file(str(tmp_path / "absent.mp4"), LIMITS)


def test_limits_stand_at_the_door(make_media) -> None:
    file = str(make_media("title.mkv", sound=np.zeros(2048)))
    with pytest.raises(UnusableMediaError, match="at most 10 are read"):
        open_container(file, MediaLimits(max_file_bytes=10))
    with pytest.raises(UnusableMediaError, match="has 2 streams; at most 1 are read"):
        open_container(file, MediaLimits(max_streams=1))


class Late:
    """A container in which a stream appears in mid-file, as PyAV 18 meets it: it fails when all is read."""

    def demux(self, streams: object) -> Iterator[str]:
        yield from ("first", "second", "end of the stream")
        raise IndexError("list index out of range")


def test_a_stream_that_appears_in_mid_file_ends_nothing() -> None:
    assert list(packets(Late(), [])) == ["first", "second", "end of the stream"]


def test_two_recordings_with_other_tracks_in_one_file_are_read_to_their_end(make_media, tmp_path: Path) -> None:
    """As a broadcast is recorded: MPEG-TS names its tracks again and again, and may name others."""
    joined = tmp_path / "joined.ts"
    sound = np.zeros(44_100, np.float32)
    parts = [make_media("one.ts"), make_media("two.ts", sound=sound)]
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_container(str(joined), LIMITS) as container:
        read = [packet.stream_index for packet in packets(container, container.streams.video[0]) if packet.size]
    assert len(read) > 50
