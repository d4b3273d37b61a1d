"""Vectors that were made elsewhere, into the root: as values of titles that it has, or as titles without media.

A title that the root knows from media keeps its shots, and the vectors must be of these. Any other title is made of
what the file says of it; a file that says something else of it later makes its next generation.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
import pyarrow as pa

from mediafm.data.import_files import ImportFile
from mediafm.data.import_titles import ImportedTitle, RefusedTitle
from mediafm.encoders.given import IMPORTED
from mediafm.errors import CatalogError, ConfigError
from mediafm.lineage.chain import TitleChain
from mediafm.lineage.fingerprint import Identity, canonical_json, fingerprint
from mediafm.lineage.records import FIRST_GENERATION, LedgerRecord
from mediafm.lineage.tables import TABLES
from mediafm.shots.given import GIVEN
from mediafm.steps.catalogs import remember_inputs
from mediafm.steps.history import StepHistory
from mediafm.steps.import_content import ImportedContent, StoredVectors, merged, stored_content
from mediafm.steps.present import IMPORTED_SOURCE, PresentTitle
from mediafm.steps.step import Made
from mediafm.steps.workspace import Workspace
from mediafm.store.schemas import SCHEMAS
from mediafm.store.vectors import vectors_to_arrow
from mediafm.types import Json, Modality, TitleState

FOLDER = "imports"
"""Under the root: the labels that came with files of vectors."""
SPAN_TOLERANCE_SECONDS = 0.1
"""How far a span that a file names may lie from the shot of the root: about two frames. Our choice."""
TITLES_AT_ONCE = 16
WRITTEN = (
    "spans",
    "frames",
    "words",
    "cues",
    "metadata_embeddings",
    *(f"{modality}_embeddings" for modality in Modality),
)


@dataclass(kw_only=True)
class ImportReport:
    """What became of a file.

    made: titles without media that are new or have other content than before; matched: titles of media that got
    vectors; unchanged: titles whose values were there already.
    num_present: shots with a vector, by modality.
    renamed: what the file calls a title -> its id, where that is no safe id.
    labels_file: the label file that the root remembers from now on; "" if the file has no labels.
    """

    file: str
    sha256: str
    made: list[str] = field(default_factory=list)
    matched: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    num_shots: int = 0
    num_present: dict[str, int] = field(default_factory=dict)
    refused: list[RefusedTitle] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    num_labels: int = 0
    labels_file: str = ""
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Json]:
        taken = len(self.made) + len(self.matched) + len(self.unchanged)
        return {
            "file": self.file,
            "sha256": self.sha256,
            "titles": taken,
            "made": self.made,
            "matched": self.matched,
            "unchanged": self.unchanged,
            "shots": self.num_shots,
            "present": dict(self.num_present),
            "refused": [{"title": each.name, "reason": each.reason} for each in self.refused],
            "renamed": self.renamed,
            "labels": {"file": self.labels_file, "rows": self.num_labels},
            "notes": self.notes,
        }


def import_file(workspace: Workspace, file: ImportFile) -> ImportReport:
    """Takes in every sound title of `file`; one that does not fit is refused alone.

    Raises:
        ConfigError: the profile does not say that these modalities are imported, or says another width.
    """
    _require_fit(workspace, file)
    workspace.point_producers()
    known = {title.title_id: title for title in workspace.all_titles()}
    report = ImportReport(file=file.path.name, sha256=file.sha256, notes=list(file.notes))
    labels = _labels_file(workspace, file)
    workspace.progress.begin("import", 0)
    try:
        with _Labels(labels) as written:
            for batch in _batches(file.titles()):
                _take_batch(workspace, file, batch, known, report, written)
    finally:
        workspace.progress.end()
    if report.num_labels:
        report.labels_file = str(labels)
        remember_inputs(workspace, [], [str(labels)])
    return report


class _Labels:
    """Label rows into a file that appears whole, if there are any."""

    def __init__(self, path: Path) -> None:
        self._path, self._beside = path, path.with_suffix(f".{os.getpid()}.part")
        self._opened: TextIO | None = None

    def __enter__(self) -> _Labels:
        return self

    def write(self, rows: Iterable[Mapping[str, Json]]) -> None:
        for row in rows:
            if self._opened is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._opened = self._beside.open("w", encoding="utf-8")
            self._opened.write(json.dumps(row, ensure_ascii=False) + "\n")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._opened is not None:
            self._opened.close()
            if error is None:
                self._beside.replace(self._path)
            else:
                self._beside.unlink()


def _labels_file(workspace: Workspace, file: ImportFile) -> Path:
    """One for each file that is imported: its next import replaces them."""
    place = hashlib.sha256(str(file.path.absolute()).encode()).hexdigest()[:8]
    return workspace.config.root_path / FOLDER / f"{file.stem}-{place}.jsonl"


def _batches(titles: Iterator[ImportedTitle | RefusedTitle]) -> Iterator[list[ImportedTitle | RefusedTitle]]:
    while batch := list(islice(titles, TITLES_AT_ONCE)):
        yield batch


def _take_batch(
    workspace: Workspace,
    file: ImportFile,
    batch: Sequence[ImportedTitle | RefusedTitle],
    known: Mapping[str, PresentTitle],
    report: ImportReport,
    labels: _Labels,
) -> None:
    ids = [title.title_id for title in batch if isinstance(title, ImportedTitle)]
    history = StepHistory.of(workspace.store, WRITTEN, [title_id for title_id in ids if title_id in known])
    for title in batch:
        if isinstance(title, RefusedTitle):
            report.refused.append(title)
            continue
        desk = _Desk(workspace, file, history)
        try:
            _take_one(desk, title, known.get(title.title_id), report)
        except (CatalogError, ConfigError) as error:
            report.refused.append(RefusedTitle(title.name, str(error)))
            continue
        _count(report, title)
        labels.write(title.labels)
        workspace.progress.advance(title.title_id)
    workspace.ledger.flush()


def _count(report: ImportReport, title: ImportedTitle) -> None:
    report.num_shots += title.num_shots
    report.num_labels += len(title.labels)
    for modality, is_present in title.is_present.items():
        name = str(modality)
        report.num_present[name] = report.num_present.get(name, 0) + int(is_present.sum())
    if title.name != title.title_id:
        report.renamed[title.name] = title.title_id


@dataclass(frozen=True)
class _Desk:
    """What writing a title needs."""

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


def _take_one(desk: _Desk, title: ImportedTitle, before: PresentTitle | None, report: ImportReport) -> None:
    if before is None or before.is_imported or before.state in (TitleState.VANISHED, TitleState.FORGOTTEN):
        was_made = _take_without_media(desk, title, before)
        (report.made if was_made else report.unchanged).append(title.title_id)
        return
    if before.state is not TitleState.OK:
        raise CatalogError(
            f"the title is {before.state}: {before.reason}",
            rule="vectors belong to a title whose media can be read",
            where=f"title {title.name}",
            remedy="Mend its file and `mediafm retry`, or take it out of the catalogue.",
        )
    was_made = _take_with_media(desk, title, before)
    (report.matched if was_made else report.unchanged).append(title.title_id)
    if title.texts is not None and (note := "text of titles that have media is not read: their cues are") not in (
        report.notes
    ):
        report.notes.append(note)


def _take_with_media(desk: _Desk, title: ImportedTitle, before: PresentTitle) -> bool:
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


def _take_without_media(desk: _Desk, title: ImportedTitle, before: PresentTitle | None) -> bool:
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
    desk: _Desk,
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
        "metadata_json": canonical_json({}),
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


def _write_no_metadata(desk: _Desk, chain: TitleChain, media_sha256: str) -> bool:
    """Nothing can read metadata where the text vectors are imported: [GLOBAL] is told nothing."""
    identity = chain.identity("metadata_embeddings")
    width = desk.workspace.space.metadata_width
    is_present = np.zeros(1, np.bool_)
    rows = pa.table({"is_present": pa.array(is_present), "vector": vectors_to_arrow(np.zeros((1, width)), is_present)})
    return desk.write(identity, rows, media_sha256)


def _require_fit(workspace: Workspace, file: ImportFile) -> None:
    """All that does not fit is collected, then raised once."""
    wrong = []
    for modality, width in file.layout.widths.items():
        spec = workspace.space.encoders[modality]
        if spec["name"] != IMPORTED:
            wrong.append(f"{modality} comes from the encoder {spec['name']!r}")
        elif spec["width"] != width:
            wrong.append(f"{modality} is {spec['width']} wide in the profile and {width} in the file")
    if wrong:
        raise ConfigError(
            "; ".join(wrong),
            rule=f"the profile names the encoder {IMPORTED!r}, of the file's width, for each modality that is brought",
            where=f"profile {workspace.profile.name}",
            remedy="`--profile` names another profile; `--write-profile FILE` writes one that fits.",
        )
