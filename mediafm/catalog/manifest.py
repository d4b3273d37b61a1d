"""A manifest as a catalogue: one row a title, with a `uri` and the fields of a metadata file.

Columns: `uri` (required), `title_id`, `sidecars`, and those of `TitleMetadata`. Paths are relative to the manifest's
folder, or absolute; either way they must lie in that folder, because a manifest may come from somebody else. `s3://`
names any object that the credentials reach. Only the sidecars that a row names are used. A bad row is a problem with
its line, and the others go on.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from mediafm.catalog.manifest_files import ManifestFiles, Seen
from mediafm.catalog.manifest_rows import NumberedRow, Row, read_csv, read_jsonl, read_parquet
from mediafm.catalog.metadata import LIST_SEPARATOR, is_absent, read_metadata, read_text, shown
from mediafm.catalog.sidecars import TEXT_SUFFIXES, read_marks
from mediafm.catalog.title import METADATA_FIELDS, CatalogTitle, Problem, Sidecar, TitleMetadata, group_id
from mediafm.catalog.title_id import MAX_ID_CHARACTERS, is_safe_id, title_ids
from mediafm.config import MediaLimits
from mediafm.errors import CatalogError
from mediafm.languages import normalize_language
from mediafm.s3.buckets import Buckets

_READERS: Mapping[str, Callable[[BinaryIO, int, str], Iterator[NumberedRow]]] = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".csv": read_csv,
    ".parquet": read_parquet,
}
MANIFEST_SUFFIXES = tuple(_READERS)
_COLUMNS = ("uri", "title_id", "sidecars", *METADATA_FIELDS)
MAX_SIDECARS = 100
ROWS_AT_ONCE = 256
"""Objects that these rows name are looked at together."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One good row. `name`: the file relative to the manifest's folder; `given_id`: as the row says, or None."""

    where: str
    name: str
    path: str
    given_id: str | None
    metadata: TitleMetadata
    sidecars: tuple[Sidecar, ...]
    seen: Seen


def scan_manifest(
    path: str, limits: MediaLimits, buckets: Buckets | None = None
) -> tuple[list[CatalogTitle], list[Problem]]:
    """The titles of a manifest, ordered by id, and the problems of its rows.

    Raises:
        CatalogError: an unknown suffix, or a file that as a whole cannot be read.
        StoreError, TransientError: a bucket cannot be reached.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _READERS:
        raise CatalogError(
            f"the file {os.path.basename(path)!r}",
            rule=f"a manifest is one of {', '.join(MANIFEST_SUFFIXES)}",
            remedy="Give the folder that holds the file, or a manifest.",
        )
    reader = _Reader(ManifestFiles(path, buckets), limits)
    try:
        with reader.files.opened() as file:
            rows = _READERS[suffix](file, limits.max_sidecar_bytes, os.path.basename(path))
            while batch := list(islice(rows, ROWS_AT_ONCE)):
                reader.files.look_ahead(_uris(batch))
                for number, row in batch:
                    reader.add(number, row)
    except OSError as error:
        raise CatalogError(
            f"cannot be read ({error.strerror})", rule="a manifest is a readable file", where=path
        ) from error
    return reader.titles(), reader.problems


class _Reader:
    """Gathers the good rows, then gives them ids."""

    def __init__(self, files: ManifestFiles, limits: MediaLimits) -> None:
        self.files = files
        self.file_name = files.file_name
        self.limits = limits
        self.entries: list[_Entry] = []
        self.problems: list[Problem] = []
        self.unknown: set[str] = set()

    def add(self, number: int, row: Row | str) -> None:
        where = f"{self.file_name}:{number}"
        if isinstance(row, str):
            self.problems.append(Problem(where, row))
            return
        self._report_unknown(row, where)
        try:
            self.entries.append(self._entry(row, where))
        except ValueError as error:
            self.problems.append(Problem(where, f"the row is left out: {error}"))

    def titles(self) -> list[CatalogTitle]:
        """Given ids first: those that collide leave their rows out; the others' ids are made around them."""
        num_uses = Counter(entry.given_id for entry in self.entries if entry.given_id is not None)
        given = {title_id for title_id, uses in num_uses.items() if uses == 1}
        made = iter(title_ids([entry.name for entry in self.entries if entry.given_id is None], num_uses))
        titles: dict[str, CatalogTitle] = {}
        for entry in self.entries:
            title_id = entry.given_id if entry.given_id is not None else next(made)
            if entry.given_id is not None and entry.given_id not in given:
                self._leave_out(entry, f"the title_id {title_id!r} stands in {num_uses[title_id]} rows")
            elif title_id in titles:
                self._leave_out(
                    entry, f"its title id {title_id!r} is taken by an earlier row, as when both name one file"
                )
            else:
                titles[title_id] = _title(title_id, entry)
        return sorted(titles.values(), key=lambda title: title.title_id)

    def _leave_out(self, entry: _Entry, reason: str) -> None:
        self.problems.append(Problem(entry.where, f"the row is left out: {reason}"))

    def _report_unknown(self, row: Row, where: str) -> None:
        """Each unknown column once, at its first row."""
        for column in row:
            if column not in _COLUMNS and column not in self.unknown:
                self.unknown.add(column)
                known = ", ".join(_COLUMNS)
                self.problems.append(Problem(where, f"the unknown field {shown(column)} is ignored; known are {known}"))

    def _entry(self, row: Row, where: str) -> _Entry:
        if is_absent(row.get("uri")):
            raise ValueError("it has no uri")
        path = self.files.resolve(read_text(row["uri"]))
        seen = self.files.seen(path)
        given = None if is_absent(row.get("title_id")) else read_text(row["title_id"])
        if given is not None and not is_safe_id(given):
            rule = f"1 to {MAX_ID_CHARACTERS} of a-z, 0-9, '.', '_' and '-', not starting with '.' or '-', without '..'"
            raise ValueError(f"the title_id {shown(given)} must be {rule}")
        metadata, problems = read_metadata(row, where)
        self.problems += problems
        return _Entry(
            where=where,
            name=self.files.name(path),
            path=path,
            given_id=given,
            metadata=metadata,
            sidecars=self._sidecars(row.get("sidecars"), where),
            seen=seen,
        )

    def _sidecars(self, value: object, where: str) -> tuple[Sidecar, ...]:
        """A list of paths, or of objects with `path` and `language`; one that is wrong is a problem of its own."""
        if is_absent(value):
            return ()
        items = value.split(LIST_SEPARATOR) if isinstance(value, str) else value
        if not isinstance(items, list | tuple) or len(items) > MAX_SIDECARS:
            self.problems.append(Problem(where, f"sidecars = {shown(value)} is ignored: it must be a short list"))
            return ()
        found: list[Sidecar] = []
        for item in items:
            try:
                found += self._sidecar(item)
            except ValueError as error:
                self.problems.append(Problem(where, f"the sidecar {shown(item)} is ignored: {error}"))
        return tuple(found)

    def _sidecar(self, item: object) -> list[Sidecar]:
        values = item if isinstance(item, Mapping) else {"path": item}
        if is_absent(values.get("path")):
            return []
        path = self.files.resolve(read_text(values["path"]))
        if os.path.splitext(path)[1].lower() not in TEXT_SUFFIXES:
            raise ValueError(f"timed text is one of {', '.join(sorted(TEXT_SUFFIXES))}")
        seen = self.files.seen(path)
        language, flags = _marks_of(path)
        if not is_absent(values.get("language")):
            language = normalize_language(read_text(values["language"]))
        return [
            Sidecar(
                path=path,
                language=language,
                flags=flags,
                size_bytes=seen.size_bytes,
                modified_ns=seen.modified_ns,
                version=seen.version,
            )
        ]


def _title(title_id: str, entry: _Entry) -> CatalogTitle:
    return CatalogTitle(
        title_id=title_id,
        uri=entry.path,
        metadata=entry.metadata,
        sidecars=entry.sidecars,
        group_id=group_id(title_id, entry.metadata),
        size_bytes=entry.seen.size_bytes,
        modified_ns=entry.seen.modified_ns,
        version=entry.seen.version,
    )


def _uris(rows: list[NumberedRow]) -> Iterator[str]:
    """The media of these rows, whatever else is wrong with them."""
    for _, row in rows:
        if isinstance(row, Mapping) and isinstance(row.get("uri"), str):
            yield str(row["uri"]).strip()


def _marks_of(path: str) -> tuple[str | None, tuple[str, ...]]:
    """Language and flags at the end of a sidecar's name, whatever stem precedes them."""
    parts = os.path.basename(path).split(".")[1:-1]
    for start in range(max(0, len(parts) - 3), len(parts)):
        read = read_marks(parts[start:])
        if read is not None:
            return read
    return None, ()
