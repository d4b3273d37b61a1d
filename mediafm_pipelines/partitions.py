"""The one partition set of the graph: a partition is a title, and its key is the title's id.

Belongs here: how titles become partitions, and how a set of titles is cut into runs.
Does not belong here: what a title is (`mediafm.catalog`), or what is done with one (`mediafm.steps`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dagster as dg

MAX_ATTEMPTS = 20
"""To register titles while others do; each attempt fails only if one of them has just succeeded (our choice)."""

titles_partitions = dg.DynamicPartitionsDefinition(name="titles")


@dataclass(frozen=True)
class TitleRange:
    """Titles that stand next to each other in Dagster's order of registration: one run takes them all."""

    title_ids: tuple[str, ...]

    @property
    def tags(self) -> dict[str, str]:
        """The tags that make a run cover exactly this range."""
        return {
            "dagster/asset_partition_range_start": self.title_ids[0],
            "dagster/asset_partition_range_end": self.title_ids[-1],
        }


def register_titles(instance: dg.DagsterInstance, title_ids: Sequence[str]) -> list[str]:
    """Makes a partition of each title that is not one yet, in the given order; returns the new ones.

    Another run may register the same titles at this moment: Dagster looks first and writes then, and its database
    refuses the second. What is then left to register is looked up again.
    """
    from sqlalchemy.exc import IntegrityError

    for attempt in range(MAX_ATTEMPTS):
        known = set(instance.get_dynamic_partitions("titles"))
        new = [title_id for title_id in title_ids if title_id not in known]
        try:
            if new:
                instance.add_dynamic_partitions("titles", new)
            return new
        except IntegrityError:
            if attempt == MAX_ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def contiguous_ranges(registered: Sequence[str], wanted: Iterable[str], titles_per_run: int) -> list[TitleRange]:
    """Cuts `wanted` into ranges of at most `titles_per_run` that hold no other registered title.

    Dagster runs a range, not a set: a gap in the order of registration ends a range.
    """
    wanted_set = set(wanted)
    ranges: list[TitleRange] = []
    current: list[str] = []
    for title_id in [*registered, None]:
        if title_id in wanted_set and len(current) < titles_per_run:
            current.append(title_id)
            continue
        if current:
            ranges.append(TitleRange(tuple(current)))
        current = [title_id] if title_id in wanted_set else []
    return ranges
