import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.context_baselines import baselines, fused, minus_title_mean, nearest, oracle, smoothed
from benchmarks.context_judge import (
    CONTEXT_TASKS,
    Judge,
    JudgeSettings,
    best_smoothing,
    divide,
    fresh,
    main,
    neighbour_share,
)
from benchmarks.context_table import NEIGHBOURS, JudgedTable, difference
from mediafm.config import TrainingSettings
from mediafm.data.manifest import TrainingManifest, build_manifest
from mediafm.data.scenes import LABELS, SceneCatalog, SceneTitle
from mediafm.data.scenes_settings import SceneSettings
from mediafm.data.split import Split
from mediafm.errors import MediaFMError

SETTINGS = JudgeSettings(num_bootstrap=50)


@pytest.fixture(scope="module")
def catalog() -> SceneCatalog:
    return SceneCatalog(SceneSettings(num_titles=30, seed=2))


@pytest.fixture(scope="module")
def judge(catalog: SceneCatalog) -> Judge:
    return Judge(catalog, fresh(catalog, 200, 50), SETTINGS)


@pytest.fixture(scope="module")
def table(judge: Judge) -> JudgedTable:
    return judge.table(baselines())


def manifest_of(catalog: SceneCatalog) -> TrainingManifest:
    return build_manifest(catalog.titles, catalog.space.as_json(), TrainingSettings())


def label_vectors(title: SceneTitle) -> np.ndarray:
    """Says every label outright."""
    return np.concatenate(
        [np.eye(11, dtype=np.float32)[label] for label in (title.labels[task] for task in LABELS)], axis=1
    )


def random_vectors(title: SceneTitle) -> np.ndarray:
    return np.random.default_rng(title.title.num_shots).normal(size=(title.title.num_shots, 12)).astype(np.float32)


def test_vectors_that_say_the_label_score_one(judge: Judge):
    row = judge.row("labels", label_vectors)
    assert {task: round(row.scores[task].measured.value, 3) for task in LABELS} == dict.fromkeys(LABELS, 1.0)


def test_vectors_that_say_nothing_reach_chance(judge: Judge):
    row = judge.row("random", random_vectors)
    for name, score in row.scores.items():
        assert abs(score.measured.value - score.chance) < 0.04, name


def test_one_shot_tells_its_own_label_and_little_of_the_others(table: JudgedTable):
    scores = table.row("fused").scores
    assert scores["own"].measured.value > 0.85
    for task in CONTEXT_TASKS:
        assert scores[task].measured.low > scores[task].chance + 0.05


def test_context_carries_the_answer_and_neighbours_little_of_it(table: JudgedTable):
    """Well above chance < smoothing < the oracle, with clear room under it."""
    smooth = best_smoothing(table)
    for task in CONTEXT_TASKS:
        by_row = {row.name: row.scores[task].measured.value for row in table.rows}
        assert by_row["oracle"] > by_row["fused"] + 0.2
        assert by_row["oracle"] > by_row[smooth.name] + 0.15
    assert difference(smooth, table.row("fused"), "scene_type").value > 0
    oracle_neighbours = table.row("oracle").scores[NEIGHBOURS].measured
    assert oracle_neighbours.low > table.row("fused").scores[NEIGHBOURS].measured.high


def test_nothing_tells_the_noise_label(table: JudgedTable):
    for row in table.rows:
        assert abs(row.scores["noise"].measured.value - row.scores["noise"].chance) < 0.06, row.name


def test_a_row_differs_from_itself_by_nothing(table: JudgedTable):
    same = difference(table.row("fused"), table.row("fused"), "scene_type")
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


def test_a_paired_difference_is_narrower_than_its_rows(table: JudgedTable):
    one, other = table.row("fused ++ mean of +-2"), table.row("fused ++ mean of +-4")
    paired = difference(one, other, "scene_type")
    apart = sum(row.scores["scene_type"].measured.high - row.scores["scene_type"].measured.low for row in (one, other))
    assert paired.high - paired.low < apart / 2


def test_the_table_is_text_and_json(table: JudgedTable):
    lines = table.as_text().splitlines()
    assert lines[0].startswith("fresh titles: 200 titles (")
    assert lines[2].startswith("chance")
    assert len(lines) == 3 + len(table.rows)
    assert len({len(line) for line in lines[1:]}) == 1
    read = json.loads(json.dumps(table.as_json()))
    assert read["rows"][0]["scores"]["own"]["value"] == table.rows[0].scores["own"].measured.value


def test_the_manifests_test_titles_judge_where_there_are_enough(catalog: SceneCatalog):
    manifest = manifest_of(SceneCatalog(replace(catalog.settings, num_titles=120)))
    division = divide(manifest, replace(SETTINGS, max_fit_shots=1000, max_tested_shots=400))
    ((fit, tested),) = division.folds
    is_test = {planned.title.title_id for planned, _ in manifest.parts(Split.TEST)}
    assert {title.title_id for title in tested} <= is_test
    assert not is_test & {title.title_id for title in fit}
    assert 700 < sum(title.num_shots for title in fit) < 1300
    assert 200 < sum(title.num_shots for title in tested) < 600


def test_few_titles_are_judged_in_folds_each_once(catalog: SceneCatalog):
    division = divide(manifest_of(catalog), SETTINGS)
    judged = [title.title_id for _, tested in division.folds for title in tested]
    assert sorted(judged) == [title.title_id for title in catalog.titles]
    for fit, tested in division.folds:
        assert not {title.group_id for title in fit} & {title.group_id for title in tested}
    row = Judge(catalog, division, SETTINGS).row("fused", fused)
    assert row.scores["own"].measured.value > 0.6


def test_fresh_titles_are_the_same_for_every_size_and_of_whole_series(catalog: SceneCatalog):
    large = SceneCatalog(replace(catalog.settings, num_titles=300))
    assert fresh(large, 3, 2).folds == fresh(catalog, 3, 2).folds
    ((fit, tested),) = fresh(SceneCatalog(SceneSettings(titles_per_series=3)), 4, 2).folds
    assert (len(fit), len(tested)) == (6, 2)
    assert not {title.group_id for title in fit} & {title.group_id for title in tested}


def test_the_same_judge_gives_the_same_row(judge: Judge, table: JudgedTable):
    again = judge.row("fused", fused)
    assert all(again.scores[name].measured == score.measured for name, score in table.row("fused").scores.items())


@pytest.mark.parametrize(
    "spoil", [lambda v: v[:-1], lambda v: v * np.nan, lambda v: v[0]], ids=["short", "not finite", "one row"]
)
def test_vectors_that_do_not_fit_are_refused(judge: Judge, spoil):
    with pytest.raises(MediaFMError, match="finite vectors"):
        judge.row("spoilt", lambda title: spoil(fused(title)))


def test_neighbours_by_hand():
    """Shots 0 and 2 are alike, as are 1 and 3; the adjacent ones, alike too, do not count."""
    vectors = np.array([[1, 0], [0.9, 0.5], [1, 0.1], [0.8, 0.6]], np.float32)
    assert neighbour_share(vectors, np.array([0, 1, 0, 1])) == pytest.approx((1.0, 0.75))
    assert neighbour_share(vectors, np.array([0, 1, 2, 3])) == (0.0, 0.0)
    # All alike: chance, not luck of the order. Shot 0 may take 2 or 3, shot 1 only 3, and so on.
    assert neighbour_share(np.ones((4, 2), np.float32), np.array([0, 1, 0, 1])) == pytest.approx((0.75, 0.75))


def test_baselines_are_what_their_names_say(judge: Judge):
    title = judge.tested[0]
    own = fused(title)
    third = own[2:5].sum(axis=0) - own[3]
    assert np.allclose(smoothed(1)(title)[3, own.shape[1] :], third / np.linalg.norm(third), atol=1e-5)
    centred = own[0] - own.mean(axis=0)
    assert np.allclose(minus_title_mean(title)[0], centred / np.linalg.norm(centred), atol=1e-5)
    assert nearest(title).shape == (len(own), 2 * own.shape[1])
    scene = title.script.scene
    of_scene = oracle(title)[:, own.shape[1] : 2 * own.shape[1]]
    assert np.allclose(of_scene[scene == scene[0]], of_scene[0], atol=1e-6)


def test_the_command_prints_json():
    found = CliRunner().invoke(main, ["--titles", "6", "--fresh", "12", "6", "--json"], catch_exceptions=False)
    assert json.loads(found.stdout)["num_tested_titles"] == 6
