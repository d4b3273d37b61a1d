"""Reading ahead: in order, bounded, errors where they belong, and no thread left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from mediafm.steps.prefetch import Prefetched

NAME = "mediafm-prefetch"


def alive() -> int:
    return sum(thread.name == NAME for thread in threading.enumerate())


def test_items_come_in_order() -> None:
    assert list(Prefetched(range(1000), 4)) == list(range(1000))
    assert alive() == 0


def test_no_more_than_depth_items_are_read_ahead() -> None:
    read: list[int] = []

    def source() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    ahead = iter(Prefetched(source(), 3))
    assert next(ahead) == 0
    time.sleep(0.3)
    assert len(read) <= 1 + 3 + 1
    assert list(ahead) == list(range(1, 100))


def test_an_error_comes_where_its_item_would_have() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError("here")

    ahead = iter(Prefetched(source(), 4))
    assert next(ahead) == 1
    with pytest.raises(ZeroDivisionError, match="here"):
        next(ahead)
    assert alive() == 0


def test_a_reader_that_leaves_early_ends_the_worker_and_closes_its_source() -> None:
    closed_on: list[str] = []

    def source() -> Iterator[int]:
        try:
            yield from range(10_000)
        finally:
            closed_on.append(threading.current_thread().name)

    ahead = iter(Prefetched(source(), 2))
    next(ahead)
    ahead.close()  # type: ignore[attr-defined]
    assert alive() == 0
    assert closed_on == [NAME]


def test_closing_what_never_began_does_nothing() -> None:
    Prefetched(range(3), 1).close()
    assert alive() == 0
