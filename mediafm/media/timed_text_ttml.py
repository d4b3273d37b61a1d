"""TTML, IMSC and DFXP: a stream of XML events, without a tree.

Times nest: a child's begin counts from its parent's begin (or from the end of its elder sibling inside a
`timeContainer="seq"`), and no child outlives its parent (W3C TTML2, section 12). Each run of text under one
interval becomes a cue. Regions and styles change where text stands, not what it says, and are passed over.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mediafm.errors import CatalogError
from mediafm.languages import normalize_language
from mediafm.media.timed_text_cue import CueCollector
from mediafm.media.timed_text_ttml_time import TtmlClock, read_clock

MAX_DEPTH = 200
"""Deeper XML is no subtitle file. Our choice."""
_FEED_CHARACTERS = 65_536
_TEXT_BEARERS = frozenset({"p", "span"})
_TIMED = frozenset({"body", "div", "p", "span"})
_DECLARATION = re.compile(r"\s{0,100}<\?xml[^<>]{0,200}\?>")


@dataclass(slots=True)
class _Element:
    """One open element. `end` is infinite where nothing bounds it; `latest` is the end of its last child."""

    name: str
    begin: float
    end: float
    is_sequence: bool = False
    is_silent: bool = False
    preserves_space: bool = False
    latest: float = 0.0
    pieces: list[str] = field(default_factory=list)


def parse_ttml(text: str, collector: CueCollector) -> None:
    """Fills `collector` from a document. What precedes a break in the XML is kept, and the break is a problem.

    Raises:
        CatalogError: no TTML, a document type with entities, too deep, or too many cues.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import XMLParser

    reader = _Reader(collector)
    parser = XMLParser(target=reader, encoding="utf-8", forbid_entities=True, forbid_external=True)
    body = text[_end_of_declaration(text) :]
    try:
        for position in range(0, len(body), _FEED_CHARACTERS):
            parser.feed(body[position : position + _FEED_CHARACTERS].encode("utf-8", errors="replace"))
        parser.close()
    except ParseError as error:
        if not reader.is_ttml:
            raise CatalogError(
                f"XML that breaks off ({error})",
                rule="TTML is well-formed XML",
                where=collector.where,
                remedy="Mend the file.",
            ) from error
        collector.problem("break in the XML: what follows is not read", str(error))
    except DefusedXmlException as error:
        raise CatalogError(
            f"XML that defines entities ({type(error).__name__})",
            rule="timed text may not define or load entities",
            where=collector.where,
            remedy="Remove the document type from the file.",
        ) from error


def _end_of_declaration(text: str) -> int:
    """The XML declaration names the encoding of the bytes; the parser gets UTF-8, so it is passed over."""
    match = _DECLARATION.match(text)
    return match.end() if match else 0


class _Reader:
    """The target of the XML parser: keeps the path of open elements and adds a cue at the end of each text."""

    def __init__(self, collector: CueCollector) -> None:
        self.collector = collector
        self.clock = TtmlClock()
        self.path: list[_Element] = []
        self.is_ttml = False
        self.holds_pictures = False
        self.num_paragraphs = 0

    def start(self, tag: str, attrib: Mapping[str, str]) -> None:
        name = tag.rpartition("}")[2]
        attributes = {key.rpartition("}")[2]: value for key, value in attrib.items()}
        if not self.path:
            self._start_document(name, attributes)
        if len(self.path) >= MAX_DEPTH:
            raise self._error(f"elements nested deeper than {MAX_DEPTH}", "timed text nests a few elements deep")
        if name == "br" and self.path:
            self.path[-1].pieces.append("\n")
        self.holds_pictures |= name == "image" or "backgroundImage" in attributes
        self.num_paragraphs += name == "p"
        self.path.append(self._element(name, attributes))

    def data(self, text: str) -> None:
        if self.path and self.path[-1].name in _TEXT_BEARERS and not self.path[-1].is_silent:
            element = self.path[-1]
            element.pieces.append(text if element.preserves_space else text.replace("\n", " "))

    def end(self, tag: str) -> None:
        element = self.path.pop()
        if element.name == "br" or not self.path:
            return
        parent = self.path[-1]
        ends = element.end if math.isfinite(element.end) else element.latest
        parent.latest = max(parent.latest, ends)
        if element.name == "span" and (element.begin, element.end) == (parent.begin, parent.end):
            parent.pieces += element.pieces
        elif element.name in _TEXT_BEARERS and element.pieces:
            self._add(element)

    def close(self) -> None:
        if self.holds_pictures and self.collector.num_timed == 0:
            self.collector.problem("picture subtitles hold no text", "images instead of text")

    def _start_document(self, name: str, attributes: Mapping[str, str]) -> None:
        if name != "tt":
            raise self._error(f"XML whose root is <{name[:100]}>", "the root of TTML is <tt>")
        self.is_ttml = True
        self.clock = read_clock(attributes)
        if self.collector.language is None:
            self.collector.language = normalize_language(attributes.get("lang"))

    def _element(self, name: str, attributes: Mapping[str, str]) -> _Element:
        parent = self.path[-1] if self.path else _Element("", 0.0, math.inf)
        begin, end = (parent.begin, parent.end)
        if name in _TIMED:
            origin = max(parent.latest, parent.begin) if parent.is_sequence else parent.begin
            begin, end = self._interval(attributes, origin, parent.end)
        return _Element(
            name=name,
            begin=begin,
            end=end,
            is_sequence=attributes.get("timeContainer") == "seq",
            is_silent=parent.is_silent
            or name in ("metadata", "head")
            or attributes.get("ruby") in ("text", "delimiter"),
            preserves_space=attributes.get("space", "preserve" if parent.preserves_space else "") == "preserve",
            latest=begin,
        )

    def _interval(self, attributes: Mapping[str, str], origin: float, parent_end: float) -> tuple[float, float]:
        begin = self._time(attributes, "begin")
        end, duration = self._time(attributes, "end"), self._time(attributes, "dur")
        starts = origin + (0.0 if begin is None else begin)
        ends = math.inf if end is None else origin + end
        if duration is not None:
            ends = min(ends, starts + duration)
        return starts, min(ends, parent_end)

    def _time(self, attributes: Mapping[str, str], name: str) -> float | None:
        """None where the attribute is absent; NaN, which no cue survives, where it is no time."""
        if name not in attributes:
            return None
        seconds = self.clock.seconds(attributes[name])
        return math.nan if seconds is None else seconds

    def _add(self, element: _Element) -> None:
        text = "".join(element.pieces)
        if not text.strip():
            return
        place = f"paragraph {self.num_paragraphs}"
        if element.end == math.inf and element.begin == 0.0:
            self.collector.problem("paragraph dropped: no times", place)
            return
        self.collector.add(element.begin, None if element.end == math.inf else element.end, text, place)

    def _error(self, seen: str, rule: str) -> CatalogError:
        return CatalogError(seen, rule=rule, where=self.collector.where, remedy="Check the file's suffix.")
