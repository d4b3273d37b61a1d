"""Damage that is drawn from a seed: the same again, bounded, and what its name says."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm.errors import ConfigError
from mediafm.testing.mutations import MEDIA_KINDS, TEXT_KINDS, mutate
from mediafm.testing.mutations_media import HEAD_BYTES, MAX_GROWTH_BYTES

SRT = b"".join(b"%d\n00:00:%02d,000 --> 00:00:%02d,500\nLine %d.\n\n" % (n, n, n, n) for n in range(1, 40))
MP4 = b"\x00\x00\x00\x18ftypisom" + bytes(range(64)) + b"\x00\x00\x01\x00moov\x00\x00\x00\x6cmvhd" + bytes(300)
MOST_DRAWS_CHANGE_SOMETHING = 15
KINDS = sorted({*MEDIA_KINDS, *TEXT_KINDS})


def drawn(data: bytes, kind: str, index: int = 0, *, seed: int = 0, name: str = "a", other: bytes = SRT) -> bytes:
    return mutate(data, kind, seed=seed, name=name, index=index, other=other)


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=600), kind=st.sampled_from(KINDS), index=st.integers(0, 50))
def test_any_bytes_are_damaged_the_same_way_again_and_within_bounds(data: bytes, kind: str, index: int) -> None:
    damaged = drawn(data, kind, index)
    assert damaged == drawn(data, kind, index)
    assert len(damaged) <= 4 * len(data) + len(SRT) + MAX_GROWTH_BYTES


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_damages_and_each_version_is_another(kind: str) -> None:
    data = SRT if kind in TEXT_KINDS else MP4 * 30
    versions = [drawn(data, kind, index) for index in range(20)]
    assert sum(version != data for version in versions) >= MOST_DRAWS_CHANGE_SOMETHING
    assert len(set(versions)) > 2
    assert [drawn(data, kind, index, seed=1) for index in range(20)] != versions
    assert [drawn(data, kind, index, name="b") for index in range(20)] != versions


@settings(max_examples=50, deadline=None)
@given(data=st.binary(min_size=40, max_size=9000), index=st.integers(0, 50))
def test_damage_is_where_its_name_says(data: bytes, index: int) -> None:
    assert data.startswith(drawn(data, "truncated", index))
    assert data.endswith(drawn(data, "headless", index))
    assert drawn(data, "tailed", index).startswith(data)
    assert Counter(drawn(data, "swapped", index)) == Counter(data)
    for kind in ("flip_few", "flip_many", "zeroed", "noisy_head", "extreme_field"):
        assert len(drawn(data, kind, index)) == len(data)
    for kind in ("flip_head", "noisy_head"):
        damaged = drawn(data, kind, index)
        assert damaged[HEAD_BYTES + 1024 :] == data[HEAD_BYTES + 1024 :]


def test_the_size_of_a_box_is_what_becomes_wrong() -> None:
    boxes = b"\x00\x00\x00\x10mvhd" + bytes(8)
    damaged = [drawn(boxes, "wrong_size", index) for index in range(10)]
    assert {version[4:] for version in damaged} == {boxes[4:]}
    assert len({version[:4] for version in damaged}) > 2


def test_an_unknown_kind_is_told_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'melted'; damage is one of flip_few"):
        drawn(SRT, "melted")
