"""What is measured of a frame, against pictures whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm.encoders import frame_descriptors as measure
from mediafm.encoders.frame_descriptors import shrink

BINS = (8, 6, 6)


def _plain(red: int, green: int, blue: int) -> np.ndarray:
    return np.full((72, 128, 3), (red, green, blue), np.uint8)


def _noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (90, 160, 3), np.uint8)


@settings(deadline=None)
@given(st.integers(0, 30))
def test_histograms_hold_every_pixel_once(seed: int) -> None:
    picture = shrink(_noise(seed))
    counts = measure.colour_counts(picture.lab)
    assert counts.sum() == measure.WORKING_HEIGHT_PX * measure.WORKING_WIDTH_PX
    assert measure.soften(counts, BINS).sum() == pytest.approx(1, abs=1e-5)
    assert measure.local_patterns(picture).sum() == pytest.approx(1, abs=1e-5)
    assert measure.edge_strengths(picture, 8).sum() == pytest.approx(1, abs=1e-5)


def test_softening_shares_mass_between_two_bins_at_most() -> None:
    shares = measure.soften(measure.colour_counts(shrink(_plain(200, 40, 90)).lab), BINS).reshape(BINS)
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        assert (shares.sum(axis=others) > 0).sum() <= 2


def test_a_little_more_light_moves_the_histogram_a_little() -> None:
    dark, light, other = (
        measure.soften(measure.colour_counts(shrink(_plain(*colour)).lab), BINS)
        for colour in ((100, 90, 80), (104, 94, 84), (80, 90, 200))
    )
    assert np.abs(dark - light).sum() < 0.5 < np.abs(dark - other).sum()


def test_cells_know_where_a_colour_stands() -> None:
    frame = _plain(0, 0, 0)
    frame[:36] = 255
    cells = measure.cell_colours(shrink(frame), 2, 2)
    np.testing.assert_allclose(cells[0:12:3], [1, 1, 0, 0], atol=1e-3)
    np.testing.assert_allclose(cells[12:], 0, atol=1e-3)


def test_stripes_give_their_orientation() -> None:
    frame = _plain(0, 0, 0)
    frame[:, ::16] = frame[:, 1::16] = frame[:, 2::16] = 255
    upright = measure.edge_orientations(shrink(frame), 1, 1)
    assert upright[0] == pytest.approx(upright.sum(), rel=1e-3)
    lying = measure.edge_orientations(shrink(np.ascontiguousarray(frame.transpose(1, 0, 2))), 1, 1)
    assert lying.argmax() == measure.NUM_ORIENTATIONS // 2


def test_edges_are_added_up_by_cell() -> None:
    picture = shrink(_noise(3))
    cells = measure.edge_orientations(picture, 2, 4).reshape(8, -1)
    np.testing.assert_allclose(cells.mean(axis=0), measure.edge_orientations(picture, 1, 1), rtol=1e-4)


def test_a_flat_picture_has_one_pattern_and_no_edges() -> None:
    picture = shrink(_plain(120, 120, 120))
    assert measure.local_patterns(picture).max() == 1
    assert measure.edge_strengths(picture, 8)[0] == 1
    assert measure.edge_orientations(picture, 2, 2).max() == 0


def test_there_are_58_uniform_patterns() -> None:
    classes = measure._lbp_classes()
    assert sorted(set(classes.tolist())) == list(range(59))
    assert (classes == 58).sum() == 256 - 58


def test_change_is_found_where_it_happens() -> None:
    before, after = _plain(0, 0, 0), _plain(0, 0, 0)
    after[36:, 64:] = 255
    np.testing.assert_allclose(measure.cell_differences(shrink(before), shrink(after), 2, 2), [0, 0, 0, 1], atol=1e-3)


def test_low_frequencies_see_a_gradient() -> None:
    ramp = np.repeat(np.linspace(0, 255, 128).astype(np.uint8)[None, :, None], 72, axis=0).repeat(3, axis=2)
    spectrum = measure.low_frequencies(shrink(ramp), 4)
    assert len(spectrum) == 15
    assert np.abs(spectrum).argmax() == 0
