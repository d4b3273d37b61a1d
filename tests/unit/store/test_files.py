"""Files appear whole or not at all, and of two writers one wins."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mediafm.errors import NotFoundError, StoreError
from mediafm.store.files import SCRATCH_FOLDER, LocalFiles


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    return LocalFiles(tmp_path)


def test_the_first_writer_wins_and_the_second_is_told(files: LocalFiles) -> None:
    assert files.put_exclusive("store/a/x.bin", b"first")
    assert not files.put_exclusive("store/a/x.bin", b"second")
    assert files.read_bytes("store/a/x.bin") == b"first"


def test_ranges_sizes_and_paths(files: LocalFiles) -> None:
    files.put_exclusive("store/x.bin", b"0123456789")
    assert files.read_bytes("store/x.bin", 3, 4) == b"3456"
    assert files.read_bytes("store/x.bin", 8) == b"89"
    assert files.size_bytes("store/x.bin") == 10
    assert files.local_path("store/x.bin").read_bytes() == b"0123456789"


def test_absent_things_are_not_found(files: LocalFiles) -> None:
    assert not files.exists("store/x")
    for ask in (files.read_bytes, files.size_bytes, files.local_path):
        with pytest.raises(NotFoundError, match="no such file"):
            ask("store/x")
    files.delete("store/x")
    assert files.list_keys("store") == []


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "a/../b", "..", "a//b", "a/.hidden", "a\\b", "a b", "a\n", "~/x", "a/", "é"]
)
def test_odd_keys_are_refused(files: LocalFiles, key: str) -> None:
    with pytest.raises(StoreError, match="a key is plain names"):
        files.put_exclusive(key, b"")


def test_listing_shows_finished_files_only(files: LocalFiles) -> None:
    files.put_exclusive("store/b/2.bin", b"")
    files.put_exclusive("store/a/1.bin", b"")
    with files.scratch("store/c.bin") as path:
        path.write_bytes(b"half")
        assert files.list_keys("store") == ["store/a/1.bin", "store/b/2.bin"]
    assert list((files.root / "store" / SCRATCH_FOLDER).iterdir()) == []


def test_an_error_while_writing_leaves_nothing(files: LocalFiles) -> None:
    def write() -> None:
        with files.scratch("store/x.bin") as path:
            path.write_bytes(b"half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write()
    assert [path for path in files.root.rglob("*") if path.is_file()] == []


def test_files_obey_the_umask(files: LocalFiles) -> None:
    files.put_exclusive("store/x.bin", b"x")
    mask = os.umask(0)
    os.umask(mask)
    assert files.local_path("store/x.bin").stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_read_only_root_is_told(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match=r"store/x.bin: cannot write \(.*; the root must be"):
        LocalFiles(tmp_path).put_exclusive("store/x.bin", b"x")


_KILLED = """
import sys, time
from pathlib import Path
from mediafm.store.files import LocalFiles
with LocalFiles(Path(sys.argv[1])).scratch("store/x.bin") as path:
    path.write_bytes(b"half a value")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_writer_left_is_swept_and_a_live_writers_is_not(files: LocalFiles) -> None:
    child = subprocess.Popen([sys.executable, "-c", _KILLED, str(files.root)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child, child.stdout:
        assert child.stdout.readline() == "writing\n"
        assert files.sweep(grace_seconds=0) == 0
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert files.list_keys("store") == []
    assert files.sweep() == 0, "young leftovers are left alone"
    assert files.sweep(grace_seconds=0) == 1
    assert list((files.root / "store" / SCRATCH_FOLDER).iterdir()) == []


def test_a_young_unlocked_file_survives_a_sweep(files: LocalFiles) -> None:
    folder = files.root / "store" / SCRATCH_FOLDER
    folder.mkdir(parents=True)
    (folder / "1-a").write_bytes(b"")
    assert files.sweep() == 0
    os.utime(folder / "1-a", (time.time() - 3600,) * 2)
    assert files.sweep() == 1


_RACER = """
import sys
from pathlib import Path
from mediafm.store.files import LocalFiles
files = LocalFiles(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for index in range(200):
    won = files.put_exclusive(f"store/{index}.bin", sys.argv[2].encode() * 1000)
    print("won" if won else "lost", flush=True)
"""


def test_of_two_processes_exactly_one_wins_each_key(files: LocalFiles) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACER, str(files.root), letter],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for letter in "ab"
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    said = [racer.communicate()[0].split() for racer in racers]
    for index in range(200):
        winners = [letter for letter, words in zip("ab", said, strict=True) if words[index] == "won"]
        assert len(winners) == 1
        assert files.read_bytes(f"store/{index}.bin") == winners[0].encode() * 1000


_FULL = """
import resource, sys
from pathlib import Path
from mediafm.errors import StoreError
from mediafm.store.files import LocalFiles
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    LocalFiles(Path(sys.argv[1])).put_exclusive("store/x.bin", bytes(2000))
except StoreError as error:
    print(error)
"""


def test_a_full_disk_says_so_and_leaves_nothing(files: LocalFiles) -> None:
    assert resource.RLIMIT_FSIZE is not None
    done = subprocess.run([sys.executable, "-c", _FULL, str(files.root)], capture_output=True, text=True, check=True)
    assert "store/x.bin: cannot write (File too large)" in done.stdout
    assert "Free some space" in done.stdout
    assert [path for path in files.root.rglob("*") if path.is_file()] == []
