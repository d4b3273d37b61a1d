"""The labelled catalogue: the same files again, titles that continue, rows that are read, answers where said."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mediafm.config import load_config
from mediafm.data.import_files import open_import
from mediafm.data.import_titles import ImportedTitle
from mediafm.data.split import Shares, Split, hashed_split
from mediafm.errors import ConfigError
from mediafm.probes.labels import read_labels
from mediafm.testing.labelled_root import CONFIG, LABELS, VECTORS, write_labelled_root
from mediafm.testing.labelled_tasks import TASKS

NUM_TITLES = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("labelled")
    write_labelled_root(directory, NUM_TITLES)
    return directory


def titles_of(folder: Path) -> list[ImportedTitle]:
    titles = list(open_import(folder / VECTORS, {}).titles())
    assert all(isinstance(title, ImportedTitle) for title in titles)
    return [title for title in titles if isinstance(title, ImportedTitle)]


def test_every_title_can_be_imported_with_times(folder: Path) -> None:
    titles = titles_of(folder)
    assert len(titles) == len({title.group_id for title in titles}) == NUM_TITLES
    assert all(title.has_times and 40 <= title.num_shots <= 50 for title in titles)


def test_a_catalogue_is_the_same_again_and_its_continuation_is_the_larger_one(folder: Path, tmp_path: Path) -> None:
    write_labelled_root(tmp_path, 2, first=NUM_TITLES - 2)
    for ours, theirs in zip(titles_of(tmp_path), titles_of(folder)[-2:], strict=True):
        assert ours.title_id == theirs.title_id
        for modality, vectors in ours.vectors.items():
            np.testing.assert_array_equal(vectors, theirs.vectors[modality])
    for task in TASKS:
        name = f"{LABELS}/{task.name}.jsonl"
        assert (folder / name).read_text().endswith((tmp_path / name).read_text())


def test_every_row_is_read_and_each_kind_of_label_is_there(folder: Path) -> None:
    labels = read_labels([folder / LABELS])
    assert labels.problems == ()
    assert {each.task: each.kind.value for each in labels.sets} == {task.name: task.kind for task in TASKS}
    assert {task.kind for task in TASKS} == {"single_label", "multi_label", "binary", "pair", "score"}
    assert {task.answer for task in TASKS} == {"own", "video", "context", "nowhere"}


def test_labels_vary_within_titles(folder: Path) -> None:
    for each in read_labels([folder / LABELS]).sets:
        by_title: dict[str, set[object]] = {}
        for row in each.rows:
            by_title.setdefault(row.title_id, set()).add(row.value)
        assert Counter(len(values) > 1 for values in by_title.values())[True] >= 0.9 * NUM_TITLES, each.task


def test_no_vector_tells_the_half_of_a_shot_that_shows_no_step_but_its_neighbours_do(folder: Path) -> None:
    """Two centroids, fitted on the other titles, are at chance on the shot itself, and not on the next one."""
    halves = next(each for each in read_labels([folder / LABELS]).sets if each.task == "unseen_half")
    titles = {title.title_id: title for title in titles_of(folder)}
    vectors = {name: np.concatenate(list(title.vectors.values()), axis=1) for name, title in titles.items()}
    is_second = {(row.title_id, row.shot_index): bool(row.value) for row in halves.rows}

    def agreement(offset: int) -> float:
        """Cross-validated over titles: the mean of known shots of each half, `offset` shots from the asked one."""
        right = []
        for held in titles:
            known = [
                (vectors[t][at + offset], side) for (t, at), side in _inside(is_second, titles, offset) if t != held
            ]
            centre = {side: np.mean([v for v, which in known if which == side], axis=0) for side in (False, True)}
            for (title, at), side in _inside(is_second, titles, offset):
                if title == held:
                    vector = vectors[title][at + offset]
                    right.append((vector @ (centre[True] - centre[False]) > 0) == side)
        return float(np.mean(right))

    assert abs(agreement(0) - 0.5) < 0.12  # 2.6 standard errors of some 115 shots
    assert agreement(1) > 0.7


def _inside(
    is_second: dict[tuple[str, int | None], bool], titles: dict[str, ImportedTitle], offset: int
) -> list[tuple[tuple[str, int], bool]]:
    return [
        ((title, at), side)
        for (title, at), side in is_second.items()
        if at is not None and at + offset < titles[title].num_shots
    ]


def test_its_configuration_is_valid_and_enough_of_120_titles_are_for_testing(folder: Path) -> None:
    config = load_config(folder / CONFIG)
    assert config.labels == (str(folder / LABELS),)
    assert config.gate.exclude == ("noise",)
    shares = Shares(validation=config.training.validation_share, test=config.training.test_share)
    split = [hashed_split(config.training.split_salt, f"series-{number:05d}", shares) for number in range(120)]
    assert split.count(Split.TEST) == 19 >= config.gate.min_test_groups


def test_numbers_begin_at_zero(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="0 titles from number 0, seed 0; there is at least one title"):
        write_labelled_root(tmp_path, 0)
