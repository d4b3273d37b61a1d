"""`say` over stored titles: real subtitles, transcripts, both, and what a title without times answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner

from mediafm.cli.main import library
from mediafm.config import Config, MediaLimits
from mediafm.encoders.transcriber import SpokenWord
from mediafm.errors import ConfigError, NotFoundError
from mediafm.lineage.records import LedgerRecord
from mediafm.media.timed_text import assign_cues, parse_timed_text
from mediafm.media.timed_text_cue import Cue
from mediafm.steps.present import PresentTitle
from mediafm.steps.say import say, time_code
from mediafm.steps.step import Made
from mediafm.steps.transcripts import words_table
from mediafm.steps.workspace import Workspace
from mediafm.store.schemas import SCHEMAS
from mediafm.testing.stored_titles import make
from mediafm.types import Span
from tests.unit.steps.conftest import PROFILE

SHOT_SECONDS = 10.0
DRAGON = ("hE", "flew", "from", "a", "Dragon", "over", "the", "hills", "and", "far", "away", "to", "the", "land")


@pytest.fixture
def spoken_config(tmp_path: Path) -> Config:
    profile = tmp_path / "spoken.toml"
    profile.write_text(f'{PROFILE}\n[transcriber]\nname = "fake-transcriber"\n')
    return Config.model_validate({"root": str(tmp_path / "root"), "profile": str(profile), "device": "cpu"})


def put(workspace: Workspace, title: PresentTitle, table: str, rows: pa.Table, **details: str) -> None:
    made = Made.of(workspace.store, title.chain.identity(table), rows, details)
    stored = {"object_key": made.stored.key, "sha256": made.stored.sha256, "num_rows": made.stored.num_rows}
    workspace.ledger.add(LedgerRecord.of(made.identity, details=made.details, **stored))


def put_title(
    config: Config, title_id: str, cues: Sequence[Cue] = (), words: Sequence[SpokenWord] = (), num_shots: int = 20
) -> None:
    """A title of equal shots with these cues and words."""
    with Workspace.open(config, run_id="run") as workspace:
        make(workspace.store, workspace.ledger, title_id, ["titles"], workspace.producers)
        workspace.point_producers()
        workspace.ledger.flush()
        (title,) = workspace.titles([title_id])
        spans = [Span(SHOT_SECONDS * shot, SHOT_SECONDS * (shot + 1)) for shot in range(num_shots)]
        shots = [
            (shot, span.start_seconds, span.end_seconds, 250 * shot, 250 * (shot + 1))
            for shot, span in enumerate(spans)
        ]
        names = SCHEMAS["spans"].names
        put(
            workspace,
            title,
            "spans",
            pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in shots], SCHEMAS["spans"]),
        )
        put(workspace, title, "words", words_table(words, 0.0), language="en")
        rows = [
            {
                "shot_index": shot,
                "position": position,
                "start_seconds": cue.start_seconds,
                "end_seconds": cue.end_seconds,
                "text": cue.text,
                "language": cue.language,
                "source": cue.source,
                "is_hearing_impaired": False,
            }
            for position, (shot, cue) in enumerate(assign_cues(cues, spans).assigned)
        ]
        put(workspace, title, "cues", pa.Table.from_pylist(rows, schema=SCHEMAS["cues"]))


def transcript(words: Sequence[str], start: float = 5.0) -> list[SpokenWord]:
    return [
        SpokenWord(word, start + 0.5 * place, start + 0.5 * place + 0.4, 0.5 + 0.02 * place)
        for place, word in enumerate(words)
    ]


@pytest.fixture
def sintel(spoken_config: Config, shared_media: Path) -> Config:
    for part in (1, 2, 3):
        data = (shared_media / "titles" / f"sintel_part{part}.en.srt").read_bytes()
        put_title(spoken_config, f"sintel_part{part}", parse_timed_text(data, ".srt", MediaLimits(), "en").cues)
    put_title(spoken_config, "without", words=transcript(DRAGON))
    return spoken_config


def test_a_phrase_in_real_subtitles_and_in_a_transcript(sintel: Config) -> None:
    found = say(sintel, "a dragon")
    assert (found.num_found, found.num_titles) == (2, 2)
    cue, words = found.hits
    assert (cue.title_id, cue.text, cue.source, cue.time_of) == ("sintel_part1", "A dragon.", "timed_text", "cues")
    assert (cue.as_json()["start"], cue.as_json()["end"], cue.shot_index) == ("00:02:23.400", "00:02:25.000", 14)
    assert (cue.confidence, cue.language) == (None, "en")
    assert (words.title_id, words.source, words.time_of, words.language) == ("without", "asr", "words", "en")
    assert (words.start_seconds, words.end_seconds, words.shot_index) == (pytest.approx(6.5), pytest.approx(7.4), 0)
    assert words.confidence == pytest.approx((0.56 + 0.58) / 2, abs=1e-3)
    assert words.text == " ".join(DRAGON[:13])


def test_a_phrase_over_two_cues_and_over_a_line_break(sintel: Config) -> None:
    (hit,) = say(sintel, "searching for someone, someone very dear").hits
    assert hit.text == "I'm searching for someone.\nSomeone very dear?\nA kindred spirit?"
    assert (hit.as_json()["start"], hit.as_json()["end"]) == ("00:02:15.000", "00:02:22.200")
    assert say(sintel, "traveling alone so completely").num_found == 1
    assert say(sintel, "kindred spirit a dragon").num_found == 1
    assert say(sintel, "a dragon a dangerous quest").num_found == 0, "almost four seconds lie between"


def test_titles_sources_and_how_many_are_shown(sintel: Config) -> None:
    everything = say(sintel, "a")
    assert (everything.num_found, everything.num_titles) == (7, 2)
    few = say(sintel, "a", top=2)
    assert few.hits == everything.hits[:2]
    assert few.num_found == everything.num_found
    assert {hit.title_id for hit in say(sintel, "scales").hits} == {"sintel_part2", "sintel_part3"}
    assert [hit.title_id for hit in say(sintel, "scales", title_id="sintel_part3").hits] == ["sintel_part3"]
    assert {hit.source for hit in say(sintel, "a", source="asr").hits} == {"asr"}
    assert {hit.source for hit in say(sintel, "a", source="timed_text").hits} == {"timed_text"}
    assert say(sintel, "no such thing").hits == []


def test_cues_of_a_transcript_are_not_found_twice(spoken_config: Config) -> None:
    words = transcript(["hello"])
    cue = Cue(start_seconds=5.0, end_seconds=5.4, text="hello", source="asr", confidence=0.5)
    put_title(spoken_config, "x", [cue], words)
    (hit,) = say(spoken_config, "hello").hits
    assert (hit.source, hit.time_of) == ("asr", "words")


def test_exact_diacritics_come_first(spoken_config: Config) -> None:
    texts = ("el nino", "el niño")
    cues = [Cue(start_seconds=4.0 * place, end_seconds=4.0 * place + 1, text=text) for place, text in enumerate(texts)]
    put_title(spoken_config, "x", cues)
    assert [(hit.text, hit.is_exact) for hit in say(spoken_config, "niño").hits] == [
        ("el niño", True),
        ("el nino", False),
    ]


def test_a_word_outside_all_shots_has_none(spoken_config: Config) -> None:
    put_title(spoken_config, "x", words=transcript(["late"], start=99.0), num_shots=2)
    assert say(spoken_config, "late").hits[0].shot_index is None


def test_what_cannot_be_looked_for(sintel: Config, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no title 'other'"):
        say(sintel, "a dragon", title_id="other")
    with pytest.raises(ConfigError, match="a phrase holds a letter"):
        say(sintel, "?!")
    with pytest.raises(NotFoundError, match="nowhere"):
        say(Config(root=str(tmp_path / "nowhere")), "a dragon")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "00:00:00.000"),
        (3661.0014, "01:01:01.001"),
        (59.9996, "00:01:00.000"),
        (-0.5, "-00:00:00.500"),
        (-0.0001, "00:00:00.000"),
        (None, None),
    ],
)
def test_time_codes(seconds: float | None, expected: str | None) -> None:
    assert time_code(seconds) == expected


def test_the_verb(sintel: Config) -> None:
    arguments = ["say", "a dragon", "--root", str(sintel.root)]
    shown = CliRunner().invoke(library, arguments)
    assert shown.exit_code == 0, shown.output
    assert "00:02:23.400" in shown.output
    assert "asr 0.57" in shown.output
    assert "a machine's guess" in shown.output
    told = json.loads(CliRunner().invoke(library, [*arguments, "--json", "--source", "timed_text"]).stdout)
    assert (told["num_found"], told["hits"][0]["start"], told["hits"][0]["confidence"]) == (1, "00:02:23.400", None)
    assert CliRunner().invoke(library, ["say", "...", "--root", str(sintel.root)]).exit_code == 2
