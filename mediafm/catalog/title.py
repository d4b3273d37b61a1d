"""The carriers of the catalogue: what is known of a title before its media is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mediafm.types import Json


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong that stops nothing else. `where`: a file, or "file:line"; `sentence`: what is wrong with it."""

    where: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.where}: {self.sentence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TitleMetadata:
    """What people say of a title. None and () mean that nobody said."""

    title: str | None = None
    synopsis: str | None = None
    tags: tuple[str, ...] = ()
    genres: tuple[str, ...] = ()
    kind: str | None = None
    """Such as "movie", "episode", "clip", "trailer"; not a closed list."""
    series: str | None = None
    season: int | None = None
    episode: int | None = None
    year: int | None = None
    language: str | None = None
    """The original language, as `mediafm.languages` spells it."""

    def as_json(self) -> dict[str, Json]:
        """All fields, in their order; `from_json` reads it back exactly."""
        values: dict[str, Json] = asdict(self)
        return values | {"tags": list(self.tags), "genres": list(self.genres)}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> TitleMetadata:
        """The inverse of `as_json`."""
        lists = {name: tuple(values.get(name) or ()) for name in ("tags", "genres")}
        return TitleMetadata(**{**values, **lists})


METADATA_FIELDS = tuple(item.name for item in fields(TitleMetadata))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """One file of timed text beside a title.

    path: absolute, or `s3://bucket/key`.
    language: from the file's name or the manifest, as `mediafm.languages` spells it; None where nobody said.
    flags: other marks of its name, sorted ("forced", "sdh").
    size_bytes, modified_ns: how a change is seen.
    version: the ETag of an object in a bucket, which says it alone; "" for a file.
    """

    path: str
    language: str | None = None
    flags: tuple[str, ...] = ()
    size_bytes: int = 0
    modified_ns: int = 0
    version: str = ""

    def as_json(self) -> dict[str, Json]:
        """Its fields; `version` only where there is one."""
        values: dict[str, Json] = {**asdict(self), "flags": self.flags}
        return values if self.version else {name: value for name, value in values.items() if name != "version"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogTitle:
    """One title.

    title_id: as `mediafm.catalog.title_id` makes it: safe in paths, partition keys and URLs.
    uri: the absolute path of the media file, or `s3://bucket/key`.
    group_id: titles of one group fall into one split: the series if there is one, else the title itself.
    size_bytes, modified_ns: of the media file; how a change is seen.
    version: as of `Sidecar`.
    """

    title_id: str
    uri: str
    metadata: TitleMetadata
    sidecars: tuple[Sidecar, ...]
    group_id: str
    size_bytes: int
    modified_ns: int
    version: str = ""


@dataclass(frozen=True, slots=True)
class Catalog:
    """`titles` ordered by id, each id once; `problems` in the order they were met."""

    titles: tuple[CatalogTitle, ...]
    problems: tuple[Problem, ...]


def group_id(title_id: str, metadata: TitleMetadata) -> str:
    """The series, whatever its case and spacing, else the title's own id."""
    series = " ".join((metadata.series or "").split()).casefold()
    return series or title_id
