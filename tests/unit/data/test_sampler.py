from collections import Counter

import numpy as np
import pytest

from mediafm.config import TrainingSettings
from mediafm.data.manifest import build_manifest
from mediafm.data.sampler import Reads, Sampler
from mediafm.data.split import Split
from mediafm.data.synthetic import SyntheticSettings, draw_catalog
from mediafm.objective.masking import MaskConfig, draw_mask, num_masked


def sampler(manifest, **changes):
    return Sampler(
        manifest, **{"seed": 3, "shots_per_step": 40, "masks": MaskConfig(), "metadata_drop_share": 0.3, **changes}
    )


def described(step):
    return [(item.window, item.is_masked.tolist(), item.is_metadata_dropped) for item in step]


def test_an_epoch_shows_every_training_shot_once_and_no_other(manifest):
    deal = sampler(manifest)
    seen = Counter()
    while deal.state.epoch == 0:
        for item in deal.next_step():
            seen.update((item.window.title_id, shot) for shot in range(item.window.start, item.window.end))
    training = {
        (planned.title.title_id, shot)
        for planned, part in manifest.parts(Split.TRAIN)
        for shot in range(part.start, part.end)
    }
    assert seen == Counter(training)


def test_steps_keep_to_their_size_and_masks_to_their_number(manifest):
    deal = sampler(manifest)
    for _ in range(20):
        step = deal.next_step()
        assert len(step) == 1 or sum(item.window.num_shots for item in step) <= 40
        for item in step:
            assert item.is_masked.sum() == num_masked(item.window.num_shots, 0.2)


def test_a_sampler_resumed_at_any_state_deals_the_same(manifest):
    one = sampler(manifest)
    states, steps = [], []
    for _ in range(12):
        states.append(one.state)
        steps.append(described(one.next_step()))
    for at in (0, 1, 5, 11):
        other = sampler(manifest, state=states[at])
        assert [described(other.next_step()) for _ in range(12 - at)] == steps[at:]


def test_seeds_differ_and_the_global_generator_is_left_alone(manifest):
    before = np.random.get_state()[1].copy()
    assert described(sampler(manifest).next_step()) != described(sampler(manifest, seed=4).next_step())
    assert np.array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("num_shots", [513, 1024, 1700])
def test_long_titles_are_read_in_full_windows_that_reach_all_of_it(num_shots):
    catalog = draw_catalog(SyntheticSettings(num_titles=6, min_shots=num_shots, max_shots=num_shots, width=2))
    manifest = build_manifest(catalog.titles, catalog.space.as_json(), TrainingSettings())
    deal = sampler(manifest, shots_per_step=10_000)
    title_id = manifest.parts(Split.TRAIN)[0][0].title.title_id
    seen = set()
    for _ in range(40):
        windows = [item.window for item in deal.next_step() if item.window.title_id == title_id]
        assert all(window.num_shots == 512 for window in windows)
        assert all(0 <= window.start <= num_shots - 512 for window in windows)
        seen.update(shot for window in windows for shot in range(window.start, window.end))
    assert len(seen) > num_shots * 0.95


def test_the_published_objective_draws_exactly_a_mask_and_a_coin_a_window(manifest):
    deal = sampler(manifest)
    for step in range(8):
        rng = np.random.default_rng([3, 1, step])
        for item in deal.next_step():
            assert np.array_equal(item.is_masked, draw_mask(item.window.num_shots, 0.2, rng))
            assert np.array_equal(item.mask.is_hidden, np.repeat(item.is_masked[:, None], 3, axis=1))
            assert item.is_metadata_dropped == (rng.random() < 0.3)
            assert not item.mask.is_dropped.any()
            assert item.is_unread_by_teacher is None


SCHEDULED = Reads(student=(0.5, 0.25, 0.25), teacher=(0.5, 0.25, 0.25))


def test_masks_and_readings_do_not_move_the_order_of_windows(manifest):
    masks = MaskConfig(share=0.5, shape="span", modality_share=0.2, modality_drop_share=0.5)
    plain, other = sampler(manifest), sampler(manifest, masks=masks, reads=SCHEDULED)
    for _ in range(10):
        assert [item.window for item in plain.next_step()] == [item.window for item in other.next_step()]


def test_nine_pairs_of_readings_are_drawn_as_often_as_told_and_none_reads_nothing(manifest):
    deal = sampler(manifest, reads=SCHEDULED)
    pairs = Counter()
    for _ in range(700):
        for item in deal.next_step():
            pairs[int(item.mask.is_dropped.sum()), int(item.is_unread_by_teacher.sum())] += 1
    total, shares = sum(pairs.values()), (0.5, 0.25, 0.25)
    assert set(pairs) == {(student, teacher) for student in range(3) for teacher in range(3)}
    for (student, teacher), count in pairs.items():
        assert count / total == pytest.approx(shares[student] * shares[teacher], abs=0.04)


def test_a_student_that_loses_a_modality_besides_still_reads_one(manifest):
    deal = sampler(
        manifest, masks=MaskConfig(modality_drop_share=1.0), reads=Reads(student=(0, 0, 1), teacher=(1, 0, 0))
    )
    dropped = [item.mask.is_dropped for _ in range(60) for item in deal.next_step()]
    assert {int(flags.sum()) for flags in dropped} == {2}
    assert not any(item.is_unread_by_teacher.any() for item in deal.next_step())


def test_a_sampler_with_all_options_resumed_deals_the_same(manifest):
    masks = MaskConfig(share=0.5, shape="span", modality_share=0.2, modality_drop_share=0.5)

    def all_of(step):
        return [
            (
                item.window,
                item.mask.is_hidden.tolist(),
                item.mask.is_dropped.tolist(),
                item.is_unread_by_teacher.tolist(),
            )
            for item in step
        ]

    one = sampler(manifest, masks=masks, reads=SCHEDULED)
    for _ in range(5):
        one.next_step()
    other = sampler(manifest, masks=masks, reads=SCHEDULED, state=one.state)
    assert [all_of(one.next_step()) for _ in range(6)] == [all_of(other.next_step()) for _ in range(6)]
