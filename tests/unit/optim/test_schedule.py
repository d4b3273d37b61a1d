from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.optim.schedule import Schedule


def test_warm_up_stable_decay_by_hand():
    schedule = Schedule(warmup_steps=4, decay_start=8, decay_steps=4)
    scales = [schedule.scale(step) for step in range(13)]
    assert scales == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0.0])


@given(st.integers(0, 50), st.integers(0, 100), st.integers(1, 50))
def test_scales_lie_in_0_to_1_and_fall_in_the_decay(warmup, start, length):
    schedule = Schedule(warmup_steps=warmup, decay_start=start + warmup, decay_steps=length)
    scales = [schedule.scale(step) for step in range(start + warmup + length + 2)]
    assert all(0 <= scale <= 1 for scale in scales)
    decay = scales[start + warmup : start + warmup + length]
    assert all(earlier > later for earlier, later in pairwise(decay))
    assert scales[-1] == 0


def test_without_a_decay_the_scale_stays():
    assert Schedule(warmup_steps=0).scale(10**6) == 1.0
