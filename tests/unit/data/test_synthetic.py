import numpy as np

from mediafm.data.synthetic import SyntheticSettings, draw_catalog


def test_a_catalogue_is_its_seeds():
    one, same, other = (draw_catalog(SyntheticSettings(num_titles=3, width=4, seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.sequences["title-00001"].fused, same.sequences["title-00001"].fused)
    assert one.titles == same.titles
    assert one.titles != other.titles


def test_shots_are_unit_and_each_has_a_modality():
    catalog = draw_catalog(SyntheticSettings(num_titles=4, width=4, absent_shares=(0.8, 0.8, 0.8)))
    for title_id, sequence in catalog.sequences.items():
        assert sequence.is_present.any(axis=1).all()
        assert np.allclose(np.linalg.norm(sequence.fused.astype(np.float32), axis=1), 1, atol=2e-3)
        assert len(catalog.scenes[title_id]) == sequence.num_shots
        for column, block in enumerate(catalog.space.slices.values()):
            is_absent = ~sequence.is_present[:, column]
            assert (sequence.fused[is_absent][:, block] == 0).all()


def test_shots_of_a_scene_are_more_alike():
    catalog = draw_catalog(SyntheticSettings(num_titles=6, width=16, noise=0.4))
    within, across = [], []
    for title_id, sequence in catalog.sequences.items():
        similarity = sequence.fused.astype(np.float32) @ sequence.fused.astype(np.float32).T
        is_same = catalog.scenes[title_id][:, None] == catalog.scenes[title_id]
        off_diagonal = ~np.eye(sequence.num_shots, dtype=bool)
        within.append(similarity[is_same & off_diagonal].mean())
        across.append(similarity[~is_same].mean())
    assert np.mean(within) > np.mean(across) + 0.2
