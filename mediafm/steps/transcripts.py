"""The step that writes down what is spoken in titles that have no timed text of their own.

A title that has some gets no words, quickly, and the record says why. Windows of several titles stand in one batch; a
worker thread reads ahead while the network is busy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from mediafm.catalog.title import Sidecar
from mediafm.config import AudioSettings
from mediafm.encoders.transcriber import Samples, SoundBlock, SoundEnd, SpokenWord, Transcribed, Transcriber
from mediafm.extract.reader import MediaReader
from mediafm.media.audio import is_silent
from mediafm.media.info import AudioStream
from mediafm.media.timed_text_cue import TimedText
from mediafm.steps.encoders import borrow_transcriber
from mediafm.steps.media_step import MediaStep
from mediafm.steps.prefetch import Prefetched
from mediafm.steps.present import PresentTitle
from mediafm.steps.step import Guard, Made, StreamResult, StreamStep, Work, let_pass
from mediafm.steps.unreplaced import unreplaced
from mediafm.steps.workspace import Workspace
from mediafm.store.schemas import SCHEMAS
from mediafm.types import Json, Span

BLOCK_SECONDS = 10.0
"""Sound is read and handed on in blocks of this length (our choice): a long film never stands in memory whole."""
BLOCKS_AHEAD = 8
"""How many blocks wait for the network at most."""

MAX_UNHEARD = 64
"""Titles that are not listened to never come back from the transcriber: after so many its stream is ended, they are
concluded, and another begins (as `mediafm.steps.embedding_stream.MAX_READY`)."""

HAS_TEXT = "it has timed text of its own"
HAS_NO_SOUND = "it has no sound"


@dataclass(slots=True)
class _OpenTitle:
    """A title whose sound is being heard.

    start_seconds: of its first sample.
    details: of its record; complete when its sound is over.
    error: what went wrong with reading it.
    """

    work: Work
    start_seconds: float = 0.0
    details: dict[str, Json] = field(default_factory=dict)
    error: Exception | None = None


@dataclass(slots=True)
class _Desk:
    """What is under way: titles being heard, and those of which there was nothing to hear; is_over: all is read."""

    opened: dict[str, _OpenTitle] = field(default_factory=dict)
    unheard: deque[_OpenTitle] = field(default_factory=deque)
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class _Over:
    """All of a title was read, or could not be."""

    title: _OpenTitle


_Event: TypeAlias = "tuple[_OpenTitle, Samples] | _Over"


class TranscriptsStep(MediaStep, StreamStep):
    """Words with times and confidences, by the profile's transcriber."""

    asset = "transcripts"
    tables = ("words",)

    @property
    def transcriber(self) -> Transcriber:
        return borrow_transcriber(self._workspace)

    def make_stream(self, works: Iterable[Work], guard: Guard = let_pass) -> Iterator[StreamResult]:
        """As `StreamStep.make_stream`. An error of the network ends the stream: a batch has sound of many titles."""
        transcriber, desk = self.transcriber, _Desk()
        prefetched = Prefetched(self._events(works, guard, transcriber.sample_rate_hz), BLOCKS_AHEAD)
        silent = partial(is_silent, settings=self._workspace.config.audio)
        events = iter(prefetched)
        try:
            while not desk.is_over:
                for found in transcriber.transcribe_stream(self._heard(events, desk), silent):
                    yield self._result(desk.opened.pop(found.key), found)
                    yield from self._unheard(desk)
                yield from self._unheard(desk)
        finally:
            prefetched.close()

    def _unheard(self, desk: _Desk) -> Iterator[StreamResult]:
        while desk.unheard:
            yield self._result(desk.unheard.popleft())

    def _heard(self, events: Iterator[_Event], desk: _Desk) -> Iterator[SoundBlock[str] | SoundEnd[str]]:
        """The sound for the transcriber, until all is read or many titles wait of which there is none to be heard."""
        for event in events:
            if isinstance(event, _Over):
                title_id = event.title.work.title.title_id
                if title_id in desk.opened:
                    yield SoundEnd(title_id)
                else:
                    desk.unheard.append(event.title)
                if len(desk.unheard) >= MAX_UNHEARD:
                    return
            else:
                title, samples = event
                desk.opened[title.work.title.title_id] = title
                yield SoundBlock(title.work.title.title_id, samples)
        desk.is_over = True

    def _events(self, works: Iterable[Work], guard: Guard, rate_hz: int) -> Iterator[_Event]:
        """All sound that is to be heard, title after title. Called on the worker thread."""
        for work in works:
            title = _OpenTitle(work)
            try:
                guard(work)
                with unreplaced(work.title, self._workspace.buckets):
                    for samples in self._sound(title, rate_hz):
                        yield title, samples
            except Exception as error:  # noqa: BLE001 - handed on as this title's result
                title.error = error
            yield _Over(title)

    def _sound(self, title: _OpenTitle, rate_hz: int) -> Iterator[Samples]:
        """The title's sound in blocks, as recorded; nothing if it has text of its own, or no sound."""
        present = title.work.title
        info = self._workspace.media_info(present)
        text = read_timed_text(self._workspace, self._reader, present)
        if text.source:
            title.details["left_out"] = f"{HAS_TEXT} ({text.source})"
        elif info.chosen_audio is None:
            title.details["left_out"] = HAS_NO_SOUND
        else:
            spans = _blocks(info.chosen_audio)
            title.start_seconds = spans[0].start_seconds
            settings = AudioSettings(sample_rate_hz=rate_hz, max_shot_seconds=2 * BLOCK_SECONDS)
            blocks = self._reader.audio(present.path, info, spans, settings)
            for span, block in zip(spans, blocks, strict=True):
                num_samples = round(span.end_seconds * rate_hz) - round(span.start_seconds * rate_hz)
                yield block.samples if len(block.samples) else np.zeros(num_samples, np.float32)
            title.details["language"] = self.transcriber.spec.language
            title.details["sound_seconds"] = spans[-1].end_seconds - spans[0].start_seconds
            if blocks.summary is not None and blocks.summary.notes:
                title.details["notes"] = list(blocks.summary.notes)

    def _result(self, title: _OpenTitle, found: Transcribed[str] | None = None) -> StreamResult:
        title_id = title.work.title.title_id
        if title.error is not None:
            return StreamResult(title_id, error=title.error)
        (identity,) = title.work.missing
        try:
            rows = words_table(found.words if found else (), title.start_seconds)
            made = Made.of(self._workspace.store, identity, rows, title.details)
        except Exception as error:  # noqa: BLE001 - this title's result
            return StreamResult(title_id, error=error)
        return StreamResult(title_id, made=(made,))


def read_timed_text(workspace: Workspace, reader: MediaReader, title: PresentTitle) -> TimedText:
    """The title's own timed text; its `source` is "" if it has none that can be read."""
    sidecars = [Sidecar(**{**item, "flags": tuple(item["flags"])}) for item in title.source["sidecars"]]
    return reader.timed_text(title.path, sidecars, workspace.media_info(title), workspace.config.timed_text)


def words_table(words: Iterable[SpokenWord], start_seconds: float) -> pa.Table:
    """Rows of `words`, on the title's own clock.

    Args:
        start_seconds: of the sound's first sample.
    """
    rows = [
        {
            "position": position,
            "start_seconds": start_seconds + word.start_seconds,
            "end_seconds": start_seconds + word.end_seconds,
            "text": word.text,
            "confidence": word.confidence,
        }
        for position, word in enumerate(words)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMAS["words"])


def words_of(table: pa.Table) -> list[SpokenWord]:
    """The words of a `words` table, in order, on the title's own clock."""
    columns = (table.column(name).to_pylist() for name in ("text", "start_seconds", "end_seconds", "confidence"))
    return [SpokenWord(*row) for row in zip(*columns, strict=True)]


def _blocks(stream: AudioStream) -> list[Span]:
    """The sound's time in blocks; a track whose packets have no extent is one short block."""
    start, end = stream.start_seconds, stream.end_seconds
    count = max(1, -int(-(end - start) // BLOCK_SECONDS))
    borders = [start + BLOCK_SECONDS * number for number in range(count)]
    return [
        Span(first, last) for first, last in zip(borders, [*borders[1:], max(end, borders[-1] + 1 / 1000)], strict=True)
    ]
