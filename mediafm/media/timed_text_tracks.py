"""Which of a title's tracks is its timed text, and reading it.

The order (our choice): full tracks before forced ones and commentaries, which hold a few lines only; then by
language as `TimedTextSettings.languages` prefers, then tracks without a language, then any other; within a language
a sidecar before an embedded track (somebody put it there, and it can be corrected); then the track that the file
marks as default; then by name or index. Tracks of pictures are never chosen.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mediafm.config import MediaLimits, TimedTextSettings
from mediafm.errors import CatalogError, InterruptedMediaError, MediaFMError, TransientError
from mediafm.languages import normalize_language, preference_rank
from mediafm.media.remote import MediaSource
from mediafm.media.timed_text import parse_timed_text
from mediafm.media.timed_text_cue import Cue, ParsedText, Source, TimedText
from mediafm.media.timed_text_embedded import PICTURE_PROBLEM, read_embedded

PARTIAL_FLAGS = frozenset({"forced", "foreign", "commentary"})
"""Flags in a sidecar's name that mean: not the whole dialogue."""


class SidecarFile(Protocol):
    """What is asked of a sidecar; `mediafm.catalog.title.Sidecar` is one."""

    @property
    def path(self) -> str: ...
    @property
    def language(self) -> str | None: ...
    @property
    def flags(self) -> tuple[str, ...]: ...


class SubtitleTrack(Protocol):
    """What is asked of an embedded track; `mediafm.media.info.SubtitleStream` is one."""

    @property
    def index(self) -> int: ...
    @property
    def language(self) -> str | None: ...
    @property
    def is_bitmap(self) -> bool: ...
    @property
    def is_default(self) -> bool: ...
    @property
    def is_forced(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class TrackChoice:
    """One track that may be read: a sidecar by `path`, or an embedded one by `stream_index`."""

    source: Source
    path: str | None
    stream_index: int | None
    language: str | None

    @property
    def name(self) -> str:
        """What people and tables see: the sidecar's file name, or "stream N"."""
        return os.path.basename(self.path) if self.path is not None else f"stream {self.stream_index}"


def rank_tracks(
    sidecars: Sequence[SidecarFile], subtitle_streams: Sequence[SubtitleTrack], languages: tuple[str, ...]
) -> tuple[TrackChoice, ...]:
    """Every readable track, the one to choose first."""
    ranked: list[tuple[tuple[object, ...], TrackChoice]] = []
    for sidecar in sidecars:
        language = normalize_language(sidecar.language)
        is_partial = bool(PARTIAL_FLAGS & set(sidecar.flags))
        key = (is_partial, preference_rank(language, languages), 0, False, len(sidecar.flags), sidecar.path)
        ranked.append((key, TrackChoice("sidecar", sidecar.path, None, language)))
    for stream in subtitle_streams:
        language = normalize_language(stream.language)
        key = (stream.is_forced, preference_rank(language, languages), 1, not stream.is_default, stream.index, "")
        if not stream.is_bitmap:
            ranked.append((key, TrackChoice("embedded", None, stream.index, language)))
    return tuple(choice for _, choice in sorted(ranked, key=lambda item: item[0]))


def choose_track(
    sidecars: Sequence[SidecarFile], subtitle_streams: Sequence[SubtitleTrack], languages: tuple[str, ...]
) -> TrackChoice | None:
    """The first of `rank_tracks`; None where a title has no readable track."""
    return next(iter(rank_tracks(sidecars, subtitle_streams, languages)), None)


def read_timed_text(
    path: MediaSource | None,
    sidecars: Sequence[SidecarFile],
    subtitle_streams: Sequence[SubtitleTrack],
    settings: TimedTextSettings,
    limits: MediaLimits,
    start_seconds: float = 0.0,
    places: Mapping[str, str] | None = None,
) -> TimedText:
    """The timed text of a title: of the first track in order that can be read and holds a cue.

    A track that cannot be read is a problem of the title's text, never of the title.

    Args:
        path: the media file, for embedded tracks; None reads sidecars only.
        sidecars, subtitle_streams: the tracks there are.
        settings: languages in order of preference; whether hearing-impaired cues are kept.
        limits: bounds on sizes and cues.
        start_seconds: where the file's own times begin; a sidecar's times count from there.
        places: where sidecars are read that do not lie at their own paths: copies of what is in a bucket.

    Raises:
        TransientError, InterruptedMediaError: reading failed in a way that may pass; it must not look like "no text".
    """
    problems: list[str] = []
    if any(stream.is_bitmap for stream in subtitle_streams):
        problems.append(f"embedded track: {PICTURE_PROBLEM}")
    for choice in rank_tracks(sidecars, subtitle_streams if path is not None else (), settings.languages):
        try:
            parsed = _read(choice, path or "", limits, places or {})
        except (TransientError, InterruptedMediaError):
            raise
        except MediaFMError as error:
            problems.append(f"{choice.name}: {error.seen}; {error.rule}")
            continue
        problems += (f"{choice.name}: {problem}" for problem in parsed.problems)
        if parsed.cues:
            offset = start_seconds if choice.source == "sidecar" else 0.0
            cues = tuple(
                _moved(cue, offset)
                for cue in parsed.cues
                if settings.keep_hearing_impaired or not cue.is_hearing_impaired
            )
            return TimedText(cues, choice.name, parsed.cues[0].language, tuple(problems))
    return TimedText((), "", None, tuple(problems))


def read_sidecar(path: str, limits: MediaLimits, language: str | None = None) -> ParsedText:
    """The cues of one sidecar file; not more of it than the limits allow is read.

    Raises:
        CatalogError: it is not there or may not be read, or as `parse_timed_text` says.
        TransientError: reading it failed (a network share, a disk).
    """
    name = os.path.basename(path)
    try:
        with open(path, "rb") as file:
            data = file.read(limits.max_sidecar_bytes + 1)
    except (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError, ValueError) as error:
        raise CatalogError(
            f"cannot be read ({error})", rule="a sidecar is a readable file", where=name, remedy="Check the file."
        ) from error
    except OSError as error:
        raise TransientError(
            f"reading it failed ({error})", rule="a sidecar is a readable file", where=name, remedy="Try again."
        ) from error
    return parse_timed_text(data, os.path.splitext(path)[1], limits, language, name)


def _read(choice: TrackChoice, path: MediaSource, limits: MediaLimits, places: Mapping[str, str]) -> ParsedText:
    if choice.path is not None:
        return read_sidecar(places.get(choice.path, choice.path), limits, choice.language)
    return read_embedded(path, choice.stream_index or 0, limits)


def _moved(cue: Cue, offset_seconds: float) -> Cue:
    if offset_seconds == 0.0:
        return cue
    return Cue(
        start_seconds=cue.start_seconds + offset_seconds,
        end_seconds=cue.end_seconds + offset_seconds,
        text=cue.text,
        is_hearing_impaired=cue.is_hearing_impaired,
        language=cue.language,
        source=cue.source,
    )
