"""A directory that appears whole or not at all, whoever is killed or quicker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mediafm.errors import MediaFMError, StoreError
from mediafm.media.synthetic.partial import written_beside

HANG = """
import pathlib, sys, time
from mediafm.media.synthetic.partial import written_beside
with written_beside(pathlib.Path(sys.argv[1])) as partial:
    (partial / "half.txt").write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_it_appears_at_the_end_and_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "target"
    with written_beside(target) as partial:
        (partial / "file.txt").write_text("whole")
        assert not target.exists()
    assert [file.name for file in target.iterdir()] == ["file.txt"]
    assert [file.name for file in target.parent.iterdir()] == ["target"]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(MediaFMError, match="enough"), written_beside(tmp_path / "target"):
        raise MediaFMError("enough", rule="is enough")
    assert list(tmp_path.iterdir()) == []


def test_who_comes_second_leaves_the_first_alone(tmp_path: Path) -> None:
    with written_beside(tmp_path / "target") as slow:
        (slow / "slow.txt").write_text("slow")
        with written_beside(tmp_path / "target") as quick:
            (quick / "quick.txt").write_text("quick")
        assert (slow / "slow.txt").is_file()
    assert [file.name for file in (tmp_path / "target").iterdir()] == ["quick.txt"]
    assert [file.name for file in tmp_path.iterdir()] == ["target"]


def test_what_a_killed_writer_left_is_removed_by_the_next_but_not_while_it_lives(tmp_path: Path) -> None:
    target = tmp_path / "target[1]"
    with subprocess.Popen([sys.executable, "-c", HANG, str(target)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        with written_beside(target):
            assert len(list(tmp_path.iterdir())) == 2
        target.rmdir()
        os.kill(writer.pid, signal.SIGKILL)
    assert len(list(tmp_path.iterdir())) == 1
    with written_beside(target):
        assert len(list(tmp_path.iterdir())) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["target[1]"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="it cannot be made"), written_beside(tmp_path / "file" / "target"):
        pass
