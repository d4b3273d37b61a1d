import json
from dataclasses import replace

import numpy as np
import pytest

from mediafm.config import TrainingSettings
from mediafm.data import manifest_files
from mediafm.data.manifest import ManifestTitle, build_manifest
from mediafm.data.split import Split, TooLittleDataError
from mediafm.data.synthetic import synthetic_space
from mediafm.errors import IntegrityError, LineageMismatchError

SPACE = synthetic_space(4).as_json()
SETTINGS = TrainingSettings()


def title(number, num_shots=30, **changes):
    plain = ManifestTitle(
        title_id=f"t{number}",
        group_id=f"g{number}",
        media_sha256=f"sha{number}",
        fused_fingerprint=f"f{number}",
        fused_key=f"k{number}",
        metadata_fingerprint=None,
        metadata_key=None,
        num_shots=num_shots,
    )
    return replace(plain, **changes)


MANY = [title(number) for number in range(20)]


def test_order_of_titles_does_not_matter():
    assert build_manifest(MANY, SPACE, SETTINGS).sha256 == build_manifest(MANY[::-1], SPACE, SETTINGS).sha256


@pytest.mark.parametrize(
    "change",
    [
        {"fused_fingerprint": "other"},
        {"metadata_fingerprint": "other"},
        {"fused_key": "other"},
        {"num_shots": 31},
        {"media_sha256": "other"},
        {"group_id": "other"},
    ],
)
def test_every_field_of_a_title_moves_the_sha256(change):
    changed = [replace(MANY[0], **change), *MANY[1:]]
    assert build_manifest(changed, SPACE, SETTINGS).sha256 != build_manifest(MANY, SPACE, SETTINGS).sha256


def test_space_and_salt_move_the_sha256():
    plain = build_manifest(MANY, SPACE, SETTINGS).sha256
    assert build_manifest(MANY, synthetic_space(5).as_json(), SETTINGS).sha256 != plain
    assert build_manifest(MANY, SPACE, TrainingSettings(split_salt="other")).sha256 != plain


def test_every_shot_of_every_title_is_in_one_part_and_one_window():
    manifest = build_manifest([*MANY, title(99, num_shots=1300)], SPACE, SETTINGS)
    windows = [window for split in Split for window in manifest.windows(split)]
    shots = sorted((window.title_id, shot) for window in windows for shot in range(window.start, window.end))
    assert shots == sorted((one.title_id, shot) for one in [*MANY, title(99, 1300)] for shot in range(one.num_shots))
    assert max(window.num_shots for window in windows) <= manifest.max_window_shots
    assert sum(manifest.num_shots(split) for split in Split) == 20 * 30 + 1300


def test_groups_are_never_torn():
    titles = [title(number, group_id=f"series {number // 4}") for number in range(40)]
    manifest = build_manifest(titles, SPACE, SETTINGS)
    splits = {}
    for planned in manifest.titles:
        splits.setdefault(planned.group_id, set()).add(planned.split)
    assert len(splits) == 10
    assert all(len(found) == 1 for found in splits.values())


def test_few_groups_are_split_inside_titles():
    manifest = build_manifest([title(0, 40), title(1, 3)], SPACE, SETTINGS)
    assert manifest.is_within_title
    assert [planned.split for planned in manifest.titles] == ["within_title", "train"]
    assert all(manifest.num_shots(split) > 0 for split in Split)
    folds = manifest.by_id["t0"].folds["random"]
    gaps = (folds == -1).sum()
    assert gaps == 40 - sum(part.end - part.start for part in manifest.by_id["t0"].parts) > 0


def test_twenty_shots_in_one_title_are_just_enough():
    assert build_manifest([title(0, 20)], SPACE, SETTINGS).is_within_title
    with pytest.raises(TooLittleDataError, match="19 shots in 2 titles; a checkpoint needs at least 20"):
        build_manifest([title(0, 10), title(1, 9)], SPACE, SETTINGS)


def test_titles_without_a_vector_are_counted_and_left_out():
    manifest = build_manifest([*MANY, title(77, num_shots=0)], SPACE, SETTINGS)
    assert manifest.num_empty_titles == 1
    assert "t77" not in manifest.by_id


def test_a_title_twice_is_refused():
    with pytest.raises(LineageMismatchError, match="a manifest holds a title once"):
        build_manifest([*MANY, MANY[0]], SPACE, SETTINGS)


def test_files_bring_the_manifest_back():
    manifest = build_manifest([*MANY[:3], title(50, 60)], SPACE, SETTINGS)
    files = manifest_files.to_files(manifest)
    assert set(files) == {"manifest.json", "titles.parquet", "masks.parquet"}
    assert files == manifest_files.to_files(manifest)
    back = manifest_files.from_files(files)
    assert back.sha256 == manifest.sha256
    assert back.windows(Split.TEST) == manifest.windows(Split.TEST)
    for planned in manifest.titles:
        for name, folds in planned.folds.items():
            assert np.array_equal(back.by_id[planned.title.title_id].folds[name], folds)


def test_a_changed_file_is_noticed():
    manifest = build_manifest(MANY, SPACE, SETTINGS)
    files = manifest_files.to_files(manifest)
    head = json.loads(files["manifest.json"])
    with pytest.raises(IntegrityError, match="the manifest says"):
        manifest_files.from_files({**files, "manifest.json": json.dumps({**head, "salt": "another"}).encode()})
    with pytest.raises(IntegrityError, match="three readable files"):
        manifest_files.from_files({**files, "titles.parquet": b"nothing"})
    with pytest.raises(IntegrityError, match="three readable files"):
        manifest_files.from_files({"manifest.json": files["manifest.json"]})
    other = manifest_files.to_files(build_manifest(MANY, SPACE, TrainingSettings(split_salt="x")))
    with pytest.raises(IntegrityError, match="the manifest says"):
        manifest_files.from_files({**files, "masks.parquet": other["masks.parquet"]})
