"""Embedded tracks, the order of choice, and what becomes of tracks that fail."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.config import MediaLimits, TimedTextSettings
from mediafm.errors import CatalogError, MediaFMError, NotFoundError, TransientError, UnusableMediaError
from mediafm.media.timed_text_embedded import read_embedded
from mediafm.media.timed_text_tracks import choose_track, rank_tracks, read_sidecar, read_timed_text

LIMITS = MediaLimits()
HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\nStyle: Default,Arial,20\n\n"
    b"[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)
WORDS = "Hello {laughs}\nyou & me"


@dataclass(frozen=True)
class Beside:
    """A sidecar."""

    path: str
    language: str | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inside:
    """An embedded track."""

    index: int
    language: str | None = None
    is_bitmap: bool = False
    is_default: bool = False
    is_forced: bool = False


def write_media(path: Path, codec: str, payloads: list[tuple[int, int, bytes]]) -> Path:
    """A second of picture and one subtitle track (stream 1); times in ms."""
    with av.open(str(path), "w") as output:
        picture = output.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        track = output.add_mux_stream(codec) if codec == "ttml" else output.add_stream(codec)
        track.time_base = Fraction(1, 1000)
        track.metadata["language"] = "eng"
        if codec != "ttml":
            track.codec_context.subtitle_header = HEADER
        for value in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), value, np.uint8), format="rgb24")
            output.mux(picture.encode(frame))
        output.mux(picture.encode())
        for start, duration, data in payloads:
            packet = av.Packet(data)
            packet.pts = packet.dts = start
            packet.duration, packet.time_base, packet.stream = duration, Fraction(1, 1000), track
            output.mux(packet)
    return path


def mov_text(words: str) -> bytes:
    return len(words.encode()).to_bytes(2, "big") + words.encode()


@pytest.mark.parametrize(
    ("codec", "suffix", "payload", "expected"),
    [
        ("subrip", ".mkv", f"<i>{WORDS}</i>".encode(), WORDS),
        ("mov_text", ".mp4", mov_text(WORDS), WORDS),
        ("webvtt", ".mkv", b"<v Bob>Hello</v> you &amp; me", "Hello you & me"),
        ("ass", ".mkv", b"0,0,Default,,0,0,0,,{\\i1}Hello{\\i0},\\Nyou & me", "Hello,\nyou & me"),
    ],
)
def test_text_tracks_are_read(tmp_path: Path, codec: str, suffix: str, payload: bytes, expected: str) -> None:
    path = write_media(tmp_path / f"x{suffix}", codec, [(500, 1000, payload)])
    parsed = read_embedded(str(path), 1, LIMITS)
    assert parsed.problems == ()
    [cue] = parsed.cues
    assert (cue.start_seconds, cue.end_seconds, cue.text) == (0.5, 1.5, expected)
    assert (cue.language, cue.source) == ("en", "embedded")


def test_ttml_in_mp4_is_read_as_documents(tmp_path: Path) -> None:
    document = b'<tt xmlns="http://www.w3.org/ns/ttml"><body><div><p begin="1s" end="2s">Hi</p></div></body></tt>'
    path = write_media(tmp_path / "x.mp4", "ttml", [(500, 1000, document), (2000, 500, b"<tt><p"), (3000, 500, b"?")])
    parsed = read_embedded(str(path), 1, LIMITS)
    assert [(cue.start_seconds, cue.end_seconds, cue.text) for cue in parsed.cues] == [(1.0, 2.0, "Hi")]
    assert any("no decoder reads" in problem for problem in parsed.problems)


def test_embedded_limits_and_errors(tmp_path: Path) -> None:
    path = write_media(tmp_path / "x.mkv", "subrip", [(0, 500, b"a"), (500, 500, b"b")])
    with pytest.raises(CatalogError, match="more than 1 cues"):
        read_embedded(str(path), 1, MediaLimits(max_cues=1))
    with pytest.raises(NotFoundError, match="one of the file's subtitle tracks"):
        read_embedded(str(path), 0, LIMITS)
    (tmp_path / "text.mp4").write_text("no media")
    with pytest.raises(UnusableMediaError, match="plain text"):
        read_embedded(str(tmp_path / "text.mp4"), 1, LIMITS)


def test_real_embedded_tracks(shared_media: Path) -> None:
    titles = shared_media / "titles"
    nasa = read_embedded(str(titles / "nasa_13013.mp4"), 2, LIMITS)
    assert [cue.text.split()[0] for cue in nasa.cues] == ["NAR:", "space", "at", "This"]
    assert nasa.cues[0].end_seconds == nasa.cues[1].start_seconds == 4.26
    popeye = read_embedded(str(titles / "popeye_p1.mkv"), 1, LIMITS)
    assert popeye.cues == ()
    assert popeye.problems == ("picture subtitles hold no text",)


@pytest.mark.parametrize(
    ("sidecars", "streams", "languages", "expected"),
    [
        ((Beside("a.en.srt", "en"),), (Inside(2, "eng"),), ("en",), "a.en.srt"),
        ((Beside("a.fr.srt", "fr"),), (Inside(2, "eng"),), ("en",), "stream 2"),
        ((Beside("a.fr.srt", "fr"), Beside("a.srt")), (), ("en",), "a.srt"),
        ((Beside("a.fr.srt", "fr"), Beside("a.de.srt", "de")), (), ("en", "de"), "a.de.srt"),
        ((Beside("a.de.srt", "de"), Beside("a.cs.srt", "cs")), (), ("en",), "a.cs.srt"),
        ((Beside("a.pt.srt", "pt"), Beside("a.pt-br.srt", "pt-br")), (), ("pt-BR",), "a.pt-br.srt"),
        ((Beside("a.en.forced.srt", "en", ("forced",)),), (Inside(2, "fra"),), ("en",), "stream 2"),
        ((Beside("a.en.forced.srt", "en", ("forced",)),), (), ("en",), "a.en.forced.srt"),
        ((Beside("a.en.sdh.srt", "en", ("sdh",)), Beside("a.en.srt", "en")), (), ("en",), "a.en.srt"),
        ((), (Inside(2, "eng"), Inside(3, "eng", is_default=True)), ("en",), "stream 3"),
        ((), (Inside(2, "eng", is_forced=True), Inside(3, "eng")), ("en",), "stream 3"),
        ((), (Inside(2, "eng", is_bitmap=True),), ("en",), None),
        ((), (), ("en",), None),
    ],
)
def test_the_order_of_choice(
    sidecars: tuple[Beside, ...], streams: tuple[Inside, ...], languages: tuple[str, ...], expected: str | None
) -> None:
    for order in (1, -1):
        choice = choose_track(sidecars[::order], streams[::order], languages)
        assert (choice.name if choice else None) == expected


@given(
    st.lists(st.builds(Beside, st.text("ab.", min_size=1), st.sampled_from(["en", "fr", None])), max_size=4),
    st.lists(st.builds(Inside, st.integers(0, 9), st.sampled_from(["eng", "fra", None]), st.booleans()), max_size=4),
)
def test_every_readable_track_is_ranked_once(sidecars: list[Beside], streams: list[Inside]) -> None:
    ranked = rank_tracks(sidecars, streams, ("en",))
    assert len(ranked) == len(sidecars) + sum(not stream.is_bitmap for stream in streams)


def test_a_broken_sidecar_is_a_problem_and_the_next_track_is_read(tmp_path: Path) -> None:
    media = write_media(tmp_path / "x.mkv", "subrip", [(500, 1000, b"inside")])
    broken = tmp_path / "x.en.srt"
    broken.write_text("1\nnot a time\ntext\n")
    sidecars = (Beside(str(broken), "en"), Beside(str(tmp_path / "gone.en.srt"), "en"))
    found = read_timed_text(str(media), sidecars, (Inside(1, "eng"),), TimedTextSettings(), LIMITS)
    assert [cue.text for cue in found.cues] == ["inside"]
    assert (found.source, found.language) == ("stream 1", "en")
    said = "\n".join(found.problems)
    assert "x.en.srt: no cue that can be read" in said
    assert "gone.en.srt: cannot be read" in said


def test_hearing_impaired_cues_are_kept_or_dropped_and_sidecars_count_from_the_files_start(tmp_path: Path) -> None:
    path = tmp_path / "x.srt"
    path.write_text("1\n00:00:01,000 --> 00:00:02,000\n[bang]\n\n2\n00:00:03,000 --> 00:00:04,000\nOh\n")
    sidecars = (Beside(str(path)),)
    kept = read_timed_text(None, sidecars, (), TimedTextSettings(), LIMITS, start_seconds=1.5)
    assert [(cue.start_seconds, cue.text) for cue in kept.cues] == [(2.5, "[bang]"), (4.5, "Oh")]
    dropped = read_timed_text(None, sidecars, (), TimedTextSettings(keep_hearing_impaired=False), LIMITS)
    assert [cue.text for cue in dropped.cues] == ["Oh"]


def test_a_title_without_text_has_none_and_pictures_are_named() -> None:
    found = read_timed_text("unread.mkv", (), (Inside(1, "eng", is_bitmap=True),), TimedTextSettings(), LIMITS)
    assert (found.cues, found.source, found.language) == ((), "", None)
    assert found.problems == ("embedded track: picture subtitles hold no text",)


def test_no_more_of_a_sidecar_is_read_than_the_limits_allow(tmp_path: Path) -> None:
    path = tmp_path / "x.srt"
    path.write_bytes(b"x" * 100)
    with pytest.raises(MediaFMError, match="max_sidecar_bytes = 50"):
        read_sidecar(str(path), MediaLimits(max_sidecar_bytes=50))


def test_a_failing_disk_does_not_look_like_a_title_without_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: str, mode: str) -> None:
        raise OSError(5, "Input/output error", path)

    monkeypatch.setattr("builtins.open", broken)
    with pytest.raises(TransientError, match="Input/output error"):
        read_timed_text(None, (Beside("x.srt"),), (), TimedTextSettings(), LIMITS)
