import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest

from mediafm.data.corpus import open_corpus
from mediafm.data.sequences import TitleSequence
from mediafm.errors import LineageMismatchError, StoreError


def test_corpus_gives_back_what_was_loaded(catalog, corpus):
    for title_id, sequence in catalog.sequences.items():
        found = corpus.title(title_id)
        assert found.fused.dtype == np.float16
        assert np.array_equal(found.fused, sequence.fused)
        assert np.array_equal(found.is_present, sequence.is_present)
        assert np.array_equal(found.metadata, sequence.metadata)
    assert corpus.num_shots == sum(sequence.num_shots for sequence in catalog.sequences.values())


def test_a_second_opening_loads_nothing(catalog, manifest, tmp_path):
    open_corpus(manifest, catalog.load, tmp_path)

    def never(title):
        raise AssertionError(f"{title.title_id} was loaded again")

    assert open_corpus(manifest, never, tmp_path).fused_dim == catalog.space.width


def test_a_deleted_or_torn_cache_is_built_again(catalog, manifest, tmp_path):
    open_corpus(manifest, catalog.load, tmp_path)
    shutil.rmtree(tmp_path / "corpora")
    open_corpus(manifest, catalog.load, tmp_path)
    torn = tmp_path / "corpora" / manifest.sha256 / "fused.f16"
    torn.write_bytes(torn.read_bytes()[:-2])
    corpus = open_corpus(manifest, catalog.load, tmp_path)
    assert np.array_equal(corpus.title("title-00000").fused, catalog.sequences["title-00000"].fused)


def test_a_failed_build_leaves_nothing(catalog, manifest, tmp_path):
    def breaks(title):
        if title.title_id == "title-00003":
            raise StoreError("no bytes", rule="bytes", where=title.title_id)
        return catalog.load(title)

    with pytest.raises(StoreError, match="title-00003"):
        open_corpus(manifest, breaks, tmp_path)
    assert list((tmp_path / "corpora").iterdir()) == []


def test_two_builders_at_once_end_with_one_corpus(catalog, manifest, tmp_path):
    barrier = threading.Barrier(2)
    found = []

    def slow(title):
        if title.title_id == "title-00000":
            barrier.wait(timeout=30)
        return catalog.load(title)

    threads = [threading.Thread(target=lambda: found.append(open_corpus(manifest, slow, tmp_path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert [path.name for path in (tmp_path / "corpora").iterdir()] == [manifest.sha256]


def test_another_number_of_shots_is_refused(catalog, manifest, tmp_path):
    def shorter(title):
        sequence = catalog.load(title)
        return replace(sequence, fused=sequence.fused[1:], is_present=sequence.is_present[1:])

    with pytest.raises(LineageMismatchError, match="the manifest was built on"):
        open_corpus(manifest, shorter, tmp_path)


def test_another_width_is_refused(catalog, manifest, tmp_path):
    def narrower(title):
        sequence = catalog.load(title)
        return sequence if title.title_id == "title-00000" else replace(sequence, fused=sequence.fused[:, 1:])

    with pytest.raises(LineageMismatchError, match="the other titles' are 18 wide"):
        open_corpus(manifest, narrower, tmp_path)


def test_a_vector_that_is_not_finite_is_refused(catalog, manifest, tmp_path):
    def broken(title):
        sequence = catalog.load(title)
        fused = np.array(sequence.fused)
        fused[0, 0] = np.nan
        return replace(sequence, fused=fused)

    with pytest.raises(StoreError, match="title-00000: a vector that is not finite"):
        open_corpus(manifest, broken, tmp_path)


def test_titles_without_metadata_are_known_as_such(catalog, manifest, tmp_path):
    corpus = open_corpus(manifest, lambda title: replace(catalog.load(title), metadata=None), tmp_path)
    assert corpus.metadata_dim == 0
    assert corpus.title("title-00001").metadata is None


def test_a_sequence_checks_its_shapes():
    with pytest.raises(LineageMismatchError, match=r"\[N, 3\] presence flags"):
        TitleSequence("t", np.zeros((4, 5), np.float32), np.ones((3, 3), bool), None)
    with pytest.raises(LineageMismatchError, match="one metadata vector"):
        TitleSequence("t", np.zeros((4, 5), np.float32), np.ones((4, 3), bool), np.zeros((1, 5), np.float32))
