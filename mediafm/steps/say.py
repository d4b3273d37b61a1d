"""Where a phrase is spoken, over all titles of a root: in their timed text, and word by word in their transcripts.

Titles are read one after another through the views; no more than one title's lines are in memory.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from typing import Any, Literal

import duckdb

from mediafm.config import Config
from mediafm.errors import NotFoundError
from mediafm.steps.existing import existing_store
from mediafm.steps.phrases import Line, Phrase, PhraseHit
from mediafm.store.views import connect
from mediafm.types import Json

Source = Literal["asr", "timed_text"]

ROWS_AT_ONCE = 4096
WORDS_AROUND = 8
"""Of a transcript, shown on either side of a hit."""

_LINES: Mapping[Source, str] = {
    "timed_text": "SELECT title_id, start_seconds, end_seconds, text, confidence, shot_index, language FROM cues "
    "WHERE source <> 'asr' OR source IS NULL",
    "asr": "SELECT title_id, start_seconds, end_seconds, text, confidence, NULL::INTEGER, NULL::VARCHAR FROM words",
}
"""The rows of a title stand together, as the views read one file after another."""
_SHOTS = "SELECT shot_index, start_seconds, end_seconds FROM shots WHERE title_id = $title ORDER BY shot_index"
_LANGUAGE = "SELECT details ->> 'language' FROM current WHERE table_name = 'words' AND title_id = $title"


@dataclass(frozen=True, kw_only=True)
class SpokenHit:
    """One place of a phrase.

    shot_index: the shot of the first cue, or that holds the first word's start; None outside all shots.
    start_seconds, end_seconds: of what `time_of` says: the words themselves, or the whole cues that hold the phrase:
        where in a cue a word is said nobody knows, and no guess is given. None where the cues have no times.
    text: what is said around it: the whole cues, or some words of the transcript.
    source: "timed_text", which people wrote, or "asr", which a transcriber guessed.
    confidence: the mean of the transcriber's over the phrase's words; None for timed text.
    is_exact: the diacritics agree too.
    """

    title_id: str
    shot_index: int | None
    start_seconds: float | None
    end_seconds: float | None
    time_of: Literal["words", "cues"]
    text: str
    source: Source
    confidence: float | None
    language: str | None
    is_exact: bool

    def as_json(self) -> dict[str, Json]:
        return {**asdict(self), "start": time_code(self.start_seconds), "end": time_code(self.end_seconds)}


@dataclass(kw_only=True)
class Spoken:
    """What was found.

    hits: the first: exact ones before others, timed text before transcripts, then by title and time.
    num_found: all of them, in `num_titles` titles.
    """

    hits: list[SpokenHit] = field(default_factory=list)
    num_found: int = 0
    num_titles: int = 0


@dataclass(frozen=True, slots=True)
class _Row:
    """A cue or a word as it is stored."""

    line: Line
    confidence: float | None
    shot_index: int | None
    language: str | None


def say(
    config: Config, phrase: str, title_id: str | None = None, top: int = 20, source: Source | None = None
) -> Spoken:
    """Where `phrase` is spoken.

    Args:
        title_id: look in this title alone.
        top: hits to return; all are counted.
        source: look only in what people wrote, or only in what a transcriber wrote.

    Raises:
        ConfigError: the phrase holds no letter.
        NotFoundError: no root, or no such title.
    """
    wanted, found = Phrase(phrase), Spoken()
    exact, others = list[SpokenHit](), list[SpokenHit]()
    with connect(existing_store(config), None if title_id is None else [title_id]) as connection:
        if title_id is not None:
            _check_title(connection, title_id)
        for kind in _LINES if source is None else (source,):
            for title, rows in _rows_by_title(connection, _LINES[kind], wanted):
                num_before = found.num_found
                for hit in wanted.hits([row.line for row in rows]):
                    found.num_found += 1
                    kept = exact if hit.is_exact else others
                    if len(kept) < top:
                        kept.append(_hit(title, rows, hit, kind))
                found.num_titles += found.num_found > num_before
        found.hits = [_placed(connection, hit) for hit in [*exact, *others][:top]]
    return found


def time_code(seconds: float | None) -> str | None:
    """HH:MM:SS.mmm, with a minus sign before the file's zero; None for None."""
    if seconds is None:
        return None
    milliseconds = round(abs(seconds) * 1000)
    whole, rest = divmod(milliseconds, 1000)
    sign = "-" if seconds < 0 and milliseconds else ""
    return f"{sign}{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{rest:03d}"


def _rows_by_title(
    connection: duckdb.DuckDBPyConnection, query: str, phrase: Phrase
) -> Iterator[tuple[str, list[_Row]]]:
    """The rows of each title that may hold the phrase, in order of time."""
    reader = connection.sql(query).to_arrow_reader(ROWS_AT_ONCE)
    rows = (row for batch in reader for row in zip(*(column.to_pylist() for column in batch.columns), strict=True))
    for title_id, group in groupby(rows, key=lambda row: str(row[0])):
        own = list(group)
        if phrase.may_be_in([row[3] or "" for row in own]):
            found = [_Row(Line(text or "", start, end), *rest) for _, start, end, text, *rest in own]
            yield title_id, sorted(found, key=_time)


def _time(row: _Row) -> tuple[bool, float, float]:
    """Rows without times come last, in the order in which they stand."""
    line = row.line
    return line.start_seconds is None, line.start_seconds or 0.0, line.end_seconds or 0.0


def _hit(title_id: str, rows: Sequence[_Row], hit: PhraseHit, source: Source) -> SpokenHit:
    own = rows[hit.first : hit.last + 1]
    is_transcript = source == "asr"
    around = WORDS_AROUND if is_transcript else 0
    shown = rows[max(0, hit.first - around) : hit.last + 1 + around]
    confidences = [row.confidence for row in own if row.confidence is not None]
    return SpokenHit(
        title_id=title_id,
        shot_index=own[0].shot_index,
        start_seconds=own[0].line.start_seconds,
        end_seconds=own[-1].line.end_seconds,
        time_of="words" if is_transcript else "cues",
        text=(" " if is_transcript else "\n").join(row.line.text for row in shown),
        source=source,
        confidence=sum(confidences) / len(confidences) if is_transcript and confidences else None,
        language=own[0].language,
        is_exact=hit.is_exact,
    )


def _placed(connection: duckdb.DuckDBPyConnection, hit: SpokenHit) -> SpokenHit:
    """A hit of a transcript with its shot and language, which stand elsewhere."""
    if hit.source != "asr" or hit.start_seconds is None:
        return hit
    title = {"title": hit.title_id}
    shots: list[Any] = connection.execute(_SHOTS, title).fetchall()
    language: Any = connection.execute(_LANGUAGE, title).fetchone()
    place = bisect_right([start for _, start, _ in shots], hit.start_seconds) - 1
    is_inside = place >= 0 and hit.start_seconds < shots[place][2]
    return replace(hit, shot_index=shots[place][0] if is_inside else None, language=language[0] if language else None)


def _check_title(connection: duckdb.DuckDBPyConnection, title_id: str) -> None:
    if not connection.execute("SELECT 1 FROM title_status WHERE title_id = $title", {"title": title_id}).fetchall():
        raise NotFoundError(
            f"no title {title_id!r}",
            rule="the ledger has a record for each title that was ever seen",
            remedy="`mediafm status` lists the titles.",
        )
