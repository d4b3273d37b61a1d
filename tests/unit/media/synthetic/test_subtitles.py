"""Timed text as files: times to the millisecond, characters escaped, every format read back by the library's parser."""

from __future__ import annotations

import pytest

from mediafm.config import MediaLimits
from mediafm.errors import MediaFMError
from mediafm.media.synthetic.dialogue import Line
from mediafm.media.synthetic.subtitles import write_timed_text
from mediafm.media.timed_text import parse_timed_text

LINES = (
    Line(start_seconds=0.25, end_seconds=1.5, text="Wait. Tide, ladder, and Ada.", speaker=0),
    Line(start_seconds=3661.007, end_seconds=3662.0, text="Fish & <chips>?", speaker=1),
)


def test_srt_golden() -> None:
    assert write_timed_text(".en.srt", LINES) == (
        "1\n00:00:00,250 --> 00:00:01,500\nWait. Tide, ladder, and Ada.\n\n"
        "2\n01:01:01,007 --> 01:01:02,000\nFish & <chips>?\n"
    )


def test_vtt_and_ttml_escape_what_their_markup_would_eat() -> None:
    for suffix in (".vtt", ".ttml"):
        assert "Fish &amp; &lt;chips&gt;?" in write_timed_text(suffix, LINES)


@pytest.mark.parametrize("suffix", [".srt", ".en.srt", ".vtt", ".ttml", ".ass"])
def test_every_format_is_read_back(suffix: str) -> None:
    plain = (LINES[0],)
    parsed = parse_timed_text(write_timed_text(suffix, plain).encode(), "." + suffix.rsplit(".", 1)[1], MediaLimits())
    assert [cue.text for cue in parsed.cues] == [LINES[0].text]
    assert [(cue.start_seconds, cue.end_seconds) for cue in parsed.cues] == [(0.25, 1.5)]


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(MediaFMError, match=r"\.doc"):
        write_timed_text(".doc", LINES)
