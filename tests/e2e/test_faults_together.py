"""Two runs of one catalogue on one root at the same moment: both end well, and nothing is there twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import Finished
from tests.e2e.faults import Attacked, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

MOMENTS = {"at once": "*", "an instance is there": "state/dagster/dagster.yaml", "shots": "store/spans/*/*/*.parquet"}
"""When the second one begins: with the first, or when this appears in the root."""


@pytest.mark.parametrize("moment", MOMENTS)
def test_two_runs_of_the_same_titles_end_well(moment: str, few: Path, few_finished: Finished, tmp_path: Path) -> None:
    attacked = Attacked.of(tmp_path / "attacked")
    first = attacked.start(few)
    if moment != "at once":
        wait_for(moment, lambda: any(attacked.root.glob(MOMENTS[moment])))
    second = attacked.start(few)
    for process in (first, second):
        after = attacked.finished(process)
        assert after.summary["titles"] == few_finished.summary["titles"]
    attacked.assert_whole(few_finished.root)
    again = attacked.run(few)
    assert again.summary["dagster_runs"] == [], "nothing is left to do"
