"""Vectors in context that are kept: made once, bounded, and made again when what was kept is gone or damaged."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mediafm.steps.context_cache import FOLDER, CacheBounds, ContextCache, Halves


class Maker:
    """Makes 4 vectors of 8 numbers (64 bytes) that say how often it was asked."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, key: str) -> Callable[[], Halves]:
        def make() -> Halves:
            self.made.append(key)
            return np.full((4, 8), len(self.made), np.float16)

        return make


def folder_of(root: Path) -> Path:
    return root / FOLDER


def test_what_is_kept_is_not_made_again(tmp_path: Path) -> None:
    maker, cache = Maker(), ContextCache()
    first = cache.get(tmp_path, "a", maker("a"))
    assert cache.get(tmp_path, "a", maker("a")) is first
    assert ContextCache().get(tmp_path, "a", maker("a")).tolist() == first.tolist()
    cache.get(tmp_path / "elsewhere", "a", maker("other root"))
    assert maker.made == ["a", "other root"]
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0


def test_memory_holds_those_used_last(tmp_path: Path) -> None:
    maker, cache = Maker(), ContextCache(CacheBounds(memory_bytes=128, disk_bytes=0))
    kept = {key: cache.get(tmp_path, key, maker(key)) for key in "ab"}
    assert cache.get(tmp_path, "a", maker("a")) is kept["a"]
    cache.get(tmp_path, "c", maker("c"))
    assert cache.get(tmp_path, "a", maker("a")) is kept["a"]
    assert cache.get(tmp_path, "b", maker("b")) is not kept["b"]
    assert maker.made == ["a", "b", "c", "b"]


def test_the_disk_keeps_the_newest_that_fit(tmp_path: Path) -> None:
    one = ContextCache()
    one.get(tmp_path, "size", Maker()("size"))
    (file,) = folder_of(tmp_path).iterdir()
    size = file.stat().st_size
    file.unlink()
    maker = Maker()
    bounds = CacheBounds(memory_bytes=0, disk_bytes=2 * size)
    for age, key in enumerate("abc"):
        ContextCache(bounds).get(tmp_path, key, maker(key))
        os.utime(folder_of(tmp_path) / f"{key}.vectors", (age, age))
    assert sorted(file.stem for file in folder_of(tmp_path).iterdir()) == ["b", "c"]
    ContextCache(bounds).get(tmp_path, "b", maker("b"))  # Used, so it is the newest now.
    ContextCache(bounds).get(tmp_path, "d", maker("d"))
    assert sorted(file.stem for file in folder_of(tmp_path).iterdir()) == ["b", "d"]
    assert maker.made == ["a", "b", "c", "d"]


@pytest.mark.parametrize("damage", [lambda whole: whole[:-3], lambda whole: whole[:40], lambda whole: b""])
def test_a_damaged_file_is_made_again(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    maker = Maker()
    ContextCache().get(tmp_path, "a", maker("a"))
    (file,) = folder_of(tmp_path).iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert ContextCache().get(tmp_path, "a", maker("a"))[0, 0] == 2
    assert ContextCache().get(tmp_path, "a", maker("a"))[0, 0] == 2
    assert [found.suffix for found in folder_of(tmp_path).iterdir()] == [".vectors"]


def test_a_root_that_cannot_keep_them_says_so_and_they_are_given(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file where the folder should be")
    cache, maker = ContextCache(), Maker()
    with pytest.warns(RuntimeWarning, match="are not kept in .*contextual") as told:
        assert cache.get(tmp_path, "a", maker("a"))[0, 0] == 1
    assert all("contextual" in str(one.message) for one in told)
    assert cache.get(tmp_path, "a", maker("a"))[0, 0] == 1
