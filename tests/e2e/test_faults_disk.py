"""A disk that fills up in the middle of a run: it says so, nothing half-written is seen, and room is all it takes."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from mediafm.store.parquet import header_text, open_parquet
from tests.e2e.command import Finished
from tests.e2e.faults import Attacked, select, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

MOMENTS = {
    "the first raw title": "store/titles/*/*/*.parquet",
    "the first embedding": "store/video_embeddings/*/*/*.parquet",
}
SAID = ("No space left on device", "database or disk is full", "disk I/O error")
"""Of the system, and of SQLite: the last where it could not begin to write."""
BLOCK_BYTES = 256 * 1024


def fill(disk: Path) -> Path:
    """A file that takes all that is left."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        size = BLOCK_BYTES
        while size:
            try:
                file.write(bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 2
    return ballast


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("is_state_on_it", [False, True], ids=["the root", "root and state"])
def test_a_full_disk_is_told_and_room_is_all_it_takes(
    moment: str, is_state_on_it: bool, small_disk: Path, few: Path, few_finished: Finished, tmp_path: Path
) -> None:
    fields = "" if is_state_on_it else f'state = "{tmp_path / "state"}"\n'
    attacked = Attacked.of(tmp_path / "attacked", "", fields).moved(small_disk / "root")
    process = attacked.start(few)
    wait_for(moment, lambda: any(attacked.root.glob(MOMENTS[moment])) or process.poll() is not None)
    ballast = fill(small_disk)
    code, told, stderr = attacked.ended(process)
    said = json.dumps(told) + stderr
    assert code == 3, said
    assert any(words in said for words in SAID)
    assert "Free some space" in said
    assert_readable(attacked.root)
    ballast.unlink()
    after = attacked.run(few)
    assert after.summary["titles"] == few_finished.summary["titles"]
    attacked.assert_whole(few_finished.root)


def assert_readable(root: Path) -> None:
    """Whatever can be seen is whole."""
    for path in root.glob("store/*/*/*/*.parquet"):
        key = str(path.relative_to(root))
        assert header_text(open_parquet(path, key)), key
    if any(root.glob("ledger/*/*.parquet")):
        select(root, "SELECT count(*) FROM ledger")
