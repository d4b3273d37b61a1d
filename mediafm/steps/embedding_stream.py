"""How a frozen encoder goes over many titles: one stream of items, batches across titles, one table a title.

A worker thread reads ahead (pictures from the store, sound from the decoding child) while the network is busy.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mediafm.encoders.encoder import NOTHING_BOUGHT, Encoded, Encoder, Usage
from mediafm.encoders.given import IMPORTED, NO_ENCODER
from mediafm.steps.encoders import borrow_encoder
from mediafm.steps.prefetch import Prefetched
from mediafm.steps.present import PresentTitle
from mediafm.steps.step import Guard, Made, StreamResult, StreamStep, Work, let_pass
from mediafm.steps.workspace import Workspace
from mediafm.store.vectors import vectors_to_arrow
from mediafm.types import Json, Modality

ITEMS_AHEAD = 16
"""How many shots' pictures or sound wait for the encoder at most: bounds memory, whatever the titles' length."""

MAX_READY = 64
"""Titles without an item never come back from the encoder: after so many its stream is ended, they are concluded, and
another begins. Our choice: few enough to lose little when a process is killed, and too many to cut batches short often.
"""

Item = tuple[int, Any]
"""A row of the title's table and what the encoder reads for it."""


@dataclass(slots=True)
class _OpenTitle:
    """A title whose vectors are being gathered.

    num_waiting: items that went to the encoder and have not come back.
    """

    work: Work
    vectors: NDArray[np.float32]
    is_present: NDArray[np.bool_]
    num_waiting: int = 0
    is_read: bool = False
    usage: Usage = NOTHING_BOUGHT

    @property
    def is_complete(self) -> bool:
        return self.is_read and not self.num_waiting


@dataclass(frozen=True, slots=True)
class _Begin:
    work: Work
    num_rows: int


@dataclass(frozen=True, slots=True)
class _Read:
    title_id: str
    item: Item


@dataclass(frozen=True, slots=True)
class _End:
    title_id: str


@dataclass(frozen=True, slots=True)
class _Unreadable:
    title_id: str
    error: Exception


_Event = _Begin | _Read | _End | _Unreadable


@dataclass(slots=True)
class _Desk:
    """What is under way: titles being gathered, and results that are ready to be taken; is_over: all is read."""

    open: dict[str, _OpenTitle] = field(default_factory=dict)
    ready: deque[_OpenTitle | _Unreadable] = field(default_factory=deque)
    is_over: bool = False


class EncoderStep(StreamStep):
    """One frozen encoder over what each title has for it."""

    modality: ClassVar[Modality]

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._paid = dict[str, Usage]()
        """What was bought for titles whose stream broke off: the next one finds it known, and paid."""

    @abstractmethod
    def num_rows(self, title: PresentTitle) -> int:
        """How many rows the title's table has."""

    @abstractmethod
    def items(self, title: PresentTitle) -> Iterator[Item]:
        """What the encoder reads, by row, in order; rows left out are absent. Called on the worker thread."""

    @abstractmethod
    def table(self, vectors: NDArray[np.float32], is_present: NDArray[np.bool_]) -> pa.Table:
        """The title's value."""

    def notes(self, title_id: str) -> Sequence[str]:
        """What is to be said of reading the title's items, once they are all read; for its record."""
        return ()

    @cached_property
    def encoder(self) -> Encoder[Any]:
        """The profile's encoder, borrowed for as long as this step lives."""
        return borrow_encoder(self._workspace, self.modality)

    def waits_for(self, title: PresentTitle) -> str:
        """Vectors that the user brings are waited for."""
        if self.encoder.spec.name != IMPORTED:
            return ""
        return f"waits for its {self.modality} vectors: `mediafm import-embeddings FILE --modality {self.modality}`"

    def paid_in_vain(self, title_id: str) -> tuple[Mapping[str, Json], float]:
        usage = self._paid.pop(title_id, NOTHING_BOUGHT)
        return _details(usage), usage.cost_usd

    def make_stream(self, works: Iterable[Work], guard: Guard = let_pass) -> Iterator[StreamResult]:
        """As `StreamStep.make_stream`. An error of the encoder ends the stream: a batch has items of many titles."""
        encoder, desk = self.encoder, _Desk()
        prefetched = Prefetched(self._events(works, guard), ITEMS_AHEAD)
        events = iter(prefetched)
        try:
            while not desk.is_over:
                for encoded in encoder.encode_stream(self._asked(events, desk)):
                    self._take(desk, encoded)
                    yield from self._results(desk)
                yield from self._results(desk)
        finally:
            prefetched.close()
            self._paid |= {title_id: title.usage for title_id, title in desk.open.items()}

    def _events(self, works: Iterable[Work], guard: Guard) -> Iterator[_Event]:
        """Everything that is to be read, title after title; what is wrong with one title is that title's own event."""
        for work in works:
            title_id = work.title.title_id
            try:
                guard(work)
                yield _Begin(work, self.num_rows(work.title))
                if self.encoder.spec.name not in (NO_ENCODER, IMPORTED):
                    for item in self.items(work.title):
                        yield _Read(title_id, item)
            except Exception as error:  # noqa: BLE001 - handed on as this title's result
                yield _Unreadable(title_id, error)
            else:
                yield _End(title_id)

    def _take(self, desk: _Desk, encoded: Encoded[tuple[str, int]]) -> None:
        title_id, row = encoded.key
        title = desk.open.get(title_id)
        if title is not None:
            title.vectors[row], title.is_present[row] = encoded.vector, True
            title.usage += encoded.usage
            title.num_waiting -= 1
            self._settle(desk, title_id)

    def _asked(self, events: Iterator[_Event], desk: _Desk) -> Iterator[tuple[tuple[str, int], Any]]:
        """The items for the encoder, until all is read or many results wait; titles are begun and ended on the way."""
        width = self.encoder.spec.width
        for event in events:
            if isinstance(event, _Begin):
                vectors = np.zeros((event.num_rows, width), np.float32)
                is_present = np.zeros(event.num_rows, np.bool_)
                title_id = event.work.title.title_id
                paid = self._paid.pop(title_id, NOTHING_BOUGHT)
                desk.open[title_id] = _OpenTitle(event.work, vectors, is_present, usage=paid)
            elif isinstance(event, _Read):
                row, item = event.item
                desk.open[event.title_id].num_waiting += 1
                yield (event.title_id, row), item
            elif isinstance(event, _End):
                desk.open[event.title_id].is_read = True
                self._settle(desk, event.title_id)
            else:
                if (title := desk.open.pop(event.title_id, None)) is not None:
                    self._paid[event.title_id] = title.usage
                desk.ready.append(event)
            if len(desk.ready) >= MAX_READY:
                return
        desk.is_over = True

    def _settle(self, desk: _Desk, title_id: str) -> None:
        if desk.open[title_id].is_complete:
            desk.ready.append(desk.open.pop(title_id))

    def _results(self, desk: _Desk) -> Iterator[StreamResult]:
        while desk.ready:
            done = desk.ready.popleft()
            if isinstance(done, _Unreadable):
                yield StreamResult(done.title_id, error=done.error)
            else:
                yield self._result(done)

    def _result(self, title: _OpenTitle) -> StreamResult:
        title_id = title.work.title.title_id
        (identity,) = title.work.missing
        usage = title.usage
        try:
            table = self.table(title.vectors, title.is_present)
            details = _details(usage)
            if notes := self.notes(title_id):
                details["notes"] = list(notes)
            made = Made.of(self._workspace.store, identity, table, details, usage.cost_usd)
        except Exception as error:  # noqa: BLE001 - this title's result
            return StreamResult(title_id, error=error)
        return StreamResult(title_id, made=(made,))


def _details(usage: Usage) -> dict[str, Json]:
    """What a record says of what was bought; nothing if nothing was for sale."""
    if usage == NOTHING_BOUGHT:
        return {}
    return {"num_tokens": usage.num_tokens, "num_bought": usage.num_bought, "num_cached": usage.num_cached}


def shot_table(vectors: NDArray[np.float32], is_present: NDArray[np.bool_]) -> pa.Table:
    """A unimodal table: a row a shot, its vector null where the modality is absent."""
    return pa.table(
        {
            "shot_index": pa.array(np.arange(len(vectors), dtype=np.int32)),
            "is_present": pa.array(is_present),
            "vector": vectors_to_arrow(vectors, is_present),
        }
    )
