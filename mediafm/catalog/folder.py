"""A folder of media files as a catalogue: recursive, by names, sizes and times alone; only `.json` files are opened.

Hidden files and folders are left out. Links to folders are followed after all real folders, each folder once, so
that a link never renames a title and a loop ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mediafm.catalog.metadata import is_unicode
from mediafm.catalog.sidecars import (
    TEXT_SUFFIXES,
    ReadStart,
    is_ttml_file,
    match_stem,
    read_json_sidecar,
    read_local,
)
from mediafm.catalog.title import CatalogTitle, Problem, Sidecar, TitleMetadata, group_id
from mediafm.catalog.title_id import title_ids
from mediafm.config import MediaLimits

MEDIA_SUFFIXES = frozenset(
    (
        *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".divx", ".flv", ".f4v"),
        *(".mpg", ".mpeg", ".mpe", ".m2v", ".vob", ".ts", ".m2ts", ".mts", ".mxf", ".nut", ".dv"),
        *(".ogv", ".ogg", ".ogm", ".wmv", ".asf"),
    )
)
"""Files that are titles. Suffixes of sound alone (.wav, .mp3, .flac) are not; a .webm without a picture is, and is
quarantined when it is probed."""
SKIPPED_FOLDERS = frozenset({"__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information"})


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One file: `name` relative to the catalogue with `/`, `path` absolute; the rest as of `Sidecar`."""

    name: str
    path: str
    size_bytes: int
    modified_ns: int
    version: str = ""


@dataclass(slots=True)
class _Draft:
    """A title before it has an id."""

    file: FoundFile
    metadata: TitleMetadata
    sidecars: tuple[Sidecar, ...]


def scan_folder(root: str, limits: MediaLimits) -> tuple[list[CatalogTitle], list[Problem]]:
    """The titles under `root`, ordered by id, and what could not be read."""
    problems: list[Problem] = []
    return titles_of(_Walker(os.path.abspath(root), problems).folders(), limits, problems), problems


def titles_of(
    folders: Iterable[list[FoundFile]], limits: MediaLimits, problems: list[Problem], read: ReadStart = read_local
) -> list[CatalogTitle]:
    """The titles of these folders' files, ordered by id; what is wrong is added to `problems`."""
    drafts = [draft for files in folders for draft in _drafts(files, limits, problems, read)]
    ids = title_ids([draft.file.name for draft in drafts])
    titles = [_title(title_id, draft) for title_id, draft in zip(ids, drafts, strict=True)]
    return sorted(titles, key=lambda title: title.title_id)


def _title(title_id: str, draft: _Draft) -> CatalogTitle:
    return CatalogTitle(
        title_id=title_id,
        uri=draft.file.path,
        metadata=draft.metadata,
        sidecars=draft.sidecars,
        group_id=group_id(title_id, draft.metadata),
        size_bytes=draft.file.size_bytes,
        modified_ns=draft.file.modified_ns,
        version=draft.file.version,
    )


def _drafts(files: list[FoundFile], limits: MediaLimits, problems: list[Problem], read: ReadStart) -> Iterator[_Draft]:
    """The titles of one folder with their sidecars, in order of name."""
    media = [file for file in files if _suffix(file) in MEDIA_SUFFIXES]
    stems = {_stem(file) for file in media}
    sidecars: dict[str, list[Sidecar]] = {}
    metadata_files: dict[str, FoundFile] = {}
    for file in files:
        if _suffix(file) == ".json" and _stem(file) in stems:
            metadata_files[_stem(file)] = file
        elif _suffix(file) in TEXT_SUFFIXES:
            _attach(file, stems, sidecars, problems, read)
    for file in media:
        metadata = TitleMetadata()
        if _stem(file) in metadata_files:
            found = metadata_files[_stem(file)]
            metadata, wrong = read_json_sidecar(found.path, found.name, limits.max_sidecar_bytes, read)
            problems += wrong
        yield _Draft(file, metadata, tuple(sidecars.get(_stem(file), ())))


def _attach(
    file: FoundFile, stems: set[str], sidecars: dict[str, list[Sidecar]], problems: list[Problem], read: ReadStart
) -> None:
    found = match_stem(os.path.basename(file.path), stems)
    if _suffix(file) == ".xml" and (found is None or not is_ttml_file(file.path, read)):
        return
    if found is None:
        rule = "<stem>.srt or <stem>.<language>.srt beside its media file"
        problems.append(Problem(file.name, f"this timed text belongs to no title; the rule is {rule}"))
        return
    stem, language, flags = found
    sidecars.setdefault(stem, []).append(
        Sidecar(
            path=file.path,
            language=language,
            flags=flags,
            size_bytes=file.size_bytes,
            modified_ns=file.modified_ns,
            version=file.version,
        )
    )


def _stem(file: FoundFile) -> str:
    return os.path.splitext(os.path.basename(file.path))[0]


def _suffix(file: FoundFile) -> str:
    return os.path.splitext(file.path)[1].lower()


class _Walker:
    """Walks real folders first, then those behind links, each (device, inode) once."""

    def __init__(self, root: str, problems: list[Problem]) -> None:
        self.root, self.problems = root, problems
        self.seen: set[tuple[int, int]] = set()
        self.linked: list[str] = []

    def folders(self) -> Iterator[list[FoundFile]]:
        """The files of interest of each folder, in order of name."""
        pending = [""]
        while pending or self.linked:
            if not pending:
                self.linked.sort()
                pending.append(self.linked.pop(0))
            relative = pending.pop()
            if not self._is_new(relative):
                continue
            files, folders = self._read(relative)
            pending += sorted(folders, reverse=True)
            if files:
                yield sorted(files, key=lambda file: file.name)

    def _is_new(self, relative: str) -> bool:
        try:
            status = os.stat(os.path.join(self.root, relative))
        except OSError as error:
            self._problem(relative, f"the folder cannot be read ({error.strerror})")
            return False
        key = (status.st_dev, status.st_ino)
        if key in self.seen:
            self._problem(relative, "the link is not followed: its folder is read elsewhere")
            return False
        self.seen.add(key)
        return True

    def _read(self, relative: str) -> tuple[list[FoundFile], list[str]]:
        files: list[FoundFile] = []
        folders: list[str] = []
        try:
            with os.scandir(os.path.join(self.root, relative)) as entries:
                for entry in entries:
                    if not entry.name.startswith(".") and entry.name not in SKIPPED_FOLDERS:
                        self._sort_in(entry, f"{relative}/{entry.name}" if relative else entry.name, files, folders)
        except OSError as error:
            self._problem(relative, f"the folder cannot be read ({error.strerror})")
        return files, folders

    def _sort_in(self, entry: os.DirEntry[str], name: str, files: list[FoundFile], folders: list[str]) -> None:
        try:
            if entry.is_dir(follow_symlinks=False):
                folders.append(name)
            elif entry.is_symlink() and entry.is_dir():
                self.linked.append(name)
            elif os.path.splitext(entry.name)[1].lower() in INTERESTING:
                self._add_file(entry, name, files)
        except OSError as error:
            self._problem(name, f"it cannot be read ({error.strerror})")

    def _add_file(self, entry: os.DirEntry[str], name: str, files: list[FoundFile]) -> None:
        if not is_unicode(name):
            self._problem(ascii(name), "its name is not UTF-8, so that no table can hold it; rename it")
        elif not entry.is_file():
            kind = "the link leads nowhere" if entry.is_symlink() else "it is not a regular file"
            self._problem(name, kind)
        else:
            status = entry.stat()
            files.append(FoundFile(name, entry.path, status.st_size, status.st_mtime_ns))

    def _problem(self, where: str, sentence: str) -> None:
        self.problems.append(Problem(where or ".", sentence))


INTERESTING = MEDIA_SUFFIXES | TEXT_SUFFIXES | {".json"}
