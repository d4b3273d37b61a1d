"""Timed text: formats, encodings, bad cues, limits, hostile bytes."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pysubs2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm.config import MediaLimits
from mediafm.errors import CatalogError, MediaFMError
from mediafm.media.timed_text import Cue, ParsedText, parse_timed_text

LIMITS = MediaLimits()

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Hello</i>, {\\an8}you

2
00:00:03,000 --> 00:00:04,000
[door slams]
"""
VTT = """WEBVTT - a title

NOTE
not a caption

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.500 line:80%
<v Roger Bingham><c.loud>We</c> are &amp; were</v>

01:00:03.000 --> 01:00:04.000
<00:00:03.500>one <i>two</i>
"""
ASS = """[Script Info]
Title: x
[V4+ Styles]
Style: Default,Arial,20
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:09.00,Default,,0,0,0,,not shown
Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\\i1}Hello{\\i0},\\Nyou
Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,{\\p1}m 0 0 l 10 10{\\p0}drawn
"""
TTML = """<?xml version="1.0" encoding="UTF-8"?>
<tt xmlns="http://www.w3.org/ns/ttml" xml:lang="en-GB"><head><metadata>no</metadata></head><body><div>
<p begin="00:00:01.000" end="00:00:02.500">Hello,<br/>  you
  <span>there</span></p>
<p begin="3s" dur="1s">bye</p></div></body></tt>
"""


def parse(text: str | bytes, suffix: str = ".srt", **given: object) -> ParsedText:
    data = text.encode() if isinstance(text, str) else text
    return parse_timed_text(data, suffix, LIMITS, **given)  # type: ignore[arg-type]


def facts(parsed: ParsedText) -> list[tuple[float, float, str]]:
    return [(cue.start_seconds, cue.end_seconds, cue.text) for cue in parsed.cues]


@pytest.mark.parametrize(
    ("text", "suffix", "expected"),
    [
        (SRT, ".srt", [(1.0, 2.5, "Hello, you"), (3.0, 4.0, "[door slams]")]),
        (VTT, ".vtt", [(1.0, 2.5, "We are & were"), (3603.0, 3604.0, "one two")]),
        (ASS, ".ass", [(1.0, 2.5, "Hello,\nyou"), (3.0, 4.0, "drawn")]),
        (TTML, ".ttml", [(1.0, 2.5, "Hello,\nyou there"), (3.0, 4.0, "bye")]),
    ],
)
def test_each_format_gives_times_and_plain_text(
    text: str, suffix: str, expected: list[tuple[float, float, str]]
) -> None:
    parsed = parse(text, suffix)
    assert facts(parsed) == expected
    assert parsed.problems == ()
    assert facts(parse(text.replace("\n", "\r\n"), suffix)) == expected
    assert facts(parse("\ufeff" + text, suffix.upper())) == expected


@pytest.mark.parametrize(("text", "suffix"), [(VTT, ".srt"), (ASS, ".srt"), (TTML, ".srt"), (TTML, ".xml")])
def test_the_content_decides_the_format_where_it_says_what_it_is(text: str, suffix: str) -> None:
    assert len(parse(text, suffix).cues) == 2


@pytest.mark.parametrize("format_", ["srt", "vtt", "ass", "ttml"])
def test_agrees_with_pysubs2_on_what_pysubs2_writes(format_: str) -> None:
    subs = pysubs2.SSAFile()
    for index in range(50):
        start = 1000 * index + 7 * index
        subs.append(pysubs2.SSAEvent(start=start, end=start + 900, text=f"line {index}\\Nsecond, {index}"))
    parsed = parse(subs.to_string(format_), f".{format_}")
    tolerance = 0.011 if format_ == "ass" else 0.001
    for cue, event in zip(parsed.cues, subs, strict=True):
        assert cue.text == event.plaintext
        assert math.isclose(cue.start_seconds, event.start / 1000, abs_tol=tolerance)
        assert math.isclose(cue.end_seconds, event.end / 1000, abs_tol=tolerance)


def test_srt_of_the_wild() -> None:
    """No blank line between cues, none after a number, a blank line inside a cue, no hours, no fraction."""
    text = "1\n0:01 --> 0:02.5\nfirst\n2\n00:00:03,000-->00:00:04,000 X1:1\nsecond\n\nstill second\n\n"
    assert facts(parse(text)) == [(1.0, 2.5, "first"), (3.0, 4.0, "second\nstill second")]


def test_a_line_of_digits_above_times_is_text_where_a_number_precedes_it() -> None:
    text = "1\n00:00:01,000 --> 00:00:02,000\n42\n\n2\n00:00:03,000 --> 00:00:04,000\n1984\n"
    assert facts(parse(text)) == [(1.0, 2.0, "42"), (3.0, 4.0, "1984")]


def test_impossible_cues_cost_themselves_and_are_counted() -> None:
    text = (
        "1\n00:00:01,000 --> 00:00:00,500\nbackwards\n\n2\nnot a time\ntext\n\n3\n00:99:00,000 --> 00:99:01,000\nx\n\n"
        "4\n-00:00:01,000 --> 00:00:01,000\nnegative\n\n5\n00:00:05,000 --> 00:00:07,000\nkept\n\n"
        "6\n00:00:06,000 --> 00:00:08,000\noverlaps\n\n7\n00:00:09,000 --> 00:00:09,000\nempty\n"
    )
    parsed = parse(text)
    assert [cue.text for cue in parsed.cues] == ["kept", "overlaps"]
    said = "\n".join(parsed.problems)
    assert "does not end after it starts (2 times, first: line 2, 1.000 to 0.500 s)" in said
    assert "no line of times (line 5)" in said
    assert "minutes or seconds over 59" in said
    assert "starts before 0" in said
    assert "kept that starts before" in said


def test_one_bad_ass_event_costs_that_event() -> None:
    parsed = parse(ASS + "Dialogue: 0,nonsense,0:00:09.00,Default,,0,0,0,,lost\nDialogue: 1\n", ".ass")
    assert len(parsed.cues) == 2
    assert "times that cannot be read (2 times, first: line 10)" in parsed.problems[0]


def test_ass_fields_stand_in_the_order_of_the_format_line() -> None:
    text = "[Script Info]\n[Events]\nFormat: Start, End, Text\nDialogue: 0:00:01.00,0:00:02.00,a, b\n"
    assert facts(parse(text, ".ssa")) == [(1.0, 2.0, "a, b")]


@pytest.mark.parametrize(
    ("text", "suffix"), [("WEBVTT\n", ".vtt"), ("[Script Info]\n[Events]\n", ".ass"), ("<tt><body/></tt>", ".ttml")]
)
def test_a_sound_file_without_captions_is_empty_and_says_so(text: str, suffix: str) -> None:
    parsed = parse(text, suffix)
    assert parsed.cues == ()
    assert parsed.problems == ("no cue holds text (0 blank cues)",)


@pytest.mark.parametrize(
    ("data", "suffix", "match"),
    [
        (b"", ".srt", "0 bytes without a cue"),
        (b"once upon a time", ".srt", "16 bytes without a cue"),
        (b"WEBVTT\n\n00:01.000 --> 00:00.500\nx\n", ".vtt", "does not end after it starts"),
        (b"<html><p>x</p></html>", ".ttml", "root is <html>"),
        (b"<tt><body><p", ".ttml", "break in the XML"),
        (b"<tt><body><p>no times</p></body></tt>", ".ttml", "paragraph dropped: no times"),
        (b"x", ".docx", "timed text is one of"),
        (b"1\n00:00:01,000 --> 00:00:02,000\n" + bytes(range(256)) * 9, ".srt", "timed text is text"),
    ],
)
def test_a_file_in_which_nothing_can_be_read_is_an_error_that_says_what_was_seen(
    data: bytes, suffix: str, match: str
) -> None:
    with pytest.raises(CatalogError, match=match) as caught:
        parse_timed_text(data, suffix, LIMITS, where="film.srt")
    assert "film.srt" in str(caught.value)


def test_the_broken_sidecar_of_the_real_media(shared_media: Path) -> None:
    with pytest.raises(CatalogError, match=r"line 2, 1\.000 to 0\.500 s"):
        parse((shared_media / "odd" / "broken.srt").read_bytes())


def test_real_sidecars_parse_without_a_problem(shared_media: Path) -> None:
    counts = {
        file.name: (len(parsed.cues), parsed.problems, sum(cue.is_hearing_impaired for cue in parsed.cues))
        for file in sorted((shared_media / "titles").iterdir())
        if file.suffix in (".srt", ".vtt")
        for parsed in [parse(file.read_bytes(), file.suffix)]
    }
    assert counts == {
        "friday.vtt": (5, (), 0),
        "popeye_p1.eng.srt": (14, (), 1),
        "popeye_p3.eng.srt": (15, (), 3),
        "sintel_part1.en.srt": (12, (), 0),
        "sintel_part2.en.srt": (3, (), 0),
        "sintel_part3.en.srt": (2, (), 0),
    }


def test_limits_are_enforced() -> None:
    with pytest.raises(CatalogError, match="max_sidecar_bytes = 10"):
        parse_timed_text(SRT.encode(), ".srt", MediaLimits(max_sidecar_bytes=10))
    for text, suffix in ((SRT, ".srt"), (VTT, ".vtt"), (ASS, ".ass"), (TTML, ".ttml")):
        with pytest.raises(CatalogError, match="more than 1 cues"):
            parse_timed_text(text.encode(), suffix, MediaLimits(max_cues=1))


def test_a_cue_longer_than_any_caption_is_cut() -> None:
    parsed = parse("1\n00:00:01,000 --> 00:00:02,000\n" + "word " * 100_000)
    assert len(parsed.cues[0].text) <= 10_000
    assert "cue cut at 10000 characters" in parsed.problems[0]


def test_signs_that_ass_draws_frame_by_frame_are_one_cue() -> None:
    frames = "".join(
        f"Dialogue: 0,0:00:0{5 + index // 100}.{index % 100:02},0:00:0{5 + (index + 4) // 100}.{(index + 4) % 100:02},"
        f"Sign,,0,0,0,,{{\\pos({index},9)}}EXIT\n"
        for index in range(0, 200, 4)
    )
    later = "Dialogue: 0,0:00:08.00,0:00:09.00,Sign,,0,0,0,,EXIT\n"
    assert facts(parse(ASS + frames + later, ".ass"))[2:] == [(5.0, 7.0, "EXIT"), (8.0, 9.0, "EXIT")]


def test_repeated_cues_are_kept_once_and_rolling_captions_lose_what_still_stands() -> None:
    assert len(parse(ASS + ASS.splitlines()[-2], ".ass").cues) == 2
    rolling = (
        "WEBVTT\n\n00:00.000 --> 00:02.000\nhello<00:00:00.500><c> world</c>\n\n"
        "00:02.000 --> 00:02.010\nhello world\n\n00:02.010 --> 00:04.000\nhello world\nthis<00:00:03.000><c> is</c>\n"
    )
    assert [cue.text for cue in parse(rolling, ".vtt").cues] == ["hello world", "this is"]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ("[door slams]", True),
        ("(SIGHS)", True),
        ("- [sighs]\n- (laughs)", True),
        ("JOHN: [coughs]", True),
        ("JOHN:", True),
        ("（ドアの音）", True),
        ("[sighs] Hello", False),
        ("JOHN: Hello", False),
        ("♪ la la ♪", False),
        ("Wait...", False),
    ],
)
def test_hearing_impaired_cues_are_those_wholly_in_brackets(seen: str, expected: bool) -> None:
    cue = parse(f"1\n00:00:01,000 --> 00:00:02,000\n{seen}\n").cues[0]
    assert cue.text == seen
    assert cue.is_hearing_impaired is expected


def test_markup_that_is_no_markup_stays() -> None:
    text = "I <3 you, a < b > c &nosuch; {laughs} &lt;b&gt; 100% {\\an8}\u200eok"
    cue = parse(f"1\n00:00:01,000 --> 00:00:02,000\n{text}\n").cues[0]
    assert cue.text == "I <3 you, a < b > c &nosuch; {laughs} <b> 100% ok"


@pytest.mark.parametrize(
    ("words", "encoding", "language"),
    [
        ("Où êtes-vous, mon cher Zoë ?", "cp1252", "fr"),
        ("七人の侍が村を守ります。これは字幕です。", "cp932", "ja"),
        ("七人の侍が村を守ります。これは字幕です。", "euc_jp", "jpn"),
        ("Это субтитры на русском языке, их довольно много.", "cp1251", "ru"),
        ("Это субтитры на русском языке, их довольно много.", "koi8_r", "ru"),
        ("Zażółć gęślą jaźń, proszę pana, już idę.", "cp1250", "pl"),
        ("这是中文字幕的一个例子。", "gb18030", "zh"),
        ("이것은 한국어 자막입니다.", "cp949", "ko"),
        ("Zoë", "utf-8", None),
        ("七人の侍", "utf-16", None),
        ("Zoë said hello", "utf-16-le", None),
        ("Zoë said hello", "utf-16-be", None),
        ("Zoë", "utf-8-sig", None),
        ("Zoë", "utf-32", None),
        ("Où êtes-vous, mon cher Zoë ? Déjà là, à l'été.", "cp1252", None),
        ("It’s a café — she said “naïve”…", "cp1252", None),
        ("José", "cp1252", None),
        ("¿Qué pasó, señor? ¡Mañana!", "cp1252", None),
        ("七人の侍が村を守ります。これは字幕です。", "cp932", None),
        ("七人の侍が村を守ります。これは字幕です。", "euc_jp", None),
        ("这是中文字幕的一个例子。你好,世界", "gb18030", None),
        ("這是中文字幕的一個例子。你好嗎", "big5", None),
        ("이것은 한국어 자막입니다. 안녕하세요", "cp949", None),
        ("Это субтитры на русском языке, их довольно много.", "cp1251", None),
        ("Это субтитры на русском языке, их довольно много.", "koi8_r", None),
        ("Привет", "cp1251", None),
        ("Zażółć gęślą jaźń, proszę pana, już idę.", "cp1250", None),
        ("Příliš žluťoučký kůň úpěl ďábelské ódy.", "cp1250", None),
        ("Şimdi ne yapacağız? Işıklar söndü, değil mi?", "cp1254", None),
        ("Αυτοί είναι υπότιτλοι στα ελληνικά, και οι λέξεις της.", "cp1253", None),
        ("אלה הן כתוביות בעברית, שלום לכולם", "cp1255", None),
        ("هذه ترجمة باللغة العربية مرحبا", "cp1256", None),
        ("นี่คือคำบรรยายภาษาไทย", "cp874", None),
    ],
)
def test_encodings_are_found(words: str, encoding: str, language: str | None) -> None:
    text = f"1\n00:00:01,000 --> 00:00:02,000\n{words}\n"
    assert [cue.text for cue in parse(text.encode(encoding), language=language).cues] == [words]


def test_a_damaged_utf8_file_stays_utf8_and_says_so() -> None:
    data = SRT.encode() + b"3\n00:00:05,000 --> 00:00:06,000\n" + "é".encode() * 50 + b"\xff\n"
    parsed = parse(data)
    assert parsed.cues[-1].text == "é" * 50 + "\ufffd"
    assert "1 of" in parsed.problems[0]


HOSTILE = 10_000_000
SHORTER = 10
"""How many times shorter the text is that a pass is measured by."""


@pytest.mark.parametrize(
    "body", ["<", "<a", "{\\", "[", "(a", "&#", "<rt>", "\n", "-->\n", "1: ", "♪", "A", "a\n", "<00:0"]
)
def test_ten_megabytes_of_anything_cost_one_pass(body: str) -> None:
    """Ten times the text: 10 times the time if each byte is read once, 100 times if passes lie within passes."""
    seconds = {}
    for size in (HOSTILE // SHORTER, HOSTILE):
        data = ("1\n00:00:01,000 --> 00:00:02,000\n" + body * (size // len(body.encode()))).encode()
        start = time.process_time()
        parsed = parse(data)
        seconds[size] = time.process_time() - start
        assert all(len(cue.text) <= 10_000 for cue in parsed.cues)
    floor_seconds = 0.02  # below it the clock and the first call tell more than the text
    assert seconds[HOSTILE] < 4 * SHORTER * max(seconds[HOSTILE // SHORTER], floor_seconds)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([(SRT, ".srt"), (VTT, ".vtt"), (ASS, ".ass"), (TTML, ".ttml")]),
    st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=6), st.integers(0, 8)), max_size=6),
)
def test_mutated_files_give_sound_cues_or_one_of_our_errors(
    sample: tuple[str, str], edits: list[tuple[int, bytes, int]]
) -> None:
    data = sample[0].encode()
    for position, inserted, num_removed in edits:
        place = position % (len(data) + 1)
        data = data[:place] + inserted + data[place + num_removed :]
    _assert_sound(data, sample[1])


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([".srt", ".vtt", ".ass", ".ttml"]))
def test_any_bytes_give_sound_cues_or_one_of_our_errors(data: bytes, suffix: str) -> None:
    _assert_sound(data, suffix)


def _assert_sound(data: bytes, suffix: str) -> None:
    try:
        parsed = parse_timed_text(data, suffix, LIMITS)
    except MediaFMError:
        return
    starts = [cue.start_seconds for cue in parsed.cues]
    assert starts == sorted(starts)
    for cue in parsed.cues:
        assert 0 <= cue.start_seconds < cue.end_seconds < math.inf
        assert cue.text == cue.text.strip() != ""
        cue.text.encode()


@pytest.mark.parametrize(("start", "end", "text"), [(1.0, 1.0, "x"), (0.0, math.nan, "x"), (0.0, 1.0, "")])
def test_an_impossible_cue_cannot_be_built(start: float, end: float, text: str) -> None:
    with pytest.raises(MediaFMError, match="ends after it starts, and holds text"):
        Cue(start_seconds=start, end_seconds=end, text=text)
