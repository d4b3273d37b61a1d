import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mediafm.model.layout import Buckets, Padded, layout_of

CPU = torch.device("cpu")
COUNTS = st.lists(st.integers(1, 12), min_size=1, max_size=9).map(tuple)


def test_layout_by_hand():
    layout = layout_of((2, 3), CPU)
    assert layout.lengths == (4, 5)
    assert layout.cls_B.tolist() == [0, 4]
    assert layout.global_B.tolist() == [1, 5]
    assert layout.shot_N.tolist() == [2, 3, 6, 7, 8]
    assert layout.position_T.tolist() == [0, 0, 0, 1, 0, 0, 0, 1, 2]
    assert (layout.num_tokens, layout.max_length) == (9, 5)


def test_plans_by_hand():
    varlen = layout_of((2, 3, 2), CPU, "varlen").plan
    assert (varlen.cumulative.tolist(), varlen.cumulative.dtype, varlen.max_length) == ([0, 4, 9, 13], torch.int32, 5)
    padded = layout_of((2, 3), CPU, "padded").plan
    assert padded.place_T.tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert padded.is_token_B11S.squeeze().tolist() == [[True] * 4 + [False], [True] * 5]
    assert layout_of((3, 3), CPU, "padded").plan.is_token_B11S is None
    buckets = layout_of((1, 2, 1), CPU, "buckets").plan
    assert buckets.shapes == ((2, 3), (1, 4))
    assert buckets.order_T.tolist() == [0, 1, 2, 7, 8, 9, 3, 4, 5, 6]


@pytest.mark.parametrize(("backend", "kind"), [("varlen", Padded), ("padded", Padded), ("buckets", Buckets)])
def test_blind_blocks_have_a_plan_that_can_leave_a_token_out(backend, kind):
    # The kernel for packed tokens has no mask: beside it stands a padded grid; the other plans serve both.
    layout = layout_of((2, 3, 2), CPU, backend, has_blind=True)
    assert isinstance(layout.blind_plan, kind)
    assert layout.backend == backend
    assert (layout.blind_plan is layout.plan) == (backend != "varlen")
    if kind is Padded:
        # Even an even batch has a mask then: compiled, a mask that comes and goes would be one more kind.
        assert layout_of((3, 3), CPU, backend, has_blind=True).blind_plan.is_token_B11S.all()
        assert torch.equal(layout.blind_plan.place_T, layout_of((2, 3, 2), CPU, "padded").plan.place_T)
    assert layout_of((2, 3, 2), CPU, backend).blind_plan is None


@pytest.mark.parametrize("counts", [(5,), (7, 7, 3, 3, 3), (1, 2, 3)])
def test_sequences_that_lie_by_length_are_not_moved(counts):
    assert layout_of(counts, CPU, "buckets").plan.order_T is None


@given(COUNTS)
def test_every_token_has_one_place_in_every_plan(counts):
    layout = layout_of(counts, CPU, "buckets")
    num_tokens = sum(counts) + 2 * len(counts)
    roles = torch.cat((layout.cls_B, layout.global_B, layout.shot_N))
    assert roles.sort().values.tolist() == list(range(num_tokens))
    buckets = layout.plan
    assert sum(count * length for count, length in buckets.shapes) == num_tokens
    assert len({length for _, length in buckets.shapes}) == len(buckets.shapes)
    if buckets.order_T is not None:
        assert buckets.order_T[buckets.inverse_T].tolist() == list(range(num_tokens))
    padded = layout_of(counts, CPU, "padded").plan
    assert len(set(padded.place_T.tolist())) == num_tokens
    assert int(padded.place_T.max()) < padded.num_sequences * padded.max_length
    assert layout_of(counts, CPU, "varlen").plan.cumulative.diff().tolist() == list(layout.lengths)
