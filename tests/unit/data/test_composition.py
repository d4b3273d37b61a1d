from pathlib import Path

import pytest

from mediafm.config import TrainingSettings
from mediafm.data.composition import compose
from mediafm.data.corpus import open_corpus
from mediafm.data.manifest import build_manifest
from mediafm.data.split import Split
from mediafm.data.synthetic import SyntheticSettings, draw_catalog


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    drawn = draw_catalog(SyntheticSettings(num_titles=20, titles_per_series=2, min_shots=10, max_shots=20, width=4))
    manifest = build_manifest(drawn.titles, drawn.space.as_json(), TrainingSettings())
    return manifest, open_corpus(manifest, drawn.load, Path(tmp_path_factory.mktemp("cache")))


def test_counts_are_the_manifests_and_shares_are_of_each_splits_shots(made):
    manifest, corpus = made
    found = compose(manifest, corpus)
    assert (found.num_titles, found.num_groups, found.num_titles_with_metadata) == (20, 10, 20)
    assert found.num_shots == corpus.num_shots == sum(manifest.num_shots(split) for split in Split)
    assert set(found.coverage) == {"train", "validation", "test"}
    for split in Split:
        flags = [corpus.title(p.title.title_id).is_present[part.start : part.end] for p, part in manifest.parts(split)]
        audio = sum(int(rows[:, 1].sum()) for rows in flags) / sum(map(len, flags))
        assert found.coverage[str(split)]["audio"] == pytest.approx(audio)


def test_hours_are_those_of_titles_whose_length_is_known(made):
    manifest, corpus = made
    first, second, *_ = sorted(manifest.by_id)
    found = compose(manifest, corpus, {first: 1800.0, second: 900.0, "another": 1e9})
    assert (found.hours, found.num_titles_with_hours) == (0.75, 2)
    assert compose(manifest, corpus, {}).hours is None
