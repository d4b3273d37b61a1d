"""TTML: time expressions, nested times, text under its own interval, hostile XML."""

from __future__ import annotations

import pytest

from mediafm.config import MediaLimits
from mediafm.errors import CatalogError
from mediafm.media.timed_text import ParsedText, parse_timed_text
from mediafm.media.timed_text_ttml_time import TtmlClock, read_clock

HEAD = (
    '<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttp="http://www.w3.org/ns/ttml#parameter" '
    'xmlns:tts="http://www.w3.org/ns/ttml#styling" xmlns:smpte="http://www.smpte-ra.org/schemas/2052-1/2010/smpte-tt" '
)


def parse(body: str, parameters: str = "") -> ParsedText:
    text = f"{HEAD}{parameters}><body><div>{body}</div></body></tt>"
    return parse_timed_text(text.encode(), ".ttml", MediaLimits())


def facts(parsed: ParsedText) -> list[tuple[float, float, str]]:
    return [(round(cue.start_seconds, 6), round(cue.end_seconds, 6), cue.text) for cue in parsed.cues]


@pytest.mark.parametrize(
    ("expression", "parameters", "expected"),
    [
        ("01:02:03", {}, 3723.0),
        ("01:02:03.25", {}, 3723.25),
        ("00:00:01:15", {}, 1.5),
        ("00:00:01:12", {"frameRate": "24"}, 1.5),
        ("00:00:10:00", {"frameRate": "30", "frameRateMultiplier": "1000 1001"}, 10.0),
        ("00:00:00:15", {"frameRate": "30", "frameRateMultiplier": "1000 1001"}, 0.5005),
        ("00:00:10:00", {"frameRate": "30", "frameRateMultiplier": "1000:1001", "timeBase": "smpte"}, 10.01),
        (
            "01:00:00:00",
            {"frameRate": "30", "frameRateMultiplier": "1000 1001", "timeBase": "smpte", "dropMode": "dropNTSC"},
            3599.9964,
        ),
        ("1.5s", {}, 1.5),
        ("1500ms", {}, 1.5),
        ("2m", {}, 120.0),
        ("0.5h", {}, 1800.0),
        ("45f", {}, 1.5),
        ("36f", {"frameRate": "24"}, 1.5),
        ("15000000t", {"tickRate": "10000000"}, 1.5),
        ("60t", {"frameRate": "30", "subFrameRate": "2"}, 1.0),
        ("3t", {}, 3.0),
        ("00:00:01:30", {}, None),
        ("00:60:00", {}, None),
        ("1 s", {}, None),
        ("soon", {}, None),
        ("1" * 5000 + "s", {}, None),
    ],
)
def test_time_expressions(expression: str, parameters: dict[str, str], expected: float | None) -> None:
    seconds = read_clock(parameters).seconds(expression)
    assert seconds == (None if expected is None else pytest.approx(expected))


def test_impossible_parameters_give_the_defaults() -> None:
    assert read_clock({"frameRate": "0", "tickRate": "x", "frameRateMultiplier": "1 0"}) == TtmlClock()


def test_times_nest_and_no_child_outlives_its_parent() -> None:
    text = f'{HEAD}><body begin="10s"><div begin="1s" end="5s"><p begin="1s" end="9s">x</p></div></body></tt>'
    assert facts(parse_timed_text(text.encode(), ".ttml", MediaLimits())) == [(12.0, 15.0, "x")]


def test_the_earlier_of_end_and_duration_counts() -> None:
    assert facts(parse('<p begin="1s" end="9s" dur="2s">x</p>')) == [(1.0, 3.0, "x")]


def test_a_sequence_puts_children_one_after_another() -> None:
    body = '<div timeContainer="seq"><p dur="2s">a</p><p dur="3s">b</p><p begin="1s" dur="1s">c</p></div>'
    assert facts(parse(body)) == [(0.0, 2.0, "a"), (2.0, 5.0, "b"), (6.0, 7.0, "c")]


def test_spans_with_times_of_their_own_are_cues_of_their_own() -> None:
    body = '<p begin="10s" end="20s">all <span begin="1s" end="2s">one</span><span begin="3s" end="4s">two</span></p>'
    assert facts(parse(body)) == [(10.0, 20.0, "all"), (11.0, 12.0, "one"), (13.0, 14.0, "two")]


def test_a_paragraph_without_an_end_stands_until_the_next_and_says_so() -> None:
    parsed = parse('<p begin="1s">a</p><p begin="3s">b</p>')
    assert facts(parsed) == [(1.0, 3.0, "a"), (3.0, 8.0, "b")]
    assert "cue without an end" in parsed.problems[0]


def test_white_space_breaks_and_glosses() -> None:
    body = (
        '<p begin="1s" end="2s">  a\n   b<br/>c<metadata>no</metadata>'
        '<span tts:ruby="container"><span tts:ruby="base">七</span><span tts:ruby="text">しち</span></span></p>'
        '<p begin="3s" end="4s" xml:space="preserve">d\ne</p>'
    )
    assert facts(parse(body)) == [(1.0, 2.0, "a b\nc七"), (3.0, 4.0, "d\ne")]


def test_the_document_says_its_language_and_its_clock() -> None:
    parsed = parse('<p begin="24f" end="48f">x</p>', 'xml:lang="pt-BR" ttp:frameRate="24"')
    assert facts(parsed) == [(1.0, 2.0, "x")]
    assert parsed.cues[0].language == "pt-br"


def test_pictures_hold_no_text() -> None:
    parsed = parse('<div begin="1s" end="2s" smpte:backgroundImage="#a"/>')
    assert parsed.cues == ()
    assert "picture subtitles hold no text" in parsed.problems[0]


def test_what_precedes_a_break_is_kept() -> None:
    text = f'{HEAD}><body><p begin="1s" end="2s">x</p><p begin="3s"'
    parsed = parse_timed_text(text.encode(), ".ttml", MediaLimits())
    assert facts(parsed) == [(1.0, 2.0, "x")]
    assert "break in the XML" in parsed.problems[0]


def test_other_encodings_by_mark_and_by_guess() -> None:
    text = '<?xml version="1.0" encoding="UTF-16"?><tt><body><p begin="1s" end="2s">Zoë</p></body></tt>'
    assert parse_timed_text(text.encode("utf-16"), ".ttml", MediaLimits()).cues[0].text == "Zoë"
    named = text.replace("UTF-16", "Shift_JIS").replace("Zoë", "これは字幕です")
    assert parse_timed_text(named.encode("cp932"), ".ttml", MediaLimits()).cues[0].text == "これは字幕です"


LAUGHS = "".join(f'<!ENTITY l{n} "{"&l" + str(n - 1) + ";" if n else "ha"}{"&l0;" * 10}">' for n in range(1, 9))


@pytest.mark.parametrize(
    "doctype",
    [
        f'<!DOCTYPE tt [<!ENTITY l0 "ha">{LAUGHS}]>',
        '<!DOCTYPE tt [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE tt [<!ENTITY % x SYSTEM "http://127.0.0.1/x"> %x;]>',
        '<!DOCTYPE tt SYSTEM "file:///etc/hostname" [<!ENTITY x "y">]>',
    ],
)
def test_entities_are_refused(doctype: str) -> None:
    text = f'<?xml version="1.0"?>{doctype}<tt><body><p begin="1s" end="2s">&x;&l8;</p></body></tt>'
    with pytest.raises(CatalogError, match="may not define or load entities"):
        parse_timed_text(text.encode(), ".ttml", MediaLimits())


def test_deep_nesting_is_refused_early() -> None:
    with pytest.raises(CatalogError, match="nested deeper than 200"):
        parse_timed_text(("<tt>" + "<p>" * 1_000_000).encode(), ".ttml", MediaLimits())
