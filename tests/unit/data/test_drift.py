"""Drift of titles: the test keeps its level, has power, and does not take many shots for many titles."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

from mediafm.automation import DriftSettings
from mediafm.data.drift import Drift, GroupMeans, group_means, measure_drift
from mediafm.data.sequences import TitleSequence
from mediafm.errors import ConfigError
from mediafm.types import Modality

WIDTH = 4
SLICES = {modality: slice(WIDTH * place, WIDTH * (place + 1)) for place, modality in enumerate(Modality)}
FUSED = 3 * WIDTH


def titles(
    rng: np.random.Generator,
    num_groups: int,
    moved: float = 0.0,
    modality: Modality = Modality.AUDIO,
    spread: float = 0.5,
    num_shots: int = 6,
) -> Iterator[tuple[str, TitleSequence]]:
    """Shots around a centre of their title's; `moved` moves one modality of all of them."""
    for number in range(num_groups):
        centre = np.zeros(FUSED)
        centre[::WIDTH] = 1.0
        centre[SLICES[modality].start + 1] += moved
        centre = centre + spread * rng.normal(size=FUSED) / np.sqrt(WIDTH)
        shots = centre + 0.05 * rng.normal(size=(num_shots, FUSED))
        for part in SLICES.values():
            shots[:, part] /= np.linalg.norm(shots[:, part], axis=1, keepdims=True)
        shots /= np.linalg.norm(shots, axis=1, keepdims=True)
        present = np.ones((num_shots, 3), bool)
        yield f"group-{number}", TitleSequence(f"title-{number}", shots.astype(np.float16), present, None)


def means(seed: int, num_groups: int = 20, **how: object) -> GroupMeans:
    return group_means(titles(np.random.default_rng(seed), num_groups, **how), SLICES, FUSED)  # type: ignore[arg-type]


def drift(before: GroupMeans, after: GroupMeans, permutations: int = 99) -> Drift:
    return measure_drift(before, after, permutations, np.random.default_rng(0))


def test_the_level_holds_where_nothing_drifted() -> None:
    """At alpha 0.1 about 20 of 200 fire; 34 is 3.3 standard deviations above."""
    p_values = [drift(means(2 * seed), means(2 * seed + 1)).p_value for seed in range(200)]
    assert sum(p <= 0.1 for p in p_values) <= 34
    assert sum(p <= 0.5 for p in p_values) >= 70, "a p-value is spread over its range"


def test_the_level_does_not_depend_on_how_many_shots_a_title_has() -> None:
    few = [drift(means(2 * s, num_shots=2), means(2 * s + 1, num_shots=40)).p_value for s in range(60)]
    assert sum(p <= 0.1 for p in few) <= 14


def test_a_moved_modality_is_found_and_named() -> None:
    found = [drift(means(2 * seed), means(2 * seed + 1, moved=1.0)) for seed in range(20)]
    assert all(one.p_value <= 0.01 for one in found)
    settings = DriftSettings()
    assert all("audio" in one.reason(settings) for one in found)
    assert not any("video" in one.reason(settings) for one in found)
    shifts = np.array([one.mean_shift["audio"] for one in found], float)
    assert shifts.mean() > 1.0


def test_another_spread_around_the_same_mean_is_found_by_the_statistic_alone() -> None:
    found = drift(means(1, 60, spread=0.2), means(2, 60, spread=2.0))
    assert found.p_value <= 0.01
    assert found.energy > 0.1


def test_a_trifle_is_no_drift_however_sure_it_is() -> None:
    before, after = means(1, 300), means(2, 300, moved=0.15)
    found = drift(before, after)
    assert found.p_value <= 0.01
    assert found.reason(DriftSettings()) == ""
    assert "audio" in found.reason(DriftSettings(min_mean_shift=0.05))


def test_the_mean_shift_is_the_distance_in_standard_deviations() -> None:
    """Worked out by hand: means 0 and 3 along one axis, spread sqrt(2) in total, and its expectation taken off."""
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(2000, 2))
    side = GroupMeans(fused=flat[:1000], blocks={Modality.VIDEO: flat[:1000]}, num_titles=1000)
    moved = flat[1000:] + np.array([3.0, 0.0])
    other = GroupMeans(fused=moved, blocks={Modality.VIDEO: moved}, num_titles=1000)
    shift = drift(side, other).mean_shift["video"]
    assert shift == pytest.approx(3 / np.sqrt(2), rel=0.05)


def test_groups_are_means_of_their_shots_and_absent_modalities_are_left_out() -> None:
    shots = np.zeros((2, FUSED), np.float32)
    shots[0, 0] = 1.0
    shots[1, WIDTH] = 1.0
    present = np.array([[True, False, False], [False, True, False]])
    first = TitleSequence("first", shots, present, None)
    made = group_means([("series", first), ("series", first), ("empty", _empty())], SLICES, FUSED)
    assert (made.num_groups, made.num_titles) == (1, 2)
    assert made.fused[0, [0, WIDTH]] == pytest.approx([0.5, 0.5])
    assert made.blocks[Modality.VIDEO][0] == pytest.approx([1, 0, 0, 0])
    assert len(made.blocks[Modality.TEXT]) == 0
    assert drift(means(1), _without_text(means(2))).mean_shift["text"] is None


def test_a_drift_is_json() -> None:
    found = drift(means(1), means(2))
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["num_after"] == 20


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least two groups on each side"):
        drift(means(1), means(2, 1))


def _empty() -> TitleSequence:
    return TitleSequence("empty", np.zeros((0, FUSED), np.float16), np.zeros((0, 3), bool), None)


def _without_text(made: GroupMeans) -> GroupMeans:
    blocks = {**made.blocks, Modality.TEXT: np.zeros((0, WIDTH))}
    return GroupMeans(fused=made.fused, blocks=blocks, num_titles=made.num_titles)
