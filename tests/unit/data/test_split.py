from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.data.split import (
    PROTECTION,
    Shares,
    Split,
    TooLittleDataError,
    hashed_split,
    join_groups,
    parts_within,
    position,
    split_groups,
)
from mediafm.errors import TrainingError

SHARES = Shares(validation=0.15, test=0.15)
NAMES = st.lists(st.text("abcdef0123456789", min_size=1, max_size=6), min_size=12, max_size=60, unique=True)


def alone(groups):
    return {group: group for group in groups}


def test_position_is_golden():
    # A change here moves test titles of existing roots into training: never do it.
    assert position("mediafm", "series-00000") == pytest.approx(0.41947016733, abs=1e-10)
    letters = "".join(hashed_split("mediafm", f"series-{i:05d}", SHARES)[:2] for i in range(12))
    assert letters == "trtrtrtrtetrtetrtetrvatr"


@given(NAMES, st.text(max_size=5))
def test_a_growing_catalogue_moves_no_group_that_hashing_placed(names, salt):
    def placed(groups):
        try:
            found = split_groups(alone(groups), salt, SHARES)
        except TooLittleDataError:
            return {}
        return {group: split for group, split in found.by_group.items() if group not in found.stand_ins}

    few, many = placed(names[: len(names) // 2]), placed(names)
    assert all(many.get(group, split) is split for group, split in few.items())


@given(NAMES, st.text(max_size=5))
def test_every_split_has_a_group_and_a_test_group_by_hash_is_never_taken_out_of_test(names, salt):
    try:
        found = split_groups(alone(names), salt, SHARES)
    except TooLittleDataError:
        assert all(hashed_split(salt, name, SHARES) is Split.TEST for name in names)
        return
    assert set(found.by_group.values()) == set(Split)
    for name in names:
        hashed = hashed_split(salt, name, SHARES)
        assert found.by_group[name] is found.stand_ins.get(name, hashed)
        assert hashed is not Split.TEST or found.by_group[name] is Split.TEST


@given(NAMES, st.text(max_size=5))
def test_kept_stand_ins_stay_when_the_catalogue_grows(names, salt):
    few = names[:6]
    try:
        first = split_groups(alone(few), salt, SHARES)
        then = split_groups(alone(names), salt, SHARES, first.stand_ins)
    except TooLittleDataError:
        return
    assert {group: then.by_group[group] for group in few} == first.by_group


def test_shares_come_out_about_right():
    found = split_groups(alone([f"group {i}" for i in range(4000)]), "salt", SHARES).by_group
    counts = {split: sum(value is split for value in found.values()) / 4000 for split in Split}
    assert counts[Split.TEST] == pytest.approx(0.15, abs=0.02)
    assert counts[Split.VALIDATION] == pytest.approx(0.15, abs=0.02)


def test_equal_files_join_groups_and_the_most_protected_split_wins():
    names = [f"group {i}" for i in range(40)]
    by_split = {split: [n for n in names if hashed_split("s", n, SHARES) is split] for split in Split}
    test, train = by_split[Split.TEST][0], by_split[Split.TRAIN][0]
    joined = join_groups([(name, name) for name in names] + [(test, "same bytes"), (train, "same bytes")])
    assert joined[test] == joined[train] == min(test, train)
    found = split_groups(joined, "s", SHARES)
    assert found.by_group[train] is found.by_group[test] is Split.TEST
    assert PROTECTION[0] is Split.TEST


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=30))
def test_joining_is_an_equivalence_over_shared_files(pairs):
    joined = join_groups([(str(group), str(checksum)) for group, checksum in pairs])
    for group, checksum in pairs:
        assert joined[joined[str(group)]] == joined[str(group)]
        assert len({joined[str(other)] for other, same in pairs if same == checksum}) == 1


def test_too_few_groups_to_spare_one_is_told():
    with pytest.raises(TooLittleDataError, match="train, validation and test each need a group"):
        split_groups({"one": "one", "two": "two"}, "salt", SHARES)


@given(st.integers(1, 3000), st.floats(0.05, 0.4), st.floats(0.05, 0.4))
def test_blocks_inside_a_title_are_apart_and_in_order(num_shots, validation, test):
    parts = parts_within(num_shots, Shares(validation, test))
    assert parts[0].split is Split.TRAIN
    assert parts[0].start == 0
    assert all(part.start < part.end <= num_shots for part in parts)
    if num_shots < 5:
        assert len(parts) == 1
        return
    assert [part.split for part in parts] == [Split.TRAIN, Split.VALIDATION, Split.TEST]
    assert parts[-1].end == num_shots
    gaps = [later.start - earlier.end for earlier, later in pairwise(parts)]
    assert all(gap >= 1 for gap in gaps)


def test_impossible_shares_are_refused():
    with pytest.raises(TrainingError, match="leave something to train on"):
        Shares(0.5, 0.5)
