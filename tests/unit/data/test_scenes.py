import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mediafm.config import TrainingSettings
from mediafm.data.corpus import open_corpus
from mediafm.data.manifest import build_manifest
from mediafm.data.scenes import LABELS, SceneCatalog, SceneTitle
from mediafm.data.scenes_settings import SceneSettings
from mediafm.data.split import Split
from mediafm.errors import MediaFMError, NotFoundError
from mediafm.types import Modality

SETTINGS = SceneSettings(num_titles=30, seed=4)


@pytest.fixture(scope="module")
def catalog() -> SceneCatalog:
    return SceneCatalog(SETTINGS)


@pytest.fixture(scope="module")
def drawn(catalog: SceneCatalog) -> list[SceneTitle]:
    return [catalog.draw(title) for title in catalog.titles]


def pooled(drawn: list[SceneTitle], name: str) -> np.ndarray:
    return np.concatenate([getattr(each.script, name) for each in drawn])


def test_settings_round_trip_through_text():
    settings = SceneSettings(absent_shares=(0.1, 0.2, 0.3), noise=0.25, seed=9)
    assert SceneSettings.from_json(json.loads(json.dumps(settings.as_json()))) == settings


@pytest.mark.parametrize(
    ("wrong", "seen"),
    [
        ({"min_shots": 90}, "shots from 90 to 80"),
        ({"insert_share": 1.2}, r"insert_share = 1\.2"),
        ({"num_roles": 4}, "6 characters with 4 roles"),
        ({"min_scenes": 1}, "1 scenes"),
    ],
)
def test_settings_that_draw_no_title_are_refused(wrong: dict[str, float], seen: str):
    with pytest.raises(MediaFMError, match=seen):
        SceneSettings(**wrong)


def test_a_title_is_its_settings_and_its_number(catalog: SceneCatalog):
    large = SceneCatalog(replace(SETTINGS, num_titles=3000))
    assert large.titles[:30] == catalog.titles
    # Drawn in another order, by another object: nothing is carried from title to title.
    for number in (17, 3):
        one, same = large.draw(large.titles[number]), catalog.draw(catalog.titles[number])
        assert np.array_equal(one.sequence.fused, same.sequence.fused)
        assert np.array_equal(one.sequence.metadata, same.sequence.metadata)
        assert all(np.array_equal(one.labels[name], same.labels[name]) for name in LABELS)


def test_another_seed_is_another_catalogue(catalog: SceneCatalog):
    other = SceneCatalog(replace(SETTINGS, seed=5))
    assert {title.fused_fingerprint for title in other.titles}.isdisjoint(
        title.fused_fingerprint for title in catalog.titles
    )
    with pytest.raises(NotFoundError, match=r"title-00000: .* titles of its own settings"):
        catalog.load(other.titles[0])
    with pytest.raises(NotFoundError, match="title film"):
        catalog.load(replace(catalog.titles[0], title_id="film"))


def test_shots_are_unit_and_absent_modalities_zero(catalog: SceneCatalog, drawn: list[SceneTitle]):
    for each in drawn:
        fused = each.sequence.fused.astype(np.float32)
        assert fused.shape == (each.title.num_shots, catalog.space.width)
        assert SETTINGS.min_shots <= len(fused) <= SETTINGS.max_shots
        assert np.allclose(np.linalg.norm(fused, axis=1), 1, atol=2e-3)
        assert each.sequence.is_present.any(axis=1).all()
        for column, modality in enumerate(Modality):
            block = fused[:, catalog.space.slices[modality]]
            assert np.array_equal(np.abs(block).sum(axis=1) > 0, each.sequence.is_present[:, column])
        assert np.isclose(np.linalg.norm(each.sequence.metadata), 1)


def test_labels_follow_the_script(drawn: list[SceneTitle]):
    for each in drawn:
        script, labels = each.script, each.labels
        assert set(labels) == set(LABELS)
        assert np.array_equal(labels["character_role"] >= 0, script.character >= 0)
        assert np.array_equal(np.flatnonzero(labels["scene_boundary"] == 1), np.flatnonzero(np.diff(script.scene)) + 1)
        assert labels["scene_boundary"][0] == -1
        assert len(set(script.role_of_character.tolist())) == len(script.role_of_character)
        for scene in np.unique(script.scene):
            inside = script.scene == scene
            assert len(np.unique(labels["scene_type"][inside])) == len(np.unique(labels["noise"][inside])) == 1


def test_what_tells_is_there_and_nobody_is_where_nobody_can_be(drawn: list[SceneTitle]):
    tells = pooled(drawn, "is_type_text") | pooled(drawn, "is_role_text")
    assert pooled(drawn, "is_present")[tells, 2].all()
    nobody = pooled(drawn, "character") < 0
    assert nobody[pooled(drawn, "is_insert") | pooled(drawn, "is_establishing")].all()
    assert not pooled(drawn, "is_role_text")[nobody].any()


def test_the_single_shot_seldom_tells(drawn: list[SceneTitle]):
    """What the answer must come from the context for, counted in the script."""
    tells_type = (
        pooled(drawn, "is_establishing")
        | (pooled(drawn, "is_ambience") & ~pooled(drawn, "is_music"))
        | pooled(drawn, "is_type_text")
    )
    tells_role = pooled(drawn, "is_role_text")[pooled(drawn, "character") >= 0]
    assert 0.2 < tells_type.mean() < 0.45
    assert 0.1 < tells_role.mean() < 0.3


def test_most_shots_belong_to_a_scene_and_a_person_that_the_title_tells(drawn: list[SceneTitle]):
    scene_told, person_told = [], []
    for each in drawn:
        script = each.script
        told = script.is_establishing | script.is_type_text | (script.is_ambience & ~script.is_music)
        scene_told += np.isin(script.scene, script.scene[told]).tolist()
        is_on = script.character >= 0
        person_told += np.isin(script.character[is_on], script.character[script.is_role_text]).tolist()
    assert np.mean(scene_told) > 0.9
    assert np.mean(person_told) > 0.7


def test_scenes_recur_and_a_window_mixes_them(drawn: list[SceneTitle]):
    recurs, mixed = [], []
    for each in drawn:
        scene = each.script.scene
        starts = np.flatnonzero(np.diff(scene, prepend=-1))
        recurs.append(len(starts) > len(np.unique(scene)))
        mixed += [len(set(scene[max(0, i - 2) : i + 3].tolist())) > 1 for i in range(len(scene))]
    assert np.mean(recurs) > 0.9
    assert np.mean(mixed) > 0.5


def test_a_look_tells_the_scene_within_its_title_and_little_across_titles(drawn: list[SceneTitle]):
    within, same_type, other_type = [], [], []
    for one, two in zip(drawn[::2], drawn[1::2], strict=True):
        first, second = (each.sequence.fused.astype(np.float32) for each in (one, two))
        is_same_scene = one.script.scene[:, None] == one.script.scene
        within.append((first @ first.T)[is_same_scene & ~np.eye(len(first), dtype=bool)])
        is_same_type = one.labels["scene_type"][:, None] == two.labels["scene_type"]
        same_type.append((first @ second.T)[is_same_type])
        other_type.append((first @ second.T)[~is_same_type])
    within_mean, same_mean, other_mean = (np.concatenate(each).mean() for each in (within, same_type, other_type))
    assert within_mean > same_mean + 0.15
    assert abs(same_mean - other_mean) < 0.05


def test_the_noise_label_is_independent_of_what_is_shown(drawn: list[SceneTitle]):
    """It is drawn from a stream of its own: another number of classes moves no vector."""
    other = SceneCatalog(replace(SETTINGS, num_noise_classes=7))
    title = other.titles[0]
    assert np.array_equal(other.load(title).fused, drawn[0].sequence.fused)


def test_manifest_and_corpus_take_it(catalog: SceneCatalog, tmp_path: Path):
    manifest = build_manifest(catalog.titles, catalog.space.as_json(), TrainingSettings())
    corpus = open_corpus(manifest, catalog.load, tmp_path)
    assert corpus.num_shots == sum(title.num_shots for title in catalog.titles)
    assert all(manifest.num_shots(split) for split in Split)
    title = catalog.titles[11]
    assert np.array_equal(corpus.title(title.title_id).fused, catalog.load(title).fused)


def test_series_share_a_group():
    catalog = SceneCatalog(SceneSettings(num_titles=5, titles_per_series=2))
    assert [title.group_id[-1] for title in catalog.titles] == ["0", "0", "1", "1", "2"]
