"""Pointers move by compare-and-swap, also under several processes, and remember."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mediafm.errors import ConflictError, IntegrityError
from mediafm.store.pointers import Pointers
from mediafm.store.store import Store


@pytest.fixture
def pointers(store: Store) -> Pointers:
    return Pointers(store)


def test_a_pointer_moves_and_remembers(pointers: Pointers) -> None:
    assert pointers.read("serving") is None
    first = pointers.move("serving", 0, {"checkpoint_sha256": "a"}, "first checkpoint")
    second = pointers.move("serving", first.generation, {"checkpoint_sha256": "b"}, "the gate said so")
    rollback = pointers.move("serving", second.generation, first.value, "rolled back")
    assert pointers.read("serving") == rollback
    assert rollback.generation == 3
    assert [pointer.reason for pointer in pointers.history("serving")] == [
        "first checkpoint",
        "the gate said so",
        "rolled back",
    ]


def test_the_loser_is_told_where_it_stands(pointers: Pointers) -> None:
    pointers.move("champion", 0, {"checkpoint_sha256": "a"}, "mine")
    with pytest.raises(ConflictError, match="champion: the pointer stands at generation 1"):
        pointers.move("champion", 0, {"checkpoint_sha256": "b"}, "too late")
    with pytest.raises(ConflictError, match="decided at generation 7"):
        pointers.move("champion", 7, {"checkpoint_sha256": "b"}, "from the future")
    present = pointers.read("champion")
    assert present is not None
    assert present.value == {"checkpoint_sha256": "a"}


def test_ensure_writes_only_what_changed(pointers: Pointers) -> None:
    first = pointers.ensure("producers", {"spans": "p1"}, "configured")
    assert pointers.ensure("producers", {"spans": "p1"}, "configured") == first
    assert pointers.ensure("producers", {"spans": "p2"}, "another detector").generation == 2


def test_a_broken_pointer_is_told(pointers: Pointers, store: Store) -> None:
    store.files.put_exclusive("pointers/serving/00000001.json", b"{}")
    with pytest.raises(IntegrityError, match="not a pointer"):
        pointers.read("serving")


_MOVER = """
import sys
from pathlib import Path
from mediafm.errors import ConflictError
from mediafm.store.pointers import Pointers
from mediafm.store.store import Store
pointers = Pointers(Store(Path(sys.argv[1])))
print("ready", flush=True)
sys.stdin.readline()
done = 0
while done < 30:
    present = pointers.read("count")
    value = present.value["n"] if present else 0
    try:
        pointers.move("count", present.generation if present else 0, {"n": value + 1}, "counted")
        done += 1
    except ConflictError:
        pass
"""


def test_no_move_is_lost_between_processes(pointers: Pointers, store: Store) -> None:
    movers = [
        subprocess.Popen(
            [sys.executable, "-c", _MOVER, str(store.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for mover in movers:
        assert mover.stdout is not None
        assert mover.stdout.readline() == "ready\n"
    for mover in movers:
        mover.communicate("\n")
    last = pointers.read("count")
    assert last is not None
    assert (last.generation, last.value["n"]) == (60, 60)


def test_two_who_make_the_same_move_both_made_it(pointers: Pointers) -> None:
    first = pointers.move("serving", 0, {"checkpoint_sha256": "a"}, "the first run")
    second = pointers.move("serving", 0, {"checkpoint_sha256": "a"}, "the second run")
    assert second == first
    with pytest.raises(ConflictError, match="decided at generation 0"):
        pointers.move("serving", 0, {"checkpoint_sha256": "b"}, "another mind")
    pointers.move("serving", 1, {"checkpoint_sha256": "b"}, "on")
    with pytest.raises(ConflictError, match="stands at generation 2"):
        pointers.move("serving", 0, {"checkpoint_sha256": "a"}, "too late")
