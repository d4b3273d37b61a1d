"""Advanced SubStation Alpha and its elder, SSA: the events of a script.

Read by the `Format:` line of `[Events]` (the order of fields is the file's to say), event by event: one event that
cannot be read costs that event alone.
"""

from __future__ import annotations

import io
import re

from mediafm.media.timed_text_cue import CueCollector
from mediafm.media.timed_text_markup import strip_overrides

_TIME = re.compile(r"\s{0,20}(-?)(\d{1,5}):(\d{1,2}):(\d{1,2})(?:[.,:](\d{1,9}))?\s{0,20}")
_DEFAULT_FORMAT = ("layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect", "text")


def parse_ass(text: str, collector: CueCollector) -> None:
    """Fills `collector` from an ASS or SSA script; comments, styles, drawings and fonts are no text.

    Raises:
        CatalogError: more cues than the limits allow.
    """
    fields: tuple[str, ...] = _DEFAULT_FORMAT
    in_events = False
    for number, raw in enumerate(io.StringIO(text, newline=None), start=1):
        line = raw.strip()
        if line.startswith("[") and line.endswith("]") and len(line) < 100:
            in_events = line.lower() == "[events]"
            continue
        key, _, rest = line.partition(":")
        if in_events and key.strip().lower() == "format":
            named = tuple(item.strip().lower() for item in rest.split(","))
            fields = named if {"start", "end", "text"} <= set(named) else _DEFAULT_FORMAT
        elif in_events and key.strip().lower() == "dialogue":
            _add_event(rest, fields, f"line {number}", collector)


def _add_event(rest: str, fields: tuple[str, ...], place: str, collector: CueCollector) -> None:
    values = dict(zip(fields, rest.split(",", len(fields) - 1), strict=False))
    start, end = _seconds(values.get("start", "")), _seconds(values.get("end", ""))
    if start is None or end is None or "text" not in values:
        collector.problem("cue dropped: times that cannot be read", place)
        return
    collector.add(start, end, strip_overrides(values["text"]), place)


def _seconds(written: str) -> float | None:
    match = _TIME.fullmatch(written)
    if match is None or int(match[3]) > 59 or int(match[4]) > 59:
        return None
    total = int(match[2]) * 3600 + int(match[3]) * 60 + int(match[4]) + float(f"0.{match[5] or 0}")
    return -total if match[1] else total
