"""Tombstones stand for ever; holds come and go with their history."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mediafm.errors import IntegrityError, NotFoundError, StoreError
from mediafm.store.store import Store
from mediafm.store.tombstones import (
    Tombstone,
    deny_list,
    find_hold,
    find_tombstone,
    holds,
    put_hold,
    put_tombstone,
)

STONE = Tombstone(
    title_id="a",
    media_sha256=("m1", "m2"),
    reason="the licence ended",
    forgotten_at="2026-01-01T00:00:00+00:00",
    forgotten_by="jo@desk",
)


def test_the_first_tombstone_stands(store: Store) -> None:
    assert find_tombstone(store, "a") is None
    assert put_tombstone(store, STONE) == STONE
    assert put_tombstone(store, replace(STONE, reason="another")) == STONE
    assert find_tombstone(store, "a") == STONE
    assert STONE.sentence == "a was forgotten at 2026-01-01T00:00:00+00:00 by jo@desk: the licence ended"


def test_titles_and_media_are_denied(store: Store) -> None:
    put_tombstone(store, STONE)
    denied = deny_list(store)
    assert denied.by_title("a") == denied.by_media("m2") == STONE
    assert denied.by_title("b") is None
    assert denied.by_media("") is None


def test_holds_keep_their_history(store: Store) -> None:
    put_hold(store, "a", is_held=True, reason="court", set_by="jo")
    put_hold(store, "b", is_held=True, reason="audit", set_by="jo")
    assert [hold.title_id for hold in holds(store)] == ["a", "b"]
    put_hold(store, "a", is_held=False, reason="", set_by="al")
    assert [hold.title_id for hold in holds(store)] == ["b"]
    assert find_hold(store, "a") is None
    assert len(store.files.list_keys("holds/a")) == 2
    put_hold(store, "a", is_held=True, reason="again", set_by="jo")
    found = find_hold(store, "a")
    assert found is not None
    assert (found.reason, found.set_by) == ("again", "jo")


def test_nothing_is_released_that_is_not_held(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no hold on 'a'"):
        put_hold(store, "a", is_held=False, reason="", set_by="jo")


def test_a_damaged_tombstone_stops_everything(store: Store) -> None:
    store.files.put_exclusive("tombstones/a.json", b'{"title_id": "a"}')
    with pytest.raises(IntegrityError, match="neither a tombstone nor a hold"):
        deny_list(store)


def test_no_path_is_built_from_an_odd_name(store: Store) -> None:
    with pytest.raises(StoreError, match="title id"):
        find_tombstone(store, "../a")
