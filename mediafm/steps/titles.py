"""The step that takes titles in: probes each file, hashes what later steps depend on, or sets the file aside.

A file is seen as unchanged by its size and time, its sidecars' sizes and times, its metadata and the versions of the
step and the decoder: then it is not opened again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from mediafm.catalog.title import CatalogTitle
from mediafm.errors import MediaFMError, UnusableMediaError
from mediafm.extract.reader import MediaReader
from mediafm.lineage.fingerprint import Identity, canonical_json, fingerprint
from mediafm.lineage.records import FIRST_GENERATION, LedgerRecord
from mediafm.lineage.tables import TABLES
from mediafm.media.info import MediaInfo
from mediafm.s3.buckets import Buckets
from mediafm.s3.place import is_s3
from mediafm.s3.reading import ObjectInfo
from mediafm.steps.history import decoder_version
from mediafm.steps.listed_files import file_as_listed, files_as_listed
from mediafm.steps.outcome import StepReport, TitleOutcome, format_trace
from mediafm.steps.present import PresentTitle
from mediafm.steps.unreplaced import unchanged
from mediafm.steps.workspace import Workspace
from mediafm.store.schemas import SCHEMAS
from mediafm.store.tombstones import DenyList, Tombstone, deny_list, forgotten_record
from mediafm.types import Json, TitleState

ASSET = "raw_titles"


@dataclass(frozen=True)
class Probed:
    """What a title's bytes are: the values that later identities are made of."""

    info: MediaInfo
    facets: Mapping[str, str]


def is_unchanged(workspace: Workspace, title: CatalogTitle, present: PresentTitle | None) -> bool:
    """True if nothing about the title moved since its record was made, so that there is nothing to do."""
    if present is None or workspace.is_forced:
        return False
    if present.state is TitleState.QUARANTINED and workspace.retries_quarantined:
        return False
    if present.state is TitleState.FORGOTTEN:
        denied = deny_list(workspace.store)
        return denied.by_title(title.title_id) is not None or (
            denied.by_media(present.media_sha256) is not None and present.source.get("signature") == signature(title)
        )
    if present.state not in (TitleState.OK, TitleState.QUARANTINED):
        return False
    if present.state is TitleState.OK and not workspace.store.files.exists(present.object_key):
        return False
    return present.source.get("signature") == signature(title)


def take_in(workspace: Workspace, titles: Sequence[CatalogTitle], vanished: Sequence[str] = ()) -> StepReport:
    """Probes the titles that changed; records each, with its state.

    Args:
        titles: as the catalogue lists them now.
        vanished: ids that were asked for and that no catalogue lists; imported titles among them are there all the
            same, as they came with their vectors and no catalogue.
    """
    workspace.point_producers()
    present = {title.title_id: title for title in workspace.titles([*(one.title_id for one in titles), *vanished])}
    outcomes = {title_id: _unlisted(workspace, present.get(title_id), title_id) for title_id in vanished}
    denied = deny_list(workspace.store)
    todo = []
    for title in titles:
        before = present.get(title.title_id)
        if (tombstone := denied.by_title(title.title_id)) is not None:
            outcomes[title.title_id] = _refuse_forgotten(workspace, before, tombstone)
        elif before is not None and is_unchanged(workspace, title, before):
            outcomes[title.title_id] = TitleOutcome(
                title_id=title.title_id, state=before.state, reason=before.reason, rows={"titles": 1}
            )
        else:
            todo.append(title)
    if todo:
        workspace.progress.begin(ASSET, len(todo))
        try:
            with MediaReader(workspace.config.limits, buckets=workspace.buckets) as reader:
                for title in todo:
                    before = present.get(title.title_id)
                    outcomes[title.title_id] = _take_in_one(workspace, reader, title, before, denied)
                    workspace.progress.advance(title.title_id)
        finally:
            workspace.progress.end()
    order = [*(title.title_id for title in titles), *vanished]
    return StepReport(ASSET, tuple(outcomes[title_id] for title_id in order))


def signature(title: CatalogTitle) -> str:
    """Moves when the title's file, its sidecars, its metadata, the step or the decoder do. Reads no media."""
    return fingerprint(
        {
            **file_as_listed(title),
            "sidecars": [sidecar.as_json() for sidecar in title.sidecars],
            "metadata": title.metadata.as_json(),
            "group_id": title.group_id,
            "step_version": TABLES["titles"].step_version,
            "decoder_version": decoder_version(),
        }
    )


def _take_in_one(
    workspace: Workspace, reader: MediaReader, title: CatalogTitle, before: PresentTitle | None, denied: DenyList
) -> TitleOutcome:
    started = time.monotonic()
    generation = before.generation + 1 if before else FIRST_GENERATION
    try:
        with unchanged(title.title_id, files_as_listed(title), workspace.buckets):
            probed = _probe(reader, title, workspace.buckets)
    except UnusableMediaError as error:
        return _set_aside(workspace, title, generation, TitleState.QUARANTINED, str(error))
    except MediaFMError as error:
        return _set_aside(workspace, title, generation, TitleState.FAILED, str(error))
    except OSError as error:
        reason = f"{title.title_id}: {error}; the file could not be read. Check that it is there and readable."
        return _set_aside(workspace, title, generation, TitleState.FAILED, reason)
    except Exception as error:  # noqa: BLE001 - as in the runner: a fault of ours is one title's failure
        reason = f"{title.title_id}: {type(error).__name__}: {error}; this is a fault of the program"
        return _set_aside(workspace, title, generation, TitleState.FAILED, reason, trace=format_trace(error))
    if (tombstone := denied.by_media(probed.info.media_sha256)) is not None:
        reason = f"{title.title_id}: its media is that of a forgotten title; {tombstone.sentence}"
        return _set_aside(workspace, title, generation, TitleState.FORGOTTEN, reason, probed.info.media_sha256)
    if before is not None and before.object_key:
        workspace.discard_if_damaged(before.object_key, before.sha256)
    identity = Identity(
        table="titles",
        title_id=title.title_id,
        producer=workspace.producers["titles"],
        inputs={"media": probed.info.media_sha256, **probed.facets},
    )
    stored = workspace.store.write(identity, _row(title, probed))
    workspace.ledger.add(
        LedgerRecord.of(
            identity,
            facets=probed.facets,
            object_key=stored.key,
            sha256=stored.sha256,
            size_bytes=stored.size_bytes,
            num_rows=1,
            generation=generation,
            step_version=TABLES["titles"].step_version,
            seconds=time.monotonic() - started,
            media_sha256=probed.info.media_sha256,
            is_forced=workspace.is_forced,
            details={**_details(title), **_told(probed.info)},
        )
    )
    return TitleOutcome(title_id=title.title_id, state=TitleState.OK, was_made=True, rows={"titles": 1})


def _probe(reader: MediaReader, title: CatalogTitle, buckets: Buckets) -> Probed:
    if is_s3(title.uri):
        reader.look(title.uri)  # what its head tells against it spares the download
    info = reader.probe(title.uri)
    sidecars: list[Json] = [
        {"sha256": _sha256_of(item.path, buckets), "suffix": Path(item.path).suffix.lower(), "language": item.language}
        for item in title.sidecars
    ]
    facets = {
        "video": info.video_sha256,
        "audio": info.audio_sha256,
        "text": fingerprint({"sidecars": sidecars, "embedded": info.subtitles_sha256}),
        "metadata": fingerprint(title.metadata.as_json()),
    }
    return Probed(info, facets)


def _row(title: CatalogTitle, probed: Probed) -> pa.Table:
    sidecars: list[Json] = [
        {"suffix": Path(item.path).suffix.lower(), "language": item.language} for item in title.sidecars
    ]
    row = {
        "title_id": title.title_id,
        "info_json": canonical_json(probed.info.as_json()),
        "metadata_json": canonical_json(title.metadata.as_json()),
        "sidecars_json": canonical_json(sidecars),
        "group_id": title.group_id,
        **{f"facet_{name}": value for name, value in probed.facets.items()},
    }
    return pa.Table.from_pylist([row], schema=SCHEMAS["titles"])


def _told(info: MediaInfo) -> dict[str, Json]:
    return {"duration_seconds": info.duration_seconds, "notes": list(info.notes)}


def _details(title: CatalogTitle) -> dict[str, Json]:
    return {
        "source": {
            **file_as_listed(title),
            "sidecars": [item.as_json() for item in title.sidecars],
            "signature": signature(title),
        },
        "group_id": title.group_id,
        "decoder_version": decoder_version(),
    }


def _set_aside(
    workspace: Workspace,
    title: CatalogTitle,
    generation: int,
    state: TitleState,
    reason: str,
    media_sha256: str = "",
    *,
    trace: str = "",
) -> TitleOutcome:
    workspace.ledger.add(
        LedgerRecord(
            asset=ASSET,
            table="titles",
            title_id=title.title_id,
            state=state,
            reason=reason,
            generation=generation,
            step_version=TABLES["titles"].step_version,
            media_sha256=media_sha256 or _sha256_or_nothing(title, workspace.buckets),
            is_forced=workspace.is_forced,
            details={**_details(title), "trace": trace},
        )
    )
    return TitleOutcome(title_id=title.title_id, state=state, reason=reason, was_made=True)


def _unlisted(workspace: Workspace, before: PresentTitle | None, title_id: str) -> TitleOutcome:
    """What becomes of a title that no catalogue lists."""
    if before is not None and before.state is TitleState.FORGOTTEN:
        return TitleOutcome(title_id=title_id, state=TitleState.FORGOTTEN, reason=before.reason)
    if before is None or not before.is_imported or before.state is not TitleState.OK:
        return _record_vanished(workspace, before, title_id)
    if workspace.store.files.exists(before.object_key):
        return TitleOutcome(title_id=title_id, state=TitleState.OK, rows={"titles": 1})
    reason = f"{title_id}: its record {before.object_key} is gone; import its file {before.source.get('file')!r} again"
    return TitleOutcome(title_id=title_id, state=TitleState.FAILED, reason=reason)


def _refuse_forgotten(workspace: Workspace, before: PresentTitle | None, tombstone: Tombstone) -> TitleOutcome:
    """A title that was forgotten is not opened; the ledger says so, whatever happened to its rows."""
    title_id = tombstone.title_id
    if before is None or before.state is not TitleState.FORGOTTEN:
        generation = before.generation + 1 if before else FIRST_GENERATION
        workspace.ledger.add(forgotten_record(tombstone, generation))
    return TitleOutcome(title_id=title_id, state=TitleState.FORGOTTEN, reason=tombstone.sentence)


def _record_vanished(workspace: Workspace, before: PresentTitle | None, title_id: str) -> TitleOutcome:
    reason = f"{title_id}: no catalogue of this root lists it any more"
    if before is None or before.state is not TitleState.VANISHED:
        workspace.ledger.add(
            LedgerRecord(
                asset=ASSET,
                table="titles",
                title_id=title_id,
                state=TitleState.VANISHED,
                reason=reason,
                generation=before.generation + 1 if before else FIRST_GENERATION,
            )
        )
    return TitleOutcome(title_id=title_id, state=TitleState.VANISHED, reason=reason)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256_of(path: str, buckets: Buckets) -> str:
    with buckets.held(path) as here:
        return _sha256(here)


def _sha256_or_nothing(title: CatalogTitle, buckets: Buckets) -> str:
    """The checksum of a file that was set aside; "" if it cannot be read, as its reason then says, or lies in a bucket
    and was not fetched: then its ETag stands in the record."""
    path: Path | None = Path(title.uri)
    if is_s3(title.uri):
        info = ObjectInfo(size_bytes=title.size_bytes, etag=title.version, modified_ns=title.modified_ns)
        path = buckets.copy(title.uri, info)
    try:
        return _sha256(path) if path is not None else ""
    except OSError:
        return ""
