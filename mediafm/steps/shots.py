"""The step that cuts a title: spans, kept frames and timed text by shot, each with its own identity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from mediafm.errors import UnusableMediaError
from mediafm.extract.carriers import CutShot
from mediafm.lineage.fingerprint import Identity
from mediafm.media.timed_text import TimedText, assign_cues
from mediafm.shots.registry import placed
from mediafm.steps.device import resolve_device
from mediafm.steps.media_step import MediaStep
from mediafm.steps.present import PresentTitle
from mediafm.steps.rows import spans_of
from mediafm.steps.spoken_cues import spoken_cues
from mediafm.steps.step import Made, TitleStep
from mediafm.steps.transcripts import TranscriptsStep, read_timed_text, words_of
from mediafm.steps.unreplaced import unreplaced
from mediafm.steps.workspace import Workspace
from mediafm.store.schemas import SCHEMAS
from mediafm.types import Json, Shot

FRAME_ROWS_AT_ONCE = 256
"""Kept frames are written in row groups of this size: a long film never stands in memory whole."""


class ShotsStep(MediaStep):
    """Cuts titles in one decode each; a title whose timed text alone changed is not decoded again."""

    asset = "shots"
    tables = ("spans", "frames", "cues")

    def make(self, title: PresentTitle, missing: Sequence[Identity]) -> list[Made]:
        wanted = {identity.table: identity for identity in missing}
        made: list[Made] = []
        if {"spans", "frames"} & set(wanted):
            made += self._cut(title)
        if "cues" in wanted:
            made.append(self._read_cues(title, wanted["cues"]))
        return made

    def _cut(self, title: PresentTitle) -> list[Made]:
        """One decode: frames stream into their file while spans gather; both are published, frames first.

        A title with frames but no spans does not exist: spans are what makes the cut count.
        """
        spans, frames = title.chain.identity("spans"), title.chain.identity("frames")
        store = self._workspace.store
        shots: list[Shot] = []
        info, profile = self._workspace.media_info(title), self._workspace.profile
        detector = placed(profile.detector, self._device)
        cuts = self._reader.cut(title.path, info, detector, self._workspace.config.frames)
        with store.open_writer(frames, SCHEMAS["frames"]) as writer, unreplaced(title, self._workspace.buckets):
            for rows in _frame_tables(self._bounded(title, cuts, shots)):
                writer.write(rows)
        if writer.stored is None:
            raise UnusableMediaError("no frames", rule="a cut title has frames", where=title.title_id)
        table = pa.table(
            {
                "shot_index": [shot.index for shot in shots],
                "start_seconds": [shot.span.start_seconds for shot in shots],
                "end_seconds": [shot.span.end_seconds for shot in shots],
                "start_frame": [shot.start_frame for shot in shots],
                "end_frame": [shot.end_frame for shot in shots],
            },
            schema=SCHEMAS["spans"],
        )
        details: dict[str, Json] = {"is_complete": info.is_complete}
        if cuts.summary is not None:
            details |= {"num_decode_errors": cuts.summary.num_errors, "notes": list(cuts.summary.notes)}
        return [Made(frames, writer.stored), Made.of(store, spans, table, details)]

    def _device(self) -> str:
        return resolve_device(self._workspace.config.device, self._workspace.gpu_memory_fraction)

    def _bounded(self, title: PresentTitle, cuts: Iterable[CutShot], shots: list[Shot]) -> Iterator[CutShot]:
        """Passes cuts on and notes their shots; a title beyond the limit is set aside."""
        limit = self._workspace.config.limits.max_shots
        for cut in cuts:
            if len(shots) >= limit:
                raise UnusableMediaError(
                    f"more than {limit} shots",
                    rule="limits.max_shots bounds the shots of a title",
                    where=title.title_id,
                    remedy="Raise the limit and `mediafm retry`, or look whether the detector suits this title.",
                )
            shots.append(cut.shot)
            yield cut

    def _read_cues(self, title: PresentTitle, identity: Identity) -> Made:
        store = self._workspace.store
        with unreplaced(title, self._workspace.buckets):
            own_text = read_timed_text(self._workspace, self._reader, title)
        text = self._spoken(title, identity, own_text)
        spans = spans_of(store.read(title.chain.identity("spans")))
        assignment = assign_cues(text.cues, spans)
        rows = [
            {
                "shot_index": shot_index,
                "start_seconds": cue.start_seconds,
                "end_seconds": cue.end_seconds,
                "text": cue.text,
                "language": cue.language,
                "source": cue.source,
                "is_hearing_impaired": cue.is_hearing_impaired,
                "confidence": cue.confidence,
            }
            for shot_index, cue in assignment.assigned
        ]
        for position, row in enumerate(rows):
            row["position"] = position
        outside = f"none of {assignment.num_outside} cues falls into the picture's time"
        problems = [*([outside] if assignment.num_outside and not rows else []), *text.problems]
        details: dict[str, Json] = {
            "num_cues_outside": assignment.num_outside,
            "source": text.source,
            "language": text.language,
            "problems": problems[:10],
        }
        return Made.of(store, identity, pa.Table.from_pylist(rows, schema=SCHEMAS["cues"]), details)

    def _spoken(self, title: PresentTitle, identity: Identity, text: TimedText) -> TimedText:
        """The title's own text; where it has none and its words were written down, those as cues."""
        choice = self._workspace.profile.transcriber
        if text.source or choice is None or "words" not in identity.inputs:
            return text
        words = title.chain.identity("words")
        spec: Any = words.producer["transcriber"]
        spoken = words_of(self._workspace.store.read(words))
        cues = tuple(spoken_cues(spoken, choice.cues, spec["language"], spec["joiner"]))
        return replace(text, cues=cues, source="asr", language=spec["language"]) if cues else text


def shots_steps(workspace: Workspace) -> list[TitleStep]:
    """What takes titles to their shots and text, in order."""
    return [*([TranscriptsStep(workspace)] if workspace.profile.transcriber else []), ShotsStep(workspace)]


def _frame_tables(cuts: Iterator[CutShot]) -> Iterator[pa.Table]:
    rows: list[dict[str, object]] = []
    for cut in cuts:
        rows += [
            {
                "shot_index": cut.shot.index,
                "position": position,
                "frame_index": frame.frame_index,
                "time_seconds": frame.time_seconds,
                "width_px": frame.width_px,
                "height_px": frame.height_px,
                "jpeg": frame.jpeg,
            }
            for position, frame in enumerate(cut.frames)
        ]
        if len(rows) >= FRAME_ROWS_AT_ONCE:
            yield pa.Table.from_pylist(rows, schema=SCHEMAS["frames"])
            rows = []
    if rows:
        yield pa.Table.from_pylist(rows, schema=SCHEMAS["frames"])
