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

from mediafm.data.import_files import ImportFile
from mediafm.data.import_titles import ImportedTitle, RefusedTitle
from mediafm.encoders.given import IMPORTED
from mediafm.errors import CatalogError, ConfigError
from mediafm.steps.catalogs import remember_inputs
from mediafm.steps.history import StepHistory
from mediafm.steps.import_writing import WRITTEN, ImportDesk, take_with_media, take_without_media
from mediafm.steps.present import PresentTitle
from mediafm.steps.workspace import Workspace
from mediafm.store.tombstones import find_tombstone
from mediafm.types import Json, TitleState

FOLDER = "imports"
"""In `Config.files_path`: the labels that came with files of vectors."""
TITLES_AT_ONCE = 16
"""Held in memory together, so that the ledger is asked once for all of them."""


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
    return workspace.config.files_path / FOLDER / f"{file.stem}-{place}.jsonl"


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
    desk = ImportDesk(workspace, file, history)
    for title in batch:
        if isinstance(title, RefusedTitle):
            report.refused.append(title)
            continue
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


def _take_one(desk: ImportDesk, title: ImportedTitle, before: PresentTitle | None, report: ImportReport) -> None:
    tombstone = find_tombstone(desk.workspace.store, title.title_id)
    if tombstone is not None:
        raise CatalogError(
            tombstone.sentence,
            rule="what was forgotten does not come back",
            where=f"title {title.name}",
            remedy="Leave it out of the file.",
        )
    if before is None or before.is_imported or before.state in (TitleState.VANISHED, TitleState.FORGOTTEN):
        was_made = take_without_media(desk, title, before)
        (report.made if was_made else report.unchanged).append(title.title_id)
        return
    if before.state is not TitleState.OK:
        raise CatalogError(
            f"the title is {before.state}: {before.reason}",
            rule="vectors belong to a title whose media can be read",
            where=f"title {title.name}",
            remedy="Mend its file and `mediafm retry`, or take it out of the catalogue.",
        )
    was_made = take_with_media(desk, title, before)
    (report.matched if was_made else report.unchanged).append(title.title_id)
    if title.texts is not None and (note := "text of titles that have media is not read: their cues are") not in (
        report.notes
    ):
        report.notes.append(note)


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
