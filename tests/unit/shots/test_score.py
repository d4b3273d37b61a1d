"""The boundary scorer against its plain definition."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.errors import MediaFMError
from mediafm.shots.score import BoundaryScore, Transition, match_cuts, score_cuts, total_score, without_repeats

TRANSITIONS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda pair: Transition(pair[0], pair[0] + pair[1])),
    max_size=5,
)
CUTS = st.lists(st.integers(0, 75), max_size=5)


def most_that_can_be_found(cuts: list[int], truth: list[Transition], tolerance: int) -> int:
    """By trying every order in which transitions may choose."""
    best = 0
    for order in itertools.permutations(truth):
        free = sorted(cuts)
        for transition in order:
            low, high = transition.start_frame - tolerance, transition.end_frame + tolerance
            chosen = next((cut for cut in free if low <= cut <= high), None)
            if chosen is not None:
                free.remove(chosen)
        best = max(best, len(cuts) - len(free))
    return best


@given(CUTS, TRANSITIONS, st.integers(0, 3))
def test_as_many_are_matched_as_can_be(cuts: list[int], truth: list[Transition], tolerance: int) -> None:
    assert score_cuts(cuts, truth, tolerance).num_found == most_that_can_be_found(cuts, truth, tolerance)


@given(CUTS, TRANSITIONS)
def test_counts_add_up(cuts: list[int], truth: list[Transition]) -> None:
    matching = match_cuts(cuts, truth)
    assert len(matching.pairs) + len(matching.false_cuts) == len(cuts)
    assert len(matching.pairs) + len(matching.missed) == len(truth)
    assert len({i for i, _ in matching.pairs}) == len({j for _, j in matching.pairs}) == len(matching.pairs)


@given(CUTS, TRANSITIONS)
def test_order_does_not_matter(cuts: list[int], truth: list[Transition]) -> None:
    assert score_cuts(cuts[::-1], truth[::-1]) == score_cuts(cuts, truth)


@given(CUTS, TRANSITIONS)
def test_a_wider_tolerance_never_finds_less(cuts: list[int], truth: list[Transition]) -> None:
    assert score_cuts(cuts, truth, 3).num_found >= score_cuts(cuts, truth, 1).num_found


@given(CUTS, TRANSITIONS)
def test_repeats_alone_are_taken_out(cuts: list[int], truth: list[Transition]) -> None:
    strict, lax = score_cuts(cuts, truth), score_cuts(without_repeats(cuts, truth), truth)
    assert (lax.num_found, lax.num_missed) == (strict.num_found, strict.num_missed)
    assert lax.num_false <= strict.num_false


@pytest.mark.parametrize(("cut", "is_found"), [(7, False), (8, True), (32, True), (33, False)])
def test_tolerance_counts_from_the_ends_of_the_span(cut: int, is_found: bool) -> None:
    assert score_cuts([cut], [Transition(10, 30, "dissolve")]).num_found == is_found


def test_a_second_cut_in_one_transition_is_false() -> None:
    score = score_cuts([12, 20], [Transition(10, 30, "dissolve")])
    assert score == BoundaryScore(num_found=1, num_missed=0, num_false=1)
    assert score_cuts(without_repeats([12, 20], [Transition(10, 30)]), [Transition(10, 30)]).f1 == 1.0


def test_ratios() -> None:
    score = BoundaryScore(num_found=6, num_missed=2, num_false=4)
    assert (score.precision, score.recall) == (0.6, 0.75)
    assert score.f1 == pytest.approx(2 * 0.6 * 0.75 / 1.35)


def test_nothing_to_find_and_nothing_found_is_perfect() -> None:
    assert score_cuts([], []).f1 == 1.0


def test_totals_add_counts() -> None:
    total = total_score([BoundaryScore(1, 2, 3), BoundaryScore(10, 20, 30)])
    assert total == BoundaryScore(11, 22, 33)


def test_a_transition_cannot_end_before_it_starts() -> None:
    with pytest.raises(MediaFMError, match="does not end before it starts"):
        Transition(5, 4)
