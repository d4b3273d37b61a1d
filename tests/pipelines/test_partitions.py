"""Ranges of titles: everything wanted, nothing else, in as few runs as the order of registration allows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from mediafm_pipelines.partitions import contiguous_ranges, register_titles


@given(
    registered=st.lists(st.text("abcdef", min_size=1, max_size=4), unique=True, max_size=30),
    size=st.integers(1, 7),
    data=st.data(),
)
def test_ranges_cover_exactly_what_is_wanted(registered: list[str], size: int, data: st.DataObject) -> None:
    wanted = data.draw(st.sets(st.sampled_from(registered)) if registered else st.just(set()))
    ranges = contiguous_ranges(registered, wanted, size)
    assert [title for each in ranges for title in each.title_ids] == [one for one in registered if one in wanted]
    for each in ranges:
        start = registered.index(each.title_ids[0])
        assert tuple(registered[start : start + len(each.title_ids)]) == each.title_ids
        assert len(each.title_ids) <= size


def test_a_gap_in_the_order_of_registration_ends_a_range() -> None:
    ranges = contiguous_ranges(["a", "b", "c", "d"], {"a", "b", "d"}, 64)
    assert [each.title_ids for each in ranges] == [("a", "b"), ("d",)]
    assert ranges[0].tags == {
        "dagster/asset_partition_range_start": "a",
        "dagster/asset_partition_range_end": "b",
    }


class Overtaken:
    """An instance in whose database another run has just registered the titles that this one was about to."""

    def __init__(self) -> None:
        self.known = ["a"]
        self.num_refused = 0

    def get_dynamic_partitions(self, name: str) -> list[str]:
        return list(self.known)

    def add_dynamic_partitions(self, name: str, new: list[str]) -> None:
        if "b" not in self.known:
            self.known.append("b")
            self.num_refused += 1
            raise IntegrityError("INSERT", {}, Exception("UNIQUE constraint failed"))
        self.known += new


def test_titles_that_another_run_registers_at_this_moment_are_registered_once() -> None:
    instance = Overtaken()
    assert register_titles(instance, ["a", "b", "c"]) == ["c"]
    assert (instance.known, instance.num_refused) == (["a", "b", "c"], 1)
