"""A corpus larger than memory trains: what training and building hold does not grow with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CHILD = "tests.unit.train.memory_child"
FEW_TITLES, MANY_TITLES = 20, 500


def measured(folder: Path, num_titles: int) -> tuple[int, int, int]:
    """Bytes: of the corpus, and of anonymous memory at most, while building it and while training on it."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", CHILD, str(folder), str(num_titles)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "MALLOC_ARENA_MAX": "1"},
    )
    size, building, training = map(int, done.stdout.split())
    return size, building, training


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_memory_of_a_run_does_not_grow_with_its_corpus(tmp_path: Path) -> None:
    """A copy of the corpus would be a ratio of 1, its test split's predictions in float32 one of .3."""
    small, small_building, small_training = measured(tmp_path / "small", FEW_TITLES)
    large, large_building, large_training = measured(tmp_path / "large", MANY_TITLES)
    assert large == 25 * small
    assert large_building - small_building < 0.05 * (large - small)
    # What libraries keep differs by some megabytes from run to run.
    assert large_training - small_training < 0.25 * (large - small)
