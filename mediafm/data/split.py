"""Which group falls into train, validation or test: once and for ever.

A group is a series, else a title; groups that share a file (equal checksums) are one. Its split is a pure function of
the root's salt and the group's id (SHA-256 read as a number in [0, 1)): a catalogue that grows moves nobody.

Two things cannot be pure, and both are written down where they happen:
- Joined groups (a file that occurs in two groups) take the most protected split among them: test, then validation,
  then train. A test group therefore never trains anything, whatever joins it.
- With few groups, hashing may leave a split without any. Then *stand-ins* are named: for test, then for validation,
  the training group with the smallest number; for train, the validation group with the greatest. They are listed in
  the manifest; whoever passes the last manifest's stand-ins to the next keeps them where they are for ever, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from mediafm.errors import TrainingError

MIN_GROUPS = 5
"""With fewer groups the split runs inside titles."""
MIN_SHOTS = 20
"""With fewer shots in all there is no checkpoint."""


class TooLittleDataError(TrainingError):
    """The catalogue cannot train a checkpoint yet. The run ends well and says this."""


class Split(StrEnum):
    """What a group, or a block of a title, is for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


PROTECTION = (Split.TEST, Split.VALIDATION, Split.TRAIN)
"""From the most protected split to the least."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of the groups validation and test get; the rest trains."""

    validation: float
    test: float

    def __post_init__(self) -> None:
        if min(self.validation, self.test) <= 0 or self.validation + self.test >= 1:
            raise TrainingError(
                f"shares of {self.validation} for validation and {self.test} for test",
                rule="both are above 0 and leave something to train on",
                where="training.validation_share, training.test_share",
                remedy="Set them to 0.15 each, say.",
            )


@dataclass(frozen=True, slots=True)
class GroupSplit:
    """The split of every group id, and which groups only stand in for a split that hashing left empty."""

    by_group: Mapping[str, Split]
    stand_ins: Mapping[str, Split]


def position(salt: str, group_id: str) -> float:
    """Where a group stands in [0, 1): SHA-256 of salt and id, as a number."""
    digest = hashlib.sha256(f"{salt}\x00{group_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def hashed_split(salt: str, group_id: str, shares: Shares) -> Split:
    """A group's split by its position alone."""
    place = position(salt, group_id)
    if place < shares.test:
        return Split.TEST
    return Split.VALIDATION if place < shares.test + shares.validation else Split.TRAIN


def join_groups(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Each group id -> the least id of all groups joined with it through equal checksums.

    Args:
        pairs: (group id, checksum) of every title.
    """
    parent: dict[str, str] = {}

    def root(group: str) -> str:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    first_with: dict[str, str] = {}
    for group, checksum in pairs:
        parent.setdefault(group, group)
        one, other = root(group), root(first_with.setdefault(checksum, group))
        parent[max(one, other)] = min(one, other)
    return {group: root(group) for group in parent}


def split_groups(
    joined: Mapping[str, str], salt: str, shares: Shares, kept_stand_ins: Mapping[str, Split] | None = None
) -> GroupSplit:
    """The split of every group.

    Args:
        joined: of `join_groups`.
        salt: the root's.
        shares: of validation and test.
        kept_stand_ins: stand-ins of the last manifest of this root; those that are still here stay.

    Raises:
        TooLittleDataError: every group fell into test.
    """
    members: dict[str, list[str]] = {}
    for group, leader in joined.items():
        members.setdefault(leader, []).append(group)
    kept = kept_stand_ins or {}
    found, stand_ins = {}, {}
    for leader, groups in members.items():
        hashed = [hashed_split(salt, group, shares) for group in groups]
        wanted = [*hashed, *(kept[group] for group in groups if group in kept)]
        found[leader] = min(wanted, key=PROTECTION.index)
        if found[leader] not in hashed:
            stand_ins[leader] = found[leader]
        elif all(kept.get(group) is Split.TRAIN for group in groups) and found[leader] is Split.VALIDATION:
            found[leader] = stand_ins[leader] = Split.TRAIN
    _fill_empty(found, stand_ins, salt)
    return GroupSplit(
        by_group={group: found[leader] for group, leader in joined.items()},
        stand_ins=dict(sorted(stand_ins.items())),
    )


def _fill_empty(found: dict[str, Split], stand_ins: dict[str, Split], salt: str) -> None:
    """Names stand-ins for the splits that no group fell into."""
    for wanted in (Split.TRAIN, Split.TEST, Split.VALIDATION):
        if wanted in found.values():
            continue
        giver = Split.VALIDATION if wanted is Split.TRAIN else Split.TRAIN
        givers = sorted((group for group, split in found.items() if split is giver), key=lambda g: position(salt, g))
        if not givers or (giver is Split.TRAIN and len(givers) < 2):
            raise TooLittleDataError(
                f"{len(found)} groups, of which none can be spared for {wanted}",
                rule="train, validation and test each need a group that trains nothing else",
                where="training manifest",
                remedy="Add titles of other series.",
            )
        chosen = givers[-1] if wanted is Split.TRAIN else givers[0]
        found[chosen] = stand_ins[chosen] = wanted


@dataclass(frozen=True, slots=True)
class Part:
    """A run of a title's shots that serves one split: shots `[start, end)` of those that have a vector."""

    split: Split
    start: int
    end: int


def parts_within(num_shots: int, shares: Shares) -> tuple[Part, ...]:
    """A title cut into contiguous blocks for train, validation and test, with a gap before the second and third.

    The gap is a tenth of the title, at most ten shots: neighbours are alike, and a block that began right after
    another would be known. A title of fewer than five shots only trains.
    """
    if num_shots < 5:
        return (Part(Split.TRAIN, 0, num_shots),)
    gap = min(10, max(1, num_shots // 10))
    validation = max(1, round(shares.validation * num_shots))
    test = max(1, round(shares.test * num_shots))
    train = max(1, num_shots - validation - test - 2 * gap)
    second = train + gap
    third = min(second + validation, num_shots - gap - 1) + gap
    return (
        Part(Split.TRAIN, 0, train),
        Part(Split.VALIDATION, second, third - gap),
        Part(Split.TEST, third, num_shots),
    )
