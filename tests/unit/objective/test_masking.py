import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mediafm.errors import ConfigError
from mediafm.objective.masking import NUM_MODALITIES, MaskConfig, draw, draw_mask, draw_spans, draw_unread, num_masked


def run_lengths(is_masked):
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_masked.astype(int), [0]])))
    return edges[1::2] - edges[::2]


@given(st.integers(1, 512), st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_a_mask_hides_exactly_its_number_and_at_least_one(num_shots, share, seed):
    is_masked = draw_mask(num_shots, share, np.random.default_rng(seed))
    assert is_masked.shape == (num_shots,)
    assert is_masked.sum() == num_masked(num_shots, share)
    assert 1 <= is_masked.sum() <= num_shots


def test_the_published_fifth():
    assert [num_masked(n, 0.2) for n in (1, 2, 5, 7, 8, 25, 512)] == [1, 1, 1, 1, 2, 5, 102]


def test_the_published_draw_is_what_it_was():
    assert np.flatnonzero(draw_mask(20, 0.2, np.random.default_rng(7))).tolist() == [11, 12, 16, 17]


@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_options_that_are_off_draw_nothing(num_shots, seed):
    one, other = np.random.default_rng(seed), np.random.default_rng(seed)
    mask, is_masked = draw(num_shots, MaskConfig(), one), draw_mask(num_shots, 0.2, other)
    assert np.array_equal(mask.is_masked, is_masked)
    assert np.array_equal(mask.is_hidden, np.stack([is_masked] * NUM_MODALITIES, axis=1))
    assert not mask.is_dropped.any()
    assert one.bit_generator.state == other.bit_generator.state


def test_every_shot_is_masked_equally_often():
    rng = np.random.default_rng(0)
    counts = sum(draw_mask(20, 0.2, rng).astype(int) for _ in range(4000))
    # 4000 draws of 4 in 20: 800 each, standard deviation 25.
    assert np.abs(counts - 800).max() < 125


@pytest.mark.parametrize(("num_shots", "share", "span_shots"), [(40, 0.2, 4.0), (30, 0.5, 6.0), (9, 0.4, 2.0)])
def test_spans_favour_no_place(num_shots, share, span_shots):
    rng, num_draws = np.random.default_rng(0), 4000
    counts = sum(draw_spans(num_shots, share, span_shots, rng).astype(int) for _ in range(num_draws))
    usual = num_masked(num_shots, share) / num_shots
    assert np.abs(counts / num_draws - usual).max() < 5 * (usual * (1 - usual) / num_draws) ** 0.5


@given(st.integers(1, 300), st.floats(0.01, 0.99), st.floats(1.0, 12.0), st.integers(0, 2**32 - 1))
def test_spans_hide_exactly_as_many_in_as_many_runs_as_give_their_mean_length(num_shots, share, span_shots, seed):
    is_masked = draw_spans(num_shots, share, span_shots, np.random.default_rng(seed))
    num_hidden = num_masked(num_shots, share)
    assert is_masked.shape == (num_shots,)
    assert is_masked.sum() == num_hidden
    assume(num_hidden < num_shots)
    wanted = min(max(1, round(num_hidden / span_shots)), num_shots - num_hidden)
    # Drawn on a ring: a run over the cut counts twice.
    assert len(run_lengths(is_masked)) == wanted + (is_masked[0] and is_masked[-1])


@pytest.mark.parametrize("span_shots", [2.0, 4.0, 8.0])
def test_runs_are_as_long_on_average_as_asked_and_nearly_geometric(span_shots):
    rng = np.random.default_rng(1)
    lengths = np.concatenate([run_lengths(draw_spans(512, 0.25, span_shots, rng)) for _ in range(200)])
    assert lengths.mean() == pytest.approx(span_shots, rel=0.07)
    assert (lengths == 1).mean() == pytest.approx(1 / span_shots, rel=0.15)


def test_single_modalities_are_hidden_at_their_share_beside_the_masked_shots():
    rng = np.random.default_rng(0)
    masks = [draw(50, MaskConfig(modality_share=0.3), rng) for _ in range(400)]
    assert all(mask.is_hidden[mask.is_masked].all() for mask in masks)
    others = np.concatenate([mask.is_hidden[~mask.is_masked] for mask in masks])
    # 16,000 draws a modality: standard deviation 0.0036.
    assert np.abs(others.mean(axis=0) - 0.3).max() < 0.02
    # One by one: two of a shot together at the product.
    assert (others[:, 0] & others[:, 1]).mean() == pytest.approx(0.09, abs=0.012)
    assert not any(mask.is_dropped.any() for mask in masks)


def test_a_sequence_loses_one_modality_at_its_share_each_as_often():
    rng = np.random.default_rng(0)
    masks = [draw(10, MaskConfig(modality_drop_share=0.6), rng) for _ in range(6000)]
    dropped = np.stack([mask.is_dropped for mask in masks])
    assert dropped.sum(axis=1).max() == 1
    assert np.abs(dropped.mean(axis=0) - 0.2).max() < 0.03
    assert all(np.array_equal(mask.is_hidden.all(axis=1), mask.is_masked) for mask in masks)


@pytest.mark.parametrize("shares", [(0.5, 0.25, 0.25), (1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (0.0, 0.0, 1.0)])
def test_readers_do_without_modalities_as_often_as_told_and_never_without_all(shares):
    rng, num_draws = np.random.default_rng(0), 6000
    unread = np.stack([draw_unread(shares, rng) for _ in range(num_draws)])
    num_unread = unread.sum(axis=1)
    assert num_unread.max() < NUM_MODALITIES
    found = np.bincount(num_unread, minlength=NUM_MODALITIES) / num_draws
    assert np.abs(found - np.array(shares) / sum(shares)).max() < 0.035
    assert np.ptp(unread.mean(axis=0)) < 0.05


def test_the_same_generator_draws_the_same_mask():
    config = MaskConfig(shape="span", modality_share=0.2, modality_drop_share=0.5)
    one, other = (draw(50, config, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one.is_hidden, other.is_hidden)
    assert np.array_equal(one.is_dropped, other.is_dropped)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("share", 0.0),
        ("share", 1.0),
        ("share", float("nan")),
        ("shape", "block"),
        ("span_shots", 0.5),
        ("modality_share", 1.0),
        ("modality_drop_share", 1.1),
    ],
)
def test_impossible_masks_are_refused(field, wrong):
    with pytest.raises(ConfigError, match=r"share lies in \(0, 1\)"):
        MaskConfig(**{field: wrong})
