"""Which files beside a title belong to it: by stem, the longest stem first, so that no title takes another's.

`<stem>.srt`, `<stem>.<language>.srt`, `<stem>.<language>.<flag>.srt` (any suffix of timed text), `<stem>.json`.
With `a.mp4` and `a.b.mp4`, `a.b.srt` belongs to the second alone; without `a.b.mp4` it belongs to nobody, because
`b` is no language.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Container, Mapping

from mediafm.catalog.metadata import read_metadata, unknown_fields
from mediafm.catalog.title import Problem, TitleMetadata
from mediafm.languages import normalize_language

TEXT_SUFFIXES = frozenset({".srt", ".vtt", ".ass", ".ssa", ".ttml", ".dfxp", ".xml"})
"""`.xml` only where its first bytes say that it is TTML."""
FLAGS = frozenset({"forced", "foreign", "commentary", "sdh", "cc", "hi", "default", "full"})
ReadStart = Callable[[str, int], bytes]
"""Gives at most so many first bytes of the file at a path; raises `OSError`."""
_MAX_MARKS = 3
_SNIFFED_BYTES = 4096


def match_stem(file_name: str, stems: Container[str]) -> tuple[str, str | None, tuple[str, ...]] | None:
    """The stem that a file of timed text belongs to, its language and its flags; None where there is no such stem."""
    stem = os.path.splitext(file_name)[0]
    marks: list[str] = []
    while True:
        if stem in stems:
            read = read_marks(marks)
            if read is not None:
                return stem, *read
        stem, dot, mark = stem.rpartition(".")
        if not dot or len(marks) == _MAX_MARKS:
            return None
        marks.insert(0, mark)


def read_marks(marks: list[str]) -> tuple[str | None, tuple[str, ...]] | None:
    """Language and flags of the parts between stem and suffix; None where one is neither.

    `hi` alone is Hindi; beside another language it means "hearing impaired".
    """
    lowered = [mark.lower() for mark in marks]
    flags = {mark for mark in lowered if mark in FLAGS and mark != "hi"}
    languages = [mark for mark in lowered if mark not in flags]
    if len(languages) == 2 and "hi" in languages:
        languages.remove("hi")
        flags.add("hi")
    if len(languages) > 1 or any(normalize_language(item) is None for item in languages):
        return None
    return (normalize_language(languages[0]) if languages else None), tuple(sorted(flags))


def read_local(path: str, max_bytes: int) -> bytes:
    """`ReadStart` of this machine's files."""
    with open(path, "rb") as file:
        return file.read(max_bytes)


def is_ttml_file(path: str, read: ReadStart = read_local) -> bool:
    """Whether an `.xml` file is TTML, by its first bytes; False where it cannot be read."""
    try:
        head = read(path, _SNIFFED_BYTES).replace(b"\x00", b"")
    except OSError:
        return False
    return b"<tt" in head or b":tt" in head


def read_json_sidecar(
    path: str, where: str, max_bytes: int, read: ReadStart = read_local
) -> tuple[TitleMetadata, list[Problem]]:
    """The metadata of `<stem>.json`. A file that cannot be used is a problem; its title goes on without it."""
    try:
        values = load_json(_read(path, max_bytes, read))
    except (OSError, ValueError) as error:
        return TitleMetadata(), [Problem(where, f"the metadata is ignored: {error}")]
    metadata, problems = read_metadata(values, where)
    return metadata, unknown_fields(values, where) + problems


def load_json(data: bytes) -> Mapping[str, object]:
    """One JSON object.

    Raises:
        ValueError: it is not UTF-8, not JSON (NaN included), nested too deep, or no object.
    """
    try:
        values = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("the JSON is nested too deep") from None
    if not isinstance(values, dict):
        raise ValueError(f"the JSON holds {type(values).__name__}, not an object")
    return values


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _read(path: str, max_bytes: int, read: ReadStart) -> bytes:
    data = read(path, max_bytes + 1)
    if len(data) > max_bytes:
        raise ValueError(f"it has more than {max_bytes} bytes")
    return data
