"""How an imported title is written: its values with their ledger rows, and the raw record of one without media."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from mediafm.catalog.title import TitleMetadata
from mediafm.data.import_files import ImportFile
from mediafm.data.import_titles import ImportedTitle
from mediafm.encoders.given import IMPORTED
from mediafm.errors import CatalogError, ConfigError
from mediafm.lineage.chain import TitleChain
from mediafm.lineage.fingerprint import Identity, canonical_json, fingerprint
from mediafm.lineage.records import FIRST_GENERATION, LedgerRecord
from mediafm.lineage.tables import TABLES
from mediafm.shots.given import GIVEN
from mediafm.steps.history import StepHistory
from mediafm.steps.import_content import ImportedContent, StoredVectors, merged, stored_content
from mediafm.steps.present import IMPORTED_SOURCE, PresentTitle
from mediafm.steps.step import Made
from mediafm.steps.workspace import Workspace
from mediafm.store.schemas import SCHEMAS
from mediafm.store.vectors import vectors_to_arrow
from mediafm.types import Json, Modality, TitleState

SPAN_TOLERANCE_SECONDS = 0.1
"""How far a span that a file names may lie from the shot of the root: about two frames. Our choice."""
WRITTEN = (
    "spans",
    "frames",
    "words",
    "cues",
    "metadata_embeddings",
    *(f"{modality}_embeddings" for modality in Modality),
)


@dataclass(frozen=True)
class ImportDesk:
    """What writing imported titles needs.

    history: of the tables `WRITTEN`, about the titles at hand.
    """

    workspace: Workspace
    file: ImportFile
    history: StepHistory

    def write(self, identity: Identity, table: pa.Table, media_sha256: str) -> bool:
        """Writes a value with its ledger row; False if both were there."""
        workspace, done = self.workspace, self.history.done(identity)
        if done is not None:
            workspace.discard_if_damaged(done.object_key, done.sha256)
        is_there = workspace.store.has(identity)
        if is_there and done is not None:
            return False
        made = Made.of(workspace.store, identity, table, {"imported_from": self.source()})
        record = LedgerRecord.of(
            identity,
            object_key=made.stored.key,
            sha256=made.stored.sha256,
            size_bytes=made.stored.size_bytes,
            num_rows=made.stored.num_rows,
            generation=self.history.next_generation(identity),
            step_version=TABLES[identity.table].step_version,
            media_sha256=media_sha256,
            is_forced=workspace.is_forced,
            details=made.details,
        )
        self.history.add(workspace.ledger.add(record))
        return True

    def source(self) -> dict[str, Json]:
        """Where the values come from."""
        return {"file": self.file.path.name, "sha256": self.file.sha256}

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Those whose vectors the profile imports."""
        return tuple(each for each in Modality if self.workspace.profile.encoder(each).name == IMPORTED)


def take_with_media(desk: ImportDesk, title: ImportedTitle, before: PresentTitle) -> bool:
    """The vectors as values of a title whose shots were cut from media."""
    _require_same_shots(desk.workspace, title, before)
    identities = {each: before.chain.identity(f"{each}_embeddings") for each in title.vectors}
    tables = {each: StoredVectors.of(title.vectors[each], title.is_present[each]).table() for each in title.vectors}
    for modality, identity in identities.items():
        if desk.workspace.store.has(identity) and not desk.workspace.store.read(identity).equals(tables[modality]):
            raise CatalogError(
                f"other {modality} vectors than those that were imported before",
                rule="two sets of vectors under one name are not one space",
                where=f"title {title.name}",
                remedy="Give these another feature_set in the profile.",
            )
    written = [desk.write(identity, tables[each], before.media_sha256) for each, identity in identities.items()]
    if Modality.TEXT in title.vectors:
        written.append(_write_no_metadata(desk, before.chain, before.media_sha256))
    return any(written)


def _require_same_shots(workspace: Workspace, title: ImportedTitle, before: PresentTitle) -> None:
    where, spans = f"title {title.name}", before.chain.identity("spans")
    if not workspace.store.has(spans):
        raise CatalogError(
            "its shots are not cut yet",
            rule="vectors are matched with the shots of the profile's detector",
            where=where,
            remedy="`mediafm run CATALOG` with this profile first.",
        )
    rows = workspace.store.read(spans)
    if rows.num_rows != title.num_shots:
        raise CatalogError(
            f"{title.num_shots} vectors",
            rule=f"the title has {rows.num_rows} shots, and each has one row",
            where=where,
            remedy="`mediafm sql 'SELECT * FROM shots'` shows them; a shot without a vector has a row of null.",
        )
    for name, given in (("start_seconds", title.start_seconds), ("end_seconds", title.end_seconds)):
        far = np.nan_to_num(np.abs(rows.column(name).to_numpy() - given)) > SPAN_TOLERANCE_SECONDS
        if far.any():
            shot = int(np.argmax(far))
            raise CatalogError(
                f"shot {shot} has {name} {given[shot]:.3f}",
                rule=f"the root's shot has {rows.column(name)[shot].as_py():.3f}, and they agree within "
                f"{SPAN_TOLERANCE_SECONDS} s",
                where=where,
                remedy="Take the shots from this root: `mediafm export`, or `mediafm sql`.",
            )


def take_without_media(desk: ImportDesk, title: ImportedTitle, before: PresentTitle | None) -> bool:
    """The title made of what the file says of it; False if that was known."""
    workspace = desk.workspace
    if workspace.profile.detector.name != GIVEN:
        raise ConfigError(
            f"no media of this title, and the detector {workspace.profile.detector.name!r}",
            rule=f"titles without media need a profile whose detector is {GIVEN!r}",
            where=f"title {title.name}",
            remedy="`--write-profile FILE` writes one; or run the catalogue that lists the title first.",
        )
    is_ok = before is not None and before.state is TitleState.OK
    old = stored_content(workspace.store, before.chain, desk.modalities) if before is not None and is_ok else None
    content = merged(title, old)
    facets = content.facets()
    chain = TitleChain(title.title_id, facets, workspace.producers)
    media = fingerprint({"imported": facets})
    written = [
        desk.write(chain.identity(table), rows, media)
        for table, rows in content.tables().items()
        if table in workspace.producers
    ]
    if workspace.profile.text.name == IMPORTED:
        written.append(_write_no_metadata(desk, chain, media))
    group_id = before.group_id if before is not None and is_ok and title.group_id == title.title_id else title.group_id
    is_known = before is not None and is_ok and before.facets == facets and before.group_id == group_id
    if not is_known or (before is not None and not workspace.store.files.exists(before.object_key)):
        generation = before.generation + 1 if before else FIRST_GENERATION
        _write_title(desk, title, content, facets, media, group_id, generation)
        return True
    return any(written)


def _write_title(
    desk: ImportDesk,
    title: ImportedTitle,
    content: ImportedContent,
    facets: Mapping[str, str],
    media_sha256: str,
    group_id: str,
    generation: int,
) -> None:
    """The raw record of a title without media; written last, so that it never speaks of values that are not there."""
    workspace = desk.workspace
    identity = Identity(
        table="titles",
        title_id=title.title_id,
        producer=workspace.producers["titles"],
        inputs={"media": media_sha256, **facets},
    )
    row = {
        "title_id": title.title_id,
        "info_json": content.info_json(title.name),
        "metadata_json": canonical_json(TitleMetadata().as_json()),
        "sidecars_json": canonical_json([]),
        "group_id": group_id,
        **{f"facet_{name}": value for name, value in facets.items()},
    }
    stored = workspace.store.write(identity, pa.Table.from_pylist([row], schema=SCHEMAS["titles"]))
    source: dict[str, Json] = {"kind": IMPORTED_SOURCE, **desk.source(), "name": title.name}
    workspace.ledger.add(
        LedgerRecord.of(
            identity,
            facets=facets,
            object_key=stored.key,
            sha256=stored.sha256,
            size_bytes=stored.size_bytes,
            num_rows=1,
            generation=generation,
            step_version=TABLES["titles"].step_version,
            media_sha256=media_sha256,
            is_forced=workspace.is_forced,
            details={"source": source, "group_id": group_id},
        )
    )


def _write_no_metadata(desk: ImportDesk, chain: TitleChain, media_sha256: str) -> bool:
    """Nothing can read metadata where the text vectors are imported: [GLOBAL] is told nothing."""
    identity = chain.identity("metadata_embeddings")
    width = desk.workspace.space.metadata_width
    is_present = np.zeros(1, np.bool_)
    rows = pa.table({"is_present": pa.array(is_present), "vector": vectors_to_arrow(np.zeros((1, width)), is_present)})
    return desk.write(identity, rows, media_sha256)
