"""What the benchmark of small catalogues reads and computes; no model is trained."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.__main__ import available, module_of
from benchmarks.small_catalogues import title_mean
from benchmarks.small_features import ABSENT_WIDTH, read_features
from benchmarks.small_measures import Paired, correlations, neighbours, traits
from mediafm.errors import CatalogError
from mediafm.probes.intervals import Interval
from mediafm.types import Modality


@pytest.fixture
def stacked(tmp_path):
    """Three titles of four steps: the first lacks its first step, the last lacks everything."""
    rng = np.random.default_rng(0)
    audio, video = rng.normal(size=(3, 4, 5)), rng.normal(size=(3, 4, 6))
    audio[0, 0] = video[0, 0] = 0.0
    video[1, 2] = 0.0
    audio[2] = video[2] = 0.0
    path = tmp_path / "feats.npz"
    np.savez(path, audio=audio, video=video, scores=np.arange(6.0).reshape(3, 2))
    return path


def test_shots_without_any_modality_are_left_out_and_scores_stay_with_their_titles(stacked):
    catalog = read_features(stacked)
    assert [title.num_shots for title in catalog.titles] == [3, 4]
    assert catalog.space.width == 5 + 6 + ABSENT_WIDTH
    first, second = (catalog.load(title) for title in catalog.titles)
    assert first.is_present[:, list(Modality).index(Modality.TEXT)].sum() == 0
    assert second.is_present[:, list(Modality).index(Modality.VIDEO)].tolist() == [True, True, False, True]
    np.testing.assert_allclose(np.linalg.norm(second.fused.astype(np.float32), axis=1), 1.0, atol=1e-3)
    assert [catalog.traits[title.title_id].tolist() for title in catalog.titles] == [[0.0, 1.0], [2.0, 3.0]]
    assert np.linalg.norm(title_mean(second)) == pytest.approx(1.0, abs=1e-5)


def test_a_title_that_is_not_sound_stops_the_reading(tmp_path):
    np.savez(tmp_path / "f.npz", title_id=np.array(["a", "a"]), position=np.array([0, 2]), video=np.ones((2, 3)))
    with pytest.raises(CatalogError, match="no position 1"):
        read_features(tmp_path / "f.npz")


def test_the_same_vectors_do_not_differ():
    rng = np.random.default_rng(1)
    fused = {str(number): _unit(rng.normal(size=(30, 6))) for number in range(8)}
    found = neighbours([fused, fused], fused)
    assert found.values == (found.other, found.other)
    assert (found.apart.value, found.apart.low, found.apart.high) == (0.0, 0.0, 0.0)


def test_vectors_that_know_their_place_have_near_neighbours():
    """Shots along a half circle: the nearest that is not adjacent is two away."""
    rng = np.random.default_rng(2)
    fused = {str(number): _unit(rng.normal(size=(40, 6))) for number in range(8)}
    angle = np.linspace(0, np.pi, 40)
    placed = dict.fromkeys(fused, np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32))
    found = neighbours([placed], fused)
    assert found.value == 1.0
    assert found.apart.low is not None
    assert found.apart.low > 0.3
    assert not found.is_below
    assert neighbours([fused], placed).is_below


def test_traits_are_told_by_vectors_that_hold_them_only():
    rng = np.random.default_rng(3)
    true_TK = rng.normal(size=(120, 3))
    telling = (true_TK @ rng.normal(size=(3, 8)) + 0.1 * rng.normal(size=(120, 8))).astype(np.float32)
    silent = rng.normal(size=(120, 8)).astype(np.float32)
    found = traits([telling, telling], silent, true_TK)
    assert found.value > 0.95
    assert abs(found.other) < 0.25
    assert found.apart.low is not None
    assert found.apart.low > 0.5


def test_a_weighted_correlation_is_that_of_repeated_rows():
    rng = np.random.default_rng(4)
    told, true = rng.normal(size=(12, 2)), rng.normal(size=(12, 2))
    times = rng.integers(0, 4, size=12)
    again = [np.corrcoef(np.repeat(told[:, k], times), np.repeat(true[:, k], times))[0, 1] for k in range(2)]
    np.testing.assert_allclose(correlations(told, true, times[None].astype(np.float64)), [again])


def test_a_row_tells_the_difference_its_interval_and_every_seed():
    row = Paired(values=(0.5, 0.7), other=0.4, apart=Interval(0.2, -0.1, 0.5)).as_row("x", "share", "fused", 1.0)
    assert row.name == "small: x (difference +0.200, -0.100 to +0.500; seeds 0.500 0.700)"
    assert row.ratio == pytest.approx(1.5)
    assert row.is_goal_met


def test_the_benchmark_is_known_by_its_short_name():
    assert "small" in available()
    assert module_of("small") == "benchmarks.small_catalogues"


def _unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
