"""Metadata from what people write: each field checked, a wrong one dropped with a problem, the others kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from mediafm.catalog.title import METADATA_FIELDS, Problem, TitleMetadata
from mediafm.languages import normalize_language

MAX_TEXT_CHARACTERS = 20_000
MAX_LIST_ITEMS = 200
"""Longer texts and lists are no metadata of a title. Our choice."""
LIST_SEPARATOR = ";"
"""Between the items of a list that is written as one text, as in CSV."""


def read_metadata(values: Mapping[str, object], where: str) -> tuple[TitleMetadata, list[Problem]]:
    """The known fields of `values`. Keys that are no metadata field are the caller's to report.

    Absent, null and empty values are the same. A list may be written as one text with `;` between its items.
    """
    kept: dict[str, Any] = {}
    problems: list[Problem] = []
    for name in METADATA_FIELDS:
        value = values.get(name)
        if is_absent(value):
            continue
        try:
            kept[name] = _READERS[name](value)
        except ValueError as error:
            problems.append(Problem(where, f"{name} = {shown(value)} is ignored: {error}"))
    return TitleMetadata(**kept), problems


def unknown_fields(values: Mapping[str, object], where: str) -> list[Problem]:
    """A problem for each key that is no metadata field."""
    known = ", ".join(METADATA_FIELDS)
    unknown = [key for key in values if key not in METADATA_FIELDS]
    return [Problem(where, f"the unknown field {shown(key)} is ignored; known are {known}") for key in unknown]


def is_absent(value: object) -> bool:
    """Null, NaN (how data frames write null) and blank text."""
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or (isinstance(value, str) and not value.strip())
    )


def shown(value: object) -> str:
    """A value as a problem shows it: short, printable."""
    text = ascii(value) if isinstance(value, str) and not is_unicode(value) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8 (a lone surrogate, from `"\\ud800"` or a file name, cannot)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_text(value: object) -> str:
    """A text, trimmed.

    Raises:
        ValueError: it is no text, not Unicode, or too long.
    """
    if not isinstance(value, str):
        raise ValueError("it must be text")
    if not is_unicode(value):
        raise ValueError("it holds characters that are not Unicode")
    text = value.replace("\x00", "").strip()
    if len(text) > MAX_TEXT_CHARACTERS:
        raise ValueError(f"it must have at most {MAX_TEXT_CHARACTERS} characters")
    return text


def read_list(value: object) -> tuple[str, ...]:
    """A list of texts, each once, in order; one text is split at `;`.

    Raises:
        ValueError: it is neither, or too long.
    """
    items: object = value.split(LIST_SEPARATOR) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise ValueError("it must be a list of texts")
    if len(items) > MAX_LIST_ITEMS:
        raise ValueError(f"it must have at most {MAX_LIST_ITEMS} items")
    return tuple(dict.fromkeys(text for text in map(read_text, items) if text))


def _number(low: int, high: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if isinstance(value, str) and len(value) <= 20:
            try:
                value = float(value)
            except ValueError:
                raise ValueError("it must be a whole number") from None
        is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not is_whole or not isinstance(value, int | float):
            raise ValueError("it must be a whole number")
        if not low <= value <= high:
            raise ValueError(f"it must lie between {low} and {high}")
        return int(value)

    return read


def _language(value: object) -> str:
    language = normalize_language(read_text(value))
    if language is None:
        raise ValueError("it must be a language code such as en or pt-BR")
    return language


_READERS: Mapping[str, Callable[[object], object]] = {
    "title": read_text,
    "synopsis": read_text,
    "tags": read_list,
    "genres": read_list,
    "kind": read_text,
    "series": read_text,
    "season": _number(0, 100_000),
    "episode": _number(0, 1_000_000),
    "year": _number(1800, 2200),
    "language": _language,
}
