"""Captions to shots: exactly one each, the greatest overlap, nothing lost, no n times m."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.errors import MediaFMError
from mediafm.media.timed_text import Cue, assign_cues, shot_text
from mediafm.types import Span


def cue(start: float, end: float, text: str = "x") -> Cue:
    return Cue(start_seconds=start, end_seconds=end, text=text)


SHOTS = (Span(0.0, 2.0), Span(2.0, 5.0), Span(5.0, 6.0), Span(8.0, 12.0))


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0.5, 1.0, 0),
        (1.5, 3.0, 1),
        (1.0, 3.0, 0),  # a tie goes to the earlier shot
        (0.0, 12.0, 3),
        (1.0, 9.0, 1),
        (5.5, 20.0, 3),
        (2.0, 5.0, 1),
        (6.0, 8.0, None),  # in the gap; spans are half-open
        (12.0, 13.0, None),
    ],
)
def test_a_cue_belongs_to_the_shot_that_it_overlaps_longest(start: float, end: float, expected: int | None) -> None:
    assignment = assign_cues([cue(start, end)], SHOTS)
    assert [index for index, _ in assignment.assigned] == ([] if expected is None else [expected])
    assert assignment.num_outside == (expected is None)


TIMES = st.integers(0, 40).map(lambda tick: tick / 4)


@given(
    st.lists(st.tuples(TIMES, st.integers(1, 30)), max_size=20),
    st.lists(TIMES, max_size=20, unique=True),
    st.sets(st.integers(0, 18)),
)
def test_equals_the_slow_rule_and_loses_nothing(
    cue_times: list[tuple[float, int]], edges: list[float], gaps: set[int]
) -> None:
    cues = [cue(start, start + ticks / 4, str(number)) for number, (start, ticks) in enumerate(cue_times)]
    edges.sort()
    pairs = pairwise(edges)
    spans = [Span(low, high) for number, (low, high) in enumerate(pairs) if number not in gaps]
    assignment = assign_cues(cues, spans)
    assert len(assignment.assigned) + assignment.num_outside == len(cues)
    for index, assigned in assignment.assigned:
        overlaps = [span.overlap_seconds(Span(assigned.start_seconds, assigned.end_seconds)) for span in spans]
        assert overlaps[index] == max(overlaps) > 0
        assert overlaps.index(max(overlaps)) == index
    order = [(index, item.start_seconds) for index, item in assignment.assigned]
    assert order == sorted(order)


def test_many_cues_over_many_shots_stay_near_linear() -> None:
    """Four times as many of both: 4 if linear, 16 if each cue is held against each shot."""

    def least_seconds(number: int) -> float:
        spans = [Span(float(index), index + 1.0) for index in range(number)]
        cues = [cue(0.25 + index * 0.001, number - 0.5) for index in range(number)]
        found = []
        for _ in range(3):
            start = time.process_time()
            assignment = assign_cues(cues, spans)
            found.append(time.process_time() - start)
        assert {index for index, _ in assignment.assigned} == set(range(1, 2 + number // 1000))
        return min(found)

    assert least_seconds(20_000) < 9 * least_seconds(5_000)


def test_no_shots_and_no_cues() -> None:
    assert assign_cues([cue(0.0, 1.0)], []).num_outside == 1
    assert assign_cues([], SHOTS).assigned == ()


def test_spans_out_of_order_are_refused() -> None:
    with pytest.raises(MediaFMError, match="spans are ordered and disjoint"):
        assign_cues([], [Span(2.0, 3.0), Span(0.0, 1.0)])


def test_the_text_of_a_shot_is_its_cues_in_order_of_time() -> None:
    assert shot_text([cue(3.0, 4.0, "second"), cue(1.0, 2.0, "first\nline")]) == "first\nline\nsecond"
    assert shot_text([]) == ""
