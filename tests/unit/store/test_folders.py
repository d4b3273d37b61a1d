"""Folders are there whole or not at all, and are verified when read."""

from __future__ import annotations

import pytest

from mediafm.errors import IntegrityError, NotFoundError, StoreError
from mediafm.store.folders import (
    LIST_FILE,
    folder_key,
    folder_paths,
    folders_beginning,
    has_folder,
    put_folder,
    read_folder,
)
from mediafm.store.store import Store

KEY = folder_key("checkpoints", "ab" * 32)
FILES = {"model.safetensors": b"weights", "config.json": b"{}"}


def test_a_folder_there_and_back(store: Store) -> None:
    assert not has_folder(store, KEY)
    assert put_folder(store, KEY, FILES)
    assert has_folder(store, KEY)
    assert read_folder(store, KEY) == FILES
    assert folder_paths(store, KEY)["config.json"].read_bytes() == b"{}"


def test_folders_are_found_by_how_they_begin(store: Store) -> None:
    names = ["ab" * 32, "ac" * 32, "b" * 64]
    assert folders_beginning(store, "checkpoints", "") == []
    for name in names:
        put_folder(store, folder_key("checkpoints", name), FILES)
    put_folder(store, folder_key("manifests", "a" * 64), FILES)
    assert folders_beginning(store, "checkpoints", "") == names
    assert folders_beginning(store, "checkpoints", "a") == names[:2]
    assert folders_beginning(store, "checkpoints", names[1]) == names[1:2]
    assert folders_beginning(store, "checkpoints", "c") == []


def test_the_loser_takes_the_winners_folder(store: Store) -> None:
    put_folder(store, KEY, FILES)
    assert not put_folder(store, KEY, {**FILES, "config.json": b'{"seconds":2}'})
    assert read_folder(store, KEY) == FILES


def test_what_a_killed_writer_left_is_replaced(store: Store) -> None:
    store.files.put_exclusive(f"{KEY}/config.json", b'{"seconds":1}')
    assert not has_folder(store, KEY)
    with pytest.raises(NotFoundError, match="no such file"):
        read_folder(store, KEY)
    assert put_folder(store, KEY, FILES)
    assert read_folder(store, KEY) == FILES


def test_damage_is_found(store: Store) -> None:
    put_folder(store, KEY, FILES)
    (store.root / KEY / "model.safetensors").write_bytes(b"Weights")
    with pytest.raises(IntegrityError, match=r"model.safetensors: bytes with sha256"):
        read_folder(store, KEY)
    (store.root / KEY / LIST_FILE).write_bytes(b"[]")
    with pytest.raises(IntegrityError, match="not a list of files"):
        read_folder(store, KEY)


def test_the_lists_name_is_taken(store: Store) -> None:
    with pytest.raises(StoreError, match="the store writes the list itself"):
        put_folder(store, KEY, {LIST_FILE: b""})


@pytest.mark.parametrize("name", ["../x", "a/../../x", "", ".hidden"])
def test_odd_names_are_refused(store: Store, name: str) -> None:
    with pytest.raises(StoreError, match="a key is plain names"):
        put_folder(store, KEY, {name: b""})
