"""Questions about a root's health, answered from the ledger and the store: what the graph's checks ask.

Each looks at the current values only, reads one title at a time, and answers with counts and the first ten findings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mediafm.errors import MediaFMError
from mediafm.lineage.fingerprint import fingerprint
from mediafm.steps.workspace import Workspace
from mediafm.store.vectors import arrow_to_vectors
from mediafm.store.views import connect

MAX_FINDINGS = 10
TIME_TOLERANCE_SECONDS = 1e-6
DURATION_TOLERANCE_SECONDS = 0.5
"""How long the last frame is shown is told by the decoder or by the packet; odd files let the two differ."""
NORM_TOLERANCE = 2e-3
"""Unit norm as float16 can hold it over a few thousand numbers."""
MAX_TITLES_READ = 200
"""Checks that open files look at this many titles, evenly spread; they say how many they looked at."""
LEAST_CONFIDENCE = 0.8
"""Mean over a title's words, of the transcriber about itself. Our choice, not yet held to
real speech."""
UNIT_NORM_TABLES = ("fused_embeddings", "contextual_embeddings", "title_embeddings")


@dataclass(frozen=True)
class Answer:
    """What a check found.

    findings: the first `MAX_FINDINGS` sentences.
    """

    num_looked_at: int
    num_found: int
    findings: tuple[str, ...]

    @classmethod
    def of(cls, num_looked_at: int, findings: Iterable[str]) -> Answer:
        everything = list(findings)
        return cls(num_looked_at, len(everything), tuple(everything[:MAX_FINDINGS]))


def left_out(workspace: Workspace, asset: str) -> Answer:
    """Titles that are neither `ok` nor merely waiting, nor forgotten on purpose."""
    with connect(workspace.store, tables=()) as connection:
        (total,) = connection.execute("SELECT count(*) FROM title_status").fetchone() or (0,)
        rows = connection.execute(
            "SELECT title_id, state, reason FROM title_status WHERE state NOT IN ('ok', 'waiting', 'forgotten') "
            "ORDER BY title_id"
        ).fetchall()
    return Answer.of(total, (f"{title_id} is {state}: {reason}" for title_id, state, reason in rows))


def span_gaps(workspace: Workspace, asset: str) -> Answer:
    """Spans that do not begin where the one before ends, or do not cover the probed picture of a whole file.

    Spans of titles without media are what the user gave, and may have gaps.
    """
    keys = _current_keys(workspace, "spans")
    return Answer.of(len(keys), [*_gaps(workspace, keys), *_short_cuts(workspace)])


def _gaps(workspace: Workspace, keys: Mapping[str, str]) -> Iterator[str]:
    given = {title.title_id for title in workspace.titles(list(keys)) if title.is_imported}
    for title_id, key in keys.items():
        try:
            table = workspace.store.read(key, ["start_seconds", "end_seconds"])
        except MediaFMError as error:
            yield f"{title_id}: {error}"
            continue
        starts, ends = (table.column(name).to_numpy() for name in ("start_seconds", "end_seconds"))
        if title_id in given:
            continue
        if not len(starts):
            yield f"{title_id} has no shot"
        elif (ends <= starts).any():
            yield f"{title_id}: shot {int((ends <= starts).argmax())} ends before it begins"
        elif np.abs(starts[1:] - ends[:-1]).max(initial=0.0) > TIME_TOLERANCE_SECONDS:
            shot = int(np.abs(starts[1:] - ends[:-1]).argmax()) + 1
            yield f"{title_id}: shot {shot} starts at {starts[shot]:.3f} s, {shot - 1} ends at {ends[shot - 1]:.3f} s"


def _short_cuts(workspace: Workspace) -> list[str]:
    """Titles read without a fault whose shots together last otherwise than the picture that was probed."""
    with connect(workspace.store, tables=()) as connection:
        rows = connection.execute(
            "SELECT s.title_id, (s.details ->> 'duration_seconds')::DOUBLE AS cut, "
            "(t.details ->> 'duration_seconds')::DOUBLE AS probed "
            "FROM current s JOIN current t USING (title_id) WHERE s.table_name = 'spans' AND t.table_name = 'titles' "
            "AND (s.details ->> 'is_complete') = 'true' AND (s.details ->> 'num_decode_errors') = '0' "
            "AND abs(cut - probed) > $tolerance ORDER BY s.title_id",
            {"tolerance": DURATION_TOLERANCE_SECONDS},
        ).fetchall()
    return [f"{title_id}: its shots last {cut:.3f} s, its picture {probed:.3f} s" for title_id, cut, probed in rows]


def count_mismatches(workspace: Workspace, asset: str) -> Answer:
    """Tables that have another number of rows than the title has shots."""
    per_shot = [f"{modality}_embeddings" for modality in ("video", "audio", "text", "fused")]
    with connect(workspace.store, tables=()) as connection:
        (total,) = connection.execute("SELECT count(*) FROM current WHERE table_name = 'spans'").fetchone() or (0,)
        rows = connection.execute(
            "SELECT s.title_id, c.table_name, c.num_rows, s.num_rows FROM current s JOIN current c USING (title_id) "
            "WHERE s.table_name = 'spans' AND list_contains($tables, c.table_name) AND c.num_rows <> s.num_rows",
            {"tables": per_shot},
        ).fetchall()
    return Answer.of(
        total, (f"{title}: {table} has {found} rows for {shots} shots" for title, table, found, shots in rows)
    )


def unsound_vectors(workspace: Workspace, asset: str) -> Answer:
    """Vectors that are not finite, or not of unit norm where they must be."""
    keys = _current_keys(workspace, asset)
    return Answer.of(len(keys), _unsound(workspace, asset, keys))


def _unsound(workspace: Workspace, table: str, keys: Mapping[str, str]) -> Iterator[str]:
    for title_id, key in keys.items():
        try:
            rows = workspace.store.read(key, ["vector"])
        except MediaFMError as error:
            yield f"{title_id}: {error}"
            continue
        vectors, is_present = arrow_to_vectors(rows.column("vector"))
        present = vectors[is_present]
        if not np.isfinite(present).all():
            yield f"{title_id}: a vector is not finite"
        elif table in UNIT_NORM_TABLES and len(present):
            furthest = float(np.abs(np.linalg.norm(present, axis=1) - 1).max())
            if furthest > NORM_TOLERANCE:
                yield f"{title_id}: a norm is {furthest:.4f} away from 1"


def unsure_words(workspace: Workspace, asset: str) -> Answer:
    """Titles whose words were written down by a transcriber that is not sure of them: another language, music, noise.

    Its confidence says nothing of how often it is right: also a title that is not found here has no captions.
    """
    with connect(workspace.store, tables=()) as connection:
        rows = connection.execute(
            "SELECT title_id, num_rows, (details ->> 'mean_confidence')::DOUBLE AS confidence FROM current "
            "WHERE table_name = 'words' AND num_rows > 0 ORDER BY title_id"
        ).fetchall()
    return Answer.of(
        len(rows),
        (
            f"{title_id}: its {count} transcribed words have a mean confidence of {confidence:.2f}"
            for title_id, count, confidence in rows
            if confidence < LEAST_CONFIDENCE
        ),
    )


def inconsistent_lineage(workspace: Workspace, asset: str) -> Answer:
    """Values of which ledger, file and header do not say the same."""
    keys = _current_keys(workspace, asset)
    return Answer.of(len(keys), _inconsistent(workspace, asset, keys))


def _inconsistent(workspace: Workspace, asset: str, keys: Mapping[str, str]) -> Iterator[str]:
    with connect(workspace.store, tables=()) as connection:
        recorded = {
            key: (fingerprint_, sha256, size_bytes)
            for key, fingerprint_, sha256, size_bytes in connection.execute(
                "SELECT object_key, fingerprint, sha256, size_bytes FROM current WHERE table_name = $table",
                {"table": asset},
            ).fetchall()
        }
    for title_id, key in keys.items():
        expected, sha256, size_bytes = recorded[key]
        try:
            workspace.store.verify_bytes(key, sha256, size_bytes)
            header = workspace.store.header(key)
        except MediaFMError as error:
            yield f"{title_id}: {error}"
            continue
        if fingerprint(header) != expected:
            yield f"{title_id}: the header of {key} is not what the ledger's fingerprint covers"


def _current_keys(workspace: Workspace, table: str) -> dict[str, str]:
    """Title -> object key of its current value, for at most `MAX_TITLES_READ` titles spread over the catalogue."""
    with connect(workspace.store, tables=()) as connection:
        rows = connection.execute(
            "SELECT title_id, object_key FROM current WHERE table_name = $table ORDER BY title_id", {"table": table}
        ).fetchall()
    every = max(1, -(-len(rows) // MAX_TITLES_READ))
    return dict(rows[::every])


QUESTIONS: Mapping[str, Callable[[Workspace, str], Answer]] = {
    "left_out": left_out,
    "span_gaps": span_gaps,
    "count_mismatches": count_mismatches,
    "vectors": unsound_vectors,
    "lineage": inconsistent_lineage,
    "unsure_words": unsure_words,
}
"""What a check may ask, by name."""
